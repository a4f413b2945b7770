"""Find n, p, width and seed of a run, in a setting or by a pattern on its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconscale.errors import UserError
from reconscale.importers.log import Plain, RunLog
from reconscale.laws.column_names import USUAL, bare_name, simple_name
from reconscale.laws.column_units import plain_name

LABELS = ("n", "p", "width", "seed")

PATTERN, NONE = "pattern", "none"
"""Words that stand for a setting's name: take the label from the run's name, or leave the column out."""

SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6}


@dataclass(frozen=True)
class ColumnMapping:
    """How to find the labels.

    Attributes:
        keys: label -> name of the setting, ``pattern`` or ``none``; a label that is not there is looked for under
            its usual names.
        pattern: where the numbers stand in a run's name, such as ``n{n}_w{width}_s{seed}``; ``*`` is anything.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    pattern: str = ""

    def __post_init__(self) -> None:
        compiled(self.pattern)
        for label, key in self.keys.items():
            if key == NONE and label == "n":
                raise UserError("--n-from", "found 'none'", "n cannot be left out; name the setting that holds it")
            if key == PATTERN and label not in placeholders(self.pattern):
                raise UserError(f"--{label}-from", "found 'pattern'", f"give a --pattern with {{{label}}} in it")


@dataclass(frozen=True)
class MappedValue:
    """A label's value, a whole number, in words where it came from, and as it was written there."""

    value: int
    origin: str
    text: str = ""


def map_columns(run: RunLog, asked: ColumnMapping) -> dict[str, MappedValue]:
    """The labels of a run that can be found: from the settings first, then from its name.

    Raises:
        UserError: a setting does not hold a whole number, several settings have equally usual names, the setting and
            the name contradict each other, or the pattern fits the name in two ways.
    """
    named = _from_name(run.name, asked.pattern)
    found: dict[str, MappedValue] = {}
    for label in LABELS:
        key = asked.keys.get(label)
        if key == NONE:
            continue
        stated = None if key == PATTERN else _from_settings(run, label, key)
        if stated and key is None and label in named and named[label] != stated.value:
            raise UserError(
                run.name,
                f"{label} is {stated.value} by its {stated.origin} and {named[label]} by its name",
                f"say --{label}-from {stated.origin.split(chr(39))[1]} or --{label}-from pattern",
            )
        if stated:
            found[label] = stated
        elif label in named and key in (None, PATTERN):
            found[label] = MappedValue(named[label], "pattern")
    return found


def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern; it must not begin or end inside a word.

    >>> compiled("n{n}_*_s{seed}").search("unet/n1k_lr1e-3_s2").groupdict()
    {'n': '1k', 'seed': '2'}

    Raises:
        UserError: a label is unknown or there twice, or there is none.
    """
    there = placeholders(pattern)
    wrong = next((name for name in there if name not in LABELS or there.count(name) > 1), None)
    if wrong is not None:
        found = f"holds {{{wrong}}}" + (" twice" if wrong in LABELS else "")
        raise UserError("--pattern", found, "the labels are {n}, {p}, {width} and {seed}, each at most once")
    if pattern and not there:
        raise UserError("--pattern", f"found '{pattern}', with no label in it", "write for instance 'n{n}_s{seed}'")
    parts = re.split(r"(\{\w+\}|\*)", pattern)
    text = "".join(_part(part) for part in parts)
    return re.compile(rf"(?<![A-Za-z0-9]){text}(?![A-Za-z0-9])")


def listed_settings(runs: Sequence[RunLog]) -> str:
    """The names of settings that hold numbers, with an example, for messages."""
    examples: dict[str, Plain] = {}
    for run in runs:
        for key, value in run.settings.items():
            if _number(value) is not None:
                examples.setdefault(key, value)
    shown = [f"{key} ({value})" for key, value in list(examples.items())[:12]]
    more = f" and {len(examples) - len(shown)} more" if len(examples) > len(shown) else ""
    return f"the settings with numbers are: {', '.join(shown)}{more}" if shown else "there are no settings with numbers"


def placeholders(pattern: str) -> list[str]:
    """The labels in a pattern, in order."""
    return re.findall(r"\{(\w+)\}", pattern)


def _part(part: str) -> str:
    if part == "*":
        return ".*?"
    if part.startswith("{") and part.endswith("}"):
        return rf"(?P<{part[1:-1]}>\d+(?:\.\d+)?[kKM]?)"
    return re.escape(part)


def _from_name(name: str, pattern: str) -> dict[str, int]:
    if not pattern:
        return {}
    readings = {tuple(sorted(match.groupdict().items())) for match in compiled(pattern).finditer(name)}
    if len(readings) > 1:
        fits = "; ".join(sorted(", ".join(f"{label} = {text}" for label, text in reading) for reading in readings))
        raise UserError(f"--pattern {pattern}", f"fits '{name}' in two ways ({fits})", "write more of the name into it")
    return {label: _scaled(label, text) for reading in readings for label, text in reading}


def _scaled(label: str, text: str) -> int:
    unit = text[-1] if text[-1] in SCALES else ""
    value = float(text.removesuffix(unit)) * SCALES[unit]
    return _checked(label, value, "--pattern", text)


def _from_settings(run: RunLog, label: str, key: str | None) -> MappedValue | None:
    name = key if key is not None else _usual(run, label)
    if name is not None and name not in run.settings:
        name = plain_name(name)  # tables are read without the units of n and p
        name = next((other for other in run.settings if bare_name(other) == name), name)
    if name is None or name not in run.settings:
        return None
    text = run.settings[name]
    value = _number(text)
    if value is None:
        if text in ("", "None", "none", "null"):
            return None
        raise UserError(
            f"{run.name}, setting '{name}'", f"found '{text}' as {label}", f"name another setting by --{label}-from"
        )
    return MappedValue(
        _checked(label, value, f"{run.name}, setting '{name}'", str(text)), f"setting '{name}'", str(text)
    )


def _usual(run: RunLog, label: str) -> str | None:
    """The setting of the most usual name: the whole name first, then the last part of ``data.train_size``."""
    for usual in USUAL[label]:
        whole = [name for name in run.settings if simple_name(bare_name(name)) == usual]
        last = [name for name in run.settings if len(usual) > 1 and simple_name(re.split(r"[./]", name)[-1]) == usual]
        for names in (whole, last):
            if len({run.settings[name] for name in names}) > 1:
                candidates = ", ".join(f"{name} ({run.settings[name]})" for name in names)
                raise UserError(
                    run.name, f"several settings could be {label}: {candidates}", f"say --{label}-from {names[0]}"
                )
            if names:
                return names[0]
    return None


def _number(value: Plain) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _checked(label: str, value: float, where: str, text: str) -> int:
    smallest = -math.inf if label == "seed" else 1
    nearest = round(value) if abs(value) <= 2**53 else 0
    if abs(value - nearest) > 1e-9 * abs(value) or nearest < smallest or abs(value) > 2**53:
        expected = "a whole number" if label == "seed" else "a whole number from 1"
        raise UserError(where, f"found {text} as {label}", f"{expected} is expected; name another by --{label}-from")
    return nearest
