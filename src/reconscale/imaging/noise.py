"""Noise: drawn from a generator of one's own, so that a stream can be kept, continued, and fixed by a name."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def noisy(
    x: Tensor, generator: torch.Generator, *, sigma: float | Tensor = 0.0, photons: float | None = None
) -> Tensor:
    """Add noise: y ~ Poisson(photons x) / photons + N(0, sigma^2). Neither clipped nor rounded.

    With the same generator it gives what deepinv's ``GaussianNoise`` and ``PoissonGaussianNoise`` give; these keep a
    copy of their generator, which cannot be continued from a checkpoint without looking into them.

    Args:
        x: (B, ...) of values in [0, 1].
        generator: on the device of x, or on the CPU: numbers are drawn where it is, and moved.
        sigma: standard deviation of the Gaussian part in the units of x; a (B,) tensor: one for each image.
        photons: how many a value of 1 counts; none: no Poisson part.

    Returns:
        Noisy values, of the shape of x.
    """
    y = x
    if photons is not None:
        counts = (x.clamp_min(0) * photons).to(generator.device)
        y = torch.poisson(counts, generator=generator).to(x.device) / photons
    if isinstance(sigma, Tensor) or sigma > 0:
        noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=torch.float32).to(x.device)
        level = sigma.view(-1, *[1] * (x.dim() - 1)) if isinstance(sigma, Tensor) else sigma
        y = y + noise * level
    return y


def seed_of(name: str, seed: int) -> int:
    """A 63-bit seed that is a pure function of a name and a number."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big") >> 1


def fixed_generator(name: str, seed: int) -> torch.Generator:
    """A generator on the CPU whose numbers are a pure function of a name and a seed: the same on every device."""
    return torch.Generator().manual_seed(seed_of(name, seed))
