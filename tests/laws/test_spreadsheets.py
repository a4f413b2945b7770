"""CSV files for spreadsheets of either kind: read back to the same bits, and refused where the kind is unknown."""

from __future__ import annotations

import codecs
import csv
import doctest
import io
from pathlib import Path

import numpy as np
import pytest

from reconscale.data.own_split import _words
from reconscale.data.split_listing import ListedImage, SplitListing
from reconscale.errors import UserError
from reconscale.laws import Mixture, Points, spreadsheets
from reconscale.laws.csv_table import table_text
from reconscale.laws.image_table import read_image_table
from reconscale.laws.spreadsheets import SPREADSHEETS

KINDS = ["", *SPREADSHEETS]
# Three decimals are marks of thousands elsewhere; small errors have exponents; whole numbers have one decimal.
VALUES = {
    "three decimals": [12.345, 1.234, 123.456, 7.125],
    "whole": [30.0, 31.0, 32.0, 33.0],
    "errors": [1.5e-7, 2e-5, 0.00123, 0.1],
    "all digits": [0.1 + 0.2, 1 / 3, 2 / 3, 1e-12 / 7],
}


@pytest.mark.parametrize("spreadsheet", KINDS)
@pytest.mark.parametrize("name", VALUES)
def test_points_come_back(tmp_path: Path, name: str, spreadsheet: str) -> None:
    values = VALUES[name]
    points = Points([10, 100.5, 1000, 12345], values, p=[1e5, 46499203, 1e6, 1e7], seed=[0, 1, 2, 3], metric="error",
                    unit="slices, of both; kinds")  # fmt: skip
    points.to_csv(tmp_path / "points.csv", spreadsheet=spreadsheet)
    again = Points.from_csv(tmp_path / "points.csv")
    for column in ("n", "y", "p", "seed"):
        assert getattr(again, column).tolist() == getattr(points, column).tolist()
    assert again.unit == points.unit


def test_many_numbers_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for digits in (1, 2, 3, 4, 17):
        values = [float(f"{v:.{digits}g}") for v in 10.0 ** rng.uniform(-6, 3.5, 300)]
        n = np.sort(rng.choice(100_000, 300, replace=False) + 1)
        points = Points(n, values, metric="error")
        for spreadsheet in SPREADSHEETS:
            points.to_csv(tmp_path / "points.csv", spreadsheet=spreadsheet)
            assert Points.from_csv(tmp_path / "points.csv").y.tolist() == values


def test_what_excel_sees(tmp_path: Path) -> None:
    """A byte order mark, its own separator, its own decimals, and no formula."""
    path = tmp_path / "points.csv"
    Points([10, 20], [0.25, 12.345], metric="error").to_csv(path, spreadsheet="comma")
    assert path.read_bytes() == codecs.BOM_UTF8 + b"n;error\n10,0;0,25\n20,0;12,3450\n"
    Points([10, 20], [0.25, 12.345], metric="error").to_csv(path, spreadsheet="point")
    assert path.read_bytes() == codecs.BOM_UTF8 + b"n,error\n10.0,0.25\n20.0,12.345\n"
    Points([10, 20], [0.25, 12.345], metric="error").to_csv(path)
    assert path.read_bytes() == b"n,error\n10.0,0.25\n20.0,12.345\n"
    text = table_text(["a", "b"], [["=1+1", -0.5], ["1;2", None]], "comma")
    assert list(csv.reader(io.StringIO(text[1:]), delimiter=";")) == [["a", "b"], ["'=1+1", "-0,5"], ["1;2", ""]]


@pytest.mark.parametrize("spreadsheet", SPREADSHEETS)
def test_other_readers(tmp_path: Path, spreadsheet: str) -> None:
    path = tmp_path / "table.csv"
    rows = [(10 * k, 30 * j, 20.125 + k + j / 2) for k in range(1, 4) for j in range(3)]
    path.write_text(table_text(["n_own", "n_other", "psnr"], rows, spreadsheet), encoding="utf-8")
    assert Mixture.from_csv(path).y.tolist() == [row[2] for row in rows]
    values = [("test", f"photo-{i}.png", 30.125 + i) for i in range(5)]
    path.write_text(table_text(["set", "image", "psnr"], values, spreadsheet), encoding="utf-8")
    (method,) = read_image_table(path).methods.values()
    assert sorted(method.values.ravel().tolist()) == [30.125, 31.125, 32.125, 33.125, 34.125]


@pytest.mark.parametrize("spreadsheet", KINDS)
def test_lists_of_a_split(tmp_path: Path, spreadsheet: str) -> None:
    """What `data --split` prints is a list that a study may name."""
    names = ["a;b.png", "c,d.png", "Übung 1,5.png"]
    images = tuple(ListedImage(name, "scene", "") for name in names)
    path = tmp_path / "split.csv"
    path.write_text(SplitListing(None, 0, {"train": images[:2], "val": images[2:]}).to_csv(spreadsheet=spreadsheet),
                    encoding="utf-8")  # fmt: skip
    assert [word for _, word in _words(path, "train")] == names[:2]
    assert [word for _, word in _words(path, "val")] == names[2:]


def test_an_unknown_spreadsheet_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'comma'"):
        Points([1, 2], [3.0, 4.0], metric="psnr").to_csv(tmp_path / "a.csv", spreadsheet="coma")
    assert not (tmp_path / "a.csv").exists()


def test_examples() -> None:
    assert doctest.testmod(spreadsheets).failed == 0
