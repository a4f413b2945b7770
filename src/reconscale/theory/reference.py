"""Slow reference: real training sets and gradient descent as in the paper's code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.theory.filters import best_flow, check_int
from reconscale.theory.images import Counts, Spectrum, check_counts, fold_members
from reconscale.theory.linear import learned_path, moments_of
from reconscale.theory.operators import Patches
from reconscale.theory.path import SubspacePath
from reconscale.theory.subspace import Subspace

PATIENCE = 100
"""The paper's code stops after this many steps, in all, that did not improve on the best risk so far."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """A training set of the subspace model.

    Attributes:
        model: the model it was drawn from.
        basis: U, (ambient, dim), orthonormal columns.
        codes: C, (dim, n).
        clean: X = U C, (ambient, n).
        noisy: Y = X + Z, (ambient, n).
    """

    model: Subspace
    basis: Floats
    codes: Floats
    clean: Floats
    noisy: Floats

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.noisy.shape[1])


def draw_training_set(model: Subspace, n: int, rng: np.random.Generator) -> TrainingSet:
    """Draw a subspace and n pairs, as the paper's code does: memory of ambient x n numbers."""
    n = check_int("n", n, 1)
    basis = np.linalg.qr(rng.standard_normal((model.ambient, model.dim)))[0]
    codes = rng.standard_normal((model.dim, n))
    clean = basis @ codes
    return TrainingSet(model, basis, codes, clean, clean + model.sigma * rng.standard_normal(clean.shape))


def risk_of(weights: Floats, data: TrainingSet) -> float:
    """(||(W - I) U||_F^2 + sigma^2 ||W||_F^2) / dim of any (ambient, ambient) matrix W."""
    off = weights @ data.basis - data.basis
    return float(((off**2).sum() + data.model.sigma**2 * (weights**2).sum()) / data.model.dim)


def descend(data: TrainingSet, step: float, steps: int) -> tuple[Floats, Floats]:
    """Gradient descent on ||W Y - X||_F^2 / (2 n) with full matrices.

    Returns:
        The risk after 0, 1, .., ``steps`` steps, and the last W.
    """
    n, weights = data.n, np.zeros((data.model.ambient,) * 2)
    risks = [risk_of(weights, data)]
    for _ in range(steps):
        weights = weights - step / n * (weights @ data.noisy - data.clean) @ data.noisy.T
        risks.append(risk_of(weights, data))
    return np.array(risks), weights


def stopped_by_patience(risks: Floats, patience: int = PATIENCE) -> int:
    """The step at which the paper's rule stops: its count of steps without improvement is never reset.

    >>> stopped_by_patience(np.array([1.0, 0.5, 0.6, 0.4, 0.5, 0.6]), patience=3)
    5
    """
    best, wasted = np.inf, 0
    for k, risk in enumerate(risks[1:], start=1):
        if risk < best:
            best = risk
        else:
            wasted += 1
        if wasted >= patience:
            return k
    return len(risks) - 1


def path_of(data: TrainingSet) -> SubspacePath:
    """The path of a given training set, from its singular value decomposition."""
    left, size, right = np.linalg.svd(data.noisy, full_matrices=False)
    keep = size > size[0] * max(data.noisy.shape) * np.finfo(float).eps
    left, size, right = left[:, keep], size[keep], right[keep]
    outputs = data.codes @ right.T * size / data.n
    return SubspacePath(data.model, data.n, size**2 / data.n, outputs, data.basis.T @ left)


@dataclass(frozen=True)
class LearnedCurve:
    """The mean of estimators that were learned.

    Attributes:
        counts: what n is: patches, or images with all of their patches.
        n: sizes.
        mse: the mean error of the early-stopped estimators at each n.
        error: the standard error of this mean.
        repeats: how many estimators were learned at each n.
    """

    counts: Counts
    n: tuple[int, ...]
    mse: tuple[float, ...]
    error: tuple[float, ...]
    repeats: int


def learned_curve(
    patches: Patches, spectrum: Spectrum, n: Sequence[int], *, counts: Counts = "patches", repeats: int = 8,
    seed: int = 0, progress: Callable[[int, int], None] | None = None,
) -> LearnedCurve:  # fmt: skip
    """Draw n patches (or images) with replacement, measure them, learn, stop at the best time; and again.

    Errors are exact means over the patches and over new noise, as for ``linear_curve``: both speak of the same
    population, which the patches are the whole of. They may be other patches than those of the spectrum: then the
    curve says what the spectrum is worth elsewhere.

    Args:
        patches: drawn from, and judged by.
        spectrum: for the measurement and the mean.
        n: sizes.
        counts: what n is.
        repeats: estimators for each n, 2 or more.
        seed: of all draws.
        progress: called with (sizes done, sizes).

    Raises:
        UserError: an argument is out of range, or the patch shapes differ.
    """
    check_counts(counts)
    repeats, sizes = check_int("repeats", repeats, 2), [check_int("n", size, 1) for size in n]
    operator, rng = spectrum.operator, np.random.default_rng(check_int("seed", seed, 0))
    x = spectrum.centred(patches)
    moments = moments_of(x.T @ x / len(x), operator)
    groups = fold_members(patches.image) if counts == "images" else []
    mse, error = [], []
    for done, size in enumerate(sizes, 1):
        risks = []
        for _ in range(repeats):
            chosen = rng.integers(0, len(groups) or len(x), size)
            pick = np.concatenate([groups[i] for i in chosen]) if groups else chosen
            noise = operator.sigma * rng.standard_normal((len(pick), operator.measurements))
            risks.append(best_flow(learned_path(x[pick], x[pick] @ operator.matrix.T + noise, moments)).risk)
        mse.append(float(np.mean(risks)))
        error.append(float(np.std(risks, ddof=1)) / math.sqrt(repeats))
        if progress is not None:
            progress(done, len(sizes))
    return LearnedCurve(counts, tuple(sizes), tuple(mse), tuple(error), repeats)
