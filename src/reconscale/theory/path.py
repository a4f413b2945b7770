"""Training sets of the subspace model, and their whole early-stopping path from one small decomposition.

With the thin decomposition Y Y^T / n = sum_j v_j a_j a_j^T every estimator of ``filters`` is
W = sum_j g(v_j) (X Y^T / n) a_j a_j^T, so that its risk after any number of steps is a d x d product away
(``docs/explanation/theory.md``, "The path"). The paper iterates n x n matrices instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_int
from reconscale.theory.filters import Descent, Filter
from reconscale.theory.subspace import Subspace


@dataclass(frozen=True, eq=False)
class SubspacePath:
    """All that the risks of the estimators learned from one training set depend on.

    Attributes:
        model: the subspace model that the data come from.
        n: number of training images.
        variances: (r,) positive eigenvalues v_j of Y Y^T / n, in any order.
        outputs: (dim, r) U^T (X Y^T / n) a_j.
        overlap: (dim, r) U^T a_j, how the eigenvectors lie to the subspace.
    """

    model: Subspace
    n: int
    variances: Floats
    outputs: Floats
    overlap: Floats

    @cached_property
    def _energy(self) -> Floats:
        return np.asarray((self.outputs**2).sum(0))

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance."""
        return float(self.variances.min()), float(self.variances.max())

    def risk(self, filter_: Filter) -> float:
        """The exact risk of an estimator on this path, per direction of the subspace.

        Raises:
            UserError: gradient descent with a step of 2 / (largest variance) or more, which diverges.
        """
        if isinstance(filter_, Descent):
            check_stable(filter_, self.extent[1])
        return self.risk_of_gain(filter_.gain(self.variances))

    def risk_of_gain(self, gain: Floats) -> float:
        """(||V U - I||_F^2 + sigma^2 ||V||_F^2) / dim, V = U^T W, for the gain g(v_j) in each direction: (r,)."""
        model = self.model
        off = (self.outputs * gain) @ self.overlap.T - np.eye(model.dim)
        return float(((off**2).sum() + model.sigma**2 * (gain**2 @ self._energy)) / model.dim)

    def pca(self, rng: np.random.Generator) -> float:
        """The risk of A A^T / (1 + sigma^2), A the ``dim`` leading eigenvectors of Y Y^T.

        With fewer images than ``dim`` the missing vectors are drawn uniformly from what the data leave open, as the
        arbitrary ones of a full decomposition are (the paper's code): only their overlap with U matters, so nothing
        of the size of ``ambient`` is drawn.

        Args:
            rng: draws the completion; not used when there are ``dim`` eigenvectors.
        """
        model, top = self.model, np.argsort(self.variances)[::-1][: self.model.dim]
        captured = float((self.overlap[:, top] ** 2).sum())
        if (missing := model.dim - len(top)) > 0:
            captured += _completed(self.overlap, missing, model.ambient - len(self.variances), rng)
        shrink = 1 / (1 + model.sigma**2)
        return max(0.0, 1 - (2 - shrink) * shrink * captured / model.dim + (model.sigma * shrink) ** 2)


def _completed(overlap: Floats, missing: int, open_: int, rng: np.random.Generator) -> float:
    """||U^T Q||_F^2 for ``missing`` uniformly random orthonormal vectors Q of the ``open_`` directions left.

    U^T P U = I - overlap overlap^T, P the projection on the open directions, has rank dim at most: rotated to its
    eigenvectors the sum is that of the squares of a dim x missing block of a random orthonormal matrix, which the
    triangular factors of two Wishart matrices give without its other rows.
    """
    weight = np.clip(np.linalg.eigvalsh(np.eye(len(overlap)) - overlap @ overlap.T), 0, 1)
    weight = np.sort(weight)[::-1][: min(len(weight), open_)]
    block = rng.standard_normal((len(weight), missing))
    gram = block.T @ block
    if (others := open_ - len(weight)) > 0:
        gram = gram + _wishart(missing, others, rng)
    return float((weight[:, None] * block * np.linalg.solve(gram, block.T).T).sum())


def _wishart(size: int, freedom: int, rng: np.random.Generator) -> Floats:
    """The Gram matrix of a ``freedom`` x ``size`` Gaussian matrix, by Bartlett's factor where that is smaller."""
    if freedom <= size:
        block = rng.standard_normal((freedom, size))
        return np.asarray(block.T @ block)
    root = bartlett_factor(size, freedom, rng)
    return np.asarray(root.T @ root)


def bartlett_factor(side: int, freedom: int, rng: np.random.Generator) -> Floats:
    """Upper triangular R with R^T R distributed as the Gram matrix of a freedom x side Gaussian matrix."""
    root = np.triu(rng.standard_normal((side, side)), 1)
    root[np.diag_indices(side)] = np.sqrt(rng.chisquare(freedom - np.arange(side)))
    return np.asarray(root)


def stable_step(step: float, largest: float) -> float:
    """The step, or half the limit of stability where it would diverge: the paper's can, for tiny n or sizes.

    >>> stable_step(0.5, largest=3.0), stable_step(0.5, largest=8.0)
    (0.5, 0.125)
    """
    return step if step * largest < 2 else 1 / largest


def check_stable(descent: Descent, largest: float) -> None:
    """Refuse a gradient descent that diverges on this training set.

    Raises:
        UserError: step times the largest variance is 2 or more.
    """
    if descent.k and descent.step * largest >= 2:
        limit = 2 / largest
        raise UserError("step", f"found {descent.step:g}, with which gradient descent diverges",
                      f"below {limit:.3g} it is stable on this training set")  # fmt: skip


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


def path_of(data: TrainingSet) -> SubspacePath:
    """The path of a given training set, from its singular value decomposition."""
    left, size, right = np.linalg.svd(data.noisy, full_matrices=False)
    keep = size > size[0] * max(data.noisy.shape) * np.finfo(float).eps
    left, size, right = left[:, keep], size[keep], right[keep]
    outputs = data.codes @ right.T * size / data.n
    return SubspacePath(data.model, data.n, size**2 / data.n, outputs, data.basis.T @ left)


def risk_of(weights: Floats, data: TrainingSet) -> float:
    """(||(W - I) U||_F^2 + sigma^2 ||W||_F^2) / dim of any (ambient, ambient) matrix W."""
    off = weights @ data.basis - data.basis
    return float(((off**2).sum() + data.model.sigma**2 * (weights**2).sum()) / data.model.dim)


def descend(data: TrainingSet, step: float, steps: int) -> tuple[Floats, Floats]:
    """Gradient descent on ||W Y - X||_F^2 / (2 n) with full matrices, as in the paper's code: slow, for comparison.

    Returns:
        The risk after 0, 1, .., ``steps`` steps, and the last W.
    """
    n, weights = data.n, np.zeros((data.model.ambient,) * 2)
    risks = [risk_of(weights, data)]
    for _ in range(steps):
        weights = weights - step / n * (weights @ data.noisy - data.clean) @ data.noisy.T
        risks.append(risk_of(weights, data))
    return np.array(risks), weights
