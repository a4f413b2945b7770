"""Apply a trained network to the user's images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as tensors_from_bytes
from torch import Tensor, nn

from reconscale.data.image_checks import Limits
from reconscale.errors import UserError
from reconscale.networks import FAMILIES, build, input_spec, size_of
from reconscale.networks.family import InputSpec, OnFilteredImage
from reconscale.networks.registry import depth_of, family_of, upsampler_of
from reconscale.own_parts import code_behind
from reconscale.physics import problem_of
from reconscale.physics.base import LinearMeasurement
from reconscale.physics.linear import LinearImageProblem
from reconscale.physics.linear_operators import LinearOperator
from reconscale.results import Result
from reconscale.study import MRIProblem, Run
from reconscale.study.recorded_parts import code_of_result, recall_parts
from reconscale.training.apply_volume import reconstruct_simulated, reconstruct_volume
from reconscale.training.given_images import check_input, check_source, find_jobs, input_limits, is_simulated

GRID = 16
"""Tiles begin at multiples of this: networks that halve images, take blocks of pixels together or look through windows
would see other blocks than in the whole image."""
TILE = 512
"""Side of the tiles that larger images are cut into, without their overlap."""


@dataclass(frozen=True)
class Trained:
    """A trained network with its run.

    Attributes:
        run: the run that trained it.
        network: in evaluation mode.
        channels: channels that it takes.
    """

    run: Run
    network: nn.Module
    channels: int

    @property
    def given(self) -> InputSpec:
        """What the network gets."""
        return input_spec(self.run.problem, self.channels)

    @property
    def measures(self) -> bool:
        """Whether the network takes what a linear operator has measured, not the filtered image alone."""
        return self.given.form == "sensed" and not isinstance(self.network, OnFilteredImage)

    def of_image(self, y: Tensor) -> Tensor:
        """Reconstruct an image (1, C, h, w); of linear problems one that is filtered already."""
        network = self.network.network if isinstance(self.network, OnFilteredImage) else self.network
        x: Tensor = network(y)
        return x


def load_trained(folder: Path) -> Trained:
    """Load the weights of a run that is done, without unpickling anything.

    Args:
        folder: the directory of the run: ``runs/<id>``.

    Raises:
        UserError: there is no such run, it is not done, or its weights are missing or damaged.
    """
    folder = folder.resolve()  # "." has the name of its run, too
    if not (folder / "result.json").is_file():
        raise UserError(folder, "holds no result", "give the directory of a run that is done: runs/<id>")
    recall_parts(folder.parent)
    result = Result.read(folder, images=False)
    path = folder / "weights.safetensors"
    if result.status != "done" or not path.is_file():
        raise UserError(folder, "has no trained weights", "choose a run that is done, or run the study again")
    _refuse_other_code(folder, result)
    try:
        weights = tensors_from_bytes(path.read_bytes())
    except Exception as error:  # safetensors raises its own class for every kind of damage
        raise UserError(path, "is damaged", "delete the run's directory and run again") from error
    held = sum(values.numel() for values in weights.values())
    for channels in (3, 1):
        if size_of(result.run.network, input_spec(result.run.problem, channels)).p > held:
            continue  # nothing is allocated for a network that the file claims and does not hold
        network = build(result.run.network, input_spec(result.run.problem, channels))
        if {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in weights.items()}:
            network.load_state_dict(weights)
            return Trained(result.run, network.eval(), channels)
    raise UserError(path, "does not fit the network of its run", "delete the run's directory and run again")


def _refuse_other_code(folder: Path, result: Result) -> None:
    """Refuse weights of a network whose code has changed since: they would fit and compute something else."""
    family, was = result.run.network.family, code_of_result(result.provenance)
    for name, digest in code_behind("FAMILIES", family, FAMILIES.get(family)).items():
        if was.get(name, digest) != digest:
            raise UserError(folder, f"was trained with {name} as it was ({was[name][:8]}, now {digest[:8]})",
                            "pass --plugin with the file as it was then")  # fmt: skip


def reconstruct(
    folder: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    limits: Limits = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Reconstruct an image file, every image of a folder, an array of images, or (MRI) a volume of k-space.

    The result has the size (of super-resolution: ``factor`` times that), the channels, the type and the units of the
    input, and keeps what its file says of itself: see ``data.image_output``, ``data.hdf5_images``,
    ``data.ome_zarr_output``.

    Of linear problems the input is the filtered image; of deblurring the blurred one, which is filtered here.
    Networks that take turns with the measurement cannot do with a filtered image: of linear problems they are applied
    to blurred images alone. Grey images go through a colour network as three equal channels and come back as their
    mean; colour images go through a grey network channel by channel.

    Args:
        folder: the directory of a run that is done.
        source: an image, a TIFF file of several pages, a folder of images, an OME-Zarr image, or a .npy, .npz or HDF5
            array of images as training takes them; for MRI see ``reconstruct_volume`` and ``reconstruct_simulated``.
        out: the file to write, or the folder to write into.
        limits: the values that are black and white; none: those of the run's ``images.range``, else of the type.
        progress: called with (images done, images).
        say: called with what is converted, one sentence each.

    Returns:
        The files written.

    Raises:
        UserError: the run has no weights, an image cannot be read or has another range than those of training, the
            output cannot be written, or it would replace an image that is given. What can be known before is refused
            before anything is written.
    """
    folder, source, out = Path(folder), Path(source), Path(out)
    trained = load_trained(folder)
    tell, note = progress or (lambda done, total: None), say or (lambda sentence: None)
    problem = trained.run.problem
    check_source(trained.run, source)
    if trained.measures and not problem.files_hold_y:
        found = f"'{trained.run.network.family}' takes what was measured, and an image file holds what was filtered"
        raise UserError("network.family", found, "train another family, or call the network from Python")
    if isinstance(problem, MRIProblem) and is_simulated(trained.run, source):
        return [reconstruct_simulated(trained.network, trained.run, source, out, folder.resolve(), tell, note)]
    if isinstance(problem, MRIProblem):
        return [reconstruct_volume(trained.network, problem, trained.run.images, source, out, tell, note)]
    jobs = find_jobs(source, out, trained.run)
    known, written = limits or input_limits(trained.run), _output_limits(trained.run)
    total = sum(job.count for job in jobs)
    for sentence in check_input(jobs, trained.run, folder.resolve(), trained.channels, limits):
        note(sentence)
    done, said = 0, set[str]()
    for job in jobs:
        results = []
        for index in range(job.count):
            results.append(apply(trained, job.load(index), known, written))
            done += 1
            tell(done, total)
        for sentence in job.save(results):
            if sentence not in said:
                note(sentence)
            said.add(sentence)
    return [job.target for job in jobs]


def _output_limits(run: Run) -> Limits:
    """Black and white of what is written, where they are other ones than those of what is given."""
    return run.images.range if run.images.input_range else None


def apply(trained: Trained, array: np.ndarray, limits: Limits = None, written: Limits = None) -> np.ndarray:
    """Reconstruct one image.

    Args:
        trained: the network.
        array: (H, W, C) of uint8, uint16 or floating point from 0 to 1, but for noise; with ``limits`` of any numbers.
        limits: the values that are black and white; none: those of the type.
        written: the values that are black and white in the reconstruction; none: as in the image.

    Returns:
        The reconstruction, of the same type and channels, between black and white: uint16 instead of uint8 where that
        does not hold white.
    """
    scale = float(np.iinfo(array.dtype).max) if array.dtype.kind == "u" and limits is None else 1.0
    black, white = limits or (0.0, 1.0)
    unit = array.astype(np.float32) / scale
    if limits is not None:
        unit = ((array.astype(np.float64) - black) / (white - black)).astype(np.float32)
    y = torch.from_numpy(unit).permute(2, 0, 1)
    with torch.inference_mode():
        if trained.channels == y.shape[0]:
            x_hat = tiled(trained, y[None])[0]
        elif trained.channels == 1:
            x_hat = torch.cat([tiled(trained, channel[None, None])[0] for channel in y])
        else:
            x_hat = tiled(trained, y[None].expand(1, trained.channels, -1, -1)).mean(1)
    pixels = x_hat.permute(1, 2, 0).clamp(0, 1).numpy() * scale
    black, white = written or (black, white)
    if limits is not None or written is not None:
        pixels = pixels.astype(np.float64) * (white - black) + black
    dtype = np.dtype(np.uint16) if array.dtype == np.uint8 and white > 255 else array.dtype
    if dtype.kind in "iu":
        kind = np.iinfo(dtype)
        pixels = np.rint(pixels).clip(kind.min, kind.max)
    return pixels.astype(dtype)


def tiled(trained: Trained, y: Tensor, tile: int = TILE) -> Tensor:
    """Apply a network tile by tile, blending where tiles overlap.

    Pixels that lack context because their tile was cut there have no weight, so that a network without normalisation
    over the image gives what it gives on the whole image.

    Args:
        trained: the network.
        y: (1, C, H, W).
        tile: least side of a tile; an image of at most this size is not cut.

    Returns:
        (1, C, factor H, factor W).
    """
    network, given = trained.run.network, trained.given
    if trained.measures:
        return _deblurred(trained, y)
    family, depth, factor = family_of(network), depth_of(network, given), given.factor
    context, least = family.context(depth), family.least(depth)
    if upsampler_of(network, given) == "bicubic":  # the network sees the enlarged image
        context, least = -(-context // factor) + 2, -(-least // factor)
    tile = max(tile, 8 * context, 4 * context + 2 * GRID)
    rows, columns = y.shape[-2:]
    padded = _at_least(_prepared(trained, y), least)
    if max(padded.shape[-2:]) <= tile:
        return trained.of_image(padded)[..., : factor * rows, : factor * columns]
    height, width = padded.shape[-2:]
    total = padded.new_zeros((1, y.shape[1], factor * height, factor * width))
    weight = torch.zeros_like(total[:, :1])
    for top, bottom in _spans(height, tile, context):
        for left, right in _spans(width, tile, context):
            vertical = _window(top, bottom, height, context, factor)[:, None]
            window = vertical * _window(left, right, width, context, factor)
            place = (..., slice(factor * top, factor * bottom), slice(factor * left, factor * right))
            total[place] += window * trained.of_image(padded[..., top:bottom, left:right])
            weight[place] += window
    return (total / weight)[..., : factor * rows, : factor * columns]


def _deblurred(trained: Trained, y: Tensor) -> Tensor:
    """Of a network that is given the blurred image with its operator, which is one for the whole image."""
    operator = _operator(trained, y)
    x: Tensor = trained.network(LinearMeasurement(y, operator.filtered(y), operator))
    return x


def _prepared(trained: Trained, y: Tensor) -> Tensor:
    """The image that the network takes: a blurred one is filtered first."""
    if trained.given.form != "sensed" or not trained.run.problem.files_hold_y:
        return y
    return _operator(trained, y).filtered(y)


def _operator(trained: Trained, y: Tensor) -> LinearOperator:
    problem = problem_of(trained.run.problem, y.device, 0)
    assert isinstance(problem, LinearImageProblem)
    return problem.operator_for((int(y.shape[1]), int(y.shape[2]), int(y.shape[3])))


def _at_least(y: Tensor, least: int) -> Tensor:
    """Repeat the last row and column until the image is large enough for the network."""
    missing = [max(0, least - side) for side in y.shape[-2:]]
    return torch.nn.functional.pad(y, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else y


def _spans(length: int, tile: int, context: int) -> list[tuple[int, int]]:
    """Tiles of one axis: about equally spaced, at least four contexts in common: two without weight, two to blend.

    They begin at multiples of ``GRID``; the last one ends where the axis does.
    """
    if length <= tile:
        return [(0, length)]
    count = 1 + -(-(length - tile) // (tile - 4 * context - GRID))
    starts = [int(start) // GRID * GRID for start in np.linspace(0, length - tile, count)]
    return [*((start, start + tile) for start in starts[:-1]), (starts[-1], length)]


def _window(start: int, end: int, length: int, context: int, factor: int = 1) -> Tensor:
    """Weights of a tile along one axis: nothing within a context of a cut, rising over the next; 1 at a true border.

    Counted in pixels of the input; there are ``factor`` weights for each.
    """
    position = (torch.arange(factor * (end - start)) + 0.5) / factor
    rising = (position - context) / context if start > 0 else torch.ones_like(position)
    falling = (end - start - position - context) / context if end < length else torch.ones_like(position)
    return torch.minimum(rising, falling).clamp(0.0, 1.0)
