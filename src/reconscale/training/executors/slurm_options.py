"""What may be said about jobs in the queue of Slurm, and how it is read from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from reconscale.mistakes import Mistake, nearest

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
        time: minutes a job may take. A job that needs more keeps its state, is queued again and goes on.
        memory: of a job, as sbatch takes it (``16G``); none: the cluster's default.
        array: jobs at the same time, at most; none: as many as the cluster gives.
        cpus: cores of a job; none: ``--threads`` times ``workers``.
        runs: runs a job carries out, one after the other or ``workers`` side by side.
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
        Mistake: an unknown key, a value that cannot be, an option of sbatch that is set here.

    >>> options = parse_slurm(["partition=gpu,time=4:00:00,array=8", "setup=module load cuda", "--mail-type=END"])
    >>> options.partition, options.time, options.array, options.setup, options.extra
    ('gpu', 240, 8, ('module load cuda',), (('mail-type', 'END'),))
    >>> parse_slurm(["partitoin=gpu"])
    Traceback (most recent call last):
    ...
    reconscale.mistakes.Mistake: --slurm: found 'partitoin'; did you mean 'partition'?
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
                    raise Mistake(FLAG, f"found '{key}' twice", "give it once")
                found[key] = READERS[key](key, value)
    return SlurmOptions(**found, setup=tuple(setup), extra=tuple(extra))


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in pair.partition("="))
    if key not in READERS:
        remedy = nearest(key, (*READERS, "setup"))
        raise Mistake(FLAG, f"found '{key}'", remedy if equals else f"give key=value; {remedy}")
    if not value:
        raise Mistake(FLAG, f"found '{key}' without a value", f"give {key}=...")
    return key, value


def _extra(item: str) -> tuple[str, str]:
    name, _, value = item[2:].partition("=")
    if re.fullmatch(r"[a-z][a-z0-9-]*", name) is None or "\n" in value:
        raise Mistake(FLAG, f"found '{item}'", "give an option of sbatch as --name=value")
    if name in OURS:
        raise Mistake(FLAG, f"found '--{name}', which is set by reconscale", f"known here: {', '.join(READERS)}")
    return name, value


def _word(key: str, value: str) -> str:
    if re.search(r"\s", value):
        raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give it without spaces, as sbatch takes it")
    return value


def _count(key: str, value: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", value) is None:
        raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give a whole number of at least 1")
    return int(value)


def _seconds(key: str, value: str) -> float:
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]*)?", value) is None or not float(value) > 0:
        raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give a number of seconds above 0")
    return float(value)


def _memory(key: str, value: str) -> str:
    if re.fullmatch(r"[0-9]+[KMGT]?", value, re.IGNORECASE) is None:
        raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give it as sbatch takes it: 16G, 500M")
    return value


def _yes(key: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give yes or no")
    return value == "yes"


def minutes(key: str, value: str) -> int:
    """A time as sbatch takes it, in whole minutes, rounded up.

    Raises:
        Mistake: it is none, or zero.

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
    raise Mistake(f"{FLAG} {key}", f"found '{value}'", "give minutes, hours:minutes:seconds or days-hours")


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
