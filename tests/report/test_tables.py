"""Tables hold what was measured and what is expected, and read back from CSV to the same bits."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import LAWS, Costs, Experiment, Points, select_width
from reconscale.report import page_text as prose
from reconscale.report.analysis import ON_REQUEST, Analysis, analyse, hours_unknown
from reconscale.report.next_steps import next_steps
from reconscale.report.run_tables import (
    baseline_findings,
    costs_from,
    faults_table,
    hours_from,
    runs_table,
    shift_table,
    training_findings,
)
from reconscale.report.sentences import target_sentence
from reconscale.report.study_analysis import analyse_study, run_findings
from reconscale.report.tables import (
    budget_table,
    curve_table,
    fan_table,
    frontier_table,
    gains_table,
    known_table,
    law_table,
    map_table,
    members_table,
    points_table,
    table,
)
from reconscale.results import Folder
from reconscale.results.measurements import load_points
from reconscale.results.results_folder import Incident, images_at_hand
from reconscale.study import runs_of

from .conftest import Written
from .synthetic import result_of, study_of, write_results


@pytest.fixture(scope="module")
def answer(written: Written) -> Analysis:
    return analyse(load_points(written.study, written.folder))


def test_csv_reads_back_to_the_same_bits() -> None:
    made = table("t", "name value", [("a,b\n", 0.1 + 0.2), ("c", None), ("d", 3)])
    rows = list(csv.reader(made.csv().splitlines(keepends=True)))
    assert rows[0] == ["name", "value"] and rows[1][0] == "a,b\n"
    assert float(rows[1][1]) == 0.1 + 0.2 and rows[2][1] == "" and rows[3][1] == "3"
    assert math.isnan(made.numbers("value")[1]) and made.where(name="d").records() == [{"name": "d", "value": 3}]


def test_points_csv_is_one_that_anybody_can_read_back(written: Written, answer: Analysis) -> None:
    back = Points.from_csv(written.out / "points.csv")
    assert np.array_equal(back.y, answer.points.y) and np.array_equal(back.n, answer.points.n)
    best = select_width(answer.points)
    assert sum(points_table(answer).column("selected")) == len(best)  # type: ignore[arg-type]


def test_curve_is_the_mean_over_seeds_of_the_selected_width(answer: Analysis) -> None:
    best = select_width(answer.points)
    for row in curve_table(answer).records():
        y = best.y[best.n == row["n"]]
        assert row["mean"] == pytest.approx(y.mean()) and row["runs"] == len(y)
        assert row["mean"] < y.max()


def test_band_holds_the_measurements_and_widens_beyond_them(answer: Analysis) -> None:
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


def test_sizes_of_the_band_are_distinct(answer: Analysis) -> None:
    n = np.array(fan_table(answer).numbers("n"))
    assert np.diff(np.log(n)).min() > 1e-3 and n[0] == 10 and n[-1] == 6000


def test_refused_sizes_have_no_numbers(curve: Points) -> None:
    small = curve.rows(curve.n <= 2000)
    fan = fan_table(analyse(small, requested_n=[4000.0, 1e9]))
    far = fan.where(n=1e9).records()[0]
    assert far["status"] == "refused" and far["median"] is None and far["high90"] is None
    assert fan.where(n=4000.0).records()[0]["asked"] == 1


@pytest.mark.parametrize("metric", ["psnr", "ssim", "error"])
def test_every_metric(curve: Points, metric: str) -> None:
    y = {"psnr": -10 * np.log10(curve.y), "ssim": 1 - curve.y, "error": curve.y}[metric]
    fan = fan_table(analyse(replace(curve, y=y, metric=metric)))
    for row in fan.records():
        assert row["low90"] < row["median"] < row["high90"]


def test_the_line_is_the_posterior_median_within_the_data_too(answer: Analysis) -> None:
    told, fan = answer.forecast, fan_table(answer)
    assert fan.numbers("median") == np.median(told.expected, axis=0).tolist()
    assert fan.numbers("low90") == told.interval(0.9)[0].tolist()


def test_gains_are_the_decision_s(answer: Analysis) -> None:
    rows = gains_table(answer).records()
    assert [(row["what"], row["factor"]) for row in rows] == [("n", 2.0), ("n", 10.0), ("p", 2.0)]
    assert rows[0]["median"] == answer.decision.gain_n.median
    assert rows[1]["size"] == 6000.0 and rows[1]["images"] == 5400.0
    assert rows[2]["images"] == 0.0 and rows[0]["hours"] is None


def test_hours_are_told_only_where_they_were_measured(curve: Points) -> None:
    priced = analyse(curve, costs=Costs(hours_unknown, per_hour=0.0, per_image=2.0))
    assert "at a cost of " in priced.price.sentence and "of training" not in priced.price.sentence
    assert gains_table(priced).column("total")[0] == 2.0 * 8000
    assert "runs at n" in str(priced.experiments[0].cost_unit)
    timed = analyse(curve, costs=Costs(lambda n, p: 2.0))
    assert " and 2 h of training; " in timed.price.sentence and gains_table(timed).column("hours")[0] == 2.0


def test_a_target_says_how_much_it_needs(curve: Points) -> None:
    (said,) = target_sentence(analyse(curve, target=0.022))
    assert said.startswith("Target: an error of 0.022")
    assert target_sentence(analyse(curve)) == []


def test_weights_and_forms_are_probabilities(answer: Analysis) -> None:
    made = members_table(answer)
    for kind in ("member", "form"):
        assert sum(made.where(kind=kind).numbers("probability")) == pytest.approx(1.0, abs=1e-3)
    assert made.where(kind="member").column("name") == ["curve", "last value", "line"]


def test_what_is_known_has_its_prior_beside_it(answer: Analysis) -> None:
    made = known_table(answer)
    assert made.column("quantity") == ["exponent", "slope", "floor", "break"]
    for row in made.records():
        assert row["low90"] <= row["median"] <= row["high90"] and row["prior_low90"] < row["prior_high90"]
        assert row["identified"] in (0, 1) and 0 <= row["probability"] <= 1


def test_the_map_agrees_with_its_surface(plane: Points) -> None:
    answer = analyse(plane)
    made = map_table(answer)
    row = made.records()[0]
    assert answer.surface is not None
    assert row["median"] == pytest.approx(answer.surface.median(row["n"], row["p"])[0])
    assert max(made.numbers("n")) == pytest.approx(12000) and sum(made.numbers("measured_range")) == 21 * 21
    for row in frontier_table(answer).records():
        assert row["beyond"] > 0.5 or row["median"] <= 6.4e6 * (1 + 1e-9)
    budget = budget_table(answer)
    assert len(budget) > 2
    for row in budget.records():
        assert 6 * row["n"] * row["p"] == pytest.approx(row["flops"], rel=1e-3)


def test_there_is_no_map_without_enough_cells(curve: Points) -> None:
    answer = analyse(curve)
    assert answer.surface is None and not len(map_table(answer)) and not len(frontier_table(answer))


def test_laws_of_a_user_are_shown_and_long_ones_are_not(curve: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAWS, "own", replace(LAWS["power"], name="own"))
    answer = analyse(curve)
    shown = {row["law"] for row in law_table(answer).records()}
    assert {"own", "power", "power+floor"} <= shown and not shown & set(ON_REQUEST)


def test_every_law_has_intervals_or_a_reason(answer: Analysis, curve: Points) -> None:
    for made in (law_table(answer), law_table(analyse(curve.rows(curve.n <= 500)))):
        assert {"power", "power+floor", "shifted", "paper"} == set(made.column("law"))
        for row in made.records():
            assert row["note"] or row["value"] is not None
            if row["value"] is not None:
                assert row["low90"] <= row["value"] <= row["high90"]


def test_runs_table_lists_lost_and_open_runs() -> None:
    study = study_of(sweep={"n": [10, 30], "width": [8], "seed": [0]})
    runs = runs_of(study)
    made = runs_table(runs, [result_of(runs[0])], "test")
    assert made.column("status") == ["done", "to do"] and made.column("id") == [run.id for run in runs]


def test_faults_are_named() -> None:
    made = faults_table(
        [Incident(kind="worker died", lost=90.0), Incident(kind="worker died"), Incident(kind="disk full")]
    )
    assert made.rows == (("worker died", 2, 90.0), ("disk full", 1, 0.0))
    sentence = prose.faults(made)
    assert "worker died 2 times (1.5 min of work repeated), disk full 1 time" in sentence
    assert prose.faults(faults_table([])) == ""


def test_the_time_of_a_run_is_counted_once() -> None:
    """The last process is not one more part: it holds the parts, unless the run was continued."""
    run = runs_of(study_of(sweep={"n": [10], "width": [8], "seed": [0]}))[0]
    parts = {"train": 60.0, "validation": 20.0, "data": 1.0}
    assert result_of(run).model_copy(update={"times": parts | {"process": 90.0}}).seconds == 90.0
    assert result_of(run).model_copy(update={"times": parts | {"process": 30.0}}).seconds == 81.0


def test_time_of_a_run_is_a_power_law() -> None:
    study = study_of(sweep={"n": [10, 30], "width": [8, 16, 32], "seed": [0, 1, 2]})
    results = [result_of(run) for run in runs_of(study)]
    hours = hours_from(results, "width")
    assert hours is not None and hours.by_p == pytest.approx(1.4, abs=0.2) and hours.by_n == pytest.approx(0, abs=0.1)
    seconds = [r.seconds for r in results if r.run.network.width == 16]
    assert 3600 * hours(10, 16) == pytest.approx(np.mean(seconds), rel=0.2)
    assert hours_from([]) is None
    assert costs_from(results).hour_unit == "hours"
    on_gpus = [result.model_copy(update={"provenance": {"device": "cuda"}}) for result in results]
    assert str(costs_from(on_gpus).bill(100, None, have=100)).endswith(" GPU-hours")


def test_shift_table_gives_every_test_set_and_its_slope() -> None:
    study = study_of(sweep={"n": [10, 20, 40], "width": [8], "seed": [0, 1, 2]})
    results = [result_of(run) for run in runs_of(study)]
    shift = shift_table(results, "psnr-rgb-clip")
    assert set(shift.column("test_set")) == {"test", "urban", "medical"}
    row = shift.where(test_set="urban").records()[0]
    y = {n: np.mean([r.metrics["urban"]["psnr-rgb-clip"] for r in results if r.run.n == n]) for n in (20, 40)}
    assert row["gain_per_doubling"] == pytest.approx(y[40] - y[20]) and row["gain_se"] > 0


def test_what_is_unfinished_comes_first() -> None:
    study = study_of()
    runs = runs_of(study)
    results = [result_of(run) for run in runs[:30]]
    steps = next_steps(None, runs, results, hours_from(results, "width"))
    assert steps.column("runs") == [len(runs) - 30] and 0 < steps.numbers("hours")[0] < 2


def test_one_size_asks_for_more_sizes() -> None:
    steps = next_steps(analyse(Points([100, 100], [27.0, 28.0], [0, 1], metric="psnr")))
    assert "n = 11 and 33" in str(steps.column("action")[0])


def test_next_steps_are_the_experiments(curve: Points) -> None:
    answer = analyse(curve)
    steps = next_steps(answer)
    assert steps.column("kind") == [item.kind for item in answer.experiments]
    assert steps.column("n") == [item.n for item in answer.experiments]
    assert all("should remove" in str(why) for why in steps.column("reason")) or steps.column("kind") == ["stop"]


@pytest.mark.parametrize(
    ("have", "n", "said"),
    [
        (None, 1200.0, "it takes 600 more training images than were used so far"),
        (1000.0, 1200.0, "200 more training images must be collected"),
        (1000.0, 900.0, ""),
        (None, 300.0, ""),
    ],
)
def test_a_size_beyond_the_images_at_hand_says_what_must_be_collected(have: float | None, n: float, said: str) -> None:
    n_measured = [10.0, 30, 100, 300, 600]
    points = Points(n_measured, [27.0, 28, 28.6, 29, 29.2], [0] * 5, metric="psnr")
    answer = analyse(points, costs=Costs(lambda n, p: 1.0, have=have))
    item = Experiment("new size", n, None, None, 1, 0.4, 0.1, 1.0, "runs", None, "why")
    answer.__dict__["experiments"] = (item,)  # as if it had been chosen
    (reason,) = next_steps(answer).column("reason")
    assert said in str(reason) and ("collected" in str(reason)) == bool(said)


@pytest.mark.parametrize(
    ("available", "said", "price"),
    [
        (700, "n up to 700: for twice the data 500 images must be collected beyond these.", "more"),
        (5000, "n up to 5,000, so none must be collected for twice the data.", "which is at hand"),
        (None, "", "more"),
    ],
)
def test_what_the_images_of_a_study_allow_is_said(tmp_path: Path, available: int | None, said: str, price: str) -> None:
    study = study_of(sweep={"n": [10, 30, 100, 300, 600], "width": [8], "seed": [0]})
    folder = write_results(study, tmp_path / "runs")
    if available is not None:
        (folder.root / "images.json").write_text(f'{{"available": {available}}}')
    known = analyse_study(study, folder)
    assert known.answer is not None and known.answer.costs.have == available
    assert known.sentence.endswith(said) and ("The study's images" in known.sentence) == bool(said)
    assert price in known.answer.price.sentence
    assert ("than are at hand" in known.answer.price.sentence) == (available == 700)


def test_a_record_of_images_that_is_damaged_counts_as_none(tmp_path: Path) -> None:
    for text in ("{}", "[", '{"available": "many"}', '{"available": null}'):
        (tmp_path / "images.json").write_text(text)
        assert images_at_hand(Folder(tmp_path)) is None


def test_all_cautions_about_runs_are_found(written: Written) -> None:
    known = analyse_study(written.study, written.folder)
    codes = {item.code for item in known.findings}
    assert "failed-runs" in codes and known.answer is not None
    assert {
        item.code for item in run_findings(written.study, written.folder, known.results, known.answer.points)
    } <= codes


def test_a_budget_that_is_too_small_is_a_finding() -> None:
    study = study_of(recipe={"decay": "none"})
    results = [result_of(run) for run in runs_of(study)]
    (found,) = training_findings(study, results)
    assert found.code == "budget-too-small" and "45 of 45 runs" in found.text


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
    (found,) = baseline_findings(best, lines)
    assert found.code == "below-classical" and "block DCT" in found.text and "(28.5; the networks: 28)" in found.text
    (highest,) = baseline_findings(best, [("nlm", "non-local means", 28.2), *lines])  # the weaker one says less
    assert "block DCT" in highest.text
    assert baseline_findings(best, lines[:1]) == () == baseline_findings(None, lines)
    (trained_out,) = baseline_findings(best, lines, converged=True)  # more steps are no remedy then
    assert trained_out.code == "classical-is-better" and "converged" in trained_out.text
    errors = Points(n=np.array([10.0, 100.0]), y=np.array([2e-3, 1e-3]), metric="error")
    assert [item.code for item in baseline_findings(errors, [("classical", "block DCT", 9e-4)])] == ["below-classical"]


def test_a_shortfall_that_seeds_explain_is_no_warning() -> None:
    n, lines = np.repeat([10.0, 100.0], 3), [("classical", "block DCT", 28.1)]
    for spread, code in ((0.3, "near-classical"), (0.02, "below-classical")):
        best = Points(n, 28.0 + spread * np.tile([-1.0, 0.0, 1.0], 2), np.tile([0, 1, 2], 2), metric="psnr")
        assert [item.code for item in baseline_findings(best, lines)] == [code]
