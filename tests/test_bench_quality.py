"""The parts of ``benchmarks/quality.py`` that can go wrong without anybody noticing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import quality
import quality_peers
import quality_training
from quality_suite import RESULTS, Job, carry_out, keep, read_rows, still_open
from quality_table import Reached, curves_of, figure, levels_of, ratio, report, time_to
from quality_tasks import SETTINGS, TASKS, Task, study_content
from reconscale.study.study_file import parse_study


def test_time_to_a_level_is_linear_in_the_logarithm_of_time() -> None:
    points = [(10.0, 29.0), (100.0, 31.0), (1000.0, 30.5)]
    assert time_to(30.0, points).seconds == pytest.approx(10 * 10**0.5)
    assert time_to(31.0, points) == Reached(pytest.approx(100.0), "=")
    assert time_to(28.0, points) == Reached(10.0, "<=")
    assert time_to(31.5, points) == Reached(1000.0, ">")
    assert time_to(30.0, list(reversed(points))) == time_to(30.0, points)
    assert time_to(30.0, [(1.0, float("nan")), *points]) == time_to(30.0, points)
    assert time_to(30.0, []).how == ">"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Reached(10, "="), Reached(50, "="), "5"),
        (Reached(10, "<="), Reached(50, "="), "> 5"),
        (Reached(10, "="), Reached(300, ">"), "> 30"),
        (Reached(10, "<="), Reached(300, ">"), "> 30"),
        (Reached(10, "="), Reached(50, "<="), "< 5"),
        (Reached(10, "<="), Reached(50, "<="), "-"),
        (Reached(100, ">"), Reached(50, "="), "< 0.5"),
        (Reached(100, ">"), Reached(300, ">"), "-"),
    ],
)
def test_ratios_say_which_way_they_are_bounds(ours: Reached, theirs: Reached, expected: str) -> None:
    assert ratio(ours, theirs) == expected


def _row(who: str, seconds: float, seed: int, psnr: float | None) -> dict[str, Any]:
    return {"task": "denoising", "who": who, "seconds": [seconds], "seed": seed, "psnr": psnr,
            "core_seconds": 1.1 * seconds, "steps": 5}  # fmt: skip


def test_curves_are_means_over_seeds_and_a_run_that_diverged_is_named() -> None:
    moments = [{"core_seconds": 31.0, "steps": 9, "psnr": 25.0}, {"core_seconds": 100.5, "steps": 30, "psnr": 28.6}]
    lost = _row("ours", 30, 2, None) | {"failed": "diverged at step 3"}
    rows = [
        _row("ours", 3, 1, 29.0), _row("ours", 3, 2, 30.0), _row("ours", 30, 1, 30.9), lost,
        _row("peer", 0, 1, 28.6) | {"seconds": [30, 100], "curve": moments},
        {"task": "denoising", "who": "lines", "lines": {"nlm": 28.4}, "psnr": None, "seconds": [], "seed": 0},
    ]  # fmt: skip
    ours, peer = curves_of(rows)
    assert ours.points == ((pytest.approx(3.3), 29.5, 0.5, 2), (pytest.approx(33.0), 30.9, 0.0, 1))
    assert peer.who == "peer" and [point[1] for point in peer.points] == [25.0, 28.6] and not peer.budgets
    text = report(TASKS["denoising"], rows)
    assert "diverged at step 3" in text and "> 100 s" in text and "non-local means" in text


def test_levels_may_be_lines_that_were_measured() -> None:
    assert levels_of(TASKS["mri"], {"classical": 27.5}) == {"total variation": 27.5}
    assert levels_of(TASKS["denoising"], {})["CBM3D"] == 30.7


def test_a_figure_has_its_numbers_beside_it(tmp_path: Path) -> None:
    figure(TASKS["denoising"], [_row("ours", 3, 1, 29.0), _row("version-1", 3, 1, 25.0)], tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 1000
    assert "ours,3.3000,29.0000,0.0000,1" in (tmp_path / "f.csv").read_text()


def _job(seconds: float, content: str = "a") -> Job:
    return Job("denoising", "ours", (seconds,), 1, {"settings": content}, 1.0)


def test_a_second_call_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    jobs = [_job(3), _job(10), _job(30)]
    assert still_open(jobs, read_rows(tmp_path)) == jobs
    keep(tmp_path, {"key": jobs[0].key, "psnr": 29.0})
    keep(tmp_path, {"key": jobs[1].key, "error": "killed"})
    with (tmp_path / RESULTS).open("a") as stream:
        stream.write('{"key": "cut sho')  # the machine went down
    assert still_open(jobs, read_rows(tmp_path)) == jobs[1:]
    keep(tmp_path, {"key": jobs[1].key, "psnr": 30.0})
    assert still_open(jobs, read_rows(tmp_path)) == jobs[2:]
    assert still_open([_job(3, "b")], read_rows(tmp_path)) == [_job(3, "b")]  # other settings: another run
    keep(tmp_path, {"key": jobs[2].key, "psnr": None, "failed": "diverged"})
    assert carry_out(jobs, tmp_path, None, 1, lambda line: None) == 0  # nothing is left


def test_a_process_that_breaks_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no memory')")
    monkeypatch.setattr("quality_suite.SCRIPT", script)
    said: list[str] = []
    assert carry_out([_job(3)], tmp_path, None, 1, said.append) == 1
    assert "no memory" in said[-1] and still_open([_job(3)], read_rows(tmp_path)) == [_job(3)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--task", "denoising", "--seconds", "3", "--data", "nowhere"], "nowhere"),
        (["--task", "denoising", "--seconds", "3"], "RECONSCALE_DATA"),
        (["--task", "denosing", "--seconds", "3"], "did you mean 'denoising'?"),
        (["--task", "tomography", "--seconds", "3", "--no-lines", "--peer", "version1"], "did you mean 'version-1'?"),
        (["--task", "tomography", "--seconds", "3", "--no-lines", "--peer", "kair-dncnn"], "not for tomography"),
        (["--task", "tomography", "--seconds", "-1"], "above 0"),
        (["--task", "tomography"], "no run"),
        (["--task", "tomography", "--all", "--only", "us"], "--only"),
        (["--collect", "--out", "nothing-here"], "no results"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quality.main(words) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_preset_and_every_peer_is_a_study_file(task: Task) -> None:
    for preset in task.presets:
        study = parse_study(study_content(task, preset, {}))
        assert study.version == 2 and study.recipe.policy == "fast"
    for peer in quality_peers.PEERS.values():
        if task.name in peer.tasks:
            study = parse_study(peer.content(task))
            assert len(study.sweep.width) == 1 and study.images.main_test == task.main
            assert study.images.test_patch == task.images.get("test_patch")  # whole images
    changes = {"width": 7, "lr": 0.5, "patch": 24} if task.name != "tomography" else {"width": 7, "lr": 0.5}
    study = parse_study(study_content(task, task.presets[0], changes))
    assert study.sweep.width == (7,) and study.recipe.lr == 0.5
    assert set(SETTINGS) >= set(changes) - {"width"}


def _tiny() -> Task:
    """Denoising of photographs that come with installed packages."""
    images = {"source": "bundled", "channels": "rgb", "patch": 16, "val": 1, "val_patch": 32, "test": 1}
    images["test_patch"] = 32
    return replace(TASKS["denoising"], images=images, needs=())


def test_a_budget_is_kept_and_a_row_says_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "denoising", _tiny())
    monkeypatch.setattr(quality_training.paced, "__defaults__", (8, 0.1))
    words = ["--task", "denoising", "--seconds", "0.5", "--seed", "5", "--width", "2", "--precision", "fp32"]
    assert quality.main([*words, "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert (
        found["family"] == TASKS["denoising"].presets[0].network["family"]
        and found["p"] > 0
        and found["steps"] > 1
        and found["seed"] == 5
    )
    assert 0.2 < found["core_seconds"] < 2 and found["psnr"] > 15 and found["nlm"] > 15
    assert found["machine"]["torch"] and found["machine"]["threads"] == 1 and "bf16" in found["machine"]


def test_a_run_with_a_schedule_of_its_own_is_measured_at_moments() -> None:
    task = _tiny()
    peer = replace(quality_peers.PEERS["paper-16-n100"], changes={"sweep": {"width": (2,)}, "images": {}})
    peer = replace(peer, study={"denoising": "denoising-paper"}, tried=({"lr": 1e-3}, {"lr": 1e-2}))
    row = quality_peers.along(peer, task, None, 3, (0.3, 0.6))
    assert [len(row["curve"]), len(row["tried"])] == [2, 2]
    chosen = max(row["tried"], key=lambda trial: trial["val_psnr"])["lr"]
    assert row["settings"]["recipe"].get("lr", 1e-3) == chosen  # 1e-3 is the default, which is not written
    first, last = row["curve"]
    assert 0.3 <= first["core_seconds"] < last["core_seconds"] and first["steps"] < last["steps"]
    assert row["psnr"] == last["psnr"] > 5


def test_what_is_paused_is_not_counted() -> None:
    stopwatch = quality_training.Stopwatch()
    with stopwatch.paused():
        sum(range(3_000_000))
    assert stopwatch.seconds < 0.02 < stopwatch.left_out
