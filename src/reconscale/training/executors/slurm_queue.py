"""Questions to Slurm's own commands, and the handing in of jobs."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reconscale.mistakes import Mistake
from reconscale.training.executors.slurm_element import Element
from reconscale.training.executors.slurm_options import FLAG, SlurmOptions
from reconscale.training.worker import Placement

OVER = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
     "TIMEOUT")
)  # fmt: skip
"""States of jobs that will not run any more."""
MOST = 1000
"""Jobs of one array where the cluster does not say how many it allows."""


def check_slurm() -> None:
    """Refuse a machine from which no jobs can be handed in.

    Raises:
        Mistake: Slurm's commands or submitit are not here.
    """
    missing = [name for name in ("sbatch", "squeue", "srun", "scontrol") if shutil.which(name) is None]
    if missing:
        raise Mistake(FLAG, f"{missing[0]} is not on this machine", "run this where jobs are handed in (a login node)")
    try:
        import submitit  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "submitit":
            raise
        raise Mistake(FLAG, "submitit is not installed", "pip install 'reconscale[slurm]'") from error


def states() -> dict[str, tuple[str, str]]:
    """This user's jobs: id (``12`` or ``12_3``) -> (name, state), those that ended a short time ago too.

    Raises:
        Mistake: the controller does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={pwd.getpwuid(os.getuid()).pw_name}",
               "--format=%F|%K|%T|%j"]  # fmt: skip
    found = {}
    for line in _ask(command).splitlines():
        job, index, state, name = line.strip().split("|", 3)
        found[job if index == "N/A" else f"{job}_{index}"] = (name, state)
    return found


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
    elements: Sequence[Element], options: SlurmOptions, placement: Placement, logs: Path, name: str
) -> str:  # fmt: skip
    """Hand jobs in, as one array.

    Returns:
        The id of the job or array.

    Raises:
        Mistake: sbatch refuses.
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
        raise Mistake("sbatch", f"refused the jobs ({reason})", f"change what {FLAG} says") from error
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
    """Hide the variables of a job from which jobs are handed in; they would become their options."""
    from submitit.helpers import clean_env

    kept = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(kept)
        yield


def _ask(command: list[str]) -> str:
    """What a command of Slurm prints.

    Raises:
        Mistake: it fails or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise Mistake(command[0], "Slurm does not answer", "try again; jobs in the queue go on") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Mistake(command[0], f"failed ({lines[0]})", "try again; jobs in the queue go on")
    return done.stdout
