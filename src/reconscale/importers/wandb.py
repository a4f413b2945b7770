"""CSV exports of Weights & Biases. The package wandb is not needed.

Three files are understood: the table of runs (one row a run: config and summary columns), the table that its API makes
(a dictionary in each of the columns ``summary`` and ``config``), and the line plot (one column a run, named
``RUN - KEY``, beside its ``__MIN`` and ``__MAX``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reconscale.importers.exports import BOUNDS, open_export, read_export, unique_names
from reconscale.importers.log import RunLog, SkippedRun, parse_number


def read(source: Path) -> list[RunLog | SkippedRun]:
    """The runs of an exported table or line plot.

    Raises:
        UserError: it is not a CSV file with at least one row.
    """
    header, rows = open_export(source)
    return list(_lines(header, rows)) if any(name.endswith(BOUNDS[0]) for name in header) else read_export(source)


def _lines(header: list[str], rows: list[list[str]]) -> list[RunLog]:
    steps = [parse_number(row[0]) for row in rows]
    columns = [index for index, name in enumerate(header) if index and not name.endswith(BOUNDS)]
    pairs = [_run_and_key(header[index]) for index in columns]
    # Runs of one name are columns of one name: the k-th column of a name belongs to the k-th such run.
    seen: Counter[tuple[str, str]] = Counter()
    runs: dict[tuple[str, int], dict[str, dict[float, float]]] = {}
    for index, (run, key) in zip(columns, pairs, strict=True):
        cells = ((step, parse_number(row[index])) for step, row in zip(steps, rows, strict=True))
        values = {step: value for step, value in cells if step is not None and value is not None}
        series = runs.setdefault((run, seen[run, key]), {})
        seen[run, key] += 1
        if values and not key.startswith("_"):
            series[key] = dict(sorted(values.items()))
    names = unique_names([run for run, _ in runs])
    averaged = dict.fromkeys(runs, "")
    for index, (run, key) in zip(columns, pairs, strict=True):
        said = _bounds_apart(header, rows, index)
        averaged[run, 0] = averaged[run, 0] or (f"{key}: {said}" if said and not key.startswith("_") else "")
    return [
        RunLog(name, {}, series, averaged=averaged[run])
        for name, (run, series) in zip(names, runs.items(), strict=True)
    ]


def _bounds_apart(header: list[str], rows: list[list[str]], index: int) -> str:
    """In the last row that has a value: that the least and the greatest of what it is the mean of differ."""
    places = [
        next((k for k in range(index + 1, len(header)) if header[k] == header[index] + end), None) for end in BOUNDS
    ]
    if None in places:
        return ""
    low, high = (place for place in places if place is not None)
    for row in reversed(rows):
        least, most = parse_number(row[low]), parse_number(row[high])
        if least is not None and most is not None:
            return f"{least:.6g} to {most:.6g}" if least < most else ""
    return ""


def _run_and_key(name: str) -> tuple[str, str]:
    """Split ``RUN - KEY``; names of runs may hold dashes, keys hardly ever do."""
    run, _, key = name.rpartition(" - ")
    return run, key
