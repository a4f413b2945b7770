"""Findings about the number of steps: branches that still gain, probes, seeds that share their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.files import to_json, write_atomic
from reconscale.laws import Points
from reconscale.report import analyse, report_study
from reconscale.report.convergence import convergence_findings, with_more_steps
from reconscale.report.figures import steps_figure
from reconscale.report.sentences import answer_lines, decided_lines
from reconscale.results import Folder, Result
from reconscale.results.measurements import points_from_results
from reconscale.results.probes import Probe, longer_run, probes_folder, with_probes
from reconscale.results.result import Branch
from reconscale.study import Study, runs_of

from .synthetic import result_of, study_of

PROFILE = "psnr-rgb-clip"


def converging(gain: Callable[[Result], float], gain_error: float | None = 0.01) -> tuple[Study, list[Result]]:
    """A study of policy ``converge`` whose last branches gained so much."""
    study = study_of(version=2, recipe={"policy": "converge", "steps": 100, "tolerance": 0.05, "doublings": 2})
    results = []
    for run in runs_of(study):
        made = result_of(run)
        psnr = made.metrics["val"][PROFILE]
        last = gain(made)
        first = Branch(trunk=100, steps=120, best_step=120, psnr=psnr - last)
        second = Branch(trunk=200, steps=240, best_step=240, psnr=psnr, gain=last, gain_error=gain_error)
        results.append(made.model_copy(update={"branches": (first, second), "steps": 240}))
    return study, results


def points_of(study: Study, results: Sequence[Result]) -> Points:
    return points_from_results(list(results), profile=PROFILE, test_set="test")


def codes(study: Study, results: Sequence[Result], folder: Folder, probes: Sequence[Probe] = ()) -> dict[str, str]:
    found = convergence_findings(study, folder, results, points_of(study, results), probes)
    return {finding.code: finding.text for finding in found}


def test_branches_that_still_gain_are_counted_with_what_they_need(tmp_path: Path) -> None:
    study, results = converging(lambda result: 0.2 if result.run.n >= 300 else 0.01)
    text = codes(study, results, Folder(tmp_path))["not-converged"]
    assert "in 18 of 45 runs (n = 300, 600)" in text and "up to 0.20 dB at" in text and "0.05 dB" in text
    assert "recipe.doublings = 3 would take up to" in text
    study, results = converging(lambda result: 0.01)
    (text,) = codes(study, results, Folder(tmp_path)).values()
    assert text == "all 45 runs have converged: at the end twice the steps gained less than 0.05 dB on validation"
    study, results = converging(lambda result: 0.2 if result.run.network.width == 8 else 0.01)  # 32 is selected
    assert list(codes(study, results, Folder(tmp_path))) == ["nearly-converged"]


def test_validation_images_that_cannot_show_the_tolerance(tmp_path: Path) -> None:
    study, results = converging(lambda result: 0.01, gain_error=0.08)
    text = codes(study, results, Folder(tmp_path))["validation-too-small"]
    assert "the 24 validation images" in text and "0.08 dB" in text
    study, results = converging(lambda result: 0.0, gain_error=None)
    assert "validation-too-small" not in codes(study, results, Folder(tmp_path))


@pytest.mark.parametrize("available, first", [(638, 600.0), (3000, None), (200, 300.0)])
def test_seeds_that_share_most_of_their_images(tmp_path: Path, available: int, first: float | None) -> None:
    """From the first n above half of what is there."""
    study, results = converging(lambda result: 0.0)
    write_atomic(tmp_path / "images.json", to_json({"available": available}))
    found = codes(study, results, Folder(tmp_path))
    assert ("seeds-share-images" in found) is (first is not None)
    if first is not None:
        assert f"at n = {first:g} the seeds share most of their images ({available:,} are there)" in (
            found["seeds-share-images"].replace("\u2009", "")
        )


def test_sizes_of_one_seed_share_nothing(tmp_path: Path) -> None:
    """A rule may leave the largest sizes one seed."""
    study = study_of(override=({"n": (300, 600), "seeds": 1},))
    results = [result_of(run) for run in runs_of(study)]
    write_atomic(tmp_path / "images.json", to_json({"available": 638}))
    assert "seeds-share-images" not in codes(study, results, Folder(tmp_path))


def test_probes_without_the_largest_n_do_not_call_training_long_enough(tmp_path: Path) -> None:
    study = study_of(version=2)
    results = [result_of(run) for run in runs_of(study)]
    found = codes(study, results, Folder(tmp_path), probed(results, {10: 0.001}))
    assert "not-probed" in found and "probe-silent" not in found


@pytest.mark.parametrize("recipe, flat", [
    ({"steps": 4000, "policy": "budget"}, True),
    ({"steps": 4000, "policy": "fast"}, True),
    ({"steps": 4000, "policy": "budget", "decay": "none"}, False),
])  # fmt: skip
def test_a_fixed_number_of_steps_is_not_taken_for_convergence(
    tmp_path: Path, recipe: dict[str, Any], flat: bool
) -> None:
    """Audit, defect 8: with a rate that falls to zero validation is flat at the end whatever more steps would give."""
    study = study_of(version=2, recipe=recipe)
    results = [result_of(run) for run in runs_of(study)]
    text = codes(study, results, Folder(tmp_path))["not-probed"].replace("\u2009", "")
    assert "all runs had 4,000 steps, which are 6,400 passes over the images at n = 10 and 107 at n = 600" in text
    assert ("validation is flat at the end whether or not more help" in text) is flat
    command = "`reconscale run study.toml --probe` trains n = 10 and n = 600 at width 32 4 times as long (about "
    assert command in text


def test_branches_say_what_more_steps_add(tmp_path: Path) -> None:
    study, results = converging(lambda result: 0.2)
    points = points_of(study, results)
    assert points.trainings is not None and points.trainings.steps is not None
    assert sorted(set(points.trainings.steps.tolist())) == [120.0, 240.0]
    largest = points.trainings.rows(points.trainings.steps == 240)
    np.testing.assert_allclose(np.sort(largest.y), np.sort(points.y))  # at the end they are the points
    decision = analyse(points).decision
    assert decision.gain_steps is not None and decision.gain_steps_from == "forecast"
    assert decision.last_gain_steps == pytest.approx(0.2, abs=0.01)


def test_branches_in_another_metric_gain_in_proportion() -> None:
    _, results = converging(lambda result: 0.2)
    points = points_from_results(results, profile="ssim-uniform7", test_set="test")
    assert points.trainings is not None and points.trainings.metric == "ssim"
    before, after = (points.trainings.rows(points.trainings.steps == steps).error for steps in (120, 240))
    ratio = np.log(before / after) / (0.2 * np.log(10) / 10)
    assert np.ptp(ratio) < 1e-9 and 0.2 < ratio[0] < 2.0
    few = points_from_results(results[:2], profile="ssim-uniform7", test_set="test")
    assert few.trainings is None  # two runs show no proportion


def test_probes_measure_the_gain_of_steps(tmp_path: Path) -> None:
    """Of a fixed number of steps: 2 dB from 4 times as many at the largest n."""
    study = study_of(version=2)
    results = [result_of(run) for run in runs_of(study)]
    made = with_probes(points_of(study, results), results, probed(results, {10: 0.3, 600: 2.0}), profile=PROFILE,
                       test_set="test")  # fmt: skip
    assert made.trainings is not None and len(made.trainings) == 4
    decision = analyse(made).decision
    assert decision.gain_steps_from == "measured" and decision.gain_steps is not None
    assert 1.0 < decision.gain_steps.median < 1.4 and decision.verdict == "TRAIN LONGER FIRST"
    plain = points_of(study, results)
    assert with_probes(plain, results, [], profile=PROFILE, test_set="test") is plain


def test_a_probe_with_branches_stands_for_its_run() -> None:
    study, results = converging(lambda result: 0.2)
    probes = probed(results, {600: 0.1})
    longer = Branch(trunk=400, steps=480, best_step=480, psnr=results[0].branches[-1].psnr + 0.1, gain=0.1)
    last = probes[0].after.branches[-1]
    after = probes[0].after.model_copy(
        update={"branches": (*probes[0].after.branches, longer.model_copy(update={"psnr": last.psnr + 0.1}))}
    )
    made = with_probes(points_of(study, results), results, [Probe(probes[0].before, after)], profile=PROFILE,
                       test_set="test")  # fmt: skip
    assert made.trainings is not None and made.trainings.steps is not None
    assert (made.trainings.steps == 480).sum() == 1 and len(made.trainings) == 2 * len(results) + 1
    decision = analyse(made).decision
    assert decision.gain_steps is not None and decision.steps == 240


def probed(results: Sequence[Result], gains: dict[int, float]) -> list[Probe]:
    """Probes of the first seed at width 32 that gained so many dB."""
    found = []
    for result in results:
        if result.run.network.width == 32 and result.run.seed == 0 and result.run.n in gains:
            psnr = result.metrics["test"][PROFILE] + gains[result.run.n]
            metrics: dict[str, dict[str, float]] = {"test": {PROFILE: psnr, "mse": 10 ** (-psnr / 10)}}
            after = result.model_copy(update={"run": longer_run(result), "metrics": metrics, "steps": 4 * result.steps})
            found.append(Probe(result, after))
    return found


def test_probes_that_gain_say_what_the_verdict_would_be(tmp_path: Path) -> None:
    study = study_of(version=2)
    results = [result_of(run) for run in runs_of(study)]
    assert "not-probed" in codes(study, results, Folder(tmp_path))
    text = codes(study, results, Folder(tmp_path), probed(results, {10: 0.3, 600: 2.5}))["probe-gains"]
    assert "a network gains 0.3 dB at n = 10 and 2.5 dB at n = 600:" in text and "4 times the steps would take" in text
    assert ", and the verdict would be " in text or ", but the verdict would be " in text
    found = codes(study, results, Folder(tmp_path), probed(results, {10: 0.001, 600: 0.02}))
    assert "probe-silent" in found and "probe-gains" not in found and "not-probed" not in found


def test_more_steps_move_points_in_a_straight_line_over_log_n() -> None:
    points = Points([10, 100, 1000], [25.0, 26.0, 27.0], metric="psnr", validation=[25.0, 26.0, 27.0])
    errors = [[1e-3, 1e-3], [1e-3, 1e-4]]  # 0 dB at n = 10, 10 dB at n = 1000
    moved = with_more_steps(points, [10, 1000], errors)
    assert moved.y == pytest.approx([25.0, 31.0, 37.0]) and moved.validation == pytest.approx([25.0, 31.0, 37.0])
    one = with_more_steps(replace(points, validation=None), [10], errors[:1])
    assert one.y == pytest.approx(points.y) and one.validation is None


def test_report_of_steps_and_probes(tmp_path: Path) -> None:
    """The page shows quality against steps; a ring at the end of what has not converged; probes are in a table."""
    study, results = converging(lambda result: 0.2 if result.run.n == 600 else 0.01)
    folder = Folder(tmp_path / "runs")
    for result in results:
        result.write(folder.of(result.run))
    for probe in probed(results, {10: 0.0, 600: 0.9}):
        probe.after.write(probes_folder(folder).of(probe.after.run))
    out = tmp_path / "report"
    page = report_study(study, folder, out, pictures=False).read_text()
    assert "Quality against training steps" in page and "[not-converged]" not in page and "not-converged" in page
    assert "Do not act on this yet" in page and (out / "steps.png").is_file() and (out / "probes.csv").is_file()
    assert len((out / "steps.csv").read_text().splitlines()) == 1 + 2 * len(results)
    assert not (out / "validation.png").exists()
    assert (
        "The best use of training time for one network with 600 images" in page and "2 × training (steps = 480)" in page
    )
    budgets = [line.split(",") for line in (out / "training-budget.csv").read_text().splitlines()]
    assert budgets[0][:4] == ["hours", "n", "p", "steps"] and len(budgets) > 4
    assert {row[1] for row in budgets[1:]} == {"600.0"} and max(float(row[3]) for row in budgets[1:]) <= 2 * 240.01
    gains = (out / "gains.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in gains[1:]] == ["n", "n", "p", "steps"]


def test_rings_and_dots() -> None:
    from reconscale.laws import select_width
    from reconscale.report.convergence import steps_table

    study, results = converging(lambda result: 0.2 if result.run.n == 600 else 0.01)
    figure = steps_figure(steps_table(results, select_width(points_of(study, results))))
    assert figure.series("end 600").hollow and not figure.series("end 10").hollow
    values: Any = figure.series("n 600").y
    assert np.diff(values) == pytest.approx([0.2], abs=1e-9)


def test_training_comes_before_any_experiment(tmp_path: Path) -> None:
    """Where training was too short, nothing says that the decision is settled."""
    study, results = converging(lambda result: 0.2)
    points = points_of(study, results)
    answer = analyse(points, worthwhile=5.0)  # no gain is that large: settled
    settled = "\n".join(decided_lines(answer, ()))
    assert "STOP" in settled and "No further experiments" in settled and "Do not act" not in settled
    found = convergence_findings(study, Folder(tmp_path), results, points, ())
    lines = decided_lines(analyse(replace(points, findings=found), worthwhile=5.0), found)
    assert lines[0] == "TRAIN LONGER FIRST" and lines[1].startswith("Do not act on this yet: in 45 of 45 runs")
    assert "  1. Train until it has converged: raise recipe.doublings, and run again" in "\n".join(lines)
    assert "settled" not in "\n".join(lines)


def test_values_that_are_not_what_they_are_called_are_no_matter_of_training() -> None:
    """And STOP, which is about twice n, says nothing of ten times n."""
    text = "\n".join(answer_lines(Points([100, 300, 1000], [0.852, 0.861, 0.87], metric="psnr")))
    assert "until then the curve is one of values that are not what they are called" in text
    assert "shows the training" not in text
    curve = {100: 30.0, 300: 30.8, 1000: 31.3, 3000: 31.6, 10000: 31.75}
    stopped = "\n".join(answer_lines(Points(list(curve), list(curve.values()), metric="psnr")))
    assert stopped.startswith("STOP") and "more data is not worth it" not in stopped and "undecided" in stopped
    assert "No further experiments needed: twice the data are not worth it" in stopped
