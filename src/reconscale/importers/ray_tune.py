"""The folders of Ray Tune's trials: ``result.json`` or ``progress.csv``, and ``params.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from reconscale.errors import UserError
from reconscale.importers.log import (
    Plain,
    RunLog,
    Series,
    SkippedRun,
    files_below,
    flatten,
    merge_attempts,
    name_below,
    parse_number,
    read_each,
    read_sheet,
    read_text,
)

RECORDS, TABLE, SETTINGS = "result.json", "progress.csv", "params.json"
FAILED = ("error.txt", "error.pkl")
"""Files beside the results of a trial that failed. They are never opened."""
CLOCKS = ("training_iteration", "step", "iteration", "epoch", "timesteps_total")
ABOUT = ("config", "hostname", "node_ip", "pid", "date", "timestamp", "trial_id", "experiment_id", "experiment_tag")
"""Keys of a result that are no measurements."""


def matches(source: Path) -> bool:
    """Whether there are results of trials at or below ``source``."""
    return any(_is_trial(path) for path in files_below(source, lambda name: name in (RECORDS, TABLE)))


def read(source: Path) -> list[RunLog | SkippedRun]:
    """One run for each trial; of a trial that was restored, the later attempt counts from where it begins."""
    root = source if source.is_dir() else source.parent
    places = [path.parent for path in files_below(source, lambda name: name in (RECORDS, TABLE)) if _is_trial(path)]
    return read_each((name_below(root, place), partial(_run, root, place)) for place in dict.fromkeys(places))


def _is_trial(path: Path) -> bool:
    return path.name == TABLE or (path.parent / SETTINGS).is_file() or (path.parent / TABLE).is_file()


def _run(root: Path, place: Path) -> RunLog:
    failed = next((name for name in FAILED if (place / name).exists()), None)
    if failed is not None:
        raise UserError(place / failed, "says that the trial failed", "remove it to keep the trial")
    cut = ""
    if (place / RECORDS).is_file():
        records, cut = _records(place / RECORDS)
    else:
        header, rows = read_sheet(place / TABLE)
        records = [dict(zip(header, row, strict=True)) for row in rows]
    settings: dict[str, Plain] = {}
    attempts: list[tuple[str, Series]] = []
    last = float("inf")
    for number, record in enumerate(records):
        settings |= _config(record, place)
        step = _step(record, number)
        if step <= last:
            attempts.append((f"attempt {len(attempts) + 1}", {}))
        last = step
        for tag, value in _measured(record, place).items():
            attempts[-1][1].setdefault(tag, {})[step] = value
    if (place / SETTINGS).is_file():
        settings |= flatten(dict(_json(read_text(place / SETTINGS), place / SETTINGS)), place / SETTINGS)
    series, restarted = merge_attempts(attempts)
    return RunLog(name_below(root, place), settings, series, cut=cut, restarted=restarted)


def _records(path: Path) -> tuple[list[dict[str, object]], str]:
    """The results, one a line; a last line that is cut off is left out."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    found: list[dict[str, object]] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_json(line, f"{path}, line {number}"))
        except UserError:
            if number < len(lines):
                raise
            return found, f"{path.name} after {len(found)} results"
    return found, ""


def _json(text: str, where: object) -> dict[str, object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(where, "is not JSON", "restore it from a copy") from error
    if not isinstance(content, dict):
        raise UserError(where, "is no JSON object", "restore it from a copy")
    return content


def _config(record: Mapping[str, object], where: Path) -> dict[str, Plain]:
    nested = record.get("config")
    found = flatten(nested, where) if isinstance(nested, Mapping) else {}
    for key, value in record.items():
        if key.startswith("config/") and isinstance(value, Plain) and value != "":
            found[key.removeprefix("config/").replace("/", ".")] = value
    return found


def _step(record: Mapping[str, object], number: int) -> float:
    for clock in CLOCKS:
        step = parse_number(str(record.get(clock, "")))
        if step is not None:
            return step
    return float(number)


def _measured(record: Mapping[str, object], where: Path) -> dict[str, float]:
    kept: dict[object, object] = {
        key: value for key, value in record.items() if key not in ABOUT and not key.startswith("config/")
    }
    found: dict[str, float] = {}
    for key, value in flatten(kept, where).items():
        number = None if isinstance(value, bool) else parse_number(str(value))
        if number is not None and key not in CLOCKS:
            found[key.replace(".", "/")] = number
    return found
