"""CSV exports of Weights & Biases. The package wandb is not needed.

Two files are understood: the table of runs (one row a run: config and summary columns) and the line plot (one column
a run, named ``RUN - KEY``, beside its ``__MIN`` and ``__MAX``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reconscale.errors import UserError
from reconscale.importers.log import Plain, RunLog, SkippedRun, parse_number, read_sheet

ABOUT = ("Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "ID", "Group", "Job Type", "Updated")
"""Columns of the table that are about the run, neither settings nor measurements."""

BOUNDS = ("__MIN", "__MAX")


def matches(source: Path) -> bool:
    """Whether it is a CSV file (and not one of CSVLogger's)."""
    return source.is_file() and source.suffix.lower() == ".csv" and source.name != "metrics.csv"


def read(source: Path) -> list[RunLog | SkippedRun]:
    """The runs of an exported table or line plot.

    Raises:
        UserError: it is not a CSV file with at least one row.
    """
    if not source.is_file():
        raise UserError(source, "is a folder", "give the CSV file that W&B exported")
    header, rows = read_sheet(source)
    if not rows:
        raise UserError(source, "has a header but no rows", "export it again, with runs selected")
    return list(_lines(header, rows)) if any(name.endswith(BOUNDS[0]) for name in header) else _table(header, rows)


def _table(header: list[str], rows: list[list[str]]) -> list[RunLog | SkippedRun]:
    column = next((index for index, name in enumerate(header) if name.lower() == "name"), None)
    names = _unique([f"row {line}" if column is None else row[column] for line, row in enumerate(rows, start=2)])
    return [_table_run(name, header, row) for name, row in zip(names, rows, strict=True)]


def _table_run(name: str, header: list[str], row: list[str]) -> RunLog | SkippedRun:
    settings: dict[str, Plain] = {}
    series: dict[str, dict[float, float]] = {}
    for key, cell in zip(header, row, strict=True):
        if key == "State" and cell not in ("finished", ""):
            return SkippedRun(name, f"its State is '{cell}'; write 'finished' there to keep it")
        value = parse_number(cell)
        if key in ABOUT or key.lower() == "name" or not cell:
            continue
        # A name that occurs twice is a config column first and a summary column afterwards.
        settings.setdefault(key, cell)
        if value is not None:
            series[key] = {0.0: value}
    return RunLog(name, settings, series, steps=False)


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
    names = _unique([run for run, _ in runs])
    return [RunLog(name, {}, series) for name, series in zip(names, runs.values(), strict=True)]


def _run_and_key(name: str) -> tuple[str, str]:
    """Split ``RUN - KEY``; names of runs may hold dashes, keys hardly ever do."""
    run, _, key = name.rpartition(" - ")
    return run, key


def _unique(names: list[str]) -> list[str]:
    """Names with `` (2)``, `` (3)`` behind those that have occurred before.

    >>> _unique(["unet", "unet", "dncnn"])
    ['unet', 'unet (2)', 'dncnn']
    """
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique
