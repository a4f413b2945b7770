"""Every family on every problem that it is made for: with a head of zeros it begins with what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reconscale.data import ImageSet
from reconscale.networks import FAMILIES, build, input_spec
from reconscale.physics import problem_of
from reconscale.study.problems import PROBLEMS
from reconscale.training.evaluate import validate

from .test_families import small
from .test_families_on_problems import CASES, CPU, OPTIONS, SIDE, both, images

__all__ = ["both", "images"]

LOSES = 0.1
"""dB that it may lose against its input."""
EXCEPTIONS = {
    "linear": "the theory's estimator: it starts at zero, and so does its image",
}
"""Family -> why it does not begin with its input."""


class Untouched(nn.Module):
    """What needs no training, as a network."""

    def __init__(self, reconstruct: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.reconstruct = reconstruct

    def forward(self, y: Any) -> Tensor:
        return self.reconstruct(y)


def begins(family: str, kind: str, images: ImageSet, **more: Any) -> tuple[float, float]:
    """Mean PSNR in dB of an untrained network, and of its input: noisy, enlarged, zero-filled or filtered."""
    given = PROBLEMS[kind](kind=kind, **OPTIONS[kind])
    problem = problem_of(given, CPU, 0)
    torch.manual_seed(0)
    network = build(small(family, 4).model_copy(update={"head": "zero", **more}), input_spec(given, images.channels))
    untouched = Untouched(problem.anchors(images.val)["input"].reconstruct)
    seen = [validate(each, problem, images.val, SIDE, CPU) for each in (network, untouched)]
    return seen[0][1], seen[1][1]


@pytest.mark.parametrize("family, kind", [case for case in CASES if case[0] not in EXCEPTIONS])
def test_it_is_not_worse_than_its_input(family: str, kind: str, images: ImageSet) -> None:
    network, given = begins(family, kind, images)
    assert network > given - LOSES


ENDS = [
    (family, upsampler)
    for family, known in FAMILIES.items()
    if family not in EXCEPTIONS
    for upsampler in known.upsamplers
]


@pytest.mark.parametrize("family, upsampler", ENDS)
def test_every_way_of_enlarging(family: str, upsampler: str, images: ImageSet) -> None:
    if FAMILIES[family].made_for("superresolution"):
        network, given = begins(family, "superresolution", images, upsampler=upsampler)
        assert network > given - LOSES


@pytest.mark.parametrize("kind", [kind for family, kind in CASES if family == "unet"])
def test_without_normalisation(kind: str, images: ImageSet) -> None:
    """As version 2 of study files has it."""
    network, given = begins("unet", kind, images, norm="none")
    assert network > given - LOSES


def test_exceptions_are_families() -> None:
    assert set(EXCEPTIONS) <= {family for family, _ in CASES}


def test_the_linear_estimator_starts_at_zero(images: ImageSet) -> None:
    network, given = begins("linear", "denoising", images)
    assert network < given - 5
