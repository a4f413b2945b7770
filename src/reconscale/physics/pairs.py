"""Real pairs: what was measured is read, not made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reconscale.data.pairs.subset import PairSubset
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.base import Baseline, Batch, Crops, ImageProblem
from reconscale.physics.metrics import mse, psnr_affine, psnr_rgb_clip
from reconscale.physics.pair_baselines import best_filter
from reconscale.physics.superresolution import upscale
from reconscale.study.images.pairs import PairsProblem


@dataclass(frozen=True, eq=False)
class PairCrops(Crops):
    """Crops of pairs as they were read.

    Attributes:
        inputs: (B, C, patch / factor, patch / factor) of the inputs, as they are stored.
    """

    inputs: Tensor


class Pairs(ImageProblem[PairsProblem]):
    """y and x are given. Nothing is drawn: the same crop of the same pair is always the same."""

    def check(self, data: ImageSubset, patch: int) -> None:
        """Refuse pairs of another factor than the study's, and patches that it does not divide.

        Raises:
            UserError: as said.
        """
        factor = self.problem.factor
        found = _pairs(data).factor
        if found != factor:
            remedy = (
                f"set it to {found}" if found in (1, 2, 3, 4, 8) else "bring truths to 1, 2, 3, 4 or 8 times the size"
            )
            what = "truths are as large as inputs" if found == 1 else f"truths are {found} times larger than inputs"
            raise UserError("problem.factor", f"found {factor}, and {what}", remedy)
        if patch % factor:
            fitting = patch // factor * factor or factor
            raise UserError("images.patch", f"found {patch}, which the factor {factor} does not divide",
                            f"give a multiple of {factor}, like {fitting}")  # fmt: skip

    def read(
        self,
        data: ImageSubset,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> PairCrops:
        """Crops of inputs and truths at the same places, as they are stored."""
        pairs = _pairs(data)
        inputs, truths = pairs.pair_crops(indices, patch, generator=generator, turns=turns)
        return PairCrops(pairs, truths, tuple(pairs.names[i] for i in indices), inputs)

    def examples(self, raw: Crops) -> list[Batch]:
        """Crops of inputs and truths: one example."""
        assert isinstance(raw, PairCrops)
        measured = _pairs(raw.pixels).measured
        x = raw.pixels.to_unit(raw.values, self.device)
        return [self.example(measured.to_unit(raw.inputs, self.device), x)]

    def fixed(self, data: ImageSubset, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """One pair, or its centre crop."""
        del seed
        y, x = _pairs(data).pair_tensors(index, crop)
        return self.example(y.to(self.device), x.to(self.device))

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64: sums of MSE and PSNR; the PSNR after the fit of gain and offset, where values are aligned.

        The MSE is that of the values as they are: it tells a guard that training diverges.
        """
        return torch.stack([mse(x_hat, example.x).sum(), self._psnr(x_hat, example.x).sum()])

    @property
    def _psnr(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The PSNR that curves are drawn in."""
        return psnr_affine if self.problem.picks_affine else psnr_rgb_clip

    def anchors(self, validation: ImageSubset) -> dict[str, Baseline]:
        """The input, enlarged where it is smaller, and the classical filter that is best on validation pairs."""
        factor = self.problem.factor
        enlarged = Baseline("bicubic", lambda y: upscale(y, factor)) if factor > 1 else Baseline("input", lambda y: y)
        examples = [self.fixed(validation, index, crop) for index, crop in _tried(_pairs(validation))]
        pairs = [(example.y, example.x) for example in examples if isinstance(example.y, Tensor)]
        return {"input": enlarged, "classical": best_filter(pairs, factor, self._psnr)}


TRIED, SIDE = 8, 192
"""Validation pairs that filters are chosen on, and the side of their centres in pixels of the input."""


def _tried(pairs: PairSubset) -> list[tuple[int, int]]:
    """Validation pairs that filters are chosen on, spread evenly, and the side of their crops."""
    count = min(TRIED, len(pairs))
    return [(round(i * (len(pairs) - 1) / max(1, count - 1)), SIDE * pairs.factor) for i in range(count)]


def _pairs(data: ImageSubset) -> PairSubset:
    """The data as pairs.

    Raises:
        UserError: they are images without inputs.
    """
    if not isinstance(data, PairSubset):
        raise UserError("images.source", "gives images without inputs", 'set it to "pairs"')
    return data
