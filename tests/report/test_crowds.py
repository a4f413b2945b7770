"""A page stays small where a study has thousands of runs: it shows how they are spread, and the CSV files have each."""

from __future__ import annotations

import csv
import doctest
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.report import analyse_study, crowds, report_points, write_study
from reconscale.report.analysis import MetricFormat
from reconscale.report.crowds import MOST_CURVES, MOST_ROWS, spaced
from reconscale.report.draw import page_drawing
from reconscale.report.figures import quality_figure, validation_figure
from reconscale.report.marks import Series
from reconscale.report.tables import baselines_table
from reconscale.results import Folder, Result
from reconscale.study import runs_of

from .synthetic import result_of, study_of
from .test_figures import loaded
from .test_page import check_safe

MOST_BYTES = 2_000_000
BYTES_PER_RUN = 40
"""What one more seed of every n and width may add, for each of its runs."""


@dataclass(frozen=True)
class Made:
    runs: int
    out: Path

    @property
    def html(self) -> str:
        return (self.out / "report.html").read_text(encoding="utf-8")


def made(out: Path, seeds: int) -> Made:
    """A study of 14 sizes, 4 widths and so many seeds, in memory; every fiftieth run failed."""
    sizes = [round(10 * 1.4**k) for k in range(14)]
    study = study_of(sweep={"n": sizes, "width": [8, 12, 16, 24], "seed": list(range(seeds))}, images={"test_sets": {}})
    runs = runs_of(study)
    results = [
        Result.model_validate({"status": "failed", "run": run, "p": 1000, "reason": "no memory"})
        if place % 50 == 7
        else result_of(run)
        for place, run in enumerate(runs)
    ]
    write_study(analyse_study(study, Folder(out / "runs"), results=results), out)
    return Made(len(runs), out)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("many"), 40)


def test_page_of_thousands(many: Made, tmp_path: Path) -> None:
    assert many.runs == 2240
    few = made(tmp_path, 8)
    assert len(many.html) < MOST_BYTES
    assert (len(many.html) - len(few.html)) / (many.runs - few.runs) < BYTES_PER_RUN


def test_every_run_is_beside_the_page(many: Made) -> None:
    text = check_safe(many.html).text
    with (many.out / "runs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == many.runs and "every single run is in runs.csv" in text
    assert "2,240 runs by n and width" in text and "Runs that failed or diverged" in text
    assert sum(row["status"] == "failed" for row in rows) == 45
    grid = many.html[many.html.index("2,240 runs by n and width") :]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", grid[: grid.index("</table>")])[1:]
    done = [int(re.sub(r"<[^>]*>", " ", line).split()[2]) for line in lines]
    assert len(lines) == 56 and sum(done) == 2240 - 45


def test_figures_say_what_they_leave_out(many: Made) -> None:
    text = check_safe(many.html).text
    assert "a bar goes from 5 % to 95 % of those at one n" in text and "All of them are in points.csv." in text
    assert "the means alone are drawn" in text and "those of the first 3 seeds are drawn" in text
    assert f"Drawn are {MOST_CURVES} of 14 sizes" in text


def test_bars_hold_nine_tenths_of_the_runs(many: Made) -> None:
    tables = loaded(many.out) | {"anchors": baselines_table([])}
    bars = quality_figure(tables, MetricFormat("psnr", "psnr-rgb-clip", "images")).series("runs")
    points = tables["points"].where(selected=1)
    at, y = np.array(points.numbers("n")), np.array(points.numbers("psnr"))
    assert len(bars.x) == 14
    for n, low, high in zip(bars.x, bars.low, bars.high, strict=True):
        assert 0.85 <= np.mean((y[at == n] >= low) & (y[at == n] <= high)) <= 0.95


def test_lines_of_training_are_few(many: Made) -> None:
    drawn = [mark for mark in validation_figure(loaded(many.out)["validation"]).marks if isinstance(mark, Series)]
    assert len(drawn) == 3 * MOST_CURVES
    assert all(len(svg) < 300_000 for svg in page_drawing(
        validation_figure(loaded(many.out)["validation"]), "v").svg.values())  # fmt: skip


def test_points_of_thousands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = np.repeat([10, 30, 100, 300, 1000], 600)
    points = Points(
        n, 0.02 + n**-0.5 * np.exp(rng.normal(0, 0.02, len(n))), seed=np.tile(np.arange(600), 5), metric="error"
    )
    html = report_points(points, tmp_path, title="many").read_text(encoding="utf-8")
    assert len(html) < 300_000 and "3,000 measurements by n; every one is in points.csv" in html
    assert len((tmp_path / "points.csv").read_text(encoding="utf-8").splitlines()) == 3001


def test_spaced_keeps_order_and_ends() -> None:
    assert spaced(list(range(1000)), MOST_ROWS)[:: MOST_ROWS - 1] == [0, 999]
    assert len(set(spaced(list(range(1000)), MOST_ROWS))) == MOST_ROWS
    assert doctest.testmod(crowds).failed == 0
