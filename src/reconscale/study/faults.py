"""What went wrong while a study was carried out, and what it cost: one line a fault, beside the results."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from reconscale.mistakes import Mistake
from reconscale.study.frozen import Frozen

NAME = "faults.jsonl"

Kind = Literal[
    "worker died", "worker silent", "node lost", "driver died", "checkpoint damaged", "images damaged", "disk full",
    "training diverged",
]  # fmt: skip
"""What can go wrong around a run, and training that had to begin again more slowly. What ends a run (a loss that is not
finite, too little memory, an error) is its result."""

DIVERGED = "training diverged"
"""The kind that costs no work: it is the recipe that was wrong, and not what is around the runs."""

KINDS: tuple[str, ...] = get_args(Kind)


class Fault(Frozen):
    """One thing that went wrong.

    Attributes:
        kind: what.
        run: id of the run that it met; empty for the whole study.
        detail: what was seen, in a few words.
        lost: seconds of work that had to be done again: since the last checkpoint.
    """

    kind: Kind
    run: str = ""
    detail: str = ""
    lost: float = 0.0


def note(root: Path, fault: Fault) -> None:
    """Add a fault to the list of a folder of results. One command at a time writes to it: who holds the folder.

    Raises:
        Mistake: the folder cannot be written to, except where the fault is a full disk itself.
    """
    line = fault.model_dump_json(exclude_defaults=True) + "\n"
    path = root / NAME
    try:
        with path.open("ab") as stream:
            if stream.tell() and not _ends_a_line(path):  # of a writer that died within a line
                line = "\n" + line
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if fault.kind == "disk full":
            return
        raise Mistake(
            path, f"cannot be written ({error.strerror})", "free the disk, or mend its permissions"
        ) from error


def noted(root: Path) -> tuple[Fault, ...]:
    """All faults of a folder of results, in the order they came; lines that are not whole are left out."""
    path = root / NAME
    if not path.is_file():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        if not line:
            continue
        try:
            found.append(Fault.model_validate_json(line))
        except ValidationError:
            continue  # half a line, of a writer that died: what it noted was not finished
    return tuple(found)


def summed(faults: Iterable[Fault]) -> dict[str, tuple[int, float]]:
    """Kind -> (how many, seconds lost), the most frequent first.

    >>> summed([Fault(kind="worker died", lost=2.0), Fault(kind="worker died", lost=1.0), Fault(kind="disk full")])
    {'worker died': (2, 3.0), 'disk full': (1, 0.0)}
    """
    every = tuple(faults)
    counts = Counter(fault.kind for fault in every)
    return {kind: (count, sum(f.lost for f in every if f.kind == kind)) for kind, count in counts.most_common()}


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
