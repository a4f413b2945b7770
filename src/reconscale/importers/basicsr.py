"""The text log of BasicSR and of what was made from it (Restormer, NAFNet), ``train_NAME_TIME.log``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reconscale.errors import UserError
from reconscale.importers.log import (
    LARGEST,
    Plain,
    RunLog,
    Series,
    SkippedRun,
    files_below,
    merge_attempts,
    name_below,
    parse_number,
    read_each,
    read_text,
)

LOG = re.compile(r"train_(?P<name>.+?)(?:_\d{8}_\d{6})?\.log")
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+: ")
ITERATION = re.compile(r"\[epoch: *\d+, iter: *([\d,]+), ")
DATASET = re.compile(r"Validation (?P<name>[^\s,]+),?\s*(?:#|$)")
MEASURED = re.compile(r"# (?P<metric>[^\s:]+): (?P<value>[^\s#]+)(?:\s+Best: (?P<best>\S+) @ (?P<at>-?\d+) iter)?")
ARCHIVED = re.compile(r"(?P<name>.+)_archived_\d{8}_\d{6}")
"""How the folder of an earlier attempt is renamed when a training begins again."""
PARAMETERS = re.compile(r"Network: .*, with parameters: ([\d,]+)$")
IMAGES = re.compile(r"Number of train images: (\d+)$")
LONGEST = 4096
"""Characters of a line that are looked at: the patterns take quadratic time."""
OPENED, CLOSED, OPTION = re.compile(r"(\S+):\[$"), re.compile(r"\]$"), re.compile(r"(\S+): (.*)$")


def matches(source: Path) -> bool:
    """Whether there is a train_*.log at or below ``source``."""
    return next(files_below(source, _is_log), None) is not None


def read(source: Path) -> list[RunLog | SkippedRun]:
    """One run for each NAME in ``train_NAME_TIME.log``; logs of one NAME in one folder are attempts at one training.

    The settings are the options at the top of the log by flat name (``datasets.train.name``), and what BasicSR
    counted itself: ``number_of_train_images`` and ``parameters`` (of the first network, the generator). Folders that
    BasicSR archived when their training began again are skipped.
    """
    root = source if source.is_dir() else source.parent
    runs: dict[str, list[Path]] = {}
    skipped: list[RunLog | SkippedRun] = []
    for path in files_below(source, _is_log):
        match = LOG.fullmatch(path.name)
        own = match["name"] if match else path.stem
        place = name_below(root, path.parent)
        name = place if place.rpartition("/")[2] == own else own if path.parent == root else f"{place}/{own}"
        archived = ARCHIVED.fullmatch(path.parent.name)
        if archived and path.parent.with_name(archived["name"]).is_dir():
            skipped.append(SkippedRun(name, f"it is an earlier attempt at '{archived['name']}', which began again"))
            continue
        runs.setdefault(name, []).append(path)
    return [*read_each((name, partial(_run, name, paths)) for name, paths in runs.items()), *skipped]


def _is_log(name: str) -> bool:
    return LOG.fullmatch(name) is not None


def _run(name: str, paths: list[Path]) -> RunLog:
    # The time in the names sorts them.
    settings: dict[str, Plain] = {}
    parts: list[tuple[str, Series]] = []
    cut = ""
    for path in sorted(paths):
        lines, ends = whole_lines(read_text(path))
        cut = cut or (f"{path.name} in its last line" if ends else "")
        own = options(lines) | _counted(lines)
        for key in ("number_of_train_images", "manual_seed"):
            if key in own and own[key] != settings.get(key, own[key]):
                raise UserError(
                    path, f"has {key} {own[key]} where an earlier log of this name has {settings[key]}",
                    "move the log of each training into a folder of its own",
                )  # fmt: skip
        settings |= own
        if _made_no_step(lines):
            raise UserError(path, "is of a training without one iteration: BasicSR drops a batch that is not full",
                            "raise dataset_enlarge_ratio, or lower batch_size_per_gpu")  # fmt: skip
        parts.append((path.name, _validations(lines, settings)))
    series, restarted = merge_attempts(parts)
    return RunLog(name, settings, series, cut=cut, restarted=restarted)


def whole_lines(text: str) -> tuple[list[str], bool]:
    """The lines, each as far as it is looked at, and whether a last one that ends within a number was left out.

    All numbers of one metric have as many decimals, so a last one with fewer was cut off.
    """
    lines = [line[:LONGEST] for line in text.splitlines()]
    if not lines or text.endswith(("\n", "\r")):
        return lines, False
    last = [match["value"] for match in MEASURED.finditer(lines[-1])][-1:]
    before = (match["value"] for line in lines[-2::-1] for match in MEASURED.finditer(line))
    if last and len(last[0].partition(".")[2]) < len(next(before, last[0]).partition(".")[2]):
        return lines[:-1], True
    return lines, False


def options(lines: list[str]) -> dict[str, str]:
    """The options that are dumped at the top: indented ``key: value``, ``key:[`` opens a group and ``]`` closes it."""
    found: dict[str, str] = {}
    groups: list[str] = []
    for line in lines:
        text = line.strip()
        if STAMP.match(line) and found:
            break
        if not line.startswith("  "):
            continue
        if opened := OPENED.match(text):
            groups.append(opened[1])
        elif CLOSED.match(text) and groups:
            groups.pop()
        elif option := OPTION.match(text):
            found[".".join([*groups, option[1]])] = option[2]
    return found


def _counted(lines: list[str]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    for key, pattern in (("number_of_train_images", IMAGES), ("parameters", PARAMETERS)):
        match = next((match for line in lines if (match := pattern.search(line))), None)
        value = None if match is None else parse_number(match[1].replace(",", ""))
        if value is not None and value < LARGEST:
            found[key] = int(value)
    return found


def _made_no_step(lines: list[str]) -> bool:
    """Whether a training ended and what was measured then is of iteration 0: the network as it was drawn."""
    if not any("End of training" in line for line in lines) or any(ITERATION.search(line) for line in lines):
        return False
    return {match["at"] for line in lines for match in MEASURED.finditer(line)} == {"0"}


def _validations(lines: list[str], settings: dict[str, Plain]) -> dict[str, dict[float, float]]:
    """The measured values by ``DATASET/METRIC``.

    BasicSR does not print the iteration of a validation. It is the one of its best values where one of them is new;
    else the first multiple of ``val.val_freq`` at or after the last iteration printed.
    """
    frequency = parse_number(str(settings.get("val.val_freq", ""))) or 0.0
    frequency = frequency if 1 <= frequency < LARGEST else 0.0
    found: dict[str, dict[float, float]] = {}
    best: dict[str, float] = {}
    for iteration, measured in _rounds(lines):
        new = [at for tag, _, at in measured if at > best.get(tag, -1.0)]
        step = math.ceil(iteration / frequency) * frequency if frequency > 0 else iteration
        for tag, value, at in measured:
            found.setdefault(tag, {})[max(new, default=step)] = value
            best[tag] = at
    return found


def _rounds(lines: list[str]) -> Iterator[tuple[float, list[tuple[str, float, float]]]]:
    """The validations: the last iteration printed before, and (tag, value, iteration of the best value) of each."""
    dataset, iteration = "", 0.0
    measured: list[tuple[str, float, float]] = []
    for line in lines:
        if ITERATION.search(line) or "End of training" in line:
            if measured:
                yield iteration, measured
            measured = []
            match = ITERATION.search(line)
            stated = parse_number(match[1].replace(",", "")) if match else None
            iteration = stated if stated is not None and stated < LARGEST else iteration
            continue
        if match := DATASET.search(line):
            dataset = match["name"]
        for match in MEASURED.finditer(line):
            if (value := parse_number(match["value"])) is not None:
                measured.append((f"{dataset}/{match['metric']}", value, float(match["at"] or -1)))
    if measured:
        yield iteration, measured
