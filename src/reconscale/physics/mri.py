"""The accelerated MRI problem: masked k-space and its ground truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from reconscale.data.subset import ImageSubset
from reconscale.data.volumes.volume_set import Slice, Slices
from reconscale.errors import UserError
from reconscale.physics.base import Baseline, Batch, KSpace, fixed_generator, refuse_explanation
from reconscale.physics.baselines import cg_sense, total_variation
from reconscale.physics.metrics import decibel, measure_slice, measure_volumes, mse, square_crops
from reconscale.physics.mri_coils import simulated_maps, to_kspace, zero_filled
from reconscale.plugins import load_object
from reconscale.study import MRIProblem
from reconscale.study.mask_files import mask_of, middle_of
from reconscale.study.mri import MASKS, Sampling
from reconscale.theory.operators import Operator


def center_lines(columns: int, problem: Sampling) -> int:
    """Lines in the middle that are measured without gaps: fastMRI's rule, round(columns * fraction).

    Raises:
        UserError: there is none, or they alone are more than the acceleration allows.
    """
    count = round(columns * problem.center)
    if count < 1:
        found = f"{problem.center:g} of {columns} lines leaves a mask without a centre"
        raise UserError("problem.center_fraction", found, f"give at least {1 / columns:.2g}")
    if count * problem.acceleration >= columns:
        raise UserError(
            "problem.acceleration",
            f"{columns} lines, {problem.acceleration}-fold accelerated, are {columns / problem.acceleration:g}, and "
            f"the centre alone takes {count}",
            "lower problem.acceleration or problem.center_fraction",
        )
    return count


class Masks:
    """Draws masks from a stream that can be continued exactly; of several kinds each mask is of one of them, by chance.

    Args:
        problem: the options.
        generator: a CPU generator; it advances with every mask.
    """

    def __init__(self, problem: MRIProblem, generator: torch.Generator) -> None:
        self.samplings, self.generator = problem.samplings, generator
        self._known: dict[tuple[int, Sampling], Any] = {}

    def draw(self, rows: int, columns: int) -> tuple[Tensor, tuple[int, int]]:
        """One mask.

        Args:
            rows: of the k-space.
            columns: of the k-space; they are what is left out.

        Returns:
            (1, 1, W) bool, or (1, H, W) for ``poisson``; and (first, count) of the columns in the middle that are
            measured without gaps.

        Raises:
            UserError: see :func:`center_lines`.
        """
        sampling = self.samplings[0]
        if len(self.samplings) > 1:
            sampling = self.samplings[int(torch.randint(len(self.samplings), (1,), generator=self.generator))]
        if sampling.given:
            return _given(rows, columns, sampling)
        count = center_lines(columns, sampling)
        if MASKS[sampling.mask].function is not None:
            return own_mask(rows, columns, count, sampling, self.generator)
        if sampling.mask == "poisson":
            return _poisson(rows, columns, count, sampling, self.generator)
        mask = self._lines(columns, count, sampling).step(batch_size=1)["mask"].reshape(1, 1, columns).bool()
        first = (columns - count + 1) // 2 if sampling.mask == "equispaced" else columns // 2 - count // 2
        return mask, (first, count)

    def _lines(self, columns: int, count: int, sampling: Sampling) -> Any:
        if (columns, sampling) not in self._known:
            from deepinv.physics import generator as generators

            kind = {
                "equispaced": generators.EquispacedMaskGenerator,
                "random": generators.RandomMaskGenerator,
                "gaussian": generators.GaussianMaskGenerator,
            }[sampling.mask]
            # It takes int(fraction * columns) lines, fastMRI rounds: half a line more gives exactly ``count``.
            fraction = (count + 0.5) / columns
            size = (1, columns)
            self._known[columns, sampling] = kind(size, sampling.acceleration, fraction, rng=self.generator)
        return self._known[columns, sampling]


def own_mask(
    rows: int, columns: int, center: int, sampling: Sampling, generator: torch.Generator
) -> tuple[Tensor, tuple[int, int]]:
    """A mask that the user's own code draws, as :meth:`Masks.draw` gives it.

    Args:
        rows: of the k-space.
        columns: of the k-space.
        center: lines in the middle that are measured without gaps.
        sampling: names the mask; a key of ``MASKS``.
        generator: a CPU generator; it gives one number, the seed of the mask.

    Raises:
        UserError: the code fails, or gives no mask of this size that measures the middle and leaves something out.
    """
    where, rng = f"mask '{sampling.mask}'", np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    remedy = f"return zeros and ones, ({columns},) or ({rows}, {columns}); ones are measured"
    try:
        drawn = np.asarray(
            load_object(MASKS[sampling.mask].function)(rows, columns, sampling.acceleration, center, rng)
        )
    except UserError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
        raise UserError(where, f"fails on {rows} x {columns} points of k-space ({said})", remedy) from error
    if drawn.dtype.kind not in "biuf" or drawn.shape not in ((columns,), (rows, columns)):
        raise UserError(where, f"gives {drawn.dtype} of shape {drawn.shape}", remedy)
    if not np.isin(drawn, (0, 1)).all():
        raise UserError(where, "gives values that are not all 0 or 1", remedy)
    mask = np.atleast_2d(drawn).astype(bool)
    if not mask[mask.shape[0] // 2, columns // 2]:
        raise UserError(where, "does not measure the middle of k-space",
                        "coil maps and networks need its lowest frequencies")  # fmt: skip
    if mask.all():
        raise UserError(where, "measures all of k-space", remedy)
    return torch.from_numpy(mask)[None], middle_of(mask)


def _given(rows: int, columns: int, sampling: Sampling) -> tuple[Tensor, tuple[int, int]]:
    """A mask that a file holds."""
    mask = mask_of(sampling.given)
    check_given(rows, columns, mask)
    return torch.from_numpy(mask)[None], middle_of(mask)


def check_given(rows: int | None, columns: int, mask: np.ndarray) -> None:
    """Refuse k-space of another size than a mask is for.

    Raises:
        UserError: as said.
    """
    if columns != mask.shape[1] or (rows is not None and mask.shape[0] not in (1, rows)):
        size = f"{mask.shape[1]} columns" if mask.shape[0] == 1 else f"{mask.shape[0]} x {mask.shape[1]} points"
        there = f"{columns} columns" if mask.shape[0] == 1 else f"{rows} x {columns} points"
        raise UserError("problem.mask_file", f"holds a mask of {size}, and there is k-space of {there}",
                        "give a mask of its size, or leave those volumes out")  # fmt: skip


def _poisson(
    rows: int, columns: int, count: int, problem: Sampling, generator: torch.Generator
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
            continue  # this many do not fit
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


WEIGHTS = (0.001, 0.003, 0.01, 0.03)
"""Weights of the total variation that are tried on validation slices."""
TRIED = 8
"""Validation slices that the weight is chosen on."""

Data = ImageSubset | Slices


class MRI:
    """Some lines of the k-space of a slice are measured; the truth is its magnitude image.

    Slices of measured k-space are masked. Images (complex, magnitude, or grey photographs) are first given simulated
    coils and transformed. Noise, if any, is added to what is measured.

    Attributes:
        problem: the options.
        device: where examples go.
    """

    def __init__(self, problem: MRIProblem, device: torch.device, seed: int) -> None:
        """Prepare to measure.

        Args:
            problem: the options.
            device: where examples go; masks and noise are drawn on the CPU and moved.
            seed: of the masks and the noise of training.
        """
        self.problem, self.device, self.seed = problem, torch.device(device), seed
        self._generator = torch.Generator().manual_seed(seed)
        self._masks = Masks(problem, self._generator)

    def check(self, data: Data, patch: int) -> None:
        """Refuse slices, and crops of images, that cannot be measured with these masks.

        Args:
            data: the slices or images.
            patch: side of the crops of images.

        Raises:
            UserError: see ``center_lines``; images in colour.
        """
        if isinstance(data, ImageSubset):
            if data.channels != 1:
                raise UserError(
                    "images.channels", "mri takes grey images, these are RGB", 'set images.channels = "gray"'
                )
            sides = {(patch, patch), *map(tuple, data.sizes.tolist())}
        else:
            sides = {tuple(data.volumes[v].shape[1:]) for v in np.unique(data.rows[:, 0]).tolist()}
        for rows, columns in sorted(sides):
            for sampling in self.problem.samplings:
                if sampling.given:
                    check_given(rows, columns, mask_of(sampling.given))
                else:
                    center_lines(columns, sampling)

    def read(
        self,
        data: Data,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> list[list[Slice]]:
        """Read slices from the disk; those of one shape together.

        Args:
            data: slices, or grey images, which are cropped.
            indices: which.
            patch: side of the crops of images.
            generator: decides where the crops of images lie; none: in the middle.
            turns: decides how the crops of images are turned; none: they are not.
        """
        if isinstance(data, ImageSubset):
            raw = data.to_unit(data.crops(indices, patch, generator=generator, turns=turns), torch.device("cpu"))
            return [[_of_pixels(x.numpy()[0], data.names[i]) for x, i in zip(raw, indices, strict=True)]]
        groups: dict[tuple[int, ...], list[Slice]] = {}
        for index in indices:
            one = data.slice(index)
            groups.setdefault(one.shape, []).append(one)
        return list(groups.values())

    def examples(self, groups: list[list[Slice]]) -> list[Batch]:
        """Measure slices with fresh masks (or the volume's own) and fresh noise: one example a shape and centre."""
        found = []
        for group in groups:
            found += self._examples(group, None, [s.maximum for s in group], self._generator)
        return found

    def fixed(self, data: Data, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """Measure one slice with its volume's mask; masks and noise are pure functions of the names and the seed."""
        if isinstance(data, ImageSubset):
            pixels = data.tensor(index, crop)[0, 0].numpy()
            one, peak = _of_pixels(pixels, data.names[index]), 1.0
        else:
            one, peak = data.slice(index), data.peak(index)
        noise = fixed_generator(f"noise {data.names[index]}", seed)
        return self._examples([one], seed, [peak], noise)[0]

    def _examples(
        self, group: list[Slice], seed: int | None, peaks: list[float], generator: torch.Generator
    ) -> list[Batch]:
        """Slices of one shape, measured; those whose masks have one centre together, as their coil maps need it."""
        rows, columns = group[0].shape[1:3]
        drawn = [self._mask(one, rows, columns, seed) for one in group]
        height = max(mask.shape[1] for mask, _ in drawn)  # of lines and points together, lines become points
        mask = torch.stack([mask.expand(1, height, columns) for mask, _ in drawn]).to(self.device)
        values, maps = self._kspace(group, rows, columns)
        scale = torch.tensor([one.maximum for one in group], dtype=torch.float32).to(self.device)
        if self.problem.sigma:  # drawn on the CPU: the same on every device
            noise = torch.view_as_complex(torch.randn((*values.shape, 2), generator=generator)).to(self.device)
            values = values + noise * (self.problem.sigma * scale[:, None, None, None])
        x = torch.from_numpy(np.stack([one.truth for one in group]))[:, None].to(self.device)
        peak = torch.tensor(peaks, dtype=torch.float32).to(self.device)
        measured, size, how = values * mask, (group[0].shape[3], group[0].shape[4]), self.problem.maps
        centers = list(dict.fromkeys(center for _, center in drawn))
        if len(centers) == 1:
            return [Batch(KSpace(measured, mask, centers[0], size, maps, how), x, scale, peak)]
        found = []
        for wanted in centers:
            at = torch.tensor([place for place, (_, center) in enumerate(drawn) if center == wanted]).to(self.device)
            own = None if maps is None else maps[at]
            found.append(Batch(KSpace(measured[at], mask[at], wanted, size, own, how), x[at], scale[at], peak[at]))
        return found

    def _mask(self, one: Slice, rows: int, columns: int, seed: int | None) -> tuple[Tensor, tuple[int, int]]:
        if seed is None and self.problem.masks == "fresh":
            return self._masks.draw(rows, columns)
        generator = fixed_generator(f"mask {one.volume}", seed or 0)
        return Masks(self.problem, generator).draw(rows, columns)

    def _kspace(self, group: list[Slice], rows: int, columns: int) -> tuple[Tensor, Tensor | None]:
        measured = [one.kspace for one in group if one.kspace is not None]
        if measured:
            return torch.from_numpy(np.stack(measured)).to(self.device), None
        stacked = np.stack([one.image for one in group if one.image is not None])
        images = torch.from_numpy(stacked)[:, None].to(self.device)
        maps = simulated_maps(self.problem.coils, rows, columns).to(self.device)
        return to_kspace(maps * images), maps.expand(len(group), -1, -1, -1)

    def state(self) -> Tensor:
        """State of the stream of fresh masks and noise: a uint8 tensor on the CPU."""
        return self._generator.get_state().clone()

    def restore(self, state: Tensor) -> None:
        """Continue the stream of fresh masks and noise from ``state``, exactly."""
        self._generator.set_state(state.cpu())

    def scores(self, x_hat: Tensor, example: Batch) -> dict[str, float]:
        """Every metric of one slice: profile -> value."""
        return measure_slice(x_hat, example.x, example.peak)

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64: sums of MSE (range 1) and PSNR, with the volume's maximum as range."""
        a, b = square_crops(x_hat, example.x, example.peak)
        error = mse(a, b)
        return torch.stack([error.sum(), decibel(error).sum()])

    def by_volume(self, scores: dict[str, dict[str, float]], data: Data) -> dict[str, dict[str, float]]:
        """Every metric of every volume, from those of its slices: volume -> profile -> value."""
        volumes = data.volume_names if isinstance(data, Slices) else data.names
        return measure_volumes(scores, dict(zip(data.names, volumes, strict=True)))

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """No linear explanation.

        Raises:
            UserError: always.
        """
        del channels, patch
        refuse_explanation(self.problem.kind)

    def variants(self) -> dict[str, MRI]:
        """The main test set is measured with each of several accelerations, and masks, as well."""
        return {words: MRI(problem, self.device, self.seed) for words, problem in self.problem.each().items()}

    def shown(self, x_hat: Tensor, example: Batch) -> Tensor:
        """A reconstruction as it is drawn: 1 is the volume's maximum."""
        return x_hat / example.peak[:, None, None, None]

    def anchors(self, validation: Data) -> dict[str, Baseline]:
        """Reconstructions without learning; the weight of the total variation is chosen on validation slices."""
        chosen = np.linspace(0, len(validation) - 1, min(TRIED, len(validation))).round().astype(int).tolist()
        examples = [self.fixed(validation, index) for index in chosen]
        measured = [example.y for example in examples if isinstance(example.y, KSpace)]

        def error(weight: float) -> float:
            tried = zip(measured, examples, strict=True)
            return sum(float(mse(*square_crops(total_variation(y, weight), e.x, e.peak))) for y, e in tried)

        weight = min(WEIGHTS, key=error)
        found = {"input": Baseline("zero-filled", zero_filled)}
        if max(y.values.shape[1] for y in measured) > 1:  # of one coil it is the zero-filled image
            found["cg-sense"] = Baseline("CG-SENSE", cg_sense)
        return found | {"classical": Baseline("total variation", lambda y: total_variation(y, weight))}


def _of_pixels(image: np.ndarray, name: str) -> Slice:
    """A grey image in [0, 1] as a slice of a volume of its own."""
    return Slice(None, image.astype(np.complex64), np.ascontiguousarray(image, np.float32), 1.0, name)
