"""Which lines of k-space are measured: deepinv's generators with fastMRI's number of lines in the middle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from reconscale.mistakes import Mistake
from reconscale.study import MRIProblem


def center_lines(columns: int, problem: MRIProblem) -> int:
    """Lines in the middle that are measured without gaps: fastMRI's rule, round(columns * fraction).

    Raises:
        Mistake: there is none, or they alone are more than the acceleration allows.
    """
    count = round(columns * problem.center)
    if count < 1:
        found = f"{problem.center:g} of {columns} lines leaves a mask without a centre"
        raise Mistake("problem.center_fraction", found, f"give at least {1 / columns:.2g}")
    if count * problem.acceleration >= columns:
        raise Mistake(
            "problem.acceleration",
            f"{columns} lines, {problem.acceleration}-fold accelerated, are {columns / problem.acceleration:g}, and "
            f"the centre alone takes {count}",
            "lower problem.acceleration or problem.center_fraction",
        )
    return count


class Masks:
    """Draws masks from a stream that can be continued exactly.

    Args:
        problem: the options.
        generator: a CPU generator; it advances with every mask.
    """

    def __init__(self, problem: MRIProblem, generator: torch.Generator) -> None:
        self.problem, self.generator = problem, generator
        self._known: dict[int, Any] = {}

    def draw(self, rows: int, columns: int) -> tuple[Tensor, tuple[int, int]]:
        """One mask.

        Args:
            rows: of the k-space.
            columns: of the k-space; they are what is left out.

        Returns:
            (1, 1, W) bool, or (1, H, W) for ``poisson``; and (first, count) of the columns in the middle that are
            measured without gaps.

        Raises:
            Mistake: see :func:`center_lines`.
        """
        count = center_lines(columns, self.problem)
        if self.problem.mask == "poisson":
            return _poisson(rows, columns, count, self.problem, self.generator)
        mask = self._lines(columns, count).step(batch_size=1)["mask"].reshape(1, 1, columns).bool()
        first = (columns - count + 1) // 2 if self.problem.mask == "equispaced" else columns // 2 - count // 2
        return mask, (first, count)

    def _lines(self, columns: int, count: int) -> Any:
        if columns not in self._known:
            from deepinv.physics import generator as generators

            kind = {
                "equispaced": generators.EquispacedMaskGenerator,
                "random": generators.RandomMaskGenerator,
                "gaussian": generators.GaussianMaskGenerator,
            }[self.problem.mask]
            # It takes int(fraction * columns) lines, fastMRI rounds: half a line more gives exactly ``count``.
            fraction = (count + 0.5) / columns
            size = (1, columns)
            self._known[columns] = kind(size, self.problem.acceleration, fraction, rng=self.generator)
        return self._known[columns]


def _poisson(
    rows: int, columns: int, count: int, problem: MRIProblem, generator: torch.Generator
) -> tuple[Tensor, tuple[int, int]]:
    """Points that keep a distance from each other, and a square in the middle; in all as many as the acceleration says.

    Darts are thrown in a random order and kept where no earlier one is too near, all at once: a dart whose number is
    the smallest of its neighbourhood is kept, and its neighbours are out. The distance is the largest one that gives
    enough points; the last ones too many are given up.
    """
    side = min(count, rows)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    rng = np.random.default_rng(seed)
    top, left = (rows - side + 1) // 2, (columns - side + 1) // 2
    mask = np.zeros((rows, columns), bool)
    wanted = round(rows * columns / problem.acceleration) - side**2
    order = rng.permutation(rows * columns).reshape(rows, columns)
    for radius in sorted({math.hypot(i, j) for i in range(9) for j in range(i + 1)} - {0.0}, reverse=True):
        if 0.8 / radius**2 * rows * columns < wanted:
            continue  # so many do not fit
        kept = _darts(order, radius)
        kept[top : top + side, left : left + side] = False
        if kept.sum() >= wanted:
            places = np.flatnonzero(kept)
            mask.flat[places[np.argsort(order.flat[places])[:wanted]]] = True
            break
    mask[top : top + side, left : left + side] = True
    return torch.from_numpy(mask)[None], (left, side)


def _darts(order: np.ndarray, radius: float) -> np.ndarray:
    """The darts that are kept when they are thrown in this order and may not be nearer than ``radius``."""
    reach = math.ceil(radius)
    steps = np.arange(-reach, reach + 1)
    disc = np.hypot(*np.meshgrid(steps, steps)) < radius
    kept, open_ = np.zeros(order.shape, bool), np.ones(order.shape, bool)
    while open_.any():
        numbers = np.where(open_, order, order.size)
        first = open_ & (numbers == ndimage.minimum_filter(numbers, footprint=disc, mode="constant", cval=order.size))
        kept |= first
        open_ &= ~ndimage.binary_dilation(first, disc)
    return kept
