"""The fitter against certified values of other curves than ours, in raw y: as a law, each curve is a few lines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws.named.law import grid
from reconscale.laws.named.variable_projection import multistart

FILE = Path(__file__).parents[2] / "reference" / "nist_nonlinear.txt"


@dataclass(frozen=True)
class Curve:
    """y = sum_j linear_j column_j(x; q), each q evenly from low to high, on the log scale where both are above 0.

    ``columns`` gives the columns from x and q, ``certified`` the parameters as they are published.
    """

    columns: Callable
    certified: Callable
    low: tuple[float, ...]
    high: tuple[float, ...]
    name: str = "certified"
    of: str = "error"
    least: int = 1

    @property
    def curved(self):
        return tuple(f"q{index}" for index in range(len(self.low)))

    @property
    def parameters(self):
        return self.curved

    def window(self, count):
        return slice(0, count)

    def nodes(self, x, u):  # noqa: ARG002
        return grid(len(self.low))

    def _q(self, t):
        return [
            (low * (high / low) ** t[..., i : i + 1] if low > 0 else low + (high - low) * t[..., i : i + 1])
            for i, (low, high) in enumerate(zip(self.low, self.high, strict=True))
        ]

    def terms(self, x, t):
        columns = np.stack(np.broadcast_arrays(*self.columns(x, *self._q(t))), axis=-1)
        return np.zeros(columns.shape[:-1]), columns

    def theta(self, x, t, linear):  # noqa: ARG002
        values = self.certified([linear[..., j : j + 1] for j in range(linear.shape[-1])], *self._q(t))
        return np.concatenate(values, axis=-1)

    def working(self, x, theta):
        raise NotImplementedError


CURVES = {
    "Misra1a": Curve(lambda x, r: [-np.expm1(-r * x)], lambda b, r: [*b, r], (1e-5,), (1e-2,)),
    "Misra1b": Curve(lambda x, r: [1 - (1 + r * x / 2) ** -2], lambda b, r: [*b, r], (1e-5,), (1e-2,)),
    "Misra1c": Curve(lambda x, r: [1 - (1 + 2 * r * x) ** -0.5], lambda b, r: [*b, r], (1e-5,), (1e-2,)),
    "DanWood": Curve(lambda x, c: [x**c], lambda b, c: [*b, c], (0.1,), (10.0,)),
    "BoxBOD": Curve(lambda x, r: [-np.expm1(-r * x)], lambda b, r: [*b, r], (1e-2,), (10.0,)),
    "Rat42": Curve(lambda x, s, r: [1 / (1 + np.exp(s - r * x))], lambda b, s, r: [*b, s, r], (0, 0.01), (10, 1.0)),
    "Rat43": Curve(
        lambda x, s, r, c: [(1 + np.exp(s - r * x)) ** (-1 / c)],
        lambda b, s, r, c: [*b, s, r, c],
        (0, 0.1, 0.1),
        (10, 10, 10),
    ),
    "MGH09": Curve(
        lambda x, p, q: [x**2 / (x**2 + x * p + q), x / (x**2 + x * p + q)],
        lambda b, p, q: [b[0], b[1] / b[0], p, q],
        (0.01, 0.01),
        (10.0, 10.0),
    ),
    "Thurber": Curve(
        lambda x, p, q, r: [x**power / (1 + p * x + q * x**2 + r * x**3) for power in range(4)],
        lambda b, p, q, r: [*b, p, q, r],
        (0.6, 0.2, 0.01),
        (1.0, 0.6, 0.06),
    ),
    "Bennett5": Curve(
        lambda x, s, c: [((s + x) / 57.0) ** (-1 / c)],
        lambda b, s, c: [b[0] * 57.0 ** (1 / c), s, c],
        (1, 0.1),
        (200, 10),
    ),
}


def data_sets():
    found = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(" ")
        if key == "name":
            found[rest] = {"b": [], "rss": [], "x": [], "y": []}
        elif key in ("b", "rss", "x", "y"):
            list(found.values())[-1][key] += [float(word) for word in rest.split()]
    return found


@pytest.mark.parametrize("name", sorted(CURVES))
def test_certified_values(name):
    certified = data_sets()[name]
    x, y = np.array(certified["x"]), np.array(certified["y"])
    found = multistart(CURVES[name], x, y, np.ones_like(x))
    np.testing.assert_allclose(found.rss, certified["rss"], rtol=1e-9)
    np.testing.assert_allclose(found.theta[0], certified["b"], rtol=1e-6)
