"""Draw training sets of the subspace model in compressed form.

The risk of every estimator here is unchanged when images are mixed by a rotation and when the noise directions outside
the subspace are rotated among themselves. So Gaussian matrices may be replaced by the triangular factors of their Gram
matrices (Bartlett 1933): chi variables on the diagonal, Gaussian ones beside it. In what is left the larger of n and
``ambient`` is a degree of freedom, not a size. All draws are exact in law (``docs/explanation/theory.md``).
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_int
from reconscale.theory.path import SubspacePath, bartlett_factor
from reconscale.theory.subspace import LARGEST, Subspace

WIDEST = 6000
"""Side of the largest matrix that is decomposed: 0.3 GB, and about a minute."""

_SMALL = 64
"""Below this side a singular value decomposition costs as little as the eigenvalues of a Gram matrix."""


def sample(model: Subspace, n: int, rng: np.random.Generator) -> SubspacePath:
    """The learning path of a random training set of n images, with its whole spectrum.

    Costs one eigenvalue problem of side min(n, ambient); n and ``ambient`` beyond that enter as degrees of freedom.

    Raises:
        UserError: the matrix would have more than ``WIDEST`` rows; ``sample_truncated`` has no such limit.
    """
    n = check_int("n", n, 1, LARGEST)
    check_side(model, n)
    rest = 0 if model.sigma == 0 else model.ambient - model.dim
    if n >= model.dim + rest:
        noisy = _levels(model, rest)[:, None] * bartlett_factor(model.dim + rest, n, rng).T
    elif n > rest:
        noisy = _levels(model, rest)[:, None] * rng.standard_normal((model.dim + rest, n))
    else:
        signal = math.sqrt(1 + model.sigma**2) * rng.standard_normal((model.dim, n))
        noisy = np.vstack([signal, model.sigma * bartlett_factor(n, rest, rng)])
    return _decomposed(model, n, noisy, _codes(model, noisy, rng.standard_normal((model.dim, noisy.shape[1]))))


def check_side(model: Subspace, n: int) -> None:
    """Refuse what is too large for ``sample``.

    Raises:
        UserError: the matrix would have more than ``WIDEST`` rows.
    """
    if model.dim > WIDEST:
        raise UserError("dim", f"found {model.dim:,}", f"at most {WIDEST:,}: risks take matrices of this side")
    rank = model.dim if model.sigma == 0 else model.ambient
    if (side := min(n, rank)) > WIDEST:
        found = f"{n:,} images of {model.ambient:,} pixels in {model.dim:,} dimensions need a matrix of {side:,} rows"
        raise UserError("n", found, f"at most {WIDEST:,}; take a smaller dim, or a deterministic equivalent")


def sample_truncated(model: Subspace, n: int, blocks: int, rng: np.random.Generator) -> SubspacePath:
    """The first ``blocks`` block columns of the band form of a training set; n and ``ambient`` may be anything large.

    Block Golub-Kahan bidiagonalisation, started from signal and label noise, turns [P; E; sigma G] into a band of
    independent triangles of side 2 dim. Gradient descent stays in the Krylov space of the start: the risks of the
    first ``blocks`` steps are exact, later ones have the accuracy of block Gauss quadrature of degree 2 blocks - 1.
    The same ``rng`` state with more blocks continues the same training set.

    Raises:
        UserError: the band has more columns than the data, or more than ``WIDEST``.
    """
    n, blocks = check_int("n", n, 1, LARGEST), check_int("blocks", blocks, 1)
    width, rest, sigma = 2 * model.dim, model.ambient - model.dim, model.sigma
    if not band_fits(model, n, blocks):
        raise UserError("blocks", f"{blocks} blocks of {width} columns do not fit into {n:,} images of {rest:,} noise "
                      f"directions and {WIDEST:,} columns", "use fewer blocks, or sample")  # fmt: skip
    start = bartlett_factor(width, n, rng).T
    noisy = np.zeros((model.dim + width * blocks, width * blocks))
    noisy[: model.dim, :width] = math.sqrt(1 + sigma**2) * start[: model.dim]
    label = np.zeros((model.dim, width * blocks))
    label[:, :width] = start[model.dim :]
    for i in range(blocks):
        rows = slice(model.dim + width * i, model.dim + width * (i + 1))
        noisy[rows, width * i : width * (i + 1)] = sigma * bartlett_factor(width, rest - width * i, rng)
        if i + 1 < blocks:
            beside = sigma * bartlett_factor(width, n - width * (i + 1), rng).T
            noisy[rows, width * (i + 1) : width * (i + 2)] = beside
    return _decomposed(model, n, noisy, _codes(model, noisy, label))


def band_fits(model: Subspace, n: int, blocks: int) -> bool:
    """Whether ``sample_truncated`` can draw this many blocks."""
    width = 2 * model.dim * blocks
    return width <= min(n, model.ambient - model.dim, WIDEST)


def sample_converged(model: Subspace, n: int, rng: np.random.Generator) -> float | None:
    """The risk of converged gradient descent from matrices of side dim or 2 dim; None where no such form is known.

    For n >= ambient: R* (1 + tr(W1 W2^-1) / dim), W1 and W2 independent Wishart matrices of side dim with ``ambient``
    and n - ambient + dim degrees of freedom. For 2 dim <= n <= ambient - dim: from the 2 dim x 2 dim compression
    of (Y^T Y)^-1 by Woodbury's identity. Without noise: the risk of the projection on the images' span.
    """
    n, dim, sigma = check_int("n", n, 1, LARGEST), model.dim, model.sigma
    if sigma == 0:
        return max(0.0, 1 - n / dim)
    if n >= model.ambient:
        top, bottom = bartlett_factor(dim, model.ambient, rng), bartlett_factor(dim, n - model.ambient + dim, rng)
        ratio = scipy.linalg.solve_triangular(bottom, top.T, trans="T")
        return model.floor * (1 + float((ratio**2).sum()) / dim)
    if 2 * dim <= n <= model.ambient - dim:
        return _converged_woodbury(model, n, rng)
    return None


def _converged_woodbury(model: Subspace, n: int, rng: np.random.Generator) -> float:
    """With K = (sigma^2 G^T G)^-1 compressed to the rows of [P; E], Y^T Y = P^T P + sigma^2 G^T G is inverted."""
    dim, sigma = model.dim, model.sigma
    factor = bartlett_factor(2 * dim, n, rng).T
    inner = bartlett_factor(2 * dim, model.ambient + dim - n, rng)
    half = scipy.linalg.solve_triangular(inner, factor.T, trans="T").T / sigma
    gram = half @ half.T
    signal = np.vstack([math.sqrt(1 + sigma**2) * np.eye(dim), np.zeros((dim, dim))])
    code = np.vstack([np.eye(dim) / math.sqrt(1 + sigma**2), math.sqrt(model.floor) * np.eye(dim)])
    pp, cp, cc = signal.T @ gram @ signal, code.T @ gram @ signal, code.T @ gram @ code
    inverse = np.linalg.solve(np.eye(dim) + pp, np.eye(dim))
    estimate, energy = cp @ inverse, np.trace(cc - cp @ inverse @ cp.T)
    return float((((estimate - np.eye(dim)) ** 2).sum() + sigma**2 * energy) / dim)


def _levels(model: Subspace, rest: int) -> Floats:
    levels = np.full(model.dim + rest, model.sigma)
    levels[: model.dim] = math.sqrt(1 + model.sigma**2)
    return levels


def _codes(model: Subspace, noisy: Floats, label: Floats) -> Floats:
    """C = P / (1 + sigma^2) + sqrt(R*) E: the mean of the code given y, and what is independent of y."""
    return np.asarray(noisy[: model.dim] / (1 + model.sigma**2) + math.sqrt(model.floor) * label)


def _decomposed(model: Subspace, n: int, noisy: Floats, codes: Floats) -> SubspacePath:
    """The path, by the eigenvalues of the smaller Gram matrix where these are accurate enough.

    Eigenvalues of a Gram matrix are accurate to 1e-16 of the largest: enough unless the smallest is below 1e-8 of it,
    as near n = ambient, where the converged risk depends on it.
    """
    rows, columns = noisy.shape
    if min(rows, columns) > _SMALL:
        wide = columns >= rows
        gram = noisy @ noisy.T if wide else noisy.T @ noisy
        size, vectors = scipy.linalg.eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        if size[0] > 1e-8 * size[-1]:
            if wide:
                outputs, overlap = (codes @ noisy.T) @ vectors, vectors[: model.dim]
            else:
                root = np.sqrt(size)
                outputs, overlap = (codes @ vectors) * root, (noisy[: model.dim] @ vectors) / root
            return SubspacePath(model, n, size / n, outputs / n, overlap)
    left, root, right = scipy.linalg.svd(noisy, full_matrices=False, check_finite=False)
    keep = root > root[0] * max(rows, columns) * np.finfo(float).eps
    outputs = (codes @ right[keep].T) * root[keep] / n
    return SubspacePath(model, n, root[keep] ** 2 / n, outputs, left[: model.dim, keep])
