"""The laws by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError, suggest
from reconscale.laws.named.broken_power_laws import BrokenPowerLaw, SegmentedPowerLaw
from reconscale.laws.named.law import LOG_LIMIT, Law, bounded
from reconscale.laws.named.power_laws import M4, LastValue, Power, PowerFloor, Shifted
from reconscale.laws.named.variable_projection import solve

__all__ = [
    "ALIASES",
    "LAWS",
    "LOG_LIMIT",
    "M4",
    "NAIVE",
    "USUAL",
    "BrokenPowerLaw",
    "LastValue",
    "Law",
    "Power",
    "PowerFloor",
    "SegmentedPowerLaw",
    "Shifted",
    "bounded",
    "check_sizes",
    "evaluate",
    "key_of",
    "keys_of",
    "solve",
]


LAWS: dict[str, Law] = {
    "power": Power(),
    "power+floor": PowerFloor(),
    "paper": SegmentedPowerLaw(),
    "shifted": Shifted(),
    "M4": M4(),
    "bnsl-1": BrokenPowerLaw(),
    "bnsl-2": BrokenPowerLaw(breaks=2),
    "paper-2": SegmentedPowerLaw(breaks=2),
}
"""The laws by name."""

ALIASES = {"M1": "power", "M2": "power+floor", "M3": "shifted"}
"""Other names of laws."""

USUAL = ("power", "power+floor", "shifted", "paper")
"""The laws that a report shows unasked."""

NAIVE: dict[str, Law] = {"last value": LastValue(), "line": Power(name="line", tail=True)}
"""What needs no theory: the last value, and the straight line in log-log through the last third of the sizes."""


def key_of(name: str) -> str:
    """The key in :data:`LAWS` of a law called by its key or by an alias.

    Raises:
        UserError: there is no such law.
    """
    key = ALIASES.get(name, name)
    if key not in LAWS:
        known = [*LAWS, *ALIASES]
        same = [other for other in known if other.lower() == name.lower()]
        raise UserError("law", f"found '{name}'", suggest(same[0] if same else name, known))
    return key


def keys_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """The keys in :data:`LAWS` of one or more laws, each once.

    Raises:
        UserError: there is no such law.
    """
    return tuple(dict.fromkeys(key_of(name) for name in ([names] if isinstance(names, str) else names)))


def evaluate(law: Law, n: ArrayLike, theta: ArrayLike) -> Floats:
    """The law's own quantity, error or metric, at n (N,) for parameters (..., P); shape (..., N).

    Raises:
        UserError: some n is not a number above 0.
    """
    u = law.working(np.log(check_sizes(n)), theta)
    return np.asarray(np.exp(u) if law.of == "error" else 10.0**u)


def check_sizes(n: ArrayLike) -> Floats:
    """The sizes n as floats (N,); a single number gives N = 1.

    Raises:
        UserError: some n is not a finite number above 0.
    """
    sizes = np.atleast_1d(np.asarray(n, dtype=np.float64))
    bad = ~(np.isfinite(sizes) & (sizes > 0))
    if sizes.ndim != 1 or not sizes.size or bad.any():
        found = f"found {sizes[bad][0]:g}" if bad.any() else f"found shape {sizes.shape}"
        raise UserError("n", found, "one or more finite numbers above 0 are expected")
    return sizes
