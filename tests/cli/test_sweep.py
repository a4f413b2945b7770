"""A whole sweep through the command line: run, killed, continued, reported."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RUNS = 12
CONVERGING = """
[[override]]
width = [4, 4]
recipe = { policy = "converge", steps = 12, doublings = 2, tolerance = 1e-9 }
"""
KILLS = int(os.environ.get("RECONSCALE_KILLS", "3"))


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reconscale", *(str(word) for word in words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
        start_new_session=True,
    )  # fmt: skip


def call(*words: object, **environment: str) -> tuple[int, str, str]:
    process = start(*words, **environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def records(study: Path) -> dict[str, Any]:
    """Every result of a study but for its times and its memory, which the sum over it includes."""
    found = {}
    for path in sorted((study.parent / "runs").glob("*/result.json")):
        record = json.loads(path.read_text())
        for key in ("times", "memory", "sha256"):
            del record[key]
        found[path.parent.name] = (record, (path.parent / "images.csv").read_text())
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny study, run without interruption by one worker; half of its runs have a trunk and branches."""
    from ..conftest import TINY

    path = tmp_path_factory.mktemp("finished") / "study.toml"
    path.write_text(TINY + CONVERGING)
    code, _, err = call("run", path, "--keep-going", "--workers", 1)
    assert code == 0, err
    assert len(records(path)) == RUNS
    return path


def copy_of(study: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(study, folder / "study.toml")
    return folder / "study.toml"


def test_two_workers_give_the_same_results(finished: Path, tmp_path: Path) -> None:
    study = copy_of(finished, tmp_path / "two")
    code, _, err = call("run", study, "--keep-going", "--workers", 2)
    assert code == 0, err
    assert records(study) == records(finished)


def test_killed_and_continued(finished: Path, tmp_path: Path) -> None:
    """kill -9 to the whole process group at random moments changes nothing in the results."""
    study = copy_of(finished, tmp_path / "killed")
    chance = random.Random(0)
    for _ in range(KILLS):
        process = start("run", study, "--keep-going", "--workers", 2, "--checkpoint-seconds", 0.05)
        time.sleep(chance.uniform(6.0, 14.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    time.sleep(1.0)  # workers notice that their driver is gone
    code, _, err = call("run", study, "--keep-going", "--workers", 2)
    assert code == 0, err
    assert records(study) == records(finished)


def test_interrupted_and_continued(finished: Path, tmp_path: Path) -> None:
    """SIGTERM keeps the state of every run and prints the command that continues. Meanwhile a bit of a state flips."""
    study = copy_of(finished, tmp_path / "stopped")
    process = start("run", study, "--keep-going", "--workers", 2, "--checkpoint-seconds", 0.05)
    deadline = time.monotonic() + 120
    while not list((study.parent / "runs").glob("*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and f"continue with: reconscale run {study}" in err
    kept = sorted((study.parent / "runs").glob("*/checkpoint.pt"))[0]
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    code, _, err = call("run", study, "--keep-going", "--workers", 2)
    assert code == 0, err
    assert f"{kept.parent.name}: checkpoint damaged (" in err
    assert records(study) == records(finished)


def test_a_dead_worker_loses_only_its_run_for_a_moment(finished: Path, tmp_path: Path) -> None:
    study = copy_of(finished, tmp_path / "dead")
    process = start("run", study, "--keep-going", "--workers", 1, "--checkpoint-seconds", 0.05)
    deadline = time.monotonic() + 120
    while not list((study.parent / "runs").glob("*/run.log")) and time.monotonic() < deadline:
        time.sleep(0.02)  # before that, workers only measure what the runs will take
    workers: list[int] = []
    while not workers and time.monotonic() < deadline:
        workers = worker_pids(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "continuing from its checkpoint" in err
    assert records(study) == records(finished)


def worker_pids(driver: int) -> list[int]:
    """Processes that lead a session of their own below the driver: the workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        session = int(fields[3])
        if session == int(entry.name) != driver and b"forkserver" in command:
            parent = int(fields[1])
            grandparent = int(Path(f"/proc/{parent}/stat").read_text().rsplit(")", 1)[1].split()[1])
            if grandparent == driver:
                found.append(int(entry.name))
    return found


def test_status_plan_and_report(finished: Path, tmp_path: Path) -> None:
    code, out, _ = call("status", finished, "--json")
    assert code == 0 and len(json.loads(out)["done"]) == RUNS
    code, out, _ = call("plan", finished, "--json", "--no-calibrate")
    plan = json.loads(out)
    assert code == 0 and len(plan["cells"]) == 6 and plan["flops"] == 0
    code, out, err = call("report", finished, "--out", tmp_path / "report")
    assert code == 0, err
    assert (tmp_path / "report" / "report.html").is_file()


def test_two_sweeps_at_once(finished: Path, tmp_path: Path) -> None:
    study = copy_of(finished, tmp_path / "both")
    first = start("run", study, "--keep-going", "--workers", 1)
    try:
        deadline = time.monotonic() + 120
        while not (study.parent / "runs" / "images.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        code, _, err = call("run", study, "--keep-going", "--workers", 1)
        assert code == 2 and "another `reconscale run` is working in this folder" in err
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


@pytest.mark.parametrize(
    "damage, part",
    [
        (lambda path: path.write_text(path.read_text()[:100]), "is not valid JSON"),
        (lambda path: path.write_text("{}"), "is not a result of schema 1"),
        (lambda path: path.write_text(path.read_text().replace('"status": "done"', '"status": "dnoe"')), "'status'"),
        (lambda path: path.write_text(path.read_text().replace('"p": ', '"p": NaN, "q": ')), "NaN"),
        (lambda path: path.write_text(path.read_text().replace('"seed": 1', '"seed": 7')), "under the name"),
        (lambda path: (path.parent / "images.csv").unlink(), "images.csv"),
    ],
)
def test_damaged_results(finished: Path, tmp_path: Path, damage: Any, part: str) -> None:
    shutil.copytree(finished.parent, tmp_path / "damaged")
    study = tmp_path / "damaged" / "study.toml"
    damage(next(study.parent.glob("runs/*-s1-*/result.json")))
    code, _, err = call("fit", study)
    assert code == 2 and part in err and "run again" in err and "Traceback" not in err


def test_other_images_are_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished.parent, tmp_path / "other")
    pin = tmp_path / "other" / "runs" / "images.json"
    pin.write_text(json.dumps(json.loads(pin.read_text()) | {"digest": "0" * 64}))
    code, _, err = call("run", tmp_path / "other", "--keep-going")
    assert code == 2 and "the images are not those that this study began with" in err
