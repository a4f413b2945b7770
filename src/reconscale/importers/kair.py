"""The text log of KAIR (DnCNN, SwinIR, VRT and others), ``train.log``."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
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

LOG = "train.log"
STAMP = re.compile(r"\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} : ?")
ITERATION = re.compile(r"<epoch: *\d+, iter: *([\d,]+), ")
MEASURED = re.compile(r"(?:Average )?\b(PSNR_Y|SSIM_Y|PSNR|SSIM) *: *([-+.\deE]+|nan|inf)")
IMAGES = re.compile(r"Number of train images: ([\d,]+)")
PARAMETERS = re.compile(r"Params number: ([\d,]+)")
SEED = re.compile(r"Random seed: (\d+)")
OPENED, OPTION = re.compile(r"(\S+):\[$"), re.compile(r"(\S+): (.*)$")
LONGEST = 4096
HEAD = 1 << 16
"""Bytes at the top of a log by which it is known."""


def matches(source: Path) -> bool:
    """Whether there is a train.log with KAIR's stamps at or below ``source``."""
    return next(files_below(source, lambda name: name == LOG), None) is not None and any(_places(source))


def read(source: Path) -> list[RunLog | SkippedRun]:
    """One run for each train.log. A training that began again goes on in the same file; the later attempt counts.

    The settings are the options at the top (``datasets.train.name``), and what KAIR counted itself:
    ``number_of_train_images`` and ``parameters``.
    """
    root = source if source.is_dir() else source.parent
    places = _places(source)
    return read_each((name_below(root, path.parent), partial(_run, root, path)) for path in places)


def _places(source: Path) -> list[Path]:
    return [path for path in files_below(source, lambda name: name == LOG) if _is_kair(path)]


def _is_kair(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return STAMP.match(stream.read(HEAD).decode(errors="replace")) is not None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check its permissions") from error


def _run(root: Path, path: Path) -> RunLog:
    lines = [line[:LONGEST] for line in read_text(path).splitlines()]
    settings: dict[str, Plain] = {}
    parts: list[tuple[str, Series]] = []
    for number, attempt in enumerate(_attempts(lines), start=1):
        settings |= _options(attempt) | _counted(attempt)
        parts.append((f"attempt {number} in {path.name}", _validations(attempt)))
    series, restarted = merge_attempts(parts)
    return RunLog(name_below(root, path.parent), settings, series, restarted=restarted)


def _attempts(lines: list[str]) -> list[list[str]]:
    """The lines, cut where the options are printed again."""
    begins = [index for index, line in enumerate(lines) if STAMP.sub("", line).strip().startswith("task:")]
    edges = [0, *begins[1:], len(lines)]
    return [lines[first:last] for first, last in pairwise(edges)]


def _options(lines: list[str]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    groups: list[str] = []
    for line in lines:
        text = STAMP.sub("", line).strip()
        if "Number of train images" in text or ITERATION.search(text):
            break
        if opened := OPENED.match(text):
            groups.append(opened[1])
        elif text == "]" and groups:
            groups.pop()
        elif option := OPTION.match(text):
            found.setdefault(".".join([*groups, option[1]]), option[2])
    return found


def _counted(lines: list[str]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    keys = (("number_of_train_images", IMAGES), ("parameters", PARAMETERS), ("random_seed", SEED))
    for key, pattern in keys:
        match = next((match for line in lines if (match := pattern.search(line))), None)
        value = None if match is None else parse_number(match[1].replace(",", ""))
        if value is not None and value < LARGEST:
            found[key] = int(value)
    return found


def _validations(lines: list[str]) -> Series:
    found: Series = {}
    for line in lines:
        at = ITERATION.search(line)
        step = parse_number(at[1].replace(",", "")) if at else None
        if at is None or step is None:
            continue
        for metric, text in MEASURED.findall(line[at.end() :]):
            value = parse_number(text)
            if value is not None:
                found.setdefault(metric.lower(), {})[step] = value
    return found
