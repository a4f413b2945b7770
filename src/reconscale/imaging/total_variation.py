"""Least squares with total variation, whatever was measured."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

INNER, STEP = 5, 0.3
"""Inner steps of the denoiser, which starts warm, and its primal step: with its default of 0.01 the same steps give
0.6 dB less (MRI)."""


def minimise(gradient: Callable[[Tensor], Tensor], start: Tensor, weight: float, iterations: int) -> Tensor:
    """Minimise |A x - y|^2 / 2 + weight TV(x) by accelerated proximal gradients (FISTA, Beck and Teboulle 2009).

    Args:
        gradient: x to A* (A x - y), scaled so that a step of 1 is safe.
        start: (B, C, H, W).
        weight: of the total variation.
        iterations: steps.

    Returns:
        (B, C, H, W).
    """
    from deepinv.models import TVDenoiser

    prox = TVDenoiser(n_it_max=INNER, tau=STEP)
    before = x = start
    momentum = 1.0
    for _ in range(iterations):
        now = prox(x - gradient(x), ths=weight)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        x = now + (momentum - 1) / following * (now - before)
        before, momentum = now, following
    return before
