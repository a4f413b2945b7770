"""A study whose runs are trained in one pass, through the command line: killed, continued, continued alone."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from reconscale.results import Folder, Result
from reconscale.study import load_study, runs_of
from tests.cli.test_sweep import call, start, worker_pids

STUDY = """
name = "stacked"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 12
patch = 16
val = 2
test = 2
[sweep]
n = [2, 4]
width = [4]
seed = [0, 1]
[network]
family = "dncnn"
depth = 3
[recipe]
policy = "budget"
optimizer = "adam"
lr = 1e-3
steps = 120
batch = 2
"""


def study(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "study.toml"
    path.write_text(STUDY)
    return path


def results(path: Path) -> list[Result]:
    folder = Folder.beside(path)
    return [Result.read(folder.of(run)) for run in runs_of(load_study(path))]


def assert_near(path: Path, known: Path) -> None:
    for one, other in zip(results(path), results(known), strict=True):
        assert one.status == other.status == "done" and one.best_step == other.best_step
        assert [look.psnr for look in one.validation] == pytest.approx(
            [look.psnr for look in other.validation], abs=5e-3
        )
        assert one.metrics["test"] == pytest.approx(other.metrics["test"], rel=5e-3)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = study(tmp_path_factory.mktemp("alone") / "study")
    code, _, err = call("run", path, "--keep-going", "--workers", 1, "--stack", 1)
    assert code == 0, err
    assert not (path.parent / "runs" / "stack.json").exists()
    return path


def wait_for(path: Path, count: int) -> None:
    """Until this many runs have checkpoints."""
    deadline = time.monotonic() + 240
    while len(list((path.parent / "runs").glob("*/checkpoint.pt"))) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def test_in_one_pass(alone: Path, tmp_path: Path) -> None:
    path = study(tmp_path / "stacked")
    code, _, err = call("run", path, "--keep-going", "--workers", 1, "--stack", 4)
    assert code == 0, err
    assert "4 runs to do, up to 4 in one pass, 1 at a time" in err and "[4/4]" in err
    assert_near(path, alone)
    assert all(result.provenance["stack"] == 4 for result in results(path))
    assert json.loads((path.parent / "runs" / "stack.json").read_text())
    code, out, _ = call("status", path, "--json")
    assert code == 0 and len(json.loads(out)["done"]) == 4


def test_killed_and_continued(alone: Path, tmp_path: Path) -> None:
    """The worker is killed, then everything, and the rest continues alone: each run is still the run alone."""
    path = study(tmp_path / "killed")
    process = start("run", path, "--keep-going", "--workers", 1, "--stack", 4, "--checkpoint-seconds", 0.05)
    wait_for(path, 4)
    workers: list[int] = []
    while not workers:
        workers = worker_pids(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    time.sleep(3.0)
    os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate()
    assert err.count("continuing from its checkpoint") == 4
    code, out, _ = call("status", path, "--json")
    found = json.loads(out)
    assert code == 0 and len(found["started"]) + len(found["done"]) == 4
    time.sleep(1.0)
    code, _, err = call("run", path, "--keep-going", "--workers", 2)
    assert code == 0, err
    assert_near(path, alone)


def test_interrupted_and_continued(alone: Path, tmp_path: Path) -> None:
    """Some begun alone continue in one pass."""
    path = study(tmp_path / "stopped")
    process = start("run", path, "--keep-going", "--workers", 1, "--checkpoint-seconds", 0.05)
    wait_for(path, 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    process = start("run", path, "--keep-going", "--workers", 1, "--stack", 4, "--checkpoint-seconds", 0.05)
    wait_for(path, 4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err
    code, _, err = call("run", path, "--keep-going", "--workers", 1, "--stack", 3)
    assert code == 0, err
    assert_near(path, alone)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--stack", "many"), "--stack: found 'many'; give a number, or auto"),
        (("--stack", "-1"), "--stack: found '-1'; give a number, or auto"),
        (("--stack", "0"), "--stack: found 0; give a number from 1 to 64, or auto"),
        (("--stack", "2", "--devices", "2"), "with --devices, runs go one by one"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    code, _, err = call("run", study(tmp_path / "bad"), "--keep-going", *words)
    assert code == 2 and sentence in err and "Traceback" not in err


def test_a_loss_that_cannot_be(tmp_path: Path) -> None:
    path = study(tmp_path / "sure")
    path.write_text(STUDY + 'loss = "sure"\n')
    code, _, err = call("run", path, "--keep-going", "--stack", 2)
    assert code == 2 and "'sure' is computed for one network at a time" in err and "leave it out" in err
