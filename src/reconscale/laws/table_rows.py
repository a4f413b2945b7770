"""Which columns of a table are n, p, width, seed and the metric, and which rows are a run of their own."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from reconscale.errors import UserError
from reconscale.laws.cell_numbers import is_finite
from reconscale.laws.column_names import (
    ALONG_N,
    CLOCKS,
    CONDITIONS,
    FOLDS,
    MODELS,
    RUNS,
    SPLITS,
    TEST_SETS,
    TIMES,
    USUAL,
    clock_of,
    is_extreme,
    moment,
    simple_name,
    unfinished,
    words_of,
)
from reconscale.laws.findings import Finding, finding
from reconscale.laws.recipe_columns import recipe_findings

Rows = list[tuple[int, list[str]]]
NOT_MEASURED = (
    "train", "training", "val", "valid", "validation", "std", "sd", "sem", "stderr", "err", "var", "n", "count",
    "delta", "weight", "log", "log10", "ln", "neg", "negative", "inverse", "gain", "gains", "improvement", "rank",
    "diff", "difference", "relative", "ratio", "increase", "decrease", "change",
)  # fmt: skip
"""Words of columns that name a metric without being the measured value on a test set."""
NEARLY = 0.9
"""Trainings that end at this part of the longest, or later, were not broken off."""
ROUNDED = 0.6
"""Steps of trainings of equal steps, counted in whole epochs, agree to this part."""
MADE_UNIQUE = r"^row \d+$| \(\d+\)$"
"""What importers call rows without a name, and add to a name that is there twice: it says nothing of two runs."""
LEAST_ROWS = 3
"""Rows of a training from which on a table without seeds is one of several times of each training."""


def find_columns(path: Path, header: list[str], rows: Rows) -> dict[str, int]:
    """Label -> column for those of n, p, width and seed that stand under another usual name.

    A column of the label's own name is always meant; else the first usual name that is there, where it is alone (for p,
    width and seed: and holds numbers).

    Raises:
        UserError: several columns may be n, and differ.
    """
    found: dict[str, int] = {}
    for label, usual in USUAL.items():
        if label in header:
            continue
        names = [simple_name(re.split(r"[./]", name)[-1]) for name in header]
        for name in usual:
            places = [place for place, other in enumerate(names) if other == name and len(name) > 1]
            if not places:
                continue
            columns = {tuple(row[place] for _, row in rows) for place in places}
            if len(columns) > 1 and label == "n":
                candidates = ", ".join(f"'{header[place]}'" for place in places)
                raise UserError(f"{path}, header", f"several columns may be n: {candidates}", "rename one of them to n")
            if len(columns) == 1 and (label == "n" or all(map(is_finite, *columns))):
                found[label] = places[0]
            break
    return found


def metric_columns(header: Sequence[str], rows: Rows, kinds: dict[str, str]) -> dict[str, str]:
    """Columns whose names hold a word of a metric, as ``test_psnr`` does -> the metric; none of a validation set."""
    found = {
        name: kind
        for name, kind in named_after_metrics(header, kinds).items()
        if all(is_finite(row[header.index(name)]) for _, row in rows)
    }
    plain = {name: kind for name, kind in found.items() if not is_extreme(name)}
    return plain or found


def named_after_metrics(header: Sequence[str], kinds: dict[str, str]) -> dict[str, str]:
    """Columns whose names hold a word of a metric -> the metric, whatever they hold; none of a validation set."""
    found: dict[str, str] = {}
    for name in header:
        words = words_of(name)
        metrics = [word for word in words if word in kinds]
        if metrics and not any(word in NOT_MEASURED for word in words):
            found[name] = kinds[metrics[-1]]
    return found


def one_row_a_run(
    path: Path, header: list[str], rows: Rows, places: dict[str, int]
) -> tuple[Rows, tuple[Finding, ...], Rows | None]:
    """The rows that are a run of their own, and what is to be said of the others.

    Rows of runs that did not finish are left out. Of a training that has several rows, at several epochs or steps, the
    last one counts.

    Returns:
        These rows; findings; and, where rows of one training differ in ``steps``, which are those of a whole training
        (an epoch or a step is a look in the middle of one), all rows of all trainings.

    Raises:
        UserError: no run finished, or the rows of one run were measured on different things.
    """
    kept, findings = _finished(path, header, rows)
    labels = [places[name] for name in ("n", "p", "width", "seed") if name in places]
    _same_for_all_seeds(path, header, kept, [place for place in labels if place != places.get("seed")])
    if "n" in places:
        for place, name in enumerate(header):
            if place not in labels:
                cells = [(row[places["n"]], row[place], f"line {line}") for line, row in kept]
                refuse_changes(path, name, cells, sized="p" in places or "width" in places)
    chosen, said, every = _chosen_times(path, header, kept, places, labels)
    if "n" in places:
        said = (*recipe_findings(header, chosen, places), *said)
    return chosen, (*findings, *said), every


def _chosen_times(
    path: Path, header: list[str], kept: Rows, places: dict[str, int], labels: list[int]
) -> tuple[Rows, tuple[Finding, ...], Rows | None]:
    """The rows with the last one alone of each training that has several, what is to be said of that, and all rows."""
    named = [place for place, name in enumerate(header) if simple_name(name) in RUNS and place not in labels]
    groups: defaultdict[tuple[str, ...], Rows] = defaultdict(list)
    for line, row in kept:
        groups[tuple(row[place] for place in (*labels, *named))].append((line, row))
    shared = [group for group in groups.values() if len(group) > 1]
    if "n" not in places:
        return kept, (), None
    if not shared:
        return kept, ended_apart(header, kept, places), None
    _same_conditions(path, header, shared, labels)
    told_apart = bool(named) or "seed" in places
    for clock in _clocks(header, told_apart):
        if not all(moment(row[clock]) is not None for _, row in kept):
            continue
        if all(len({moment(row[clock]) for _, row in group}) == 1 for group in shared):
            continue
        if not told_apart and clock_of(header[clock]) in TIMES and min(map(len, groups.values())) < LEAST_ROWS:
            continue  # replicates were written at some time, too
        chosen, said = _last_of_each(path, header[clock], clock, list(groups.values()), told_apart)
        if chosen is not None and _end_together(header, chosen):
            said = [item for item in said if item.code != "steps-differ"]
        return chosen or kept, tuple(said), kept if chosen and header[clock] == "steps" else None
    return kept, ended_apart(header, kept, places), None


def ended_apart(header: Sequence[str], rows: Rows, places: dict[str, int]) -> tuple[Finding, ...]:
    """That single rows of trainings are from times that are far apart, as where some were broken off.

    Values at the best step of a validation series may be from any step. Where one clock says the same of all, as epochs
    do of trainings of equal epochs, or the epochs are those of equal steps at every n, no training was broken off.

    Args:
        header: names of the columns.
        rows: (line, cells) of each row, one a training.
        places: label -> where it is in ``header``.
    """
    if "validation" in places:
        return ()
    found = None
    for clock in _clocks(header, told_apart=False):
        times = [moment(row[clock]) for _, row in rows]
        ends = [time for time in times if time is not None and time > 0]
        if clock_of(header[clock]) in TIMES or len(ends) < len(rows):
            continue
        low, high = min(ends), max(ends)
        if low >= NEARLY * high or (clock_of(header[clock]) == "epoch" and _equal_steps(ends, rows, places["n"])):
            return ()
        found = found or finding("steps-differ", low=low, high=high, clock=header[clock])
    return () if found is None else (found,)


def _end_together(header: Sequence[str], rows: Rows) -> bool:
    """Whether some clock says that all trainings ended at one time, as epochs do of trainings of equal epochs."""
    ends = [{moment(row[clock]) for _, row in rows} for clock in _clocks(header, told_apart=False)]
    return any(len(times) == 1 and None not in times for times in ends)


def _equal_steps(epochs: Sequence[float], rows: Rows, n: int) -> bool:
    """Whether epochs fall as n grows, so that all trainings have the same steps, but for whole epochs."""
    if not all(is_finite(row[n]) and float(row[n]) > 0 for _, row in rows):
        return False
    steps = [epoch * float(row[n]) for epoch, (_, row) in zip(epochs, rows, strict=True)]
    return min(steps) > ROUNDED * max(steps)


def _finished(path: Path, header: list[str], rows: Rows) -> tuple[Rows, tuple[Finding, ...]]:
    kept, left_out = rows, []
    for place, name in enumerate(header):
        cells = [row[place] for _, row in rows]
        bad = {line: row[place] for line, row in kept if unfinished(name, row[place], cells)}
        left_out += [f"line {line}: {name} is '{cell}'" for line, cell in bad.items()]
        kept = [(line, row) for line, row in kept if line not in bad]
    if not left_out:
        return rows, ()
    if not kept:
        raise UserError(path, f"holds no run that finished ({left_out[0]})", "correct that column, or leave it out")
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    found = finding("rows-left-out", count=len(left_out), rows=len(rows), which="; ".join(left_out[:3]) + more)
    return kept, (found,)


def _same_conditions(path: Path, header: list[str], shared: list[Rows], labels: list[int]) -> None:
    """Rows of one run, by all that is known, must not be of two test sets or two methods."""
    for place, name in enumerate(header):
        if simple_name(name) not in CONDITIONS or place in labels:
            continue
        for group in shared:
            values = list(dict.fromkeys(row[place] for _, row in group))
            if len(values) > 1:
                raise UserError(
                    f"{path}, column '{name}'",
                    f"found {' and '.join(repr(value) for value in values[:3])} in rows that are otherwise one run "
                    f"(lines {group[0][0]} and {next(line for line, row in group if row[place] != values[0])})",
                    f"keep one '{name}' in a file, and compare files with `reconscale compare`",
                )


def _same_for_all_seeds(path: Path, header: list[str], rows: Rows, labels: list[int]) -> None:
    """Seeds must not stand for two test sets: at one size, conditions that come back at another size are no replicates.

    What never comes back may be a name of the run, and is left alone.
    """
    for place, name in enumerate(header):
        if simple_name(name) not in CONDITIONS or simple_name(name) in FOLDS or place in labels:
            continue
        groups: defaultdict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for line, row in rows:
            groups[tuple(row[label] for label in labels)].setdefault(row[place], line)
        often = Counter(value for group in groups.values() for value in group)
        for group in groups.values():
            again = [value for value in group if often[value] > 1]
            if len(again) > 1:
                raise UserError(
                    f"{path}, column '{name}'",
                    f"found '{again[0]}' and '{again[1]}' in rows of one size (lines {group[again[0]]} and "
                    f"{group[again[1]]})",
                    f"keep one '{name}' in a file, and compare files with `reconscale compare`",
                )


def refuse_changes(path: Path, name: str, cells: Sequence[tuple[object, object, str]], *, sized: bool) -> None:
    """Refuse a column that says what was tested, and says something else at another n.

    Columns of test sets may not change at all. Others, such as ``dataset``, may be names of the training sets; they are
    refused where some value comes back at a second n.

    Args:
        path: the file, for the message.
        name: the column's name.
        cells: (n, value, place in words) of each row.
        sized: whether p or the width of the networks is known, so that other networks at another n are told apart.

    Raises:
        UserError: it changes from one n to another.
    """
    simple, last = simple_name(name), simple_name(re.split(r"[./]", name)[-1])
    simple = last if last in TEST_SETS else simple  # "data.test_set" is one, "augment.scale" no scale of the problem
    split = simple in FOLDS and any(str(value).lower() in SPLITS for _, value, _ in cells)
    if simple not in ALONG_N and not split and (sized or simple not in MODELS):
        return
    groups: defaultdict[object, dict[object, str]] = defaultdict(dict)
    for n, value, place in cells:
        if value != "":
            groups[n].setdefault(value, place)
    first = next(iter(groups.values()), {})
    other = next((group for group in groups.values() if set(group) != set(first)), None)
    often = Counter(value for group in groups.values() for value in group)
    if other is None or (simple not in TEST_SETS and max(often.values()) == 1):
        return
    one, two = next((a, b) for a in first for b in other if a != b)
    raise UserError(
        f"{path}, column '{name}'",
        f"found '{one}' ({first[one]}) and '{two}' ({other[two]}) at different n, so that the curve would show "
        "what was tested and not the data",
        f"keep rows of one '{name}' in a file, and compare files with `reconscale compare`",
    )


def _clocks(header: Sequence[str], told_apart: bool) -> list[int]:
    """The columns that say when a row was measured: those that count first, those that say the time last."""
    names = [clock_of(name) or ("steps" if told_apart and simple_name(name) == "steps" else "") for name in header]
    return [place for clock in (*CLOCKS, "steps", *TIMES) for place, name in enumerate(names) if name == clock]


def _last_of_each(
    path: Path, name: str, clock: int, groups: list[Rows], told_apart: bool
) -> tuple[Rows | None, list[Finding]]:
    """The last row of each training; none where the rows may as well be replicates of different length."""
    for group in groups:
        last = _latest(group, clock)
        there = [(line, row) for line, row in group if moment(row[clock]) == moment(last[1][clock])]
        if clock_of(name) not in TIMES and len({tuple(row) for _, row in there}) > 1:
            raise UserError(
                f"{path}, lines {there[0][0]} and {there[1][0]}",
                f"found two different rows at {name} {last[1][clock]} of what seems to be one training",
                "keep those of the later attempt"
                if told_apart
                else "add a column 'seed' that tells the trainings apart",
            )
    times = {tuple(sorted({moment(row[clock]) or 0.0 for _, row in group})) for group in groups}
    several = [group for group in groups if len(group) > 1]
    unlike = len(times) > 1 and min(len(group) for group in groups) < LEAST_ROWS
    if not told_apart and (unlike or clock_of(name) in TIMES):
        return None, [finding("times-as-replicates", column=name, line=several[0][0][0], other=several[0][1][0])]
    chosen = [_latest(group, clock) for group in groups]
    ends = sorted({moment(row[clock]) or 0.0 for _, row in chosen})
    found = [finding("last-of-training", column=name, kept=len(chosen), rows=sum(map(len, groups)))]
    if len(ends) > 1 and clock_of(name) not in TIMES:
        found.append(finding("steps-differ", low=ends[0], high=ends[-1], clock=name))
    return sorted(chosen), found


def _latest(group: Rows, clock: int) -> tuple[int, list[str]]:
    return max(group, key=lambda numbered: (moment(numbered[1][clock]) or 0.0, numbered[0]))


def seeds_from_names(header: Sequence[str], rows: Rows, places: dict[str, int], column: str) -> list[float] | None:
    """A seed for each row of a table without seeds, where rows of equal values have names that say they are two runs.

    Without seeds such rows would be copies of one. No row shares its seed with one of another size: the names say
    nothing about that. None where names are not needed, or there are none.

    Args:
        header: names of the columns.
        rows: (line, cells) of each row.
        places: label -> where it is in ``header``.
        column: the measured values.
    """
    named = [place for place, name in enumerate(header) if simple_name(name) in RUNS]
    if not named or "seed" in places:
        return None
    sizes = [places[name] for name in ("n", "p", "width") if name in places]
    value = header.index(column)
    keys = [
        (*(row[place] for place in sizes), *(re.sub(MADE_UNIQUE, "", row[place]) for place in named)) for _, row in rows
    ]
    of_value: defaultdict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for key, (_, row) in zip(keys, rows, strict=True):
        of_value[(*key[: len(sizes)], row[value])].add(key)
    if all(len(names) == 1 for names in of_value.values()):
        return None
    numbers = {key: float(number) for number, key in enumerate(dict.fromkeys(keys))}
    return [numbers[key] for key in keys]
