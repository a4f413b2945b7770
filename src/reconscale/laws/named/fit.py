"""Fit one named law, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_level
from reconscale.format import amount, general
from reconscale.laws.findings import Finding, finding, floor_range, unique_findings
from reconscale.laws.grouping import SizeMeans, from_working, group_by_size, resample, to_working
from reconscale.laws.named.law import Law
from reconscale.laws.named.registry import LAWS, check_sizes, key_of
from reconscale.laws.named.variable_projection import Solution, linearised_covariance, multistart, refit
from reconscale.laws.points import METRICS, Points

EDGE = 1e-3
"""A coordinate of the unit cube nearer than this to 0 or 1 is at the edge of what is allowed."""
OPEN = 0.8
"""An interval of 90 % as wide as this part of what is allowed says nothing."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A law with the uncertainty of its parameters.

    Attributes:
        law: the law.
        metric: name of the metric.
        theta: (1, P) the least-squares parameters.
        draws: (D, P) the same for D resampled data sets.
        stretch: (D, 1) how much wider than estimated the noise is in each draw.
        ratio: mean square of residuals over what seeds explain, shrunk to 1 and not below it.
        residual_sd: root mean square residual of ln(error), over the degrees of freedom left; 0 where none is.
        spare: degrees of freedom left by the fit.
        loose: names of parameters that the data do not determine.
    """

    law: Law
    metric: str
    theta: Floats
    draws: Floats
    stretch: Floats
    ratio: float
    residual_sd: float
    spare: int
    loose: tuple[str, ...]

    def log_error(self, x: Floats, theta: Floats | None = None) -> Floats:
        """ln(error) at x = ln n (N,) for each draw (D, N), or for ``theta`` (..., P)."""
        u = self.law.working(x, self.draws if theta is None else theta)
        return from_working(u, self.law.of, self.metric)


def bootstrap(law: Law, level: SizeMeans, draws: int, rng: np.random.Generator, *, images: bool = False) -> Bootstrap:
    """Fit ``law`` to the levels, and again to ``draws`` hierarchically resampled copies of them.

    Weights are inverse seed variances. Where the residuals are larger than seeds explain, the resampled noise is
    enlarged to match, so that a law that is too simple gets wider intervals.

    Args:
        law: the law; the levels must be at least ``law.least``.
        level: what it is fitted to.
        draws: number of resampled data sets (D).
        rng: source of the draws.
        images: draw the test images again too, jointly for all sizes.
    """
    found = fit_levels(law, level)
    part = law.window(len(level.x))
    residual = residuals(found, level)
    spare = max(len(residual) - len(law.parameters), 0)
    chi2 = float((residual**2 / level.variance[part]).sum())
    ratio = max(1.0, (3.0 + chi2) / (3.0 + spare))
    shift, stretch = resample(level, draws, rng, images)
    copies = to_working_safely(level.z + shift * np.sqrt(ratio), law, level.metric)
    t, theta, _ = refit(found, copies)
    loose = _loose(found, t, linearised_covariance(found, copies)) if law.curved else ()
    return Bootstrap(law, level.metric, found.theta, theta, stretch, ratio, rms(residual, spare), spare, loose)


def fit_levels(law: Law, level: SizeMeans) -> Solution:
    """Weighted least squares of ``law`` through the levels, in its own working scale."""
    u = to_working(level.z, law.of, level.metric)
    jump = to_working(level.z + 1e-4, law.of, level.metric) - u
    weight = (1e-4 / np.maximum(np.abs(jump), 1e-300)) ** 2 / level.variance
    return multistart(law, level.x, u, weight / weight.mean())


def residuals(found: Solution, level: SizeMeans) -> Floats:
    """(K',) what is left of ln(error) at the levels that the law is fitted to."""
    law = found.problem.law
    fitted = from_working(law.working(level.x, found.theta), law.of, level.metric)[0]
    return np.asarray((level.z - fitted)[law.window(len(level.x))])


def to_working_safely(z: Floats, law: Law, metric: str) -> Floats:
    """:func:`to_working` for noisy copies: a metric that noise pushes below 0 is held just above it."""
    if law.of == "error":
        return z
    return to_working(np.minimum(z, -1e-6), law.of, metric)


def rms(residual: Floats, spare: int) -> float:
    """Root mean square residual over the degrees of freedom left; 0 where none is."""
    return float(np.sqrt((residual**2).sum() / spare)) if spare else 0.0


def _loose(found: Solution, t: Floats, root: Floats) -> tuple[str, ...]:
    """Parameters whose coordinate rests on an edge of the unit cube, or may be anywhere between the edges."""
    low, high = np.quantile(np.concatenate([found.ends[:1], t]), [0.05, 0.95], axis=0)
    best, sd = found.ends[0], np.sqrt((root**2).sum(1))
    edge = (np.minimum(best, low) < EDGE) | (np.maximum(best, high) > 1.0 - EDGE)
    open_ = edge | (high - low > OPEN) | (2.0 * 1.645 * sd > OPEN)
    return tuple(name for name, is_open in zip(found.problem.law.curved, open_, strict=True) if is_open)


@dataclass(frozen=True, eq=False)
class Fit:
    """A law through the points.

    Attributes:
        law: key in :data:`~reconscale.laws.named.registry.LAWS`.
        parameters: name -> (least-squares value, low, high), the latter at 90 %.
        draws: (D, P) parameters of the resampled data sets, in the order of ``parameters``.
        residual_sd: spread of the size means about the law, in ln(error); 0 where the law passes through all of them.
        seed_sd: spread of one run about its size's mean, in ln(error) (root mean square over sizes).
        findings: cautions.
        metric: the metric of the points, in which :meth:`evaluate` and :meth:`interval` answer.
        sizes: (K,) the distinct n (merged where there are very many).
    """

    law: str
    parameters: dict[str, tuple[float, float, float]]
    draws: Floats
    residual_sd: float
    seed_sd: float
    findings: tuple[Finding, ...]
    metric: str
    sizes: Floats
    _bootstrap: Bootstrap

    def evaluate(self, n: ArrayLike) -> Floats:
        """(N,) the law's value of the metric at n (N,).

        Raises:
            UserError: some n is not a number above 0.
        """
        x = np.log(check_sizes(n))
        return METRICS[self.metric].from_error(np.exp(self._bootstrap.log_error(x, self._bootstrap.theta)[0]))

    def interval(self, n: ArrayLike, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) central interval of the law's value at n, as if this law were true; see ``forecast`` otherwise.

        Raises:
            UserError: some n is not a number above 0, or ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - check_level(level))
        values = METRICS[self.metric].from_error(np.exp(self._bootstrap.log_error(np.log(check_sizes(n)))))
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return low, high

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(f"  {item}" for item in self.findings)])

    def summary(self) -> str:
        """The law with its parameters and their intervals, without the findings."""
        first, last = amount(float(self.sizes[0])), amount(float(self.sizes[-1]))
        formula = f": {LAWS[self.law].formula}" if self.law in LAWS else ""
        lines = [f"law {self.law} of {self.metric}, {len(self.sizes)} sizes from n = {first} to {last}{formula}"]
        for name, (value, low, high) in self.parameters.items():
            lines.append(f"  {name:<8} {general(value)}   90 % interval {general(low)} to {general(high)}")
        about, between = (f"{100 * sd:.2f} %" for sd in (self.residual_sd, self.seed_sd))
        lines.append(f"  scatter about the law {about}, between seeds {between} of the error")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class PointFit:
    """A law through the points, without intervals.

    Attributes:
        law: key in :data:`~reconscale.laws.named.registry.LAWS`.
        parameters: name -> least-squares value.
        residual_sd: spread of the size means about the law, in ln(error); 0 where the law passes through all of them.
        metric: the metric of the points, in which :meth:`evaluate` answers.
    """

    law: str
    parameters: dict[str, float]
    residual_sd: float
    metric: str

    def evaluate(self, n: ArrayLike) -> Floats:
        """(N,) the law's value of the metric at n (N,).

        Raises:
            UserError: some n is not a number above 0.
        """
        law, theta = LAWS[self.law], np.array(list(self.parameters.values()))
        log_error = from_working(law.working(np.log(check_sizes(n)), theta), law.of, self.metric)
        return METRICS[self.metric].from_error(np.exp(log_error))


def point_fit(points: Points, law: str = "power+floor") -> PointFit:
    """The least-squares fit of :func:`fit` alone, for thousands of curves: no draws, no intervals, no cautions.

    Args:
        points: the measurements.
        law: as for :func:`fit`.

    Raises:
        UserError: as for :func:`fit`.
    """
    key, level = _checked(points, law)
    found = fit_levels(LAWS[key], level)
    residual = residuals(found, level)
    names = LAWS[key].parameters
    parameters = dict(zip(names, found.theta[0].tolist(), strict=True))
    return PointFit(key, parameters, rms(residual, max(len(residual) - len(names), 0)), level.metric)


def fit(points: Points, law: str = "power+floor", draws: int = 400, seed: int = 0) -> Fit:
    """Fit one law to the points, by weighted least squares on the logarithm, with a hierarchical bootstrap.

    Several widths at the same n are first reduced by :func:`~reconscale.laws.width_selection.select_width`. Each draw
    takes seeds again within each n and, where ``points.images`` is given, test images again jointly for all n.

    Args:
        points: the measurements.
        law: ``power`` (also called M1), ``power+floor`` (M2), ``shifted`` (M3), ``M4``, ``bnsl-1``, ``bnsl-2``,
            ``paper`` or ``paper-2``.
        draws: number of resampled data sets, 20 or more.
        seed: the same seed gives the same bits.

    Raises:
        UserError: the law is unknown, or there are too few distinct n for it.
    """
    if draws < 20:
        raise UserError("draws", f"found {draws}", "20 or more are needed for an interval")
    key, level = _checked(points, law)
    form = LAWS[key]
    result = bootstrap(form, level, draws, np.random.default_rng(seed), images=True)
    low, high = np.quantile(result.draws, [0.05, 0.95], axis=0)
    columns = zip(form.parameters, result.theta[0].tolist(), low.tolist(), high.tolist(), strict=True)
    parameters = {name: (value, min(value, below), max(value, above)) for name, value, below, above in columns}
    seed_sd = float(np.sqrt((level.sd**2).mean()))
    findings = unique_findings(level.findings, tuple(_cautions(result, form, level)))
    return Fit(
        key, parameters, result.draws, result.residual_sd, seed_sd, findings, level.metric, np.exp(level.x), result
    )


def _checked(points: Points, law: str) -> tuple[str, SizeMeans]:
    """The key of the law and the levels of the points, which do not depend on the order of rows."""
    key = key_of(law)
    columns = [points.n, points.y, points.seed, points.width, points.p, points.validation]
    order = np.lexsort([column for column in reversed(columns) if column is not None])
    level = group_by_size(points.rows(order))
    if len(level.x) < LAWS[key].least:
        needed = f"the law '{law}' needs at least {LAWS[key].least}"
        raise UserError("points", f"found {len(level.x)} distinct n", needed)
    return key, level


def floor_share(draws: Floats, x: float) -> tuple[float, float]:
    """The floor's share of the error at ln n = x, 5 % and 95 % quantile over draws (D, 3) of ``power+floor``."""
    share = draws[:, 0] / np.exp(LAWS["power+floor"].working(np.array([x]), draws)[:, 0])
    low, high = np.quantile(share, [0.05, 0.95])
    return float(low), float(min(high, 1.0))


def floor_is_identified(draws: Floats, x: Floats) -> bool:
    """Whether the points say where the error stops: over 1.5 decades of n, and a share that is surely not 0."""
    low, _ = floor_share(draws, float(x[-1]))
    return bool(x[-1] - x[0] >= 1.5 * np.log(10.0) and low > 0.05)


def misfit(result: Bootstrap, level: SizeMeans) -> list[Finding]:
    """The finding that residuals are larger than seeds explain, where a chi-square test at 1 % says so."""
    if result.spare == 0 or not len(level.pool):
        return []
    chi2 = result.ratio * (3.0 + result.spare) - 3.0
    if float(chdtrc(result.spare, chi2)) > 0.01:
        return []
    seed = float(np.sqrt(level.variance.mean()))
    return [finding("misfit", law=f"'{result.law.name}'", residual=100 * result.residual_sd, seed=100 * seed)]


def _cautions(result: Bootstrap, form: Law, level: SizeMeans) -> list[Finding]:
    found = misfit(result, level)
    # the floor has a caution of its own
    loose = [name for name in result.loose if (form.name, name) != ("power+floor", "a")]
    if loose:
        found.append(finding("not-identified", names=", ".join(loose), law=f"'{form.name}'"))
    if form.name == "power+floor" and not floor_is_identified(result.draws, level.x):
        found.append(finding("floor-unidentified", **floor_range(*floor_share(result.draws, float(level.x[-1])))))
    if form.of == "metric" and METRICS[level.metric].is_error:
        found.append(finding("psnr-of-error"))
    return found
