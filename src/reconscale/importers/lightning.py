"""Lightning's CSVLogger: one folder per run, with metrics.csv and usually hparams.yaml."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from reconscale.errors import UserError
from reconscale.importers.log import (
    RunLog,
    Series,
    SkippedRun,
    files_below,
    merge_attempts,
    name_below,
    parse_number,
    read_each,
    read_sheet,
    read_yaml,
    require_yaml,
)

METRICS = "metrics.csv"
SETTINGS = "hparams.yaml"


def matches(source: Path) -> bool:
    """Whether there is a metrics.csv at or below ``source``."""
    return next(files_below(source, lambda name: name == METRICS), None) is not None


def read(source: Path) -> list[RunLog | SkippedRun]:
    """One run for each metrics.csv.

    Raises:
        UserError: there are hyperparameters and PyYAML, which reads them, is not installed.
    """
    places = [path.parent for path in files_below(source, lambda name: name == METRICS)]
    if any((place / SETTINGS).is_file() for place in places):
        require_yaml()
    root = source if source.is_dir() else source.parent
    names = [name_below(root, place) for place in places]
    return read_each((name, partial(_run, name, place)) for name, place in zip(names, places, strict=True))


def _run(name: str, place: Path) -> RunLog:
    header, rows = read_sheet(place / METRICS)
    clock = next((key for key in ("step", "epoch") if key in header), None)
    if clock is None:
        raise UserError(place / METRICS, "has no column 'step'", "is it a log of CSVLogger?")
    steps = [parse_number(row[header.index(clock)]) for row in rows]
    series: Series = {}
    restarted = ""
    for column, tag in enumerate(header):
        cells = [(step, parse_number(row[column])) for step, row in zip(steps, rows, strict=True)]
        values = [(step, value) for step, value in cells if step is not None and value is not None]
        if tag not in ("step", "epoch") and values:
            merged, said = merge_attempts((f"a later part of {METRICS}", {tag: part}) for part in _attempts(values))
            series[tag], restarted = merged[tag], restarted or said
    settings = place / SETTINGS
    return RunLog(name, read_yaml(settings) if settings.is_file() else {}, series, restarted=restarted)


def _attempts(values: list[tuple[float, float]]) -> list[dict[float, float]]:
    """The values by step, cut where the steps go back, as where a training that began again is appended."""
    parts: list[dict[float, float]] = [{}]
    last = values[0][0]
    for step, value in values:
        if step < last:
            parts.append({})
        parts[-1][step] = value
        last = step
    return parts
