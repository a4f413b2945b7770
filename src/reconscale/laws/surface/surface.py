"""The posterior over surfaces and its queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.findings import Finding, finding
from reconscale.laws.named.registry import bounded
from reconscale.laws.points import METRICS
from reconscale.laws.surface.cells import Cells, nearest_inside
from reconscale.laws.surface.model import SMOOTH, DiscrepancyDraws, SurfaceDraws, basis
from reconscale.laws.surface.optimum import Draws, Optimum, first_below, first_not_worthwhile, grid, optimum, six_n_p

ALWAYS_WRONG = 0.004
"""No surface is exact: relative error for each factor e beyond the convex range of the cells, at least."""
BENDS = 0.15
"""Beyond that range the slope in log-log may differ from what the law says by this part of the slope at its edge."""
FAR = 4.0
"""Beyond this multiple of the measured range of n or p a finding is raised."""
REACH = 1e4
"""A p more than this many times the largest measured one counts as infinite."""
NUDGE = 0.05
SAME = 1e-6
"""Sizes whose logarithms differ by less are one size."""


@dataclass(frozen=True, eq=False)
class Surface:
    """D equally likely surfaces error(n, p) = E + A (n^-a + R p^-b)^k, each with its own departure from the law.

    Attributes:
        couplings: form -> posterior probability; the forms are ``additive`` (k = 1), ``kaplan`` (a or b is 1),
            ``free``, ``no p`` (R = 0: p has no effect) and ``constant``; this had 0.4 before the data, the others 0.15.
        floor: posterior probability that the error has a floor E above 0 (0.85 before the data).
        metric: name of the metric.
        findings: cautions.
    """

    couplings: dict[str, float]
    floor: float
    metric: str
    findings: tuple[Finding, ...]
    _cells: Cells
    _shapes: SurfaceDraws
    _wrongs: DiscrepancyDraws
    _bends: Floats

    @property
    def parameters(self) -> dict[str, tuple[float, float, float]]:
        """Name -> (median, low, high), the latter at 90 %.

        E, A, a, R, b and k as in the formula, on the scale of the error; ``alpha`` = a k and ``beta`` = b k, the
        exponents where the other term is negligible; ``seed_sd``, the spread of ln(error) between seeds of a
        typical cell; ``wrong_sd``, the scale on which the law itself is wrong inside the data.
        """
        draws = parameters(self._shapes, self._wrongs, self._cells.centre)
        low, middle, high = np.quantile(np.concatenate(list(draws.values()), axis=1), [0.05, 0.5, 0.95], axis=0)
        return {name: (float(middle[i]), float(low[i]), float(high[i])) for i, name in enumerate(draws)}

    def log_error(self, n: ArrayLike, p: ArrayLike) -> Floats:
        """(D, N) draws of ln of the expected error at n and p (numbers or (N,)); a row is one coherent surface.

        Expected over seeds. Inside the data a draw departs from its law by a smooth function, outside by a change of
        slope as well, so that intervals widen with the distance.

        Raises:
            UserError: some n or p is not a finite number above 0, or their lengths differ.
        """
        return self._at(np.log(_pairs(n, p)))

    def error(self, n: ArrayLike, p: ArrayLike) -> Draws:
        """The expected value of the metric at n and p (N,).

        Raises:
            UserError: as in :meth:`log_error`.
        """
        return Draws(METRICS[self.metric].from_error(np.exp(self.log_error(n, p))))

    def median(self, n: ArrayLike, p: ArrayLike) -> Floats:
        """(N,) the middle of the expected metric's distribution.

        Raises:
            UserError: as in :meth:`log_error`.
        """
        return self.error(n, p).median

    def interval(self, n: ArrayLike, p: ArrayLike, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) central interval of the expected metric.

        Raises:
            UserError: as in :meth:`log_error`, or ``level`` is not between 0 and 1.
        """
        return self.error(n, p).interval(level)

    def gain(self, n: ArrayLike, p: ArrayLike, double: str = "p") -> Draws:
        """What doubling ``p`` or ``n`` adds at n and p (N,), in the metric's unit of gains; above 0 is better.

        Raises:
            UserError: as in :meth:`log_error`, or ``double`` is something else.
        """
        if double not in ("n", "p"):
            raise UserError("double", f"found '{double}'", "'n' or 'p' is expected")
        before = np.log(_pairs(n, p))
        after = before + np.log(2.0) * np.array([[double == "n"], [double == "p"]])
        both = self._at(np.concatenate([before, after], axis=1))
        count = before.shape[1]
        return Draws(METRICS[self.metric].gain(np.exp(both[:, :count]), np.exp(both[:, count:])))

    def frontier(
        self, n: ArrayLike, *, worthwhile: float | None = None, allowed: tuple[float, float] | None = None
    ) -> Draws:
        """The network that is large enough for each n (N,): beyond it a doubling gains less than ``worthwhile``.

        Without a cost the best p of these laws is infinite; this is where larger stops being worth it.

        Args:
            n: training-set sizes.
            worthwhile: the smallest gain of a doubling worth having, above 0, in the unit of the metric; none:
                that of the metric.
            allowed: smallest and largest p; none: the measured range and four times beyond.

        Returns:
            p (D, N); inf where even at the largest p allowed doubling is worthwhile.

        Raises:
            UserError: an argument is out of range.
        """
        worthwhile = METRICS[self.metric].worthwhile if worthwhile is None else worthwhile
        if not worthwhile > 0:
            raise UserError("worthwhile", f"found {worthwhile}", "a gain above 0 is expected")
        ladder = grid(self._allowed(allowed, 1.0, FAR))
        doubled = np.concatenate([ladder, ladder + np.log(2.0)])
        metric = METRICS[self.metric]

        def at(log_n: float) -> Floats:
            error = np.exp(self._at(np.stack([np.full(len(doubled), log_n), doubled])))
            gains = metric.gain(error[:, : len(ladder)], error[:, len(ladder) :])
            return first_not_worthwhile(ladder, gains, worthwhile)

        return Draws(np.stack([at(x) for x in np.log(_pairs(n, 1.0)[0])], axis=1))

    def isoquant(self, target: float, n: ArrayLike) -> Draws:
        """The p that is needed at each n (N,) for the expected metric to reach ``target``.

        Args:
            target: value of the metric.
            n: training-set sizes.

        Returns:
            p (D, N), from a hundredth of the smallest measured p on; inf where ten thousand times the largest is not
            enough.

        Raises:
            UserError: ``target`` is not a value of the metric, or some n is not a number above 0.
        """
        error = float(METRICS[self.metric].to_error(np.array([target], dtype=np.float64))[0])
        if not (np.isfinite(error) and error > 0):
            raise UserError("target", f"found {target}", f"a value of the metric '{self.metric}' is expected")
        ladder = grid(self._allowed(None, 100.0, REACH))

        def at(log_n: float) -> Floats:
            return first_below(ladder, self._at(np.stack([np.full(len(ladder), log_n), ladder])), np.log(error))

        return Draws(np.stack([at(x) for x in np.log(_pairs(n, 1.0)[0])], axis=1))

    def compute_optimal(
        self,
        budget: float,
        cost: Callable[[Floats, Floats], Floats] = six_n_p,
        *,
        allowed: tuple[float, float] | None = None,
    ) -> Optimum:
        """The best n and p whose cost stays within ``budget``.

        Args:
            budget: in the unit of ``cost``, above 0.
            cost: cost of n (N,) and p (N,), rising with n; none: 6 n p, the FLOPs of one pass over n samples (tokens).
            allowed: smallest and largest p; none: the measured range and ten times beyond at either end.

        Raises:
            UserError: the budget is too small for any network allowed, or an argument is out of range.
        """
        ladder = grid(self._allowed(allowed, 10.0, 10.0))
        best = optimum(self._at, ladder, budget, cost, self._cells)
        to_metric = METRICS[self.metric].from_error
        value = Draws(to_metric(np.exp(self._at(np.log(_pairs(best.n, best.p))))))
        return Optimum(best.n, best.p, best.n_draws, best.p_draws, value, best.findings + self.cautions(best.n, best.p))

    def seed_noise(self, n: ArrayLike, p: ArrayLike, runs: Floats) -> tuple[Floats, Floats]:
        """What seeds are expected to add to the mean of new runs, and how uncertain that is.

        At a new n the runs repeat the seeds of the other n, where these repeat each other's, so what they show of a
        seed's deviation is expected again; more runs of a measured cell have new seeds. Normal distributions, with
        typical scales of noise and discrepancy. Source: Searle, Casella, McCulloch, Variance components (1992),
        chapter 7.

        Args:
            n: training-set sizes, a number or (M,).
            p: parameters of the networks, a number or (M,).
            runs: (M,) how many new runs.

        Returns:
            (D, M) the expected deviation of ln(error) from each surface; (M,) its standard deviation, with the part of
            the discrepancy that every cell has of its own.

        Raises:
            UserError: as in :meth:`log_error`.
        """
        known, places = self._cells, np.log(_pairs(n, p))
        measured = np.stack([known.x, known.y])
        sigma, tau = np.median(self._wrongs.scales, axis=0)
        own = (1.0 - SMOOTH) * tau**2
        covariance = known.shared * known.overlap + np.diag((1.0 - known.shared) / known.count)
        covariance = sigma**2 * covariance + own * np.eye(len(known.x))
        same_n, same_p = (np.abs(np.subtract.outer(places[i], measured[i])) < SAME for i in range(2))
        repeated = (same_n & same_p).any(axis=1)
        alike = known.y[:, None] == known.y
        repeats = (((known.overlap > 0.0) & alike).sum(axis=1) > 1) | (alike.sum(axis=1) == 1)
        pairs = np.where(same_p & repeats & ~repeated[:, None], np.minimum.outer(runs, known.count), 0.0)
        common = sigma**2 * known.shared * pairs / np.outer(runs, known.count)
        weight = np.linalg.solve(covariance, common.T).T
        left = sigma**2 / runs - (weight * common).sum(axis=1)
        shift = (known.z - self._at(measured)) @ weight.T
        return shift, np.sqrt(np.maximum(left, 0.0) + own)

    def cautions(self, n: ArrayLike, p: ArrayLike) -> tuple[Finding, ...]:
        """A finding each for n and p that lie more than four times beyond the measured range, the farthest one.

        Raises:
            UserError: as in :meth:`log_error`.
        """
        found = []
        for name, asked, known in zip("np", _pairs(n, p), (self._cells.x, self._cells.y), strict=True):
            low, high = float(np.exp(known.min())), float(np.exp(known.max()))
            factors = np.maximum(asked / high, low / asked)
            if factors.max() > FAR * (1.0 + 1e-9):
                worst = {name: float(asked[factors.argmax()])}
                found.append(finding(f"far-in-{name}", factor=float(factors.max()), low=low, high=high, **worst))
        return tuple(found)

    def _at(self, places: Floats) -> Floats:
        """(D, N) ln(error) at ln n and ln p (2, N)."""
        inside = nearest_inside(self._cells.hull, places.T).T
        away = places - inside
        middle = np.array(self._cells.centre)[:, None]
        value = self._wrongs.level + self._shapes.log(*(places - middle))
        value = value + self._wrongs.sums @ basis(self._cells, *places).T
        if away.any():
            edge = self._shapes.log(*(inside - middle))
            for axis in range(2):
                step = NUDGE * (np.arange(2) == axis)[:, None]
                slope = (self._shapes.log(*(inside - middle + step)) - edge) / NUDGE
                value = value + self._bends[:, axis : axis + 1] * np.hypot(ALWAYS_WRONG, BENDS * slope) * away[axis]
        return bounded(value)

    def _allowed(self, allowed: tuple[float, float] | None, below: float, above: float) -> tuple[float, float]:
        """Range of ln p from the smallest and largest p."""
        if allowed is None:
            y = self._cells.y
            return float(y.min() - np.log(below)), float(y.max() + np.log(above))
        low, high = allowed
        if not 0 < low < high < np.inf:
            raise UserError("allowed", f"found {low:g} to {high:g}", "a smaller and a larger p above 0 are expected")
        return float(np.log(low)), float(np.log(high))


def parameters(shapes: SurfaceDraws, wrongs: DiscrepancyDraws, centre: tuple[float, float]) -> dict[str, Floats]:
    """The parameters of the formula, (D, 1) each, for n and p as they are."""
    a, b = shapes.alpha / shapes.k, shapes.beta / shapes.k
    level = np.exp(wrongs.level)
    middle = shapes.falling(np.zeros(1), np.zeros(1))
    with np.errstate(over="ignore"):
        return {
            "E": shapes.share * level,
            "A": (1.0 - shapes.share) * level * np.exp(bounded(shapes.alpha * centre[0] - middle)),
            "a": a,
            "R": np.exp(bounded(shapes.balance / shapes.k + b * centre[1] - a * centre[0])),
            "b": b,
            "k": shapes.k,
            "alpha": shapes.alpha,
            "beta": shapes.beta,
            "seed_sd": wrongs.scales[:, :1],
            "wrong_sd": wrongs.scales[:, 1:],
        }


def _pairs(n: ArrayLike, p: ArrayLike) -> Floats:
    """Sizes n and p as floats (2, N), numbers and arrays combined.

    Raises:
        UserError: they do not fit together, or one is not a finite number above 0.
    """
    columns = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (n, p)]
    for name, column in zip("np", columns, strict=True):
        bad = ~(np.isfinite(column) & (column > 0))
        if column.ndim != 1 or not column.size or bad.any():
            found = f"found {column[bad][0]:g}" if bad.any() else f"found shape {column.shape}"
            raise UserError(name, found, "one or more finite numbers above 0 are expected")
    if len({len(column) for column in columns} - {1}) > 1:
        raise UserError("p", f"found {len(columns[1])} values for {len(columns[0])} n", "as many p as n are expected")
    return np.stack(np.broadcast_arrays(*columns))
