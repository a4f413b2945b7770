"""Data frames are read by the rules of files, and written without a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points

TABLE = {"n": [100, 100, 300, 1000], "seed": [0, 1, 0, 0], "psnr": [30.85, 30.91, 31.27, 31.61]}


class Frame:
    """A data frame as far as it is asked for anything: pandas and polars both are more."""

    def __init__(self, columns: dict[Any, list[Any]]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, name: Any) -> list[Any]:
        return self._columns[name]


@pytest.mark.parametrize("kind", [dict, Frame])
def test_columns_are_read_by_name(kind: Any, tmp_path: Any) -> None:
    points = Points.from_dataframe(kind({**TABLE, "n": [100.0, 100.0, 300.0, 1000.0], "note": ["", None, "a", "b"]}))
    assert (points.metric, points.n.tolist(), points.y.tolist()) == ("psnr", [100, 100, 300, 1000], TABLE["psnr"])
    assert points.seed is not None and points.seed.tolist() == [0, 1, 0, 0]
    points.to_csv(tmp_path / "same.csv")
    assert Points.from_csv(tmp_path / "same.csv").y.tolist() == points.y.tolist()


def test_names_and_units_are_those_of_files() -> None:
    points = Points.from_dataframe({"n_train (k)": [0.1, 1], "test_psnr": [30.0, 31.0], "params_m": [1.5, 1.5]})
    assert points.n.tolist() == [100, 1000] and points.p is not None and points.p.tolist() == [1.5e6, 1.5e6]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"psnr": [30.0]}, "there is no column 'n'"),
        ({"n": [10, 20], "psnr": [30.0, float("nan")]}, "data frame, line 2, column 'psnr': found nothing"),
        ({"n": [10, 20], "psnr": [30.0, "thirty"]}, "found 'thirty'; a number is expected"),
        ({"n": [10, 20], "psnr": [30.0, float("inf")]}, "found inf"),
        ({"n": [10, 20], "psnr": [30.0]}, "columns of different lengths"),
        ({"n": [], "psnr": []}, "has no rows"),
        ({}, "has no columns"),
        ({"n": 3, "psnr": 30.0}, "column 'n': is not a list of values"),
        ({"n": [10], "N": [10], "psnr": [30.0]}, "column 'n' is there twice"),
        ({"n": [10, 20], "psnr": [30.0, 31.0], "seed": [0, None]}, "column 'seed': found nothing"),
        ([[10, 30.0]], "found a list; give a data frame of pandas or polars"),
        (np.zeros((3, 2)), "found a ndarray"),
    ],
)
def test_what_is_no_table_is_refused(frame: Any, words: str) -> None:
    with pytest.raises(UserError, match="data frame") as refused:
        Points.from_dataframe(frame)
    assert words in str(refused.value)


def test_pandas_and_back_to_the_last_bit() -> None:
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    y = 30 + rng.random(6)
    some = Points(
        [10, 10, 30, 30, 1e5, 1e5], y, [0, 1] * 3, [1e5] * 6, "psnr", width=[8] * 6, validation=y - 0.1,
        steps=[400] * 6, images=rng.random((6, 3)), profile="psnr-rgb-clip", unit="volumes",
    )  # fmt: skip
    frame = some.to_dataframe()
    assert list(frame.columns[:5]) == ["n", "p", "width", "seed", "psnr"] and len(frame) == 6
    again = Points.from_dataframe(frame)
    for name in ("n", "y", "seed", "p", "width", "validation", "steps", "images"):
        assert np.array_equal(getattr(again, name), getattr(some, name)), name
    assert (again.profile, again.unit, again.metric) == ("psnr-rgb-clip", "volumes", "psnr")


def test_levels_of_an_index_are_columns_and_missing_cells_are_empty() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE | {"p": [None] * 4})
    means = frame.drop(columns="p").groupby(["n", "seed"]).mean()
    assert Points.from_dataframe(means).n.tolist() == [100, 100, 300, 1000]
    with pytest.raises(UserError, match="column 'p': found nothing"):
        Points.from_dataframe(frame)


def test_without_pandas_the_way_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UserError, match="needs the package pandas, which is not installed; pip install pandas"):
        Points.from_dataframe(TABLE).to_dataframe()
