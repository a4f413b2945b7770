"""Studies that a Python function trains: the same numbers wherever it runs and however often it is interrupted."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reconscale as rs
from reconscale.results.external_results import ExternalFolder
from reconscale.study.external import load_external

from ..cli.calling import call

QUIET = {"tell": lambda event: None}
GRID: dict[str, Any] = {"n": [2, 4, 8], "seed": 2, "width": [4, 8], "val": 3, "test": 5}


def quality(job: rs.Job) -> float:
    return (
        25 + 3 * math.log10(job.n) + 0.1 * (job.width or 0) + np.random.default_rng([job.seed, job.n]).normal(0, 0.05)
    )


def train(job: rs.Job) -> dict[str, Any]:
    base = quality(job)
    return {"psnr": [base + 0.01 * item for item in job.test], "validation": base, "p": 100 * (job.width or 1)}


def results_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What must be reproducible of all results."""
    found = {}
    for path in sorted(folder.glob("runs/*/result.json")):
        record = json.loads(path.read_text())
        found[path.parent.name] = {key: record[key] for key in ("status", "run", "p", "metrics")}
        found[path.parent.name]["images"] = (path.parent / "images.csv").read_text()
    return found


def test_points_and_folder(tmp_path: Path) -> None:
    points = rs.measure(train, 40, **GRID, folder=tmp_path / "mine", unit="photographs", **QUIET)
    assert (len(points), points.unit, points.metric) == (12, "photographs", "psnr")
    assert points.images is not None and points.images.shape == (12, 5)
    assert points.p is not None and set(points.p) == {400, 800} and points.validation is not None
    assert points.width is not None and set(points.width) == {4, 8}
    np.testing.assert_allclose(10 * np.log10(1 / points.images).mean(1), points.y)
    assert rs.infer(points).decide(worthwhile=0.1).verdict == "COLLECT MORE"
    code, out = call("status", tmp_path / "mine")[:2]
    assert code == 0 and out.startswith("12 done, 0 diverged, 0 failed, 0 to do")
    assert json.loads(call("status", tmp_path / "mine", "--json")[1])["todo"] == []
    assert call("decide", tmp_path / "mine")[1].startswith("COLLECT MORE")
    assert call("report", tmp_path / "mine", "--out", tmp_path / "page")[0] == 0
    assert "photographs" in (tmp_path / "page" / "report.html").read_text()


def test_in_processes_of_their_own_runs_give_the_same(tmp_path: Path) -> None:
    here = rs.measure(train, 40, **GRID, folder=tmp_path / "here", on=rs.Local(workers=1), **QUIET)
    there = rs.measure(train, 40, **GRID, folder=tmp_path / "there", on=rs.Local(workers=2), **QUIET)
    assert (here.y == there.y).all() and (here.n == there.n).all()
    assert results_of(tmp_path / "here") == results_of(tmp_path / "there")


def test_more_runs_are_added_and_none_is_repeated(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None, int]] = []

    def counted(job: rs.Job) -> float:
        calls.append((job.n, job.width, job.seed))
        return quality(job)

    places: dict[str, Any] = {"val": 3, "test": 5, "folder": tmp_path / "mine", **QUIET}
    rs.measure(counted, 40, n=[2, 4], seed=1, **places)
    points = rs.measure(counted, 40, n=[4, 8], seed=[0, 5], **places)
    assert len(calls) == len(set(calls)) == 5
    assert sorted(zip(points.n, points.seed, strict=True)) == [(4, 0), (4, 5), (8, 0), (8, 5)]  # type: ignore[arg-type]
    study = load_external(tmp_path / "mine")
    assert {(run.n, run.seed) for run in study.runs()} == {(2, 0), (4, 0), (8, 0), (4, 5), (8, 5)}
    rs.measure(counted, 40, n=[2, 4, 8], seed=[0, 5], **places)
    assert len(load_external(tmp_path / "mine").sweep) == 1 and len(calls) == 6


@pytest.mark.parametrize(
    "changed",
    [{"items": 41}, {"items": range(1, 41)}, {"val": 2}, {"test": 4}, {"groups": [i // 2 for i in range(40)]}],
)
def test_other_items_in_the_same_folder_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    rs.measure(quality, 40, **GRID, folder=tmp_path, **QUIET)
    before = (tmp_path / "study.toml").read_text()
    given = {"items": 40, **GRID, **changed}
    with pytest.raises(rs.UserError, match="began with other items, groups, val or test"):
        rs.measure(quality, given.pop("items"), **given, folder=tmp_path, **QUIET)
    assert (tmp_path / "study.toml").read_text() == before


def test_no_seed_is_told_from_the_seed_0(tmp_path: Path) -> None:
    with pytest.raises(
        rs.UserError, match=r"seed: found 0, which is a number of seeds; write seed=\[0\] for the seed 0"
    ):
        rs.measure(quality, 40, n=[2, 4], seed=0, val=3, test=5, folder=tmp_path / "mine", **QUIET)
    assert not (tmp_path / "mine").exists()


def test_another_metric_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    rs.measure(quality, 40, **GRID, folder=tmp_path, **QUIET)
    with pytest.raises(rs.UserError, match="was measured in psnr, and now metric is 'ssim'"):
        rs.measure(quality, 40, **GRID, metric="ssim", folder=tmp_path, **QUIET)


@pytest.mark.parametrize(
    ("gives", "status", "says"),
    [
        (lambda job: None, "failed", "train: gave nothing back; return the psnr of the test items"),
        (lambda job: "31.2", "failed", "train, psnr: found '31.2'; a number is expected"),
        (lambda job: True, "failed", "train, psnr: found True"),
        (lambda job: math.nan, "diverged", "psnr is nan: training diverged"),
        (lambda job: {"psnr": [1.0, math.nan, 2.0, 3.0, 4.0]}, "diverged", "is nan: training diverged"),
        (lambda job: math.inf, "failed", "train, psnr: is infinite; the output equals the truth exactly"),
        (lambda job: -math.inf, "diverged", "psnr is -inf: training diverged"),
        (lambda job: {"ssim": 0.9}, "failed", "gave ssim back, without 'psnr'"),
        (lambda job: {}, "failed", "gave an empty mapping back"),
        (lambda job: {"psnr": [30.0] * 4}, "failed", "found 4 values for 5 test items"),
        (lambda job: {"psnr": []}, "failed", "found 0 values for 5 test items"),
        (lambda job: np.ones((5, 2)), "failed", "found a list"),
        (lambda job: {"psnr": 30.0, "p": -3}, "failed", "train, p: found -3"),
        (lambda job: {"psnr": 30.0, "p": "many"}, "failed", "train, p: found 'many'"),
        (lambda job: {"psnr": 30.0, "validation": "x"}, "failed", "train, validation: found 'x'"),
        (lambda job: 1 / 0, "failed", "ZeroDivisionError: division by zero (test_measure.py, line"),
        (lambda job: sys.exit(3), "failed", "train ended its process (sys.exit(3))"),
        (lambda job: [][0], "failed", "IndexError"),
    ],
)
def test_what_cannot_be_a_result(tmp_path: Path, gives: Any, status: str, says: str) -> None:
    with pytest.raises(rs.UserError, match="has no run that is done") as refused:
        rs.measure(gives, 40, n=4, seed=1, val=3, test=5, folder=tmp_path, **QUIET)
    assert says in str(refused.value) and "\n" not in str(refused.value)
    (result,) = ExternalFolder(tmp_path / "runs").results(load_external(tmp_path).runs())
    assert result.status == status


def test_tensors_arrays_and_mappings_are_numbers_too(tmp_path: Path) -> None:
    import torch

    for number, value in enumerate((torch.tensor(30.0), np.float32(30), torch.full((5,), 30.0), np.full(5, 30.0))):
        points = rs.measure(lambda job, value=value: {"psnr": value}, 40, n=4, seed=1, val=3, test=5,
                            folder=tmp_path / str(number), **QUIET)  # fmt: skip
        assert points.y[0] == 30.0
    by_name = lambda job: {"psnr": {str(item): 30.0 + item for item in reversed(job.test)}}  # noqa: E731
    points = rs.measure(by_name, 40, n=4, seed=1, val=3, test=5, folder=tmp_path / "by name", **QUIET)
    (result,) = ExternalFolder(tmp_path / "by name" / "runs").results(load_external(tmp_path / "by name").runs())
    assert {item: value["psnr"] for item, value in result.images["test"].items()} == {
        str(item): 30.0 + item for item in rs.subsets(40, 4, 1, None, 3, 5).test
    }


def test_failed_runs_are_kept_and_repeated_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = True

    def sometimes(job: rs.Job) -> float:
        if broken and job.n == 8:
            raise RuntimeError("CUDA out of memory")
        return quality(job)

    points = rs.measure(sometimes, 40, **GRID, folder=tmp_path)
    assert set(points.n) == {2, 4} and "failed-runs" in {item.code for item in points.findings}
    said = capsys.readouterr().err
    assert "4 of 12 runs failed or diverged, the first: n8-w4-s0-" in said and "retry_failed=True" in said
    assert "RuntimeError: CUDA out of memory (test_measure.py, line" in said
    assert "4 failed" in call("status", tmp_path)[1] and "4 of 12" in call("decide", tmp_path)[1]
    broken = False
    assert set(rs.measure(sometimes, 40, **GRID, folder=tmp_path, **QUIET).n) == {2, 4}
    assert set(rs.measure(sometimes, 40, **GRID, folder=tmp_path, retry_failed=True, **QUIET).n) == {2, 4, 8}


def test_a_key_that_means_nothing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rs.measure(lambda job: {"psnr": quality(job), "vaildation": 3}, 40, **GRID, folder=tmp_path)
    assert capsys.readouterr().err.count("'vaildation' back, which is not used (did you mean 'validation'?)") == 1


def test_changed_code_is_noticed(tmp_path: Path) -> None:
    rs.measure(quality, 40, n=[2, 4], seed=1, val=3, test=5, folder=tmp_path, **QUIET)
    points = rs.measure(lambda job: quality(job) + 1, 40, n=[2, 4, 8], seed=1, val=3, test=5, folder=tmp_path, **QUIET)
    (found,) = (item for item in points.findings if item.code == "train-changed")
    assert "1 of 3 runs were trained by another version" in found.text
    assert "convergence-unknown" in {item.code for item in points.findings}


def test_a_metric_of_ones_own_is_known_to_the_commands(tmp_path: Path) -> None:
    fid, vmaf = rs.Metric("my_fid", "lower"), rs.Metric("my_vmaf", "higher", "points", most=100)
    for metric, value in ((fid, lambda job: 50 / job.n), (vmaf, lambda job: 95 - 30 / job.n)):
        folder = tmp_path / metric.name
        points = rs.measure(value, 40, n=[2, 4, 8, 16], seed=2, val=3, test=5, metric=metric, folder=folder, **QUIET)
        assert points.metric == metric.name and points.better == metric.better
        script = f"from reconscale.cli import main; import sys; sys.argv = ['r', 'decide', {str(folder)!r}]; main()"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(("COLLECT MORE", "UNDECIDED")), done.stdout + done.stderr
    with pytest.raises(rs.UserError, match="my_vmaf"):
        rs.measure(lambda job: 101.0, 40, n=2, val=3, test=5, metric=vmaf, folder=tmp_path / "bad", **QUIET)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"train": 3}, "train: found a int"),
        ({"train": lambda: 3}, "cannot be called with one argument"),
        ({"metric": "pnsr"}, "found 'pnsr'; did you mean 'psnr'?"),
        ({"metric": 3}, "metric: found a int"),
        ({"on": 2}, "on: found a int; give rs.Local(workers=2)"),
        ({"on": rs.Local(workers=0)}, "--workers"),
        ({"width": [0]}, "width: found 0"),
        ({"n": 100}, "at most 32 of the 40 items"),
        ({"worthwhile": -1.0}, "worthwhile"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    given = {"train": quality, **GRID, **more}
    with pytest.raises(rs.UserError) as refused:
        rs.measure(given.pop("train"), 40, **given, folder=tmp_path / "mine", **QUIET)
    assert says in str(refused.value)
    assert not (tmp_path / "mine" / "study.toml").exists()


def test_a_folder_with_another_study_is_left_alone(tiny_study: Path) -> None:
    with pytest.raises(rs.UserError, match="holds a study of another kind"):
        rs.measure(quality, 40, **GRID, folder=tiny_study.parent, **QUIET)


def test_what_cannot_be_sent_to_other_processes(tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(job: rs.Job) -> float:
        with lock:
            return quality(job)

    with pytest.raises(rs.UserError, match=r"train: uses something that cannot be sent .*use on=rs.Local\(workers=1\)"):
        rs.measure(locked, 40, **GRID, folder=tmp_path, on=rs.Local(workers=2), **QUIET)
    assert len(rs.measure(locked, 40, **GRID, folder=tmp_path, on=rs.Local(workers=1), **QUIET)) == 12


def test_a_trainer_that_takes_an_interrupt_for_its_end_is_not_believed(tmp_path: Path) -> None:
    def polite(job: rs.Job) -> float:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            pass
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        rs.measure(polite, 40, **GRID, folder=tmp_path, **QUIET)
    assert not results_of(tmp_path)


SCRIPT = """
import math, sys, time
import reconscale as rs

SECONDS = float(sys.argv[3])
offset = {offset}

def study():
    table = {{"a": 3.0}}
    def train(job):
        (job.folder / "seen").write_text("x")
        time.sleep(SECONDS)
        base = 25 + table["a"] * math.log10(job.n) + 0.1 * job.width + 0.01 * job.seed + offset
        return {{"psnr": [base + 0.01 * item for item in job.test], "validation": base, "p": 100 * job.width}}
    return rs.measure(train, 40, n=[2, 4, 8], seed=2, width=[4, 8], val=3, test=5, folder=sys.argv[1],
                      on=rs.Local(workers=int(sys.argv[2])))

print("began", flush=True)
print(len(study()), "torch" in sys.modules, flush=True)
"""
"""A script without ``if __name__ == "__main__"``, whose function is a closure."""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(offset=0.0))
    return path


def start(script: Path, folder: Path, workers: int, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, script, folder, str(workers), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_results(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("runs/*/result.json"))) < count:
        assert time.monotonic() < deadline and process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_script_that_is_ended_half_way_goes_on(
    tmp_path: Path, script: Path, workers: int, how: signal.Signals
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "broken"
    done = start(script, whole, workers, 0.0).communicate(timeout=180)
    assert done[0] == "began\n12 False\n", done[1]
    process = start(script, out, workers, 0.2)
    wait_for_results(out, 3, process)
    os.kill(process.pid, how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and (how == signal.SIGKILL or "KeyboardInterrupt" in errors)
    kept = {path: path.read_bytes() for path in out.glob("runs/*/result.json")}
    assert 3 <= len(kept) < 12
    said = start(script, out, workers, 0.0).communicate(timeout=180)
    assert said[0] == "began\n12 False\n", said[1]
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert results_of(whole) == results_of(out)


def test_a_worker_that_dies_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    def deadly(job: rs.Job) -> float:
        tries = len(list(job.folder.iterdir()))
        (job.folder / str(tries)).touch()
        if job.n == 8 or (job.n == 4 and tries == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return float(25 + job.n)

    told: list[dict[str, Any]] = []
    points = rs.measure(
        deadly, 40, n=[2, 4, 8], seed=1, val=3, test=5, folder=tmp_path, on=rs.Local(2), tell=told.append
    )
    assert set(points.n) == {2, 4}
    assert sum(event["event"] == "fault" for event in told) == 4
    assert "ended 3 times in a row" in call("status", tmp_path)[1]


def test_the_same_call_twice_at_a_time_is_refused(tmp_path: Path) -> None:
    with ExternalFolder(tmp_path / "runs").held(), pytest.raises(rs.UserError, match="is working in this folder"):
        rs.measure(quality, 40, **GRID, folder=tmp_path, **QUIET)


def test_run_says_that_the_script_goes_on(tmp_path: Path) -> None:
    rs.measure(quality, 40, **GRID, folder=tmp_path, **QUIET)
    code, _, errors = call("run", tmp_path)
    assert code == 2 and "to go on, run the script that calls rs.measure again: python" in errors
    code, _, errors = call("plan", tmp_path)
    assert code == 2 and "has [callable]" in errors


def test_own_lists_of_validation_and_test_items(tmp_path: Path) -> None:
    items = [f"scan-{i:02d}" for i in range(30)]
    seen: list[tuple[set[str], list[str], list[str]]] = []

    def look(job: rs.Job) -> list[float]:
        seen.append((set(job.train), job.val, job.test))
        return [quality(job)] * len(job.test)

    usual: dict[str, Any] = {"n": [2, 8], "seed": 1, **QUIET}
    mine: dict[str, Any] = {**usual, "val": items[20:24], "test": items[24:], "folder": tmp_path / "mine"}
    rs.measure(look, items, **mine)
    assert all((val, test) == (items[20:24], items[24:]) and train < set(items[:20]) for train, val, test in seen)
    ids = sorted(results_of(tmp_path / "mine"))
    rs.measure(look, items, **{**mine, "n": [2, 8, 16], "val": reversed(items[20:24])})  # goes on
    assert len(seen) == 3 and set(ids) < set(results_of(tmp_path / "mine"))
    with pytest.raises(rs.UserError, match="began with other items, groups, val or test"):
        rs.measure(look, items, **{**mine, "test": items[25:]})
    rs.measure(look, items, **{**mine, "val": items[19:23], "folder": tmp_path / "other"})
    assert not set(ids) & set(results_of(tmp_path / "other"))
    assert call("decide", tmp_path / "mine")[0] in (0, 1)


def test_lists_of_what_was_drawn_go_on_in_the_same_folder(tmp_path: Path) -> None:
    usual: dict[str, Any] = {"n": [2], "seed": 1, "groups": list("aabbccddeeff"), "folder": tmp_path, **QUIET}
    drawn = rs.subsets(12, [2], 1, usual["groups"], val=2, test=3)
    rs.measure(train, 12, val=2, test=3, **usual)
    before = results_of(tmp_path)
    assert list(before) == ["n2-s0-85ae346514bc"]  # as it was before there were lists

    def never(job: rs.Job) -> float:
        raise AssertionError(job)

    rs.measure(never, 12, val=drawn.val, test=drawn.test, **usual)
    assert results_of(tmp_path) == before


def test_own_lists_that_cannot_be_leave_no_folder(tmp_path: Path) -> None:
    usual: dict[str, Any] = {"n": 2, "seed": 1, "folder": tmp_path / "mine", **QUIET}
    for more, says in (
        ({"val": [1, 2], "test": [2]}, "both hold '2'"),
        ({"val": 0, "test": [2], "groups": ["a"]}, "found 1 labels for 10 items"),
        ({"val": [0], "test": [1], "groups": [0, 0, *range(1, 9)]}, "both hold the group '0'"),
        ({"val": 0, "test": [10]}, "'10' is none of the 10 items"),
    ):
        with pytest.raises(rs.UserError, match=says):
            rs.measure(quality, 10, **usual, **more)
    assert not (tmp_path / "mine").exists()


def test_what_a_list_leaves_of_a_group_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    tell = lambda event: said.append(event.get("text", ""))  # noqa: E731
    rs.measure(quality, 9, n=2, seed=1, val=0, test=[0], groups=list("aaabbbccc"), folder=tmp_path, tell=tell)
    assert "2 items are used nowhere, as their groups are held out" in said


def test_a_metric_that_only_this_process_knows_is_written_down(tmp_path: Path) -> None:
    rs.METRICS["vif"] = rs.Metric("vif", "higher", "points", most=2.0)
    rs.measure(
        lambda job: 1 + 0.01 * job.n, 12, n=[2, 4], seed=1, val=0, test=3, metric="vif", folder=tmp_path, **QUIET
    )
    del rs.METRICS["vif"]
    known = load_external(tmp_path).known_metric
    assert (known.better, known.unit, known.most) == ("higher", "points", 2.0)
