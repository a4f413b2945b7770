"""The whole early-stopping path from one small decomposition of the training set.

With the thin decomposition Y Y^T / n = sum_j v_j a_j a_j^T every estimator of ``filters`` is
W = sum_j g(v_j) (X Y^T / n) a_j a_j^T, so that its risk after any number of steps is a d x d product away
(``docs/explanation/theory.md``, "The path"). The paper iterates n x n matrices instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.theory.filters import Descent, Filter
from reconscale.theory.subspace import Subspace


@dataclass(frozen=True, eq=False)
class SubspacePath:
    """What the risks of all estimators learned from one training set depend on.

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
    root = np.triu(rng.standard_normal((size, size)), 1)
    root[np.diag_indices(size)] = np.sqrt(rng.chisquare(freedom - np.arange(size)))
    return np.asarray(root.T @ root)


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
