"""How far a study is, seen from outside: its results are looked at again and again, and read once each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.format import duration, times
from reconscale.results.external_results import ExternalFolder
from reconscale.results.probes import PROBES
from reconscale.results.results_folder import Folder
from reconscale.results.under_way import UnderWay
from reconscale.study.external import ExternalStudy, load_study
from reconscale.study.plan import runs_of
from reconscale.study.study_file import study_path

Stamp = tuple[int, int]
"""Time and size of a file: while they are the same, so is the file."""
BESIDE = ("anchors/anchors.json", "faults.jsonl", "theory/explanation.json")
"""Files of a results folder that the report shows, besides results."""
MOST_NAMED = 2
"""Runs under way that are named; of more it is said how many."""


@dataclass(frozen=True)
class HowFar:
    """How far a study is at a moment.

    Attributes:
        results: what the report would be made of: while it is equal, so is the report.
        done: runs that have a result to show.
        line: how far it is, in words.
    """

    results: frozenset[tuple[str, Stamp]]
    done: int
    line: str


@dataclass
class StudyWatch:
    """Looks at a study that this or another process may be training.

    Attributes:
        path: the study file, or its folder.
    """

    path: Path
    _opened: tuple[Stamp, Any, Any, list[Any]] | None = None
    _statuses: dict[str, tuple[Stamp, str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The folder of the study."""
        return study_path(self.path).resolve().parent.name

    def look(self) -> HowFar:
        """How far the study is now.

        Raises:
            UserError: the study file or a result is damaged.
        """
        folder, runs = self._open()
        found = {run.id: stamp for run in runs if (stamp := _stamp(folder.of(run) / "result.json")) is not None}
        counts = Counter(self._status(folder, run, found[run.id]) for run in runs if run.id in found)
        beside = [*BESIDE, *(f"{PROBES}/{path.parent.name}" for path in folder.root.glob(f"{PROBES}/*/result.json"))]
        known = {name: stamp for name in beside if (stamp := _stamp(folder.root / name)) is not None}
        assert self._opened is not None
        results = frozenset([*found.items(), *known.items(), ("study.toml", self._opened[0])])
        return HowFar(results, counts["done"], _words(counts, len(runs), UnderWay.read(folder.root)))

    def _open(self) -> tuple[Any, list[Any]]:
        """The results folder and the runs; the study file is read again once it has changed."""
        stamp = _stamp(study_path(self.path)) or (0, 0)
        if self._opened is None or self._opened[0] != stamp:
            study = load_study(self.path)
            external = isinstance(study, ExternalStudy)
            folder = ExternalFolder.beside(self.path) if external else Folder.beside(self.path)
            self._opened = (stamp, study, folder, list(study.runs() if external else runs_of(study)))
        return self._opened[2], self._opened[3]

    def _status(self, folder: Any, run: Any, stamp: Stamp) -> str:
        known = self._statuses.get(run.id)
        if known is None or known[0] != stamp:
            result = folder.read(run, images=False)
            if result is None:  # taken away since, by --retry-failed
                return ""
            known = self._statuses[run.id] = (stamp, result.status)
        return known[1]


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:  # not there
        return None
    return status.st_mtime_ns, status.st_size


def _words(counts: Counter[str], runs: int, command: UnderWay | None) -> str:
    """How far a study is, in a line."""
    over = counts.total()
    lost = [f"{counts[name]} {name}" for name in ("diverged", "failed") if counts[name]]
    words = [f"{over} of {times(runs, 'run')} over" + (f" ({', '.join(lost)})" if lost else "")]
    if command is None:
        words += [] if over == runs else ["no `reconscale run` is working in this folder now"]
        return "; ".join(words)
    if left := command.seconds_left():
        words.append(f"{'at most ' if command.at_most else ''}about {duration(left)} left")
    named = [f"{run} ({100 * part:.0f} %)" if part else run for run, part in sorted(command.training.items())]
    if len(named) > MOST_NAMED:
        named = [times(len(named), "run")]
    words.append(f"training: {', '.join(named)}" if named else "preparing")
    return "; ".join(words)
