"""What a function that trains is given, and what it may give back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.laws.metrics import METRICS, Metric, register
from reconscale.laws.points import Points

EXAMPLE = '{"psnr": 31.2, "validation": 31.0, "p": 116_707}'
"""What a function may give back."""


@dataclass(frozen=True)
class Job:
    """One training, for the function that does it.

    Attributes:
        n: how many training items there are.
        seed: for the initialisation, and whatever else is drawn.
        width: of the network, or None.
        train: the n training items.
        val: the validation items.
        test: the test items.
        folder: a directory of this run alone, which is there: for checkpoints and the like. What lies in it is still
            there when the run is repeated because its process was ended.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads that this run should use.
        mix: where items come from several sources, source -> how many of ``train`` are its. The target comes first in
            ``train``, then the others by name. Empty where there is one source.
    """

    n: int
    seed: int
    width: int | None
    train: list[Any] = field(repr=False)
    val: list[Any] = field(repr=False)
    test: list[Any] = field(repr=False)
    folder: Path
    device: str = "cpu"
    threads: int = 1
    mix: dict[str, int] = field(default_factory=dict)


class NotFinite(ValueError):
    """A value is NaN or infinite."""


@dataclass(frozen=True)
class Outcome:
    """What a training gave, checked.

    Attributes:
        metrics: ``test`` and, where it was said, ``val`` -> metric -> value.
        images: test item -> metric -> value, where values are item by item.
        p, steps: 0: not said.
        unknown: keys that mean nothing here.
    """

    metrics: dict[str, dict[str, float]]
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    p: int = 0
    steps: int = 0
    unknown: tuple[str, ...] = ()


def check_outcome(given: Any, metric: Metric, test: Sequence[str], who: str = "train") -> Outcome:
    """Check what a training gave back.

    Args:
        given: a number, the value of the metric on the test items; or a mapping with the metric's name, a number or one
            number for each test item (in their order, or by name), and where known ``validation``, ``p`` and ``steps``.
        metric: that is expected.
        test: names of the test items.
        who: gave it.

    Raises:
        NotFinite: a value is NaN or infinite.
        UserError: it is anything else.
    """
    if given is None:
        raise UserError(who, "gave nothing back", f"return the {metric.name} of the test items, or {EXAMPLE}")
    if not isinstance(given, Mapping):
        given = {metric.name: given}
    named = {str(key): value for key, value in given.items()}
    if metric.name not in named:
        others = [key for key in named if key in METRICS] or list(named)
        raise UserError(who, f"gave {', '.join(others)[:100] or 'an empty mapping'} back, without '{metric.name}'",
                        f"return '{metric.name}', or measure in another metric in another folder")  # fmt: skip
    value, each = _value(who, metric, named[metric.name], test)
    metrics = {"test": {metric.name: value}}
    if named.get("validation") is not None:
        metrics["val"] = {metric.name: _number(f"{who}, validation", named["validation"], metric, None)}
    counts = {key: _count(f"{who}, {key}", named.get(key)) for key in ("p", "steps")}
    known = (metric.name, "validation", "p", "steps")
    unknown = tuple(key for key in named if key not in known and key not in METRICS)
    return Outcome(metrics, each, **counts, unknown=unknown)


def unknown_words(unknown: Sequence[str], metric: str) -> str:
    """A note about keys that mean nothing here."""
    first = suggest(unknown[0], (metric, "validation", "p", "steps"))
    close = f" ({first})" if first.startswith("did") else ""
    return f"train also gave {', '.join(map(repr, unknown))} back, which is not used{close}"


def _value(who: str, metric: Metric, given: Any, test: Sequence[str]) -> tuple[float, dict[str, dict[str, float]]]:
    """The mean over the test items, and the values of the items where they are known."""
    listed = _listed(given)
    if listed is None:
        return _number(f"{who}, {metric.name}", given, metric, None), {}
    if isinstance(listed, Mapping):
        missing = [name for name in test if name not in listed]
        if missing or len(listed) != len(test):
            what = f"'{missing[0]}' is missing" if missing else f"found {len(listed)} items"
            raise UserError(f"{who}, {metric.name}", what, f"give one value for each of the {len(test)} test items")
        listed = [listed[name] for name in test]
    if len(listed) != len(test):
        raise UserError(f"{who}, {metric.name}", f"found {len(listed)} values for {len(test)} test items",
                        "give one for each item of job.test, in that order, or their mean")  # fmt: skip
    values = [_number(f"{who}, {metric.name}", value, metric, name) for name, value in zip(test, listed, strict=True)]
    return math.fsum(values) / len(values), {name: {metric.name: v} for name, v in zip(test, values, strict=True)}


def _listed(given: Any) -> Any:
    """The values of a list, an array or a tensor; a mapping as it is; None for a single number."""
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if hasattr(given, "tolist"):
        given = given.tolist()
    return list(given) if isinstance(given, list | tuple) else None


def _number(where: str, given: Any, metric: Metric, item: str | None) -> float:
    where = where if item is None else f"{where} of {item}"
    if hasattr(given, "tolist"):
        given = given.tolist()
    if isinstance(given, bool) or not isinstance(given, Real):
        what = f"found {given!r}"[:80] if isinstance(given, str | bool) else f"found a {type(given).__name__}"
        raise UserError(where, what, "a number is expected")
    try:
        value = float(given)
    except OverflowError as error:
        raise UserError(where, "found a whole number that is too large", "a number is expected") from error
    if value == math.inf and metric.better == "higher":
        raise UserError(where, "is infinite", "the output equals the truth exactly: is the truth also the input?")
    if math.isnan(value) or math.isinf(value):
        raise NotFinite(f"{where} is {value}")
    try:
        Points(np.ones(1), np.array([value]), metric=register(metric))
    except UserError as mistake:
        raise UserError(where, mistake.found, mistake.remedy) from None
    return value


def _count(where: str, given: Any) -> int:
    if hasattr(given, "tolist"):
        given = given.tolist()
    if given is None:
        return 0
    whole = isinstance(given, Integral) or (isinstance(given, float) and given.is_integer())
    if isinstance(given, bool) or not whole or not 0 < given <= 10**18:
        raise UserError(where, f"found {given!r}"[:80], "a whole number above 0 is expected")
    return int(given)
