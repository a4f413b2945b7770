"""What the bound says is compared with: the blocks of a training set, and the exact risk expected given its Y."""

import math

import numpy as np

from reconscale.theory import Descent, Filter, TrainingSet
from reconscale.theory.bound import Blocks
from reconscale.theory.path import check_stable


def blocks_of(data: TrainingSet) -> Blocks:
    """The blocks of a training set: memory of ambient x n numbers."""
    signal = data.basis.T @ data.noisy
    noise = data.noisy - data.basis @ signal
    variances = np.linalg.eigvalsh(signal @ signal.T / data.n)
    cross = np.linalg.svd(signal @ noise.T / data.n, compute_uv=False)
    gram = noise @ noise.T if data.n > len(noise) else noise.T @ noise
    invertible = data.n >= data.model.dim and variances[0] > 0
    return Blocks(
        least_signal=float(variances[0]) if invertible else 0.0,
        largest_noise=float(np.linalg.eigvalsh(gram)[-1]) / data.n,
        cross=float(cross[0]),
        cross_squares=float((cross**2).sum()),
        inverse_trace=float((1 / variances).sum()) if invertible else math.inf,
        noise_trace=float((noise**2).sum()) / data.n,
    )


def given_measurements(data: TrainingSet, filter_: Filter) -> float:
    """E[risk | Y] of a training set, exactly: the clean images given the noisy ones averaged over.

    The clean codes are P / (1 + sigma^2) plus noise of variance floor that is independent of Y, so that
    dim (E[risk | Y] - floor) = ||V r(S) Sigma^(1/2)||_F^2 + dim floor / n tr(Sigma (1 - r(S))^2 S^-1).

    Raises:
        UserError: a descent diverges.
    """
    model, dim, n = data.model, data.model.dim, data.n
    left, size, _ = np.linalg.svd(data.noisy, full_matrices=False)
    keep = size > size[0] * max(data.noisy.shape) * np.finfo(float).eps
    left, variances = left[:, keep], size[keep] ** 2 / n
    if isinstance(filter_, Descent):
        check_stable(filter_, float(variances.max()))
    overlap, gain = data.basis.T @ left, filter_.gain(variances)
    learned = (overlap * (gain * variances)) @ left.T / (1 + model.sigma**2)
    off = learned @ data.basis - np.eye(dim) / (1 + model.sigma**2)
    outside = learned - learned @ data.basis @ data.basis.T
    bias = (1 + model.sigma**2) * (off**2).sum() + model.sigma**2 * (outside**2).sum()
    spread = ((overlap**2).sum(0) + model.sigma**2) @ (gain**2 * variances)
    return model.floor + float(bias / dim + model.floor / n * spread)
