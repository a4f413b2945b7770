"""Apply a trained network to the user's images."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_from_bytes
from torch import Tensor, nn

from reconscale.data import read_image, write_image
from reconscale.data.image_files import SUFFIXES, read_header
from reconscale.data.volumes.arrays import HDF5, MATLAB
from reconscale.data.volumes.kspace_files import list_kspace_arrays, scan_hdf5
from reconscale.data.volumes.scan import VolumeInfo
from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.networks import build, input_spec, size_of
from reconscale.networks.family import InputSpec, OnFilteredImage
from reconscale.networks.registry import depth_of, family_of, upsampler_of
from reconscale.physics import problem_of
from reconscale.physics.base import KSpace, LinearMeasurement, fixed_generator
from reconscale.physics.linear import LinearImageProblem
from reconscale.physics.linear_operators import LinearOperator
from reconscale.physics.mri import Masks
from reconscale.physics.mri_coils import zero_filled
from reconscale.study import SOURCES, Images, MRIProblem, Problem, Result, Run

FULL = 0.999
"""Columns of k-space that are measured to this fraction count as fully sampled: the run's mask is laid on them."""


def reconstruct_volume(
    network: Callable[[KSpace], Tensor], problem: MRIProblem, seen: Images, source: Path, out: Path,
    progress: Callable[[int, int], None],
) -> Path:  # fmt: skip
    """Reconstruct every slice of a volume.

    Columns that hold nothing but zeros in all slices were not measured. A volume without such columns is undersampled
    first, by the mask that its name gets in the run's test.

    Args:
        network: maps k-space to magnitude images.
        problem: the run's options.
        seen: the images of the run; of k-space they say how its axes are ordered, and what its data set is called.
        source: a fastMRI HDF5 file, or a .npy or MATLAB file of complex (slices, coils, rows, columns), or of one
            slice less the first axis.
        out: the file to write: HDF5 with ``reconstruction`` (slices, h, w) as fastMRI takes it, or .npy.
        progress: called with (slices done, slices).

    Returns:
        The file written.

    Raises:
        UserError: the file cannot be read, is no k-space, or the output cannot be written.
    """
    if out.suffix.lower() not in (*HDF5, ".npy"):
        raise UserError(out, f"has the ending '{out.suffix}'", "volumes are written as .h5 or .npy")
    if out.resolve() == source.resolve():
        raise UserError(out, "is the volume that is given", "name another place with --out")
    scan = _scan(source, seen)
    measured = _columns(scan)
    rows, columns = scan.shape[1:]
    if measured.mean() > FULL:
        generator = fixed_generator(f"mask {scan.name}", 0)
        mask, center = Masks(problem, generator).draw(rows, columns)
    else:
        mask, center = torch.from_numpy(measured)[None, None], _middle(scan, measured)
    size, images = _size(scan, source), []
    for index in range(scan.count):
        kspace = torch.from_numpy(scan.read(index))[None]
        if not torch.isfinite(torch.view_as_real(kspace)).all():
            raise UserError(source, f"holds NaN or infinite values in the k-space of slice {index}", "replace them")
        y = KSpace(kspace * mask[None], mask[None], center, size, method=problem.maps)
        with torch.inference_mode():
            empty = float(zero_filled(y).max()) == 0
            images.append((zero_filled(y) if empty else network(y))[0, 0].numpy())
        progress(index + 1, scan.count)
    write_atomic(out, _encoded(np.stack(images).astype(np.float32), out.suffix.lower()))
    return out


def is_volume(path: Path) -> bool:
    """Whether a file is one that :func:`reconstruct_volume` reads."""
    return path.name.lower().endswith((*HDF5, *MATLAB, ".npy"))


def check_source(problem: Problem, source: Path) -> None:
    """Refuse a volume for a run of images, and images for a run of volumes.

    Raises:
        UserError: they do not belong together.
    """
    if problem.volumes and not is_volume(source):
        raise UserError(
            source, "is no k-space, and this run reconstructs MRI", "give a fastMRI .h5 file, or a .npy array"
        )
    if not problem.volumes and is_volume(source):
        found = f"may hold k-space, and this run is of {problem.kind}"
        raise UserError(source, found, "give an image or a folder of images")


def _scan(source: Path, seen: Images) -> VolumeInfo:
    if not source.is_file():
        raise UserError(source, "does not exist", "give a fastMRI .h5 file, or a .npy array")
    options: dict[str, Any] = {"folders": (source.name,), "val": 1, "test": 1}
    if SOURCES[seen.source].content == "kspace":
        options |= {"axes": seen.axes, "dataset": seen.dataset}
    if source.suffix.lower() == ".npy":
        alone = Images(source="kspace-array", **options)
        return list_kspace_arrays(alone, source.parent).volumes[0]
    return scan_hdf5(source.name, source, Images(source="fastmri", **options))


def _columns(scan: VolumeInfo) -> np.ndarray:
    """(W,) bool: the columns that hold anything in some slice."""
    found = np.zeros(scan.shape[2], bool)
    for index in {0, scan.count // 2, scan.count - 1}:
        found |= scan.read(index).any((0, 1))
    return found


def _middle(scan: VolumeInfo, measured: np.ndarray) -> tuple[int, int]:
    """(first, count) of the columns in the middle that were measured without gaps, as many on both sides."""
    half = len(measured) // 2
    left = int(np.argmin(np.append(measured[:half][::-1], False)))
    right = int(np.argmin(np.append(measured[half:], False)))
    if min(left, right) < 1:
        raise UserError(scan.name, "was measured with a mask that has no centre", "coil maps need lines in the middle")
    side = min(left, right)
    return half - side, 2 * side


def _size(scan: VolumeInfo, source: Path) -> tuple[int, int]:
    """What the image is cut to: a stored reconstruction's size, else the header's, else what the k-space shows."""
    rows, columns = scan.shape[1:]
    wanted = (rows, columns)
    if scan.truth is not None:
        wanted = scan.truth(0).shape
    elif source.suffix.lower() in HDF5:
        wanted = _header_size(source) or wanted
    return min(wanted[0], rows), min(wanted[1], columns)


def _header_size(source: Path) -> tuple[int, int] | None:
    """(rows, columns) of the reconstruction space that an ISMRMRD header states."""
    import h5py

    with h5py.File(source) as file:
        if "ismrmrd_header" not in file:
            return None
        text = file["ismrmrd_header"][()]
    space = re.search(r"<reconSpace>.*?</reconSpace>", text.decode("utf-8", "replace"), re.DOTALL)
    sides = re.search(r"<x>\s*(\d+)\s*</x>\s*<y>\s*(\d+)\s*</y>", space.group(0)) if space else None
    return None if sides is None else (int(sides.group(1)), int(sides.group(2)))


def _encoded(images: np.ndarray, suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, images)
        return buffer.getvalue()
    import h5py

    with h5py.File(buffer, "w") as file:
        file["reconstruction"] = images
    return buffer.getvalue()


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
    result = Result.read(folder, images=False)
    path = folder / "weights.safetensors"
    if result.status != "done" or not path.is_file():
        raise UserError(folder, "has no trained weights", "choose a run that is done, or run the study again")
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


def reconstruct(
    folder: Path, source: Path, out: Path, *, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Reconstruct an image file, every image of a folder, or (MRI) a volume of k-space.

    The result has the size (of super-resolution: ``factor`` times that), the channels and the bit depth of the input.
    Of linear problems the input is the filtered image; of deblurring the blurred one, which is filtered here. Networks
    that take turns with the measurement cannot do with a filtered image: of linear problems they are applied to blurred
    images alone. Grey images go through a colour network as three equal channels and come back as their mean; colour
    images go through a grey network channel by channel.

    Args:
        folder: the directory of a run that is done.
        source: an image, or a folder of images (not its sub-folders); for MRI see ``reconstruct_volume``.
        out: the file to write, or the folder to write into.
        progress: called with (images done, images).

    Returns:
        The files written.

    Raises:
        UserError: the run has no weights, an image cannot be read, the output cannot be written, or it would replace an
            image that is given. What the headers and names tell is refused before anything is written.
    """
    trained = load_trained(folder)
    tell = progress or (lambda done, total: None)
    check_source(trained.run.problem, source)
    if trained.measures and not trained.run.problem.files_hold_y:
        found = f"'{trained.run.network.family}' takes what was measured, and an image file holds what was filtered"
        raise UserError("network.family", found, "train another family, or call the network from Python")
    if isinstance(trained.run.problem, MRIProblem):
        return [reconstruct_volume(trained.network, trained.run.problem, trained.run.images, source, out, tell)]
    pairs = list(_pairs(source, out))
    _check(pairs)
    for index, (given, target) in enumerate(pairs):
        array = read_image(given)
        write_image(target, apply(trained, array))
        tell(index + 1, len(pairs))
    return [target for _, target in pairs]


def _pairs(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    if source.is_dir():
        files = sorted(
            path
            for path in source.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        if not files:
            raise UserError(source, "holds no PNG, JPEG or TIFF image", "give an image or a folder of images")
        if out.exists() and not out.is_dir():
            raise UserError(out, "is a file, and a folder of images is given", "name a folder with --out")
        for path in files:
            yield path, out / (path.stem + (path.suffix if path.suffix.lower() in (".tif", ".tiff") else ".png"))
    elif source.is_file():
        yield source, (out / f"{source.stem}.png" if out.is_dir() else out)
    else:
        raise UserError(source, "does not exist", "give an image or a folder of images")


def _check(pairs: list[tuple[Path, Path]]) -> None:
    """Refuse what names and headers tell, before a long computation: nothing that is given may be replaced."""
    given = {path.resolve() for path, _ in pairs}
    origin: dict[Path, Path] = {}
    for path, target in pairs:
        if target.suffix.lower() not in (".png", ".tif", ".tiff"):
            raise UserError(target, f"has the ending '{target.suffix}'", "images are written as .png or .tif")
        if target.resolve() in given:
            raise UserError(target, "is an image that is given", "name another place with --out")
        if target in origin:
            raise UserError(path, f"and {origin[target]} would both be written to {target}", "rename one of the two")
        origin[target] = path
        read_header(path)


def apply(trained: Trained, array: np.ndarray) -> np.ndarray:
    """Reconstruct one image.

    Args:
        trained: the network.
        array: (H, W, C) of uint8, uint16 or float32 in [0, 1].

    Returns:
        The reconstruction, of the same type and channels.
    """
    scale = float(np.iinfo(array.dtype).max) if array.dtype.kind == "u" else 1.0
    y = torch.from_numpy(array.astype(np.float32) / scale).permute(2, 0, 1)
    with torch.inference_mode():
        if trained.channels == y.shape[0]:
            x_hat = tiled(trained, y[None])[0]
        elif trained.channels == 1:
            x_hat = torch.cat([tiled(trained, channel[None, None])[0] for channel in y])
        else:
            x_hat = tiled(trained, y[None].expand(1, trained.channels, -1, -1)).mean(1)
    pixels = x_hat.permute(1, 2, 0).clamp(0, 1).numpy() * scale
    return (np.rint(pixels) if array.dtype.kind == "u" else pixels).astype(array.dtype)


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
    family, depth, factor = family_of(network), depth_of(network, given.kind), given.factor
    context, least = family.context(depth), family.least(depth)
    if upsampler_of(network, given.kind) == "bicubic":  # the network sees the enlarged image
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
