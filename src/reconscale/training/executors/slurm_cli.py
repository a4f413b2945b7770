"""The options of ``--slurm``."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconscale.errors import UserError, suggest
from reconscale.training.executors.base import Placement
from reconscale.training.executors.slurm_job import SlurmJob

FLAG = "--slurm"
OURS = frozenset(
    ("array", "chdir", "cpus-per-task", "error", "input", "job-name", "mem", "nodes", "no-requeue", "ntasks",
     "ntasks-per-node", "open-mode", "output", "parsable", "signal", "test-only", "time", "wait", "wrap")
)  # fmt: skip
"""Options of sbatch that the executor itself sets or relies on."""


@dataclass(frozen=True)
class SlurmOptions:
    """How runs become jobs.

    Attributes:
        partition, account, qos, constraint, gres: as sbatch takes them; none: the cluster's default.
        time: minutes a job may take. A job that needs more keeps its state, is queued again and continues.
        memory: of a job, as sbatch takes it (``16G``); none: the cluster's default.
        array: jobs at the same time, at most; none: as many as the cluster gives.
        cpus: cores of a job; none: ``--threads`` times ``workers``.
        runs: runs per job, one after the other or ``workers`` at a time.
        workers: runs side by side within a job; they share its GPU.
        setup: shell lines that come before the work (``module load cuda``).
        extra: further options of sbatch, (name, value); an empty value makes a switch.
        wait: stay until all is over; else submit and return.
        notice: seconds before its time is up at which a job begins to keep its state.
        poll: seconds between two looks at the queue.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    time: int = 240
    memory: str | None = None
    array: int | None = None
    cpus: int | None = None
    runs: int = 1
    workers: int = 1
    setup: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    wait: bool = True
    notice: int = 90
    poll: float = 10.0

    @property
    def packed(self) -> int:
        """Runs of a job: at least as many as work side by side."""
        return max(self.runs, self.workers)


def parse_slurm(given: Iterable[str]) -> SlurmOptions:
    """Read ``key=value,key=value`` items, as the command line takes them.

    A comma separates two settings only where ``key=`` follows it. ``setup=LINE`` may be given several times and takes
    the whole item; an item that begins with ``--`` is handed to sbatch as it is.

    Raises:
        UserError: an unknown key, a value that cannot be, an option of sbatch that is set here.

    >>> options = parse_slurm(["partition=gpu,time=4:00:00,array=8", "setup=module load cuda", "--mail-type=END"])
    >>> options.partition, options.time, options.array, options.setup, options.extra
    ('gpu', 240, 8, ('module load cuda',), (('mail-type', 'END'),))
    >>> parse_slurm(["partitoin=gpu"])
    Traceback (most recent call last):
    ...
    reconscale.errors.UserError: --slurm: found 'partitoin'; did you mean 'partition'?
    """
    found: dict[str, Any] = {}
    setup: list[str] = []
    extra: list[tuple[str, str]] = []
    for item in given:
        if item.startswith("--"):
            extra.append(_extra(item))
        elif item.startswith("setup="):
            setup.append(item.removeprefix("setup="))
        else:
            for pair in re.split(r",(?=\s*[A-Za-z_-]+=)", item):
                key, value = _pair(pair)
                if key in found:
                    raise UserError(FLAG, f"found '{key}' twice", "give it once")
                found[key] = READERS[key](key, value)
    return SlurmOptions(**found, setup=tuple(setup), extra=tuple(extra))


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in pair.partition("="))
    if key not in READERS:
        remedy = suggest(key, (*READERS, "setup"))
        raise UserError(FLAG, f"found '{key}'", remedy if equals else f"give key=value; {remedy}")
    if not value:
        raise UserError(FLAG, f"found '{key}' without a value", f"give {key}=...")
    return key, value


def _extra(item: str) -> tuple[str, str]:
    name, _, value = item[2:].partition("=")
    if re.fullmatch(r"[a-z][a-z0-9-]*", name) is None or "\n" in value:
        raise UserError(FLAG, f"found '{item}'", "give an option of sbatch as --name=value")
    if name in OURS:
        raise UserError(FLAG, f"found '--{name}', which is set by reconscale", f"known here: {', '.join(READERS)}")
    return name, value


def _word(key: str, value: str) -> str:
    if re.search(r"\s", value):
        raise UserError(f"{FLAG} {key}", f"found '{value}'", "give it without spaces, as sbatch takes it")
    return value


def _count(key: str, value: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", value) is None:
        raise UserError(f"{FLAG} {key}", f"found '{value}'", "give a whole number of at least 1")
    return int(value)


def _seconds(key: str, value: str) -> float:
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]*)?", value) is None or not float(value) > 0:
        raise UserError(f"{FLAG} {key}", f"found '{value}'", "give a number of seconds above 0")
    return float(value)


def _memory(key: str, value: str) -> str:
    if re.fullmatch(r"[0-9]+[KMGT]?", value, re.IGNORECASE) is None:
        raise UserError(f"{FLAG} {key}", f"found '{value}'", "give it as sbatch takes it: 16G, 500M")
    return value


def _yes(key: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise UserError(f"{FLAG} {key}", f"found '{value}'", "give yes or no")
    return value == "yes"


def minutes(key: str, value: str) -> int:
    """A time as sbatch takes it, in whole minutes, rounded up.

    Raises:
        UserError: it is none, or zero.

    >>> [minutes("time", text) for text in ("90", "90:30", "4:00:00", "1-12", "1-12:30", "2-0:0:1")]
    [90, 91, 240, 2160, 2190, 2881]
    """
    forms: tuple[tuple[str, tuple[int, ...]], ...] = (
        (r"(\d+)", (60,)),
        (r"(\d+):(\d+)", (60, 1)),
        (r"(\d+):(\d+):(\d+)", (3600, 60, 1)),
        (r"(\d+)-(\d+)", (86400, 3600)),
        (r"(\d+)-(\d+):(\d+)", (86400, 3600, 60)),
        (r"(\d+)-(\d+):(\d+):(\d+)", (86400, 3600, 60, 1)),
    )
    for form, weights in forms:
        if (match := re.fullmatch(form, value, re.ASCII)) and len(value) < 30:
            total = sum(int(part) * weight for part, weight in zip(match.groups(), weights, strict=True))
            if total > 0:
                return -(-total // 60)
    raise UserError(f"{FLAG} {key}", f"found '{value}'", "give minutes, hours:minutes:seconds or days-hours")


READERS: dict[str, Callable[[str, str], Any]] = {
    "partition": _word,
    "account": _word,
    "qos": _word,
    "constraint": _word,
    "gres": _word,
    "time": minutes,
    "memory": _memory,
    "array": _count,
    "cpus": _count,
    "runs": _count,
    "workers": _count,
    "wait": _yes,
    "notice": _count,
    "poll": _seconds,
}
"""How the value of each key is read."""


OVER = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
     "TIMEOUT")
)  # fmt: skip
"""States of jobs that will not run any more."""
MOST = 1000
"""Jobs of one array where the cluster does not say how many it allows."""


def check_slurm() -> None:
    """Refuse a machine from which no jobs can be submitted.

    Raises:
        UserError: Slurm's commands or submitit are not here.
    """
    missing = [name for name in ("sbatch", "squeue", "srun", "scontrol") if shutil.which(name) is None]
    if missing:
        raise UserError(
            FLAG, f"{missing[0]} is not on this machine", "run this where jobs are submitted (a login node)"
        )
    try:
        import submitit  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "submitit":
            raise
        raise UserError(FLAG, "submitit is not installed", "pip install 'reconscale[slurm]'") from error


def states() -> dict[str, tuple[str, str]]:
    """This user's jobs: id (``12`` or ``12_3``) -> (name, state), those that ended a short time ago too.

    Raises:
        UserError: the controller does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={pwd.getpwuid(os.getuid()).pw_name}",
               "--format=%F|%K|%T|%j"]  # fmt: skip
    found = {}
    for line in _ask(command).splitlines():
        job, index, state, name = line.strip().split("|", 3)
        found[job if index == "N/A" else f"{job}_{index}"] = (name, state)
    return found


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs or arrays by their ids; their runs keep their state, as they do at the end of a job's time.

    Raises:
        UserError: the controller does not answer.
    """
    _ask(["scancel", *jobs])


def recorded_state(job: str) -> str | None:
    """How a job ended according to Slurm's accounting; none where there is none."""
    if shutil.which("sacct") is None:
        return None
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=State", "--jobs", job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    words = done.stdout.split()
    return words[0] if done.returncode == 0 and words else None


def most_elements() -> int:
    """How many jobs an array may have here."""
    told = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask(["scontrol", "show", "config"]), re.MULTILINE)
    return max(1, int(told.group(1)) - 1) if told else MOST


def submit(
    elements: Sequence[SlurmJob], options: SlurmOptions, placement: Placement, logs: Path, name: str
) -> str:  # fmt: skip
    """Hand jobs in, as one array.

    Returns:
        The id of the job or array.

    Raises:
        UserError: sbatch refuses.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    logs.mkdir(parents=True, exist_ok=True)
    executor = submitit.SlurmExecutor(folder=logs, max_num_timeout=1_000_000)  # our runs always get further
    executor.update_parameters(**parameters(options, placement, name, len(elements)))
    said = io.StringIO()
    try:
        with _without_slurm(), contextlib.redirect_stderr(said):
            jobs = executor.submit_array(list(elements))
    except (FailedJobError, FailedSubmissionError) as error:
        told = str(error).strip() or said.getvalue().strip() or "it gave no reason"
        reason = told.splitlines()[0].removeprefix("sbatch: ").removeprefix("error: ")
        raise UserError("sbatch", f"refused the jobs ({reason})", f"change what {FLAG} says") from error
    return str(jobs[0].job_id).partition("_")[0]


def parameters(options: SlurmOptions, placement: Placement, name: str, count: int) -> dict[str, Any]:
    """What submitit is told about jobs."""
    cpus = options.cpus or placement.threads * options.workers * placement.devices
    extra = dict(options.extra)
    named = {key: getattr(options, key) for key in ("partition", "account", "qos", "constraint", "gres")}
    more: dict[str, Any] = {key: value if value else True for key, value in extra.items()}
    if options.memory is not None:
        more["mem"] = options.memory
    told = {key: value for key, value in named.items() if value is not None}
    asks_gpu = options.gres is not None or any(key.startswith("gpus") for key in extra)
    if placement.device == "cuda" and not asks_gpu:
        told["gpus_per_node"] = placement.devices
    if options.setup:
        told["setup"] = list(options.setup)
    return told | {
        "job_name": name, "time": options.time, "nodes": 1, "ntasks_per_node": 1, "cpus_per_task": cpus,
        "array_parallelism": min(options.array or count, count), "signal_delay_s": options.notice,
        "additional_parameters": more, "wckey": None,  # submitit's own would be refused where keys are enforced
        "srun_args": [f"--cpus-per-task={cpus}"],  # since 22.05 a step does not inherit it
    }  # fmt: skip


@contextlib.contextmanager
def _without_slurm() -> Iterator[None]:
    """Hide the variables of a job from which jobs are submitted; they would become their options."""
    from submitit.helpers import clean_env

    kept = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(kept)
        yield


def _ask(command: list[str]) -> str:
    """What a command of Slurm prints.

    Raises:
        UserError: it fails or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(command[0], "Slurm does not answer", "try again; jobs in the queue continue") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(command[0], f"failed ({lines[0]})", "try again; jobs in the queue continue")
    return done.stdout
