"""The executor for Slurm in the queue of a real Slurm on this machine: see ``loopback_slurm.py``."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ...conftest import TINY
from . import loopback_slurm

DRIVER = Path(__file__).with_name("slurm_driver.py")
STUDY = (
    TINY.replace("[2, 4, 8]", "[2, 4]")
    .replace("width = [2, 4]", "width = [2]")
    .replace("steps = 30", "steps = {steps}")
)
RUNS = 4
HOST = ("times", "provenance", "memory", "sha256")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    pytest.importorskip("submitit", reason="submitit is not installed (pip install 'reconscale[slurm]')")
    binaries = loopback_slurm.find()
    if isinstance(binaries, str):
        pytest.skip(binaries)
    with loopback_slurm.running(binaries, tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


class Driver:
    """A process that hands a study in and watches; its events as they come."""

    def __init__(self, environment: dict[str, str], study: Path, keep: float, *settings: str) -> None:
        command = [sys.executable, str(DRIVER), str(study), str(keep), *settings]
        environment = environment | {"RECONSCALE_CACHE": os.environ["RECONSCALE_CACHE"], "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def until(self, found: Callable[[list[dict[str, Any]]], bool], seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not found(list(self.events)):
            assert time.monotonic() < deadline, self.events
            assert self.process.poll() is None, (self.process.stderr and self.process.stderr.read(), self.events)
            time.sleep(0.05)

    def ended(self, seconds: float = 400) -> tuple[int, str]:
        code = self.process.wait(timeout=seconds)
        self._reader.join(timeout=10)
        assert self.process.stderr is not None
        error = self.process.stderr.read()
        self.close()
        return code, error

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def notes(self) -> list[str]:
        return [event["text"] for event in self.events if event["event"] == "note"]


Drive = Callable[..., Driver]


@pytest.fixture
def drive(slurm: dict[str, str]) -> Iterator[Drive]:
    """Starts drivers; those that are still there after the test are ended, and their jobs too."""
    drivers: list[Driver] = []

    def start(study: Path, keep: float, *settings: str) -> Driver:
        drivers.append(Driver(slurm, study, keep, *settings))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()
    subprocess.run(["scancel", "--signal=KILL", "--user", getpass.getuser()], env=slurm, check=False)


def study(folder: Path, steps: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(STUDY.format(steps=steps))
    return folder / "study.toml"


def records(path: Path) -> dict[str, Any]:
    """Every result of a study but for its times and what it says of the machine."""
    found = {}
    for result in sorted((path.parent / "runs").glob("*/result.json")):
        record = json.loads(result.read_text())
        images = (result.parent / "images.csv").read_text()
        found[result.parent.name] = ({k: v for k, v in record.items() if k not in HOST}, images)
    return found


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, slurm: dict[str, str]) -> Callable[[int], dict[str, Any]]:
    """What the local executor makes of the study."""
    made: dict[int, dict[str, Any]] = {}

    def of(steps: int) -> dict[str, Any]:
        if steps not in made:
            path = study(tmp_path_factory.mktemp("local"), steps)
            code, error = Driver(slurm, path, 30).ended()
            assert code == 0, error
            made[steps] = records(path)
            assert len(made[steps]) == RUNS
        return made[steps]

    return of


def told(events: list[dict[str, Any]], steps: int) -> bool:
    """Whether a run said that it is so far."""
    return any(event["event"] == "progress" and event.get("step", 0) >= steps for event in events)


def first_steps(events: list[dict[str, Any]], run: str) -> list[int]:
    """The first step that a run told after each of its starts."""
    found: list[int] = []
    fresh = False
    for event in events:
        if event.get("run") == run:
            fresh = fresh or event["event"] == "start"
            if fresh and "step" in event:
                found.append(event["step"])
                fresh = False
    return found


def workings(path: Path) -> list[int]:
    """The processes that run jobs of a study (not the shells and sruns around them)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if (
            b"submitit.core._submit" in words
            and b"srun" not in words[0]
            and str(path.parent).encode() in b" ".join(words)
        ):
            found.append(int(entry.name))
    return found


def jobs(path: Path) -> list[str]:
    """The numbers of all jobs ever submitted for a study."""
    logs = path.parent / "runs" / ".slurm" / "logs"
    return sorted(re.sub(r"_submission\.sh", "", script.name) for script in logs.glob("*_submission.sh"))


LONG = 2000
"""Steps that take long enough to be disturbed."""


def test_an_array_gives_what_local_gives(
    slurm: dict[str, str], drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    """Two jobs of two runs, one job at a time."""
    path = study(tmp_path / "array", 30)
    driver = drive(path, 30, "array=1,runs=2,poll=1,time=10")
    code, error = driver.ended()
    assert code == 0, error
    assert records(path) == local(30)
    assert max(event["running"] for event in driver.events if event["event"] == "queue") == 1
    assert [event["status"] for event in driver.events if event["event"] == "end"] == ["done"] * RUNS
    assert len(jobs(path)) == 1
    assert oct((path.parent / "runs" / ".slurm").stat().st_mode)[-3:] == "700"


def test_a_killed_job_goes_on_from_its_checkpoints(
    slurm: dict[str, str], drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    path = study(tmp_path / "killed", LONG)
    driver = drive(path, 0.2, "runs=2,workers=2,array=1,poll=1,time=10")
    driver.until(lambda events: told(events, 200))
    time.sleep(1.0)  # a checkpoint later than what was told
    run = next(event["run"] for event in driver.events if event.get("step", 0) >= 200)
    (pid,) = workings(path)
    os.kill(pid, signal.SIGKILL)
    code, error = driver.ended()
    assert code == 0, error
    assert records(path) == local(LONG)
    again = [event for event in driver.events if event["event"] == "fault"]
    assert again and all("FAILED" in event["fault"]["detail"] for event in again)
    assert len(jobs(path)) == 2
    assert first_steps(driver.events, run)[1] >= 200


def test_usr2_keeps_the_state_and_queues_again(
    slurm: dict[str, str], drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    """What Slurm sends before a job's time is up. The same job comes back and continues; nothing is submitted twice."""
    path = study(tmp_path / "usr2", LONG)
    driver = drive(path, 1e6, "runs=4,workers=2,poll=1,time=10")
    driver.until(lambda events: told(events, 200))
    run = next(event["run"] for event in driver.events if event.get("step", 0) >= 200)
    (job,) = jobs(path)
    subprocess.run(["scancel", "--signal=USR2", job], env=slurm, check=True)
    code, error = driver.ended()
    assert code == 0, error
    assert records(path) == local(LONG)
    assert jobs(path) == [job]
    assert {event["fault"]["detail"] for event in driver.events if event["event"] == "fault"} == {
        "its job was queued again"
    }
    assert first_steps(driver.events, run)[1] >= 200
    assert (path.parent / "runs" / ".slurm" / "logs" / f"{job}_0_log.err").read_text().count("Requeued job") <= 1


def test_preempted(slurm: dict[str, str], drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    """A job of a stronger partition takes the node: TERM, some seconds of grace, and Slurm queues ours again."""
    path = study(tmp_path / "preempted", LONG)
    driver = drive(path, 1e6, "partition=low,runs=4,workers=2,poll=1,time=10")
    driver.until(lambda events: told(events, 200))
    run = next(event["run"] for event in driver.events if event.get("step", 0) >= 200)
    command = ["sbatch", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"]
    subprocess.run(command, env=slurm, check=True, capture_output=True)
    code, error = driver.ended()
    assert code == 0, error
    assert records(path) == local(LONG)
    assert len(jobs(path)) == 1
    assert first_steps(driver.events, run)[1] >= 200


def test_the_driver_may_go(drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    """Ctrl-C, then kill -9: the jobs continue, and every next driver finds them again."""
    path = study(tmp_path / "left", LONG)
    settings = ("runs=1,array=2,poll=1,time=10",)
    first = drive(path, 0.2, *settings)
    first.until(lambda events: told(events, 1))
    first.process.send_signal(signal.SIGINT)
    code, _ = first.ended(30)
    (job,) = jobs(path)
    assert code == 130 and re.search(rf"the jobs continue .* scancel {job}$", first.notes()[-1])
    second = drive(path, 0.2, *settings)
    second.until(lambda events: told(events, 1))
    second.process.kill()
    second.ended(30)
    third = drive(path, 0.2, *settings)
    code, error = third.ended()
    assert code == 0, error
    for driver in (second, third):
        assert re.search(rf"found again in the queue: \d jobs? of {job}$", driver.notes()[0])
    assert jobs(path) == [job]
    assert records(path) == local(LONG)


def test_cancelled_then_handed_in_without_waiting(
    slurm: dict[str, str], drive: Drive, local: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    """scancel is obeyed: nothing is submitted again. The next call continues, and need not stay."""
    path = study(tmp_path / "cancelled", LONG)
    driver = drive(path, 1e6, "runs=4,workers=2,poll=1,time=10")
    driver.until(lambda events: told(events, 200))
    subprocess.run(["scancel", *jobs(path)], env=slurm, check=True)
    code, error = driver.ended()
    assert code == 0, error
    assert driver.notes()[-1].startswith("4 runs stay open: their jobs were cancelled")
    assert list((path.parent / "runs").glob("*/checkpoint.pt"))
    code, error = drive(path, 30, "runs=4,workers=2,time=10,wait=no").ended(60)
    assert code == 0, error
    assert len(jobs(path)) == 2
    deadline = time.monotonic() + 240
    while len(records(path)) < RUNS and time.monotonic() < deadline:
        time.sleep(0.5)
    assert records(path) == local(LONG)


def test_refused_and_broken_jobs(drive: Drive, tmp_path: Path) -> None:
    path = study(tmp_path / "refused", 30)
    code, error = drive(path, 30, "partition=nonesuch").ended(60)
    assert code == 2
    assert re.fullmatch(r"sbatch: refused the jobs \(.*invalid partition.*\); change what --slurm says\n", error, re.I)
    broken = drive(path, 30, "poll=0.5,runs=4", "setup=echo this node has no disk >&2; exit 1")
    code, error = broken.ended(120)
    assert code == 2 and "jobs end before a run begins (this node has no disk)" in error
    assert not records(path)
