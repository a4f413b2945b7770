"""The panel that explains the curve: there where a study has an explanation, and said with its numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.files import to_json, write_atomic
from reconscale.laws import select_width
from reconscale.report import report_study
from reconscale.report.explanation import decibels, explanation_of, explanation_sentences, explanation_table
from reconscale.report.figures import explanation_figure
from reconscale.report.tables import Table
from reconscale.results import Folder
from reconscale.results.measurements import points_from_results
from reconscale.study import runs_of

from .conftest import Written
from .synthetic import study_of, write_results
from .test_figures import loaded, on_page
from .test_page import check_safe

EVIL = "<script>alert(1)</script>"


def record(**changes: Any) -> dict[str, Any]:
    """A linear curve on a floor of 0.0018 that comes within 0.1 dB of it near n = 43."""
    n = [1, 3, 10, 30, 100, 300, 600, 1000, 2400, 6000]
    made = {
        "curve": {"n": n, "mse": [0.0018 * (1 + 1 / size) for size in n]},
        "floor": 0.0018,
        "floor_on_test": 0.002,
        "test_set": "test",
        "within": {"0.1": 42.9, "0.5": 8.2},
        "patch": 8,
        "images": 600,
    }
    return made | changes


def kept(root: Path, content: str | None = None, **changes: Any) -> Folder:
    """A results folder with an explanation."""
    write_atomic(root / "theory" / "explanation.json", to_json(record(**changes)) if content is None else content)
    return Folder(root)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return write_results(study_of(), tmp_path_factory.mktemp("results") / "runs")


@pytest.fixture(scope="module")
def reported(results: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = kept(results.root, problem=EVIL)
    return report_study(study_of(), folder, tmp_path_factory.mktemp("explained"), pictures=False).parent


@pytest.fixture
def drawn(results: Folder, tmp_path: Path) -> Callable[..., tuple[Table, str]]:
    """The table and the sentences of an explanation beside the synthetic results."""
    done = results.results(runs_of(study_of()))
    best = select_width(points_from_results(done, profile="psnr-rgb-clip", test_set="test"))

    def make(**changes: Any) -> tuple[Table, str]:
        made = explanation_of(kept(tmp_path, **changes))
        table = explanation_table(made, done, best, "test")
        return table, " ".join(explanation_sentences(made, table)) if made is not None and len(table) else ""

    return make


def rows(out: Path, series: str) -> list[dict[str, str]]:
    with (out / "explanation.csv").open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["series"] == series]


def test_no_explanation_no_panel(written: Written) -> None:
    assert "explanation" not in on_page(written.html) and "Why the curve flattens" not in written.html
    assert "not forecast" not in written.html and not (written.out / "explanation.csv").exists()
    assert "explanation" not in json.loads((written.out / "numbers.json").read_text())


def test_no_panel_for_what_theory_lacks_or_another_test_set(
    drawn: Callable[..., tuple[Table, str]], tmp_path: Path
) -> None:
    assert explanation_of(kept(tmp_path, lacking="no linear theory of this problem")) is None
    assert len(drawn(test_set="another")[0]) == 0 and len(drawn()[0]) == 14


def test_the_panel_is_its_csv(reported: Path) -> None:
    html = (reported / "report.html").read_text(encoding="utf-8")
    headings = check_safe(html).headings
    assert "Why the curve flattens explanation, not forecast" in headings and EVIL not in html
    figure = explanation_figure(loaded(reported)["explanation"], "images")
    for series in ("network", "linear", "floor"):
        line, saved = figure.series(series), rows(reported, series)
        assert line.x == [float(row["n"]) for row in saved] and line.y == [float(row["db"]) for row in saved]
        assert all(any(f"{y:.2f} dB" in text for text in on_page(html)["explanation"]) for y in line.y)
    network = rows(reported, "network")
    assert figure.series("network").high == [float(row["highest"]) for row in network]
    assert figure.series("network").low == [float(row["lowest"]) for row in network]
    low, high = figure.axes.y
    assert all(low < float(row["db"]) < high for row in (*network, *rows(reported, "floor")))
    for name in ("explanation.png", "explanation.svg"):
        assert (reported / name).stat().st_size > 5000 and f'href="{name}"' in html


def test_the_numbers_of_the_panel(reported: Path, results: Folder) -> None:
    network, linear, floor = (rows(reported, series) for series in ("network", "linear", "floor"))
    assert [(float(row["n"]), row["runs"]) for row in network] == [(n, "3") for n in (10, 30, 100, 300, 600)]
    done = results.results(runs_of(study_of()))
    for row in network:
        cell = [r for r in done if r.run.n == float(row["n"]) and r.run.network.width == int(row["width"])]
        errors = [r.metrics["test"]["mse"] for r in cell]
        assert len(errors) == 3 and float(row["mse"]) == pytest.approx(np.mean(errors), rel=1e-12)
        assert float(row["db"]) == pytest.approx(-10 * np.log10(np.mean(errors)))
    assert [float(row["n"]) for row in linear] == [10, 30, 100, 300, 600, 1000, 2400]
    for row in linear:
        mse = 0.0018 * (1 + 1 / float(row["n"]))
        assert float(row["mse"]) == pytest.approx(mse) and float(row["db"]) == pytest.approx(decibels(mse / 0.9))
    assert {float(row["db"]) for row in floor} == {decibels(0.002)}
    numbers = json.loads((reported / "numbers.json").read_text())
    assert numbers["explanation"]["within"] == {"0.1": 42.9, "0.5": 8.2}
    assert len(numbers["explanation"]["sentences"]) == 3 and len(numbers["tables"]["explanation"]) == 14


def test_what_the_panel_says(drawn: Callable[..., tuple[Table, str]]) -> None:
    table, text = drawn()
    ours = table.where(series="network").numbers("db")
    assert "comes within 0.1 dB of its floor, the Wiener filter, at n = 43; at n = 600 it is 0.007 dB away" in text
    assert f"that floor is 26.99 dB, and the networks measure {ours[-1]:.2f} dB at n = 600" in text
    assert f"{ours[-1] - 26.9897:.2f} dB above it: they use more" in text
    gain = f"From n = 10 to 600 the linear estimator gains +0.41 dB, the networks +{ours[-1] - ours[0]:.2f} dB."
    assert gain in text
    assert "no forecast on this page rests on this one" in text
    _, text = drawn(floor_on_test=0.001)
    assert "dB below it: less than the covariance of the same images gives" in text and "they use more" not in text
    slow = {"n": [1, 600, 60000], "mse": [0.018, 0.0054, 0.00183]}
    _, text = drawn(floor_on_test=0.001, curve=slow, within={"0.1": 31234.5, "0.5": 3000.0})
    assert (
        "at n = 600 it is 4.77 dB from its floor, the Wiener filter, and comes within 0.1 dB of it at n = 31,000"
        in text
    )
    assert "more than the linear estimator at that n, less than it reaches with more images" in text
    _, text = drawn(curve=slow, within={"0.1": None, "0.5": None})
    assert "it does not come within 0.1 dB of it at any n that was looked at" in text


def test_sizes_below_the_curve_are_not_compared_with_it(drawn: Callable[..., tuple[Table, str]]) -> None:
    table, text = drawn(curve={"n": [30, 600, 6000], "mse": [0.0019, 0.00181, 0.0018]})
    assert min(table.where(series="network").numbers("n")) == 10 < min(table.where(series="linear").numbers("n"))
    ours = table.where(series="network").numbers("db")
    assert f"From n = 30 to 600 the linear estimator gains +0.21 dB, the networks +{ours[-1] - ours[1]:.2f} dB." in text


@pytest.mark.parametrize(
    "content",
    [
        "{}", "[]", '{"curve": 3}', "not json",
        to_json(record(floor=-1.0)), to_json(record(curve={"n": [1, 2], "mse": [0.1]})),
        to_json(record(curve={"n": [2, 1], "mse": [0.1, 0.2]})), to_json(record(within={"near": 3})),
        to_json(record()).replace("0.0018,", "NaN,"),
    ],
)  # fmt: skip
def test_damaged_explanations_are_mistakes(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=r"explanation.json: is (damaged|not valid JSON)"):
        explanation_of(kept(tmp_path, content))


def test_between_sizes_the_curve_is_straight_in_the_logarithm(tmp_path: Path) -> None:
    made = explanation_of(kept(tmp_path))
    assert made is not None
    assert made.above(10) == pytest.approx(decibels(0.0018) - decibels(0.00198))
    assert made.above(10) > made.above(17) > made.above(30)
    assert made.db_on_test(30) == pytest.approx(decibels(0.002 * 31 / 30))
