"""Runs that are several attempts at one training: which of them count."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from reconscale.importers.labels import MappedValue
from reconscale.importers.log import RunLog, SkippedRun, parse_number
from reconscale.importers.values import MetricValue
from reconscale.laws.column_names import simple_name
from reconscale.laws.findings import Finding

VERSION = re.compile(r"(?P<folder>.*?)/?version_(?P<number>\d+)")
"""Folders that Lightning's loggers number where a training is started again in the same place."""

Labels = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Row:
    """A run that has everything."""

    run: RunLog
    labels: dict[str, MappedValue]
    reading: MetricValue

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def key(self) -> Labels:
        """Its labels as plain values."""
        return tuple((label, found.value) for label, found in self.labels.items())

    @property
    def steps(self) -> float | None:
        """The setting ``steps``, where it is a number above 0."""
        settings = self.run.settings.items()
        steps = next((parse_number(str(value)) for name, value in settings if simple_name(name) == "steps"), None)
        return steps if steps is not None and 0 < steps < math.inf else None


def several_lengths(rows: Sequence[Row]) -> bool:
    """Whether all runs say their ``steps``, and some of equal labels differ in them: trainings of several lengths."""
    told = {(row.key, row.steps) for row in rows}
    return all(row.steps is not None for row in rows) and len(told) > len({row.key for row in rows})


def drop_earlier(rows: Sequence[Row]) -> tuple[list[Row], list[SkippedRun]]:
    """Of ``version_0``, ``version_1``, ... in one folder, with the same labels and settings, the last attempt.

    An earlier one goes where the seeds are equal, where the later one continues it, or where it was broken off before
    the later one ended; else both may be replicates, and are kept.
    """
    groups: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        match = VERSION.fullmatch(row.name)
        if match is not None:
            settings = tuple(sorted((key, repr(value)) for key, value in row.run.settings.items()))
            groups[match["folder"], row.key, settings].append(row)
    dropped: dict[str, str] = {}
    for group in groups.values():
        ordered = sorted(group, key=_version)
        for earlier, later in pairwise(ordered):
            if _is_earlier_attempt(earlier, later):
                dropped[earlier.name] = later.name
    skipped = [
        SkippedRun(name, f"'{later}' in the same folder has the same labels and settings and is a later attempt")
        for name, later in dropped.items()
    ]
    return [row for row in rows if row.name not in dropped], skipped


def _version(row: Row) -> int:
    match = VERSION.fullmatch(row.name)
    return int(match["number"]) if match else 0


def _is_earlier_attempt(earlier: Row, later: Row) -> bool:
    if "seed" in later.labels:
        return True
    steps = [[step for values in row.run.series.values() for step in values] for row in (earlier, later)]
    return min(steps[1]) > max(steps[0]) or max(steps[0]) < max(steps[1])


def repeated(rows: Sequence[Row], dropped: bool) -> list[Finding]:
    """That runs have equal labels, or had: one of them may be an attempt at the same training."""
    if dropped:
        text = (
            "runs in one folder (version_0, version_1, ...) have the same labels and settings: the last attempt counts "
            "and the others are skipped; log a seed of each to keep them as replicates"
        )
        return [Finding("same-labels", text, "caution")]
    same: defaultdict[tuple[str, Labels, float | None], list[str]] = defaultdict(list)
    lengths = several_lengths(rows)
    for row in rows:
        match = VERSION.fullmatch(row.name)
        if "seed" in row.labels or match is not None:
            folder = "" if match is None or "seed" in row.labels else match["folder"]
            same[folder, row.key, row.steps if lengths else None].append(row.name)
    twice = [(labels, names) for (_, labels, _), names in same.items() if len(names) > 1]
    if not twice:
        return []
    labels, names = twice[0]
    labelled = ", ".join(f"{label} = {value}" for label, value in labels)
    more = f" ({len(twice)} such groups)" if len(twice) > 1 else ""
    text = (
        f"{len(names)} runs have {labelled}: {', '.join(names[:4])}{more}; they are kept as replicates, so if one "
        "is a restart of another take it out"
    )
    return [Finding("same-labels", text, "caution")]
