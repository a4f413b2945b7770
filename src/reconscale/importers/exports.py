"""Tables of runs as one CSV: exports of MLflow, Optuna, Trackio and W&B, and tables that people keep themselves."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.importers.log import (
    Plain,
    RunLog,
    Series,
    SkippedRun,
    flatten,
    merge_attempts,
    parse_number,
    read_sheet,
)
from reconscale.laws.column_names import (
    CLOCKS,
    EXITS,
    FLAGS,
    TIMES,
    USUAL,
    clock_of,
    moment,
    says_well,
    simple_name,
    unfinished,
)

ABOUT = ("Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "ID", "Group", "Job Type", "Updated")
"""Columns of a table that are about the run, neither settings nor measurements."""
OTHERS = ("metrics.csv", "progress.csv")
"""CSV files of other tools."""
BOUNDS = ("__MIN", "__MAX")
NAMES = ("name", "run_name", "tags.mlflow.runname", "run", "run_id", "trial_id", "number", "trial", "sys/id")
"""Columns that name a run, the first that is there."""
LONG = ("run_name", "run", "run_id", "trial_id")
"""Columns that name the run of each of many rows a run."""
LONGEST = 1 << 20
"""Characters of a cell that holds a dictionary."""

Read = Callable[[Path], "list[RunLog | SkippedRun]"]


def is_export(source: Path) -> bool:
    """Whether it is a CSV file, and not one of another tool's."""
    return source.is_file() and source.suffix.lower() in (".csv", ".tsv") and source.name not in OTHERS


def matches_kind(kind: str) -> Callable[[Path], bool]:
    """Whether a file is a CSV with the columns of ``kind``."""
    return lambda source: is_export(source) and kind_of_header(_header(source)) == kind


def kind_of_header(header: Sequence[str]) -> str:
    """``optuna``, ``mlflow``, ``trackio``, ``wandb`` or ``table``, by the names of columns.

    >>> kind_of_header(["number", "value", "params_n", "state"]), kind_of_header(["run_id", "metrics.psnr"])
    ('optuna', 'mlflow')
    >>> kind_of_header(["Name", "State", "psnr"]), kind_of_header(["n_train", "psnr"])
    ('wandb', 'table')
    """
    names = {simple_name(name) for name in header}
    if {"number", "state"} <= names and any(name.startswith(("params_", "value", "datetime_")) for name in names):
        return "optuna"
    if {"run_id", "status"} <= names or any(name.startswith(("metrics.", "params.")) for name in names):
        return "mlflow"
    if names & {"run_name", "run"} and "step" in names and names & {"timestamp", "metrics"}:
        return "trackio"
    if {"name", "state"} <= names or {"summary", "config"} <= names or any(name.endswith(BOUNDS) for name in header):
        return "wandb"
    return "table"


def read_export(source: Path) -> list[RunLog | SkippedRun]:
    """The runs of a table: one row a run, or, with a column of steps, many.

    Settings and measurements are the columns; a cell that holds a dictionary (JSON, or as Python prints one) holds many
    of either. Rows of runs that did not finish are skipped.

    Raises:
        UserError: it is no CSV file with at least one row.
    """
    header, rows = open_export(source)
    long = _long_columns(header, rows)
    if long is not None:
        return _many_rows(header, rows, *long)
    _check_times(source, header, rows)
    place = next((place for name in NAMES for place, other in enumerate(header) if simple_name(other) == name), None)
    word = "trial " if place is not None and simple_name(header[place]) in ("number", "trial") else ""
    given = [f"row {line}" if place is None else f"{word}{row[place]}" for line, row in enumerate(rows, start=2)]
    states = _States(header, rows)
    return [_run(name, header, row, states) for name, row in zip(unique_names(given), rows, strict=True)]


def open_export(source: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an exported table.

    Raises:
        UserError: it is no CSV file with at least one row.
    """
    if not source.is_file():
        raise UserError(source, "is a folder", "give the CSV file that was exported")
    header, rows = read_sheet(source)
    if not rows:
        raise UserError(source, "has a header but no rows", "export it again, with runs selected")
    return header, rows


class _States:
    """Which rows say that their run did not finish."""

    def __init__(self, header: list[str], rows: list[list[str]]) -> None:
        self.columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
        self.kind = kind_of_header(header)

    def reason(self, name: str, cell: str) -> str:
        """Why a run is skipped, or nothing."""
        strict = self.kind == "wandb" and name == "State" and cell not in ("finished", "")
        if not strict and not unfinished(name, cell, self.columns[name]):
            return ""
        return f"its {name} is '{cell}'; write '{self._good(name)}' there to keep it"

    def _good(self, name: str) -> str:
        """What the tool writes there of a run that ended as it should."""
        usual = {"optuna": "COMPLETE", "mlflow": "FINISHED"}.get(self.kind, "finished")
        usual = "False" if simple_name(name) in FLAGS else "0" if simple_name(name) in EXITS else usual
        cells = self.columns[name]
        return next((cell for cell in cells if says_well(name, cell)), usual)


def _run(name: str, header: list[str], row: list[str], states: _States) -> RunLog | SkippedRun:
    settings: dict[str, Plain] = {}
    series: Series = {}
    for key, cell in sorted(zip(header, row, strict=True), key=lambda pair: pair[0] != "config"):
        if reason := states.reason(key, cell):
            return SkippedRun(name, reason)
        if not key or key in ABOUT or key.lower() == "name" or not cell:
            continue
        if cell.startswith("{"):
            nested = read_mapping(cell)
            if nested is None:
                return SkippedRun(name, f"its {key} cannot be read as a dictionary")
            for inner, value in flatten(_without_descriptions(nested), name).items():
                _add(settings, series, inner, str(value) if isinstance(value, bool) else value, both=key != "config")
            continue
        _add(settings, series, key, cell, both=True)
    return RunLog(name, settings, series, steps=False)


def _add(settings: dict[str, Plain], series: Series, key: str, value: Plain, *, both: bool) -> None:
    # A name that occurs twice is a config column first and a summary column afterwards.
    settings.setdefault(key, value)
    number = parse_number(str(value))
    if number is not None and both:
        series[key] = {0.0: number}


def read_mapping(text: str) -> dict[object, object] | None:
    """A dictionary as JSON or as Python prints it, or None. Nothing in it is executed.

    >>> read_mapping("{'n': 100, 'psnr': nan}"), read_mapping('{"n": 100}'), read_mapping("{oops")
    ({'n': 100, 'psnr': None}, {'n': 100}, None)
    """
    if len(text) > LONGEST:
        return None
    bare = re.sub(r"(?<=[\s:\[,(])(?:-?inf|nan)(?=[\s,}\])])", "None", text)
    attempts: tuple[tuple[Callable[[str], Any], str], ...] = ((json.loads, text), (ast.literal_eval, bare))
    for parse, cell in attempts:
        try:
            found = parse(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _without_descriptions(nested: dict[object, object]) -> dict[object, object]:
    """``{"n": {"value": 100, "desc": None}}``, as W&B keeps a config, is ``{"n": 100}``."""
    return {
        key: value["value"] if isinstance(value, dict) and set(value) == {"value", "desc"} else value
        for key, value in nested.items()
    }


def _long_columns(header: list[str], rows: list[list[str]]) -> tuple[int, int] | None:
    """The columns of the run and of the step where a table has many rows a run."""
    if kind_of_header(header) in ("wandb", "optuna"):
        return None
    names = [simple_name(name) for name in header]
    run = next((names.index(name) for name in LONG if name in names), None)
    clocks = _clocks(header)
    if run is None or not clocks or len({row[run] for row in rows}) == len(rows):
        return None
    return run, clocks[0]


def _clocks(header: Sequence[str]) -> list[int]:
    """The columns that say when a row was measured, the usual ones first."""
    names = [clock_of(name) for name in header]
    return [place for clock in (*CLOCKS, *TIMES) for place, name in enumerate(names) if name == clock]


def _check_times(source: Path, header: list[str], rows: list[list[str]]) -> None:
    """Rows of equal labels and different epochs, without a run's name, may be one training or several.

    Raises:
        UserError: there are such rows.
    """
    names = [simple_name(re.split(r"[./]", name)[-1]) for name in header]
    clocks = [place for place in _clocks(header) if clock_of(header[place]) not in TIMES]
    if not clocks or any(name in NAMES for name in map(simple_name, header)):
        return
    usual = {name for known in USUAL.values() for name in known}
    labels = [place for place, name in enumerate(names) if name in usual]
    seen: dict[tuple[str, ...], list[str]] = {}
    for line, row in enumerate(rows, start=2):
        first = seen.setdefault(tuple(row[place] for place in labels), row)
        apart = [f"'{header[clock]}'" for clock in clocks if first[clock] != row[clock]]
        if labels and apart:
            raise UserError(
                f"{source}, row {line}",
                f"differs from an earlier row in {' and '.join(apart)}, and no column names the runs",
                "add a column 'run' with the training of each row; or give the table to `reconscale forecast`, which "
                "takes the last row of each training",
            )


def _many_rows(header: list[str], rows: list[list[str]], run: int, clock: int) -> list[RunLog | SkippedRun]:
    groups: defaultdict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        groups[row[run]].append(row)
    states = _States(header, rows)
    return [_long_run(name, header, group, states, clock) for name, group in groups.items()]


def _long_run(name: str, header: list[str], rows: list[list[str]], states: _States, clock: int) -> RunLog | SkippedRun:
    settings: dict[str, Plain] = {}
    attempts: list[tuple[str, Series]] = []
    last = float("inf")
    by_time = clock_of(header[clock]) in TIMES
    if by_time:
        rows = sorted(rows, key=lambda row: moment(row[clock]) or 0.0)
    for number, row in enumerate(rows):
        one = _run(name, header, row, states)
        if isinstance(one, SkippedRun):
            if number == len(rows) - 1:
                return one
            continue
        step = None if by_time else parse_number(row[clock])
        step = float(number) if step is None else step
        if not attempts or step < last:
            attempts.append((f"attempt {len(attempts) + 1}", {}))
        last = step
        settings |= {key: value for key, value in one.settings.items() if key not in settings}
        for tag, values in one.series.items():
            if tag != header[clock]:
                attempts[-1][1].setdefault(tag, {})[step] = values[0.0]
    series, restarted = merge_attempts(attempts)
    return RunLog(name, settings, series, restarted=restarted)


def _header(source: Path) -> list[str]:
    try:
        return read_sheet(source)[0]
    except UserError:
        return []  # what is wrong with it is said when it is read


def unique_names(names: list[str]) -> list[str]:
    """Names with `` (2)``, `` (3)`` behind those that have occurred before.

    >>> unique_names(["unet", "unet", "dncnn"])
    ['unet', 'unet (2)', 'dncnn']
    """
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique
