"""The images that a trained network is applied to: which there are, and whether they are like those of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.array_files import ARRAYS, open_stacks, write_arrays
from reconscale.data.array_stacks import ArrayStack
from reconscale.data.folders import files_below, with_pages
from reconscale.data.image_checks import Limits
from reconscale.data.image_files import KINDS, SUFFIXES, read_header, read_pixels
from reconscale.data.image_output import write_like
from reconscale.data.ome_zarr import ENDING, RGB, open_images, planes_of
from reconscale.data.ome_zarr_output import check_target, write_ome_zarr
from reconscale.data.pixel_values import CORNER
from reconscale.data.store import SCALES
from reconscale.data.volumes.arrays import HDF5
from reconscale.data.volumes.kspace_files import holds_kspace
from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.study import SOURCES, Run
from reconscale.training.apply_volume import is_volume

_ANY: Limits = (0.0, 1.0)
"""Limits that allow numbers of every type: what they mean is looked at later."""
_TIFF = (".tif", ".tiff")
_MARGIN, _SIGMAS = 0.25, 6.0
"""Inputs may lie outside black and white by this part of the range, and by this many times the noise."""


@dataclass(frozen=True)
class Job:
    """A file of images, and the file that their reconstructions go to.

    Attributes:
        source, target: the two files.
        count: how many images.
        load: an image by its number, (H, W, C) as it is stored.
        save: writes all reconstructions; gives what of the first file is not kept, one sentence each.
    """

    source: Path
    target: Path
    count: int
    load: Callable[[int], np.ndarray]
    save: Callable[[list[np.ndarray]], list[str]]


def is_simulated(run: Run, source: Path) -> bool:
    """Whether a volume holds images, which are measured first, as those that the run was trained on."""
    kind = run.images.source
    if SOURCES[kind].content == "kspace" or not SOURCES[kind].volumes:
        return False
    if not is_volume(source):
        return True
    return kind == "complex" and not (source.is_file() and source.name.lower().endswith(HDF5) and holds_kspace(source))


def check_source(run: Run, source: Path) -> None:
    """Refuse a volume for a run of images, and images for a run of volumes.

    Raises:
        UserError: they do not belong together.
    """
    problem = run.problem
    if problem.volumes and not is_volume(source) and not is_simulated(run, source):
        raise UserError(
            source, "is no k-space, and this run reconstructs MRI", "give a fastMRI .h5 file, or a .npy array"
        )
    if problem.volumes and source.name.lower().endswith(SUFFIXES):
        raise UserError(
            source, "is an image, and this run reconstructs MRI", "give k-space, or a volume as in training"
        )
    if not problem.volumes and is_volume(source) and not source.name.lower().endswith(ARRAYS):
        found = f"may hold k-space, and this run is of {problem.kind}"
        raise UserError(source, found, "give an image, a folder of images, or an array of images")


def find_jobs(source: Path, out: Path, run: Run) -> list[Job]:
    """The files that are given and those that are to be written.

    Args:
        source: an image, a folder of them, an array, or OME-Zarr.
        out: the file or the folder to write.
        run: of the network: its ``dataset`` and ``channel`` are those that are read.

    Raises:
        UserError: there is none, one cannot be read, or what is given would be replaced.
    """
    if source.is_file() and source.name.lower().endswith(ARRAYS):
        target = out / source.name if out.is_dir() else out
        if target.suffix.lower() != source.suffix.lower():
            raise UserError(target, f"has the ending '{target.suffix}'", f"arrays are written as {source.suffix} here")
        pairs = [(source, target)]
        jobs = [_job_of_arrays(source, target, run)]
    elif zarrs := _zarrs(source, run):
        alone = zarrs == [source]
        pairs = [(place, out if alone and out.suffix else out / place.relative_to(source.parent if alone else source))
                 for place in zarrs]  # fmt: skip
        jobs = [_job_of_zarr(given, target, run) for given, target in pairs]
    else:
        pairs = list(_pairs(source, out))
        jobs = [_job_of_file(given, target, run) for given, target in pairs]
    _check_targets(pairs)
    return jobs


def _pairs(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    if source.is_dir():
        root, place = source.resolve(), out.resolve()
        ours = {source / place.relative_to(root)} if place != root and place.is_relative_to(root) else set()
        files = sorted(files_below(source, SUFFIXES, ours))
        if not files:
            raise UserError(source, f"holds no {KINDS}", "give an image, a folder of images, or an array")
        if out.exists() and not out.is_dir():
            raise UserError(out, "is a file, and a folder of images is given", "name a folder with --out")
        for path in files:  # in the same folders, as those of scenes
            name = path.stem + (path.suffix if path.suffix.lower() in _TIFF else ".png")
            yield path, out / path.relative_to(source).with_name(name)
    elif source.is_file():
        yield source, (out / f"{source.stem}.png" if out.is_dir() else out)
    else:
        raise UserError(source, "does not exist", "give an image, a folder of images, or an array")


def _zarrs(source: Path, run: Run) -> list[Path]:
    """The OME-Zarr images that a folder is; or, for a run of such images, those that it holds."""
    if not source.is_dir():
        return []
    if any(part.lower().endswith(ENDING) for part in source.parts):
        return [source]
    if run.images.source != "ome-zarr":
        return []
    return sorted(path for path in source.iterdir() if path.is_dir() and path.name.lower().endswith(ENDING))


def _job_of_zarr(source: Path, target: Path, run: Run) -> Job:
    """The channels are those of the run, or each for itself where it has none."""
    check_target(target)
    images = open_images(source, run.images.dataset if run.images.source == "ome-zarr" else None)
    if len(images) != 1:
        raise UserError(source, f"holds {len(images)} series", f"name one of them, such as {source / '0'}")
    image, wanted = images[0], run.images.channel
    count = image.sizes.get("c", 1)
    chosen = [wanted] if isinstance(wanted, int) else list(range(count))
    if wanted == RGB:
        planes = planes_of(image, RGB)
    else:
        by_channel = [planes_of(image, channel) for channel in chosen]
        planes = [plane for together in zip(*by_channel, strict=True) for plane in together]

    def save(results: list[np.ndarray]) -> list[str]:
        return write_ome_zarr(target, results, image, chosen, run.problem.enlarges)

    return Job(source, target, len(planes), lambda index: planes[index].read(), save)


def _job_of_file(source: Path, target: Path, run: Run) -> Job:
    if target.suffix.lower() not in (".png", *_TIFF):
        raise UserError(target, f"has the ending '{target.suffix}'", "images are written as .png or .tif")
    _, pages = with_pages([source.name], [source])
    if len(pages) > 1 and target.suffix.lower() not in _TIFF:
        raise UserError(target, f"cannot hold the {len(pages)} pages of {source.name}", "name a .tif file with --out")
    for _, page in pages:
        read_header(source, page, _ANY)

    def save(images: list[np.ndarray]) -> list[str]:
        return write_like(target, images, source, run.problem.enlarges)

    return Job(source, target, len(pages), lambda index: read_pixels(source, pages[index][1], _ANY), save)


def _job_of_arrays(source: Path, target: Path, run: Run) -> Job:
    stacks = open_stacks(source, run.images.dataset if run.images.source == "array" else None)
    places = [(stack, row) for stack in stacks for row in range(stack.count)]

    def load(index: int) -> np.ndarray:
        stack, row = places[index]
        image = stack.row(row).reshape(stack.header.height, stack.header.width, stack.header.channels)
        return image.astype(image.dtype.newbyteorder("="))

    def save(images: list[np.ndarray]) -> list[str]:
        held: dict[str, np.ndarray] = {}
        for stack in stacks:
            mine, images = images[: stack.count], images[stack.count :]
            held[stack.name.removeprefix(f"{source.name}/")] = _like(stack, np.stack(mine))
        return write_arrays(target, held, source)

    return Job(source, target, len(places), load, save)


def _like(stack: ArrayStack, images: np.ndarray) -> np.ndarray:
    """(N, h, w, C), without the last axis where the array that was given has none."""
    return images if stack.axes == 4 else images[..., 0]


def _check_targets(pairs: list[tuple[Path, Path]]) -> None:
    """Refuse what names tell, before a long computation: nothing that is given may be replaced."""
    given = {path.resolve() for path, _ in pairs}
    origin: dict[Path, Path] = {}
    for path, target in pairs:
        if target.resolve() in given:
            raise UserError(target, "is an image that is given", "name another place with --out")
        if target in origin:
            raise UserError(path, f"and {origin[target]} would both be written to {target}", "rename one of the two")
        origin[target] = path


@dataclass
class _Seen:
    """What images of one type are like, over all that are given.

    Attributes:
        low, high: the least and largest value.
        where: the image with the value that is furthest outside.
        channels: 1, 3, or both.
    """

    low: float
    high: float
    where: str
    channels: set[int]


def check_input(jobs: list[Job], run: Run, folder: Path, channels: int, limits: Limits) -> list[str]:
    """Compare the images that are given with those of training, all of them before anything is written.

    Args:
        jobs: the images.
        run: what the network was trained on.
        folder: the directory of the run.
        channels: of the network.
        limits: black and white as the user gives them; none: those of the run, else of the type.

    Returns:
        What is converted, one sentence each.

    Raises:
        UserError: the values of images are not those of training.
    """
    known = limits or input_limits(run)
    record = _recorded(folder, paired=run.images.paired)
    said: list[str] = []
    for name, seen in sorted(_looked_at(jobs).items()):
        said += _check_range(name, seen, run, record, (known, limits is not None))
        if record and known is None and name not in {entry["type"] for entry in record}:
            types = " and ".join(sorted({str(entry["type"]) for entry in record}))
            white = SCALES.get(name, 1.0)
            said.append(f"the images are {name} and those of training were {types}: {white:g} is taken for white")
        for other in sorted(seen.channels - {channels}):
            how = "goes through as three equal channels" if other == 1 else "goes through channel by channel"
            kinds = {1: "grey", 3: "RGB"}
            said.append(f"what is {kinds[other]} {how}: the run was trained on {kinds[channels]} images")
    if run.images.downscale > 1:
        said.append(f"the run was trained on images reduced {run.images.downscale} times, and what is given is not "
                    "reduced")  # fmt: skip
    _check_written(jobs, known)
    return list(dict.fromkeys(said))


def _looked_at(jobs: list[Job]) -> dict[str, _Seen]:
    """What there is of every type, from all pixels."""
    found: dict[str, _Seen] = {}
    for job in jobs:
        for index in range(job.count):
            image = job.load(index)
            low, high = float(image.min()), float(image.max())
            if not (np.isfinite(low) and np.isfinite(high)):
                raise UserError(job.source, "holds NaN or infinite values", "replace them")
            seen = found.setdefault(image.dtype.name, _Seen(low, high, str(job.source), set()))
            if low < seen.low or high > seen.high:
                seen.where = str(job.source)
            seen.low, seen.high = min(seen.low, low), max(seen.high, high)
            seen.channels.add(image.shape[2])
    return found


def input_limits(run: Run) -> Limits:
    """Black and white of what a network was given; none: those of the type of a file."""
    return run.images.input_range or run.images.range


def _recorded(folder: Path, *, paired: bool) -> list[dict[str, Any]]:
    """The values of the training images, of pairs of their inputs, as the study noted them; empty where it did not."""
    path = folder.parent / "images.json"
    record = read_json(path) if path.is_file() else {}
    key = "train inputs" if paired else "train"
    try:
        return [{"type": str(entry["type"]), "white": float(entry["white"]), "min": float(entry["min"]),
                 "max": float(entry["max"])} for entry in record["pixel values"][key]]  # fmt: skip
    except (KeyError, TypeError, ValueError):  # a study of an older version, or none
        return []


def _check_range(
    name: str, seen: _Seen, run: Run, record: list[dict[str, Any]], given: tuple[Limits, bool]
) -> list[str]:
    """Refuse images of one type in other units than those of training; what is only dark is told."""
    known, explicit = given
    black, white = known or (0.0, SCALES.get("float32" if name.startswith("float") else name, 0.0))
    if not black < white:
        remedy = "say which values are black and white with --range BLACK WHITE"
        raise UserError(seen.where, f"holds {name} values, whose range is not known", remedy)
    low, high = (seen.low - black) / (white - black), (seen.high - black) / (white - black)
    problem = run.problem
    levels = (getattr(problem, "sigma", 0.0), *(getattr(problem, "sigma_range", None) or ()),
              *getattr(problem, "test_sigma", ()))  # fmt: skip
    noise = max(map(float, levels)) / 255 + float(getattr(problem, "photons", None) or np.inf) ** -0.5
    margin = _MARGIN + _SIGMAS * noise + (0.0 if problem.files_hold_y else 1.0)
    if problem.paired:  # nobody knows the noise, and training had inputs of these values
        parts = [(-entry["min"] / entry["white"], entry["max"] / entry["white"] - 1) for entry in record]
        margin += max((0.0, *(end for both in parts for end in both)))
    found = f"holds values from {seen.low:.6g} to {seen.high:.6g}"
    was = f"the run was trained on images with black = {black:g} and white = {white:g}"
    if known is None and record:
        parts = [(entry["min"] / entry["white"], entry["max"] / entry["white"]) for entry in record]
        ends = min(a for a, _ in parts), max(b for _, b in parts)
        was = f"the images of training cover {ends[0]:.2g} to {ends[1]:.2g} of the range"
    remedy = f"{was} of their type: scale the images likewise, or say their values of black and white with --range"
    remedy = remedy if known is None else f"{was}: bring the images to these units, or use --range BLACK WHITE"
    if low < -margin or high > 1 + margin:
        raise UserError(seen.where, found, remedy)
    trained = max((entry["max"] - entry["min"]) / entry["white"] for entry in record) if record else 1.0
    if explicit or high - low > CORNER * trained:
        return []
    if name == "uint8" and known is None:
        return [f"all values lie between {seen.low:g} and {seen.high:g} of 255, much less than those of training"]
    raise UserError(seen.where, f"{found}, a small part of the range", remedy)


def _check_written(jobs: list[Job], known: Limits) -> None:
    """Refuse PNG files for numbers that they cannot hold."""
    for job in jobs:
        name = job.load(0).dtype.name if job.target.suffix.lower() == ".png" else "uint8"
        if name not in ("uint8", "uint16") and (known is not None or not name.startswith("float")):
            found = f"cannot hold the {name} values of {job.source.name}"
            raise UserError(job.target, found, "name a .tif file with --out")
