"""What is believed about a curve and its noise before any measurement.

The values are in ``prior.json``, with the command that wrote them, the curves that they were learnt from and how well
they foresee these curves, in sample and left out. There are three: of few sizes, for metrics of images and for any
other error, and of many sizes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from reconscale.errors import UserError

VERSION = 1
"""Of the file's form."""
MANY = "many"
"""The belief about a curve of many sizes, mostly checkpoints of one training."""
GROUPS = ("reconstruction few", "other few", MANY)
"""Names of the beliefs; the first word of the first two is the domain of :mod:`.calibration`."""
FILE = "prior.json"
PROBABILITIES = ("floor", "shift", "second")
KINDS = ("no break", "saturating", "speeding up", "slowing down")


@dataclass(frozen=True)
class Prior:
    """What is believed about a curve beforehand.

    Attributes:
        floor: probability that there is a floor.
        shift: probability that it is of the kind ``+shift``, given that there is one.
        floor_bend: the floor's share s of the error at the largest n has density proportional to (1-s)^(bend-1).
        exponent, exponent_sd: median and log spread of the exponent beyond the last break.
        kinds: probabilities of no break, saturating, speeding up, slowing down.
        second: probability of a second break, given one.
        before, after: breaks lie from ``before`` below the smallest ln n to ``after`` above the largest.
        sharpness, sharpness_sd: median and log spread of the width f of a break in ln n.
    """

    floor: float
    shift: float
    floor_bend: float
    exponent: float
    exponent_sd: float
    kinds: tuple[float, float, float, float]
    second: float
    before: float
    after: float
    sharpness: float
    sharpness_sd: float


@dataclass(frozen=True)
class NoisePrior:
    """What is believed about departures beforehand; all are log normal.

    Attributes:
        noise, noise_sd: noise of one run at the largest size, in ln(error); replicates make it known better.
        rough, rough_sd: departure of the truth from the family, as a part of the curve's whole change of ln(error).
        length, length_sd: over what ln n the departure persists.
        count: combinations that stand for all of them; a matter of accuracy, not of belief.
    """

    noise: float
    noise_sd: float
    rough: float
    rough_sd: float
    length: float
    length_sd: float
    count: int = 24


@dataclass(frozen=True)
class Belief:
    """What is believed about one kind of curves.

    Attributes:
        curve: about the curve.
        noise: about what departs from it.
    """

    curve: Prior
    noise: NoisePrior


@cache
def read_prior() -> dict[str, Any]:
    """The whole file: version, command, curves by data set, beliefs, where they started from, and figures.

    Raises:
        UserError: the file is not of this form.
    """
    text = files("reconscale.laws.curve").joinpath(FILE).read_text(encoding="utf-8")
    value = json.loads(text)
    version = value.get("version") if isinstance(value, dict) else None
    if version != VERSION or "beliefs" not in value:
        raise UserError(FILE, f"found version {version}", f"beliefs of version {VERSION} are needed: install again")
    return dict(value)


@cache
def read_beliefs() -> dict[str, Belief]:
    """The beliefs by name, each checked.

    Raises:
        UserError: a name or a number is missing, unknown, or out of its range.
    """
    return parse_beliefs(f"{FILE}, beliefs", read_prior()["beliefs"])


def parse_beliefs(where: str, value: Any) -> dict[str, Belief]:
    """Beliefs by name from what :mod:`json` read.

    Args:
        where: what to call it in a message.
        value: name -> ``curve`` and ``noise`` -> number by name.

    Raises:
        UserError: a name or a number is missing, unknown, or out of its range.
    """
    _check_names(where, value, GROUPS)
    return {name: _parse_belief(f"{where}, {name}", value[name]) for name in GROUPS}


def _parse_belief(where: str, value: Any) -> Belief:
    _check_names(where, value, ("curve", "noise"))
    _check_names(f"{where}, curve", value["curve"], [field.name for field in fields(Prior)])
    _check_names(f"{where}, noise", value["noise"], [field.name for field in fields(NoisePrior)][:-1])
    curve, noise = dict(value["curve"]), dict(value["noise"])
    kinds = curve.pop("kinds")
    for name, number in (curve | noise).items():
        _check_number(f"{where}, {name}", number, name in PROBABILITIES, name == "second")
    if not isinstance(kinds, list | tuple) or len(kinds) != len(KINDS):
        raise UserError(f"{where}, kinds", f"found {kinds!r}", f"they are {len(KINDS)} probabilities")
    for part in kinds:
        _check_number(f"{where}, kinds", part, True, False)
    if not math.isclose(sum(kinds), 1.0, abs_tol=1e-6):
        raise UserError(f"{where}, kinds", f"found {kinds!r}", "the sum of these probabilities is 1")
    return Belief(Prior(**curve, kinds=(kinds[0], kinds[1], kinds[2], kinds[3])), NoisePrior(**noise))


def _check_number(where: str, number: Any, probability: bool, zero: bool) -> None:
    known = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not known or number < 0.0 or (number == 0.0 and not zero) or (probability and number > 1.0):
        needed = f"a number {'from' if zero else 'above'} 0{' to 1' if probability else ''}"
        raise UserError(where, f"found {number!r}", f"it is {needed}")


def _check_names(where: str, value: Any, names: Sequence[str]) -> None:
    found = sorted(value) if isinstance(value, dict) else None
    if found != sorted(names):
        said = repr(value) if found is None else ", ".join(found) or "nothing"
        raise UserError(where, f"found {said}", f"it has {', '.join(names)}, and nothing else")


def mix_beliefs(few: Belief, many: Belief, share: float) -> Belief:
    """What is believed between two beliefs: on a straight line for the curve, on one of logarithms for the noise.

    Args:
        few: at a share of 0.
        many: at a share of 1.
        share: 0 to 1.
    """
    start, end = vars(few.curve), vars(many.curve)
    curve = {name: a + share * (end[name] - a) for name, a in start.items() if name != "kinds"}
    unbroken, saturating, faster, slower = (
        a + share * (b - a) for a, b in zip(few.curve.kinds, many.curve.kinds, strict=True)
    )
    noise = {name: a * (getattr(many.noise, name) / a) ** share for name, a in vars(few.noise).items()}
    noise["count"] = few.noise.count
    return Belief(Prior(**curve, kinds=(unbroken, saturating, faster, slower)), NoisePrior(**noise))
