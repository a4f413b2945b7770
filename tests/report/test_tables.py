"""Tables hold what was measured and what is expected, and read back from CSV to the same bits."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points, frontier
from reconscale.report.answer import Answer, answer_of
from reconscale.report.next_steps import next_steps
from reconscale.report.runs import anchor_findings, cost_table, doubling, runs_table, shift_table
from reconscale.report.tables import curve_table, fan_table, law_table, points_table, table
from reconscale.study import runs_of
from reconscale.study.points import points_of

from .conftest import Written
from .synthetic import result_of, study_of


@pytest.fixture(scope="module")
def answer(written: Written) -> Answer:
    return answer_of(points_of(written.study, written.folder))


def test_csv_reads_back_to_the_same_bits() -> None:
    made = table("t", "name value", [("a,b\n", 0.1 + 0.2), ("c", None), ("d", 3)])
    rows = list(csv.reader(made.csv().splitlines(keepends=True)))
    assert rows[0] == ["name", "value"] and rows[1][0] == "a,b\n"
    assert float(rows[1][1]) == 0.1 + 0.2 and rows[2][1] == "" and rows[3][1] == "3"
    assert math.isnan(made.numbers("value")[1]) and made.where(name="d").records() == [{"name": "d", "value": 3}]


def test_points_csv_is_one_that_anybody_can_read_back(written: Written, answer: Answer) -> None:
    back = Points.from_csv(written.out / "points.csv")
    assert np.array_equal(back.y, answer.points.y) and np.array_equal(back.n, answer.points.n)
    best = frontier(answer.points)
    assert sum(points_table(answer).column("selected")) == len(best)  # type: ignore[arg-type]


def test_curve_is_the_mean_over_seeds_of_the_selected_width(answer: Answer) -> None:
    best = frontier(answer.points)
    for row in curve_table(answer).records():
        y = best.y[best.n == row["n"]]
        assert row["mean"] == pytest.approx(y.mean()) and row["runs"] == len(y)
        assert row["mean"] < y.max()


def test_band_holds_the_measurements_and_widens_beyond_them(answer: Answer) -> None:
    fan = fan_table(answer)
    best = answer.best
    rows = [row for row in fan.records() if row["median"] is not None]
    for row in rows:
        assert row["low90"] <= row["low50"] <= row["median"] <= row["high50"] <= row["high90"]
    n = [row["n"] for row in rows]
    low, high = (np.interp(np.log(best.n), np.log(n), [row[name] for row in rows]) for name in ("low90", "high90"))
    assert ((low <= best.y) & (best.y <= high)).mean() > 0.8
    width = {
        name: max(r["high90"] - r["low90"] for r in rows if r["status"] == name) for name in set(fan.column("status"))
    }
    assert width["measured range"] < width["up to 4x"] < width["up to 10x"]


def test_refused_sizes_have_no_numbers(curve: Points) -> None:
    small = curve.rows(curve.n <= 2000)
    fan = fan_table(answer_of(small, asked=[4000.0, 1e9]))
    far = fan.where(n=1e9).records()[0]
    assert far["status"] == "refused" and far["median"] is None and far["high90"] is None
    assert fan.where(n=4000.0).records()[0]["asked"] == 1


@pytest.mark.parametrize("metric", ["psnr", "ssim", "error"])
def test_every_metric(curve: Points, metric: str) -> None:
    y = {"psnr": -10 * np.log10(curve.y), "ssim": 1 - curve.y, "error": curve.y}[metric]
    fan = fan_table(answer_of(replace(curve, y=y, metric=metric)))
    for row in fan.records():
        assert row["low90"] < row["median"] < row["high90"]


def test_every_law_has_intervals_and_a_weight_or_a_reason(answer: Answer) -> None:
    laws = law_table(answer)
    assert {"power", "power+floor", "paper", "last value", "line"} == set(laws.column("law"))
    for row in laws.records():
        assert row["note"] or row["value"] is not None
        if row["value"] is not None:
            assert row["low90"] <= row["value"] <= row["high90"]


def test_runs_table_lists_lost_and_open_runs() -> None:
    study = study_of(sweep={"n": [10, 30], "width": [8], "seed": [0]})
    runs = runs_of(study)
    made = runs_table(runs, [result_of(runs[0])], "test")
    assert made.column("status") == ["done", "to do"] and made.column("id") == [run.id for run in runs]


def test_time_for_each_doubling_is_the_slope_in_log_log() -> None:
    rows = [(n, w, w * w, 1, 3.0 * n**0.5 * w**1.5, 1.0) for n in (10, 20, 80) for w in (8, 16)]
    costs = table("cost", "n width p runs seconds training_flops", rows)
    assert doubling(costs, "n") == pytest.approx(2**0.5)
    assert doubling(costs, "width") == pytest.approx(2**1.5) and doubling(costs, "p") == pytest.approx(2**0.75)
    assert doubling(costs.where(n=10, width=8), "n") is None


def test_shift_table_gives_every_test_set_and_its_slope() -> None:
    study = study_of(sweep={"n": [10, 20, 40], "width": [8], "seed": [0, 1, 2]})
    results = [result_of(run) for run in runs_of(study)]
    shift = shift_table(results, "psnr-rgb-clip")
    assert set(shift.column("test_set")) == {"test", "urban", "medical"}
    row = shift.where(test_set="urban").records()[0]
    y = {n: np.mean([r.metrics["urban"]["psnr-rgb-clip"] for r in results if r.run.n == n]) for n in (20, 40)}
    assert row["gain_per_doubling"] == pytest.approx(y[40] - y[20]) and row["gain_se"] > 0


def test_next_steps_ask_for_sizes_seeds_and_widths() -> None:
    points = Points([10, 30], [27.0, 28.0], [0, 0], metric="psnr")
    steps = next_steps(answer_of(points), [], [], cost_table([]))
    said = " ".join(str(cell) for cell in steps.column("action"))
    assert "training size" in said and "seeds" in said
    study = study_of()
    runs = runs_of(study)
    results = [result_of(run) for run in runs[:30]]
    steps = next_steps(None, runs, results, cost_table(results))
    assert steps.column("runs") == [len(runs) - 30] and steps.numbers("seconds")[0] > 0


def test_numbers_json_holds_every_table(written: Written, alone: Path) -> None:
    for out in (written.out, alone):
        record = json.loads((out / "numbers.json").read_text(), parse_constant=lambda name: pytest.fail(name))
        assert record["verdict"] in ("COLLECT MORE", "TRAIN LARGER", "STOP", "UNDECIDED")
        for name, rows in record["tables"].items():
            path = out / f"{name}.csv"
            assert path.is_file() == bool(rows)
            if rows:
                assert len(list(csv.DictReader(path.read_text().splitlines()))) == len(rows)


def test_a_network_below_the_classical_anchor_is_a_finding() -> None:
    best = Points(n=np.array([10.0, 100.0]), y=np.array([27.0, 28.0]), metric="psnr")
    lines = [("input", "input", 20.5), ("classical", "block DCT", 28.5)]
    (found,) = anchor_findings(best, lines)
    assert found.code == "below-classical" and "block DCT" in found.text and "28.5 against 28" in found.text
    assert anchor_findings(best, lines[:1]) == () == anchor_findings(None, lines)
    errors = Points(n=np.array([10.0, 100.0]), y=np.array([2e-3, 1e-3]), metric="error")
    assert [item.code for item in anchor_findings(errors, [("classical", "block DCT", 9e-4)])] == ["below-classical"]
