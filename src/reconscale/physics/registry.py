"""The inverse problems by name. A new one is a class with the methods of :class:`InverseProblem` and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from reconscale.physics.base import Baseline, Batch
from reconscale.physics.denoising import Denoising, NoGroundTruth
from reconscale.physics.linear import LinearImageProblem
from reconscale.physics.mri import MRI
from reconscale.physics.superresolution import Superresolution
from reconscale.study import DenoisingProblem
from reconscale.study.problems import LINEAR


class InverseProblem(Protocol):
    """What training, evaluation and the report ask of a problem. Data are ``Pixels`` or ``Slices``."""

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

    def anchors(self, validation: Any) -> dict[str, Baseline]:
        """Reconstructions without learning: at least ``input`` and ``classical``."""


def _denoising(problem: DenoisingProblem, device: torch.device, seed: int) -> Denoising:
    return (NoGroundTruth if problem.truth == "noisy" else Denoising)(problem, device, seed)


PROBLEMS: dict[str, Callable[[Any, torch.device, int], Any]] = {
    "denoising": _denoising,
    "mri": MRI,
    "superresolution": Superresolution,
    **dict.fromkeys(LINEAR, LinearImageProblem),
}


def problem_of(problem: Any, device: torch.device, seed: int) -> InverseProblem:
    """A problem as a study names it, ready to measure.

    Args:
        problem: the options.
        device: where examples go.
        seed: of what is fresh in training.
    """
    made: InverseProblem = PROBLEMS[problem.kind](problem, device, seed)
    return made
