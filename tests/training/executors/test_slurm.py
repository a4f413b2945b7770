"""The executor for the Slurm queue, without Slurm: its options, its bookkeeping, and one job on its own.

Where a Slurm is at hand, ``test_slurm_real.py`` uses it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconscale.errors import EndedOnPurpose, UserError
from reconscale.results import Folder
from reconscale.results.probes import PROBES
from reconscale.study import load_study
from reconscale.training.executors.base import Event
from reconscale.training.executors.slurm import SlurmExecutor, under_way
from reconscale.training.executors.slurm_cli import READERS, SlurmOptions, minutes, parameters, parse_slurm
from reconscale.training.executors.slurm_job import JobStatusFile, JobStore, SlurmJob, keep_tasks, read_tasks, restored
from reconscale.training.sweep import run
from reconscale.training.worker import Placement, Task

from ...cli.calling import call
from ...cli.test_sweep import records
from .given import STUDIES, copy_given, weights_of, write_given
from .slurm_driver import tasks_of

FAKES = {
    "sbatch": 'echo x >> "$0.calls"\n'
    'test ! -e "$0.refuses" || { echo "sbatch: error: no such partition" >&2; exit 1; }\n'
    'echo "Submitted batch job $(( 100 + $(wc -l < "$0.calls") ))"',
    "squeue": 'cat "$0.says" 2>/dev/null || true',
    "scontrol": 'echo "MaxArraySize = 6"',
    "srun": "exit 1",
    "scancel": 'echo "$@" >> "$0.calls"; : > "$(dirname "$0")/squeue.says"',
}
"""Commands that answer what a test has recorded, for what needs no cluster: who is submitted when."""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of fake commands at the front of PATH."""
    pytest.importorskip("submitit")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in FAKES.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def handed_in(queue: Path) -> int:
    calls = queue / "sbatch.calls"
    return len(calls.read_text().split()) if calls.is_file() else 0


def say(queue: Path, ledger: JobStore, state: str = "RUNNING") -> None:
    """Let squeue list all jobs of a ledger."""
    lines = [f"{'|'.join([*job.id.split('_'), 'N/A'][:2])}|{state}|reconscale-{job.token}" for job in ledger.jobs()]
    (queue / "squeue.says").write_text("\n".join(lines) + "\n")


@pytest.fixture
def tasks(tiny_study: Path) -> list[Task]:
    return tasks_of(load_study(tiny_study), Folder.beside(tiny_study), 30.0)


def test_options_reach_sbatch() -> None:
    options = parse_slurm(
        ["partition=a,qos=low,constraint=v100&ib,time=2:00:00,array=4,memory=16G,workers=2,runs=6,cpus=5",
         "setup=module load a,b=2", "--mail-type=END", "--exclusive"]
    )  # fmt: skip
    told = parameters(options, Placement(device="cuda", threads=3), "name", 10)
    assert (told["partition"], told["qos"], told["constraint"], told["time"]) == ("a", "low", "v100&ib", 120)
    assert (told["array_parallelism"], told["cpus_per_task"], told["gpus_per_node"]) == (4, 5, 1)
    assert told["additional_parameters"] == {"mail-type": "END", "exclusive": True, "mem": "16G"}
    assert told["setup"] == ["module load a,b=2"] and options.packed == 6 and "account" not in told
    assert "gpus_per_node" not in parameters(options, Placement(), "name", 1)
    assert "gpus_per_node" not in parameters(SlurmOptions(gres="gpu:a100:1"), Placement(device="cuda"), "name", 1)
    assert parameters(SlurmOptions(workers=2), Placement(threads=3), "name", 1)["cpus_per_task"] == 6


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["partitoin=gpu"], "did you mean 'partition'"),
        (["time=4h"], "found '4h'"),
        (["time=0"], "found '0'"),
        (["array=0"], "at least 1"),
        (["memory=16 GB"], "16G, 500M"),
        (["wait=maybe"], "yes or no"),
        (["partition"], "give partition=..."),
        (["gpu"], "give key=value"),
        (["partition="], "without a value"),
        (["qos=a", "qos=b"], "twice"),
        (["--array=1-3"], "set by reconscale"),
        (["--Mail"], "--name=value"),
        (["partition=a b"], "without spaces"),
        (["poll=0"], "above 0"),
    ],
)
def test_bad_options_are_refused(items: list[str], says: str) -> None:
    with pytest.raises(UserError, match="--slurm") as refused:
        parse_slurm(items)
    assert says in str(refused.value)


@given(st.lists(st.text("aet=,-%\n 1", max_size=12), max_size=4))
def test_any_text_is_read_or_refused(items: list[str]) -> None:
    with contextlib.suppress(UserError):
        assert parse_slurm(items).packed >= 1


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_times(days: int, hours: int, mins: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + mins) * 60 + seconds
    if total:
        assert minutes("time", f"{days}-{hours}:{mins}:{seconds}") == -(-total // 60)


NAMES = st.sampled_from(["partition", "account", "qos", "gres"])


@given(st.dictionaries(NAMES, st.text("abz09:,&", min_size=1, max_size=9)))
def test_commas_belong_to_values_unless_a_key_follows(given_: dict[str, str]) -> None:
    pairs = {key: value.strip(",") or "x" for key, value in given_.items()}
    if pairs:
        options = parse_slurm([",".join(f"{key}={value}" for key, value in pairs.items())])
        assert {key: getattr(options, key) for key in pairs} == pairs
    assert set(READERS) | {"setup", "extra"} == set(SlurmOptions.__dataclass_fields__)


def test_no_slurm_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch is not on this machine"):
        SlurmExecutor(SlurmOptions(), print)


def test_no_submitit_here(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "submitit":
                raise ModuleNotFoundError("No module named 'submitit'", name="submitit")

    monkeypatch.delitem(sys.modules, "submitit", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(UserError, match=r"pip install 'reconscale\[slurm\]'"):
        SlurmExecutor(SlurmOptions(), print)


def test_handed_in_once(queue: Path, tasks: list[Task]) -> None:
    """A second call finds the jobs of the first; those that vanished are submitted again, and only their runs."""
    options, events = parse_slurm(["wait=no,runs=2"]), []  # 12 runs; an array here may have 5 jobs: 3 runs each
    SlurmExecutor(options, events.append).carry_out(tasks)
    folder = tasks[0].folder
    ledger = JobStore.beside(folder.root)
    assert handed_in(queue) == 1 and [len(job.runs) for job in ledger.jobs()] == [3, 3, 3, 3]
    assert "submitted: 4 jobs of 101" in events[-1]["text"]
    assert under_way(folder) == ("101_0", "101_1", "101_2", "101_3")
    assert stat.S_IMODE(ledger.root.stat().st_mode) == 0o700
    say(queue, ledger, "PENDING")
    events.clear()
    SlurmExecutor(options, events.append).carry_out(tasks)
    assert handed_in(queue) == 1 and "found again in the queue: 4 jobs of 101" in events[0]["text"]
    assert {"event": "queue", "waiting": 4, "running": 0} in events
    lines = (queue / "squeue.says").read_text().splitlines()
    (queue / "squeue.says").write_text("\n".join([lines[0], lines[2], *lines[3:]]) + "\n")
    lost = next(iter(JobStore.beside(folder.root).arrays.values())).elements[1]
    SlurmExecutor(options, events.append).carry_out(tasks)
    fresh = [job for job in JobStore.beside(folder.root).jobs() if job.id.startswith("102")]
    assert handed_in(queue) == 2 and [run for job in fresh for run in job.runs] == list(lost)


@pytest.mark.parametrize("place", ["", PROBES])
def test_nothing_is_trained_beside_jobs(queue: Path, tiny_study: Path, tasks: list[Task], place: str) -> None:
    """Nor beside those that train probes."""
    folder = Folder(tasks[0].folder.root / place)
    jobs = [replace(task, folder=folder) for task in tasks]
    SlurmExecutor(parse_slurm(["wait=no,runs=12"]), lambda event: None).carry_out(jobs)
    with pytest.raises(UserError, match=r"1 jobs of Slurm .* delete .*\.slurm"):
        run(load_study(tiny_study), Folder.beside(tiny_study))
    assert handed_in(queue) == 1


def test_a_number_that_came_again_is_not_our_job(queue: Path, tasks: list[Task]) -> None:
    options = parse_slurm(["wait=no,runs=12"])
    SlurmExecutor(options, lambda event: None).carry_out(tasks)
    (queue / "squeue.says").write_text("101|N/A|RUNNING|another\n")
    SlurmExecutor(options, lambda event: None).carry_out(tasks)
    assert handed_in(queue) == 2


def test_killed_between_sbatch_and_the_ledger(queue: Path, tasks: list[Task]) -> None:
    """The array's name tells that it is ours though its number was never recorded."""
    options = parse_slurm(["wait=no,runs=4"])
    SlurmExecutor(options, lambda event: None).carry_out(tasks)
    ledger = JobStore.beside(tasks[0].folder.root)
    say(queue, ledger)
    (array,) = ledger.arrays.values()
    array.job = None
    ledger.write()
    SlurmExecutor(options, lambda event: None).carry_out(tasks)
    assert handed_in(queue) == 1
    assert under_way(tasks[0].folder) == ("101_0", "101_1", "101_2")


def test_sbatch_refuses(queue: Path, tasks: list[Task]) -> None:
    (queue / "sbatch.refuses").touch()
    with pytest.raises(UserError, match=r"^sbatch: refused the jobs \(no such partition\)"):
        SlurmExecutor(SlurmOptions(wait=False), lambda event: None).carry_out(tasks)
    assert under_way(tasks[0].folder) == ()


def test_jobs_that_never_begin_are_a_mistake_not_a_result(queue: Path, tasks: list[Task]) -> None:
    """Vanished three times before any run began: the runs stay open, and the message shows what the job printed."""
    log = JobStore.beside(tasks[0].folder.root).logs / "103_0_0_log.err"
    log.parent.mkdir()
    log.write_text("loading\nModuleNotFoundError: No module named 'torch'\n")
    with pytest.raises(UserError, match="jobs end before a run begins .*No module named 'torch'"):
        SlurmExecutor(parse_slurm(["poll=0.02,runs=6"]), lambda event: None).carry_out(tasks)
    assert handed_in(queue) == 3
    assert not any(task.folder.is_over(task.run) for task in tasks)


def test_a_run_that_gets_no_further_fails(queue: Path, tasks: list[Task]) -> None:
    """Three jobs end while a run is under way: it fails; another one of the same jobs, never reached, does not."""
    first, second = tasks[:2]
    events: list[dict[str, Any]] = []
    root = first.folder.root
    options = parse_slurm(["wait=no,runs=2"])
    for _ in range(3):
        SlurmExecutor(options, events.append).carry_out([first, second])
        (job,) = JobStore.beside(root).jobs()
        JobStatusFile(JobStore.beside(root).state(job.token, job.index)).tell({"event": "start", "run": first.run.id})
    SlurmExecutor(options, events.append).carry_out([first, second])
    result = first.folder.read(first.run)
    assert result is not None and result.status == "failed" and result.reason is not None
    assert result.reason.startswith("its jobs ended 3 times without it getting further, last 103")
    assert events.count({"event": "end", "run": first.run.id, "status": "failed"}) == 1
    (job,) = JobStore.beside(root).jobs()
    assert job.runs == (second.run.id,) and handed_in(queue) == 4


def test_getting_further_counts(tmp_path: Path) -> None:
    """A run whose checkpoint is newer than at its last death begins to count again."""
    ledger, checkpoint = JobStore(tmp_path), tmp_path / "checkpoint.pt"
    assert [ledger.died("a", checkpoint), ledger.died("a", checkpoint)] == [1, 2]
    checkpoint.touch()
    assert [ledger.died("a", checkpoint), ledger.died("a", checkpoint)] == [1, 2]
    os.utime(checkpoint, ns=(1, 1))
    assert ledger.died("a", checkpoint) == 1


def test_cancelled_runs_stay_open(queue: Path, tasks: list[Task]) -> None:
    events: list[dict[str, Any]] = []
    SlurmExecutor(parse_slurm(["wait=no,runs=3"]), events.append).carry_out(tasks)
    say(queue, JobStore.beside(tasks[0].folder.root), "CANCELLED")
    SlurmExecutor(parse_slurm(["poll=0.02"]), events.append).carry_out(tasks)
    assert handed_in(queue) == 1
    assert events[-1]["text"].startswith("12 runs stay open: their jobs were cancelled")


def test_a_sweep_that_is_ended_on_purpose_cancels_its_jobs(queue: Path, tasks: list[Task]) -> None:
    """What is under way would be of no use; the next call begins anew, and nothing is said to work in the folder."""

    def tell(event: Event) -> None:
        if event["event"] == "queue":
            say(queue, JobStore.beside(tasks[0].folder.root))
            raise EndedOnPurpose("the first runs", "reach nothing", "mend the recipe")

    with pytest.raises(EndedOnPurpose):
        SlurmExecutor(SlurmOptions(poll=0.1), tell).carry_out(tasks)
    assert (queue / "scancel.calls").read_text().split() == ["101"]
    assert handed_in(queue) == 1 and under_way(tasks[0].folder) == ()


def test_a_damaged_ledger_is_refused(queue: Path, tasks: list[Task]) -> None:
    ledger = JobStore.beside(tasks[0].folder.root)
    for content in ("{", '{"arrays": 3}', '{"arrays": {"a": {"elements": {"x": []}}}, "deaths": {}}'):
        ledger.path.write_text(content)
        with pytest.raises(UserError, match="jobs.json"):
            SlurmExecutor(SlurmOptions(wait=False), print).carry_out(tasks)
    assert handed_in(queue) == 0


def test_tasks_that_others_can_write_are_not_opened(tmp_path: Path, tasks: list[Task]) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o700)
    keep_tasks(folder / "a.tasks", tasks)
    assert [task.run for task in read_tasks(folder / "a.tasks")] == [task.run for task in tasks]
    assert stat.S_IMODE((folder / "a.tasks").stat().st_mode) == 0o600
    folder.chmod(0o770)
    with pytest.raises(UserError, match="others than you can write"):
        read_tasks(folder / "a.tasks")


def test_a_diary_is_strict_json(tmp_path: Path) -> None:
    diary = JobStatusFile(tmp_path / "state" / "a.json")
    event = {"event": "progress", "run": "a", "step": 0, "steps": 9, "psnr": float("-inf")}
    diary.tell(event)
    content = json.loads(diary.path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert restored(content["latest"]["a"]) == event
    diary.tell({"event": "progress", "run": "a", "kept": 0})  # how far it is stays the last word
    assert diary.latest["a"] == event | {"kept": 0}
    diary.tell({"event": "progress", "run": "a", "testing": "val", "done": 1, "of": 2})
    assert "step" not in diary.latest["a"]


JOB = """
import signal, sys
from pathlib import Path
from reconscale.training.executors.slurm_job import SlurmJob
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(75))  # stands for submitit, which has the job queued again
SlurmJob(Path(sys.argv[1]), tuple(sys.argv[3:]), 1, Path(sys.argv[2]))()
"""


def test_a_job_keeps_its_state_and_goes_on(tiny_study: Path) -> None:
    """USR2 to all its processes: it keeps its state and is queued again; the second time it ends the run."""
    tiny_study.write_text(tiny_study.read_text().replace("steps = 30", "steps = 4000"))
    task = tasks_of(load_study(tiny_study), Folder.beside(tiny_study), 1e6)[0]
    place = tiny_study.parent / "trusted"
    place.mkdir(mode=0o700)
    keep_tasks(place / "a.tasks", [task])
    state = place / "state.json"
    command = [sys.executable, "-c", JOB, str(place / "a.tasks"), str(state), task.run.id]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (state.is_file() and json.loads(state.read_text())["latest"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in [process.pid, *below(process.pid)]:  # as Slurm does: every process of the job
        os.kill(pid, signal.SIGUSR2)
    assert process.wait(timeout=60) == 75
    assert json.loads(state.read_text())["stopped"] == "again"
    assert (task.folder.of(task.run) / "checkpoint.pt").is_file() and not task.folder.is_over(task.run)
    assert subprocess.run(command, timeout=200, check=False).returncode == 0
    result = task.folder.read(task.run)
    assert result is not None and result.status == "done" and result.steps == 4000


def below(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def test_what_is_handed_in_is_small(tasks: list[Task], tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    element = SlurmJob(tmp_path / "a.tasks", tuple(task.run.id for task in tasks[:8]), 2, tmp_path / "a.json")
    assert len(cloudpickle.dumps(element)) < 1500


@pytest.mark.parametrize("kind", STUDIES)
def test_what_a_study_is_given_reaches_the_jobs(queue: Path, tmp_path: Path, kind: str) -> None:
    """Bit for bit: first weights, a split by lists, masks of files; jobs are begun here as the queue would."""
    data = tmp_path / "data"
    here = write_given(kind, tmp_path / "here", data)
    there = copy_given(here, tmp_path / "there")
    flags = ("--data", data, "--no-probe", "--keep-going")
    assert call("run", here, *flags, "--workers", 1)[0] == 0
    call("run", there, *flags, "--slurm", "wait=no,runs=1")
    ledger = JobStore.beside(there.parent / "runs")
    assert [len(job.runs) for job in ledger.jobs()] == [1, 1]
    (there.parent / "first.safetensors").unlink(missing_ok=True)  # jobs go by what the results folder keeps
    for job in ledger.jobs():
        place = [str(ledger.tasks(job.token)), str(ledger.state(job.token, job.index)), *job.runs]
        subprocess.run([sys.executable, "-c", JOB, place[0], place[1], *place[2:]], cwd="/", check=True, timeout=200)
    code, out, err = call("run", there, *flags, "--slurm", "poll=0.02")
    assert code == 0 and "2 done" in out, out + err
    assert records(there) == records(here) and weights_of(there) == weights_of(here)
