"""What measures images for a problem. A new problem is a class with the methods of :class:`InverseProblem`, which the
options in ``reconscale.study.problems`` name as their ``physics``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from reconscale.physics.base import Baseline, Batch
from reconscale.plugins import load_object
from reconscale.study import Problem
from reconscale.theory.operators import Operator


class InverseProblem(Protocol):
    """What training, evaluation and the report ask of a problem. Data are ``ImageSubset`` or ``Slices``."""

    def check(self, data: Any, patch: int) -> None:
        """Refuse data that cannot be measured, before anything is trained."""

    def read(
        self,
        data: Any,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Any:
        """Read images from the disk, as they are stored; may run ahead in a thread of its own."""

    def examples(self, raw: Any) -> list[Batch]:
        """Measure what was read afresh, on the device."""

    def fixed(self, data: Any, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """The measurement of one image, always the same."""

    def state(self) -> Tensor:
        """Where the stream of fresh measurements is."""

    def restore(self, state: Tensor) -> None:
        """Continue the stream of fresh measurements."""

    def scores(self, x_hat: Tensor, example: Batch) -> dict[str, float]:
        """Every metric of one reconstruction."""

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64 on the device: sums over the example of MSE and PSNR, for the validation curve."""

    def by_volume(self, scores: dict[str, dict[str, float]], data: Any) -> dict[str, dict[str, float]]:
        """Every metric of every volume; empty where images are no slices."""

    def variants(self) -> Mapping[str, InverseProblem]:
        """The same problem at other levels of noise: what is added to the main test set's name -> problem."""

    def shown(self, x_hat: Tensor, example: Batch) -> Tensor:
        """A reconstruction as it is drawn, in [0, 1]."""

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """The same problem for a small patch, as a matrix, from which a linear estimator explains the curve.

        Args:
            channels: of the images.
            patch: side of the study's crops, in pixels.

        Raises:
            UserError: the problem has no linear explanation.
        """

    def anchors(self, validation: Any) -> dict[str, Baseline]:
        """Reconstructions without learning: at least ``input`` and ``classical``."""


def problem_of(problem: Problem, device: torch.device, seed: int) -> InverseProblem:
    """A problem as a study names it, ready to measure.

    Args:
        problem: the options.
        device: where examples go.
        seed: of what is fresh in training.
    """
    made: InverseProblem = load_object(problem.physics)(problem, device, seed)
    return made
