"""Apply a trained network of MRI to a volume: k-space, or images that are measured first as in the run's test."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reconscale.data.hdf5_images import copy_attributes
from reconscale.data.kept_answers import cache_folder
from reconscale.data.listing import no_progress
from reconscale.data.volumes.arrays import HDF5, MATLAB
from reconscale.data.volumes.ismrmrd_files import ENDINGS as ISMRMRD
from reconscale.data.volumes.ismrmrd_files import scan_ismrmrd
from reconscale.data.volumes.ismrmrd_headers import header_of, is_ismrmrd
from reconscale.data.volumes.kspace_files import list_kspace_arrays, scan_hdf5
from reconscale.data.volumes.nifti_output import NIFTI, write_nifti
from reconscale.data.volumes.scan import VolumeInfo
from reconscale.data.volumes.volume_set import open_alone
from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.physics import problem_of
from reconscale.physics.base import KSpace, fixed_generator
from reconscale.physics.mri import Masks
from reconscale.physics.mri_coils import zero_filled
from reconscale.results.results_folder import known_place
from reconscale.study import SOURCES, Images, MRIProblem, Run
from reconscale.training.evaluate import EVALUATION_SEED

FULL = 0.999
"""Columns of k-space that are measured to this fraction count as fully sampled: the run's mask is laid on them."""


def reconstruct_volume(
    network: Callable[[KSpace], Tensor], problem: MRIProblem, images: Images, source: Path, out: Path,
    progress: Callable[[int, int], None], say: Callable[[str], None],
) -> Path:  # fmt: skip
    """Reconstruct every slice of a volume, or of every volume of an ISMRMRD file.

    Columns that hold nothing but zeros in all slices were not measured. A volume without such columns is undersampled
    first, by the mask that its name gets in the run's test.

    Args:
        network: maps k-space to magnitude images.
        problem: the run's options.
        images: those that the run was trained on; of k-space they say how its axes are ordered, and what its data set
            is called.
        source: a fastMRI HDF5 file, one of ISMRMRD, or a .npy or MATLAB file of complex (slices, coils, rows, columns),
            or of one slice less the first axis.
        out: the file to write: HDF5 with ``reconstruction`` (slices, h, w) as fastMRI takes it, and with the attributes
            and the header of the file; or .npy. Of several volumes each has a group of its own.
        progress: called with (slices done, slices).
        say: called with what is not kept, one sentence each.

    Returns:
        The file written.

    Raises:
        UserError: the file cannot be read, is no k-space, or the output cannot be written.
    """
    _check_out(source, out)
    scans = _scans(source, images)
    if len(scans) > 1 and out.suffix.lower() == ".npy":
        found = f"cannot hold the {len(scans)} volumes of {source.name}"
        raise UserError(out, found, "name an .h5 file with --out")
    total, done = sum(scan.count for scan in scans), 0
    found_all = {}
    for scan in scans:
        shown = lambda index, _, done=done: progress(done + index, total)  # noqa: E731
        label = scan.name.partition("/")[2]
        found_all[f"{label}/reconstruction".removeprefix("/")] = _slices_of(network, problem, scan, source, shown)
        done += scan.count
    write_atomic(out, _encoded(found_all, out.suffix.lower(), source, say))
    return out


def _slices_of(
    network: Callable[[KSpace], Tensor], problem: MRIProblem, scan: VolumeInfo, source: Path,
    progress: Callable[[int, int], None],
) -> np.ndarray:  # fmt: skip
    """(slices, h, w) float32: every slice of a volume, reconstructed."""
    measured = _columns(scan)
    rows, columns = scan.shape[1:]
    if measured.mean() > FULL:
        generator = fixed_generator(f"mask {scan.name}", 0)
        mask, center = Masks(problem, generator).draw(rows, columns)
    else:
        mask, center = torch.from_numpy(measured)[None, None], _middle(scan, measured)
    size, slices = _size(scan, source), []
    for index in range(scan.count):
        kspace = torch.from_numpy(scan.read(index))[None]
        if not torch.isfinite(torch.view_as_real(kspace)).all():
            raise UserError(source, f"holds NaN or infinite values in the k-space of slice {index}", "replace them")
        y = KSpace(kspace * mask[None], mask[None], center, size, method=problem.maps)
        with torch.inference_mode():
            empty = float(zero_filled(y).max()) == 0
            slices.append((zero_filled(y) if empty else network(y))[0, 0].numpy())
        progress(index + 1, scan.count)
    return np.stack(slices).astype(np.float32)


def reconstruct_simulated(
    network: Callable[[KSpace], Tensor], run: Run, source: Path, out: Path, folder: Path,
    progress: Callable[[int, int], None], say: Callable[[str], None],
) -> Path:  # fmt: skip
    """Measure a volume of images as the run's test does, and reconstruct every slice.

    The mask and the noise are pure functions of the volume's name below the data folder, where a command was told which
    that is: a test volume of the study gives its recorded quality.

    Args:
        network: maps k-space to magnitude images.
        run: what the network was trained on: NIfTI, DICOM, or complex images.
        source: a volume of that kind.
        out: the file to write: HDF5 with ``reconstruction`` (slices, h, w), or .npy; of NIfTI also NIfTI, with its
            header and its place in space.
        folder: the directory of the run.
        progress: called with (slices done, slices).
        say: called with what is not kept, one sentence each.

    Returns:
        The file written.

    Raises:
        UserError: the source is missing, damaged, or holds several volumes, or the output cannot be written.
    """
    _check_out(source, out)
    if not source.exists():
        raise UserError(source, "does not exist", f"give a volume of the kind '{run.images.source}'")
    data, name = _named(source, folder)
    slices = open_alone(run.images, data, name, cache_folder(None).with_name("volumes"), no_progress)
    if len(slices.volumes) > 1:
        found = f"holds {len(slices.volumes)} volumes ({', '.join(volume.name for volume in slices.volumes[:3])})"
        raise UserError(source, found, "give one of them")
    problem = problem_of(run.problem, torch.device("cpu"), 0)
    size = slices.slice(0).truth.shape
    images = np.zeros((int(slices.volumes[0].facts["count"]), *size), np.float32)  # empty slices are left out
    for index, number in enumerate(slices.rows[:, 1].tolist()):
        with torch.inference_mode():
            y = problem.fixed(slices, index, None, EVALUATION_SEED).y
            assert isinstance(y, KSpace)  # the problem is MRI
            images[number] = network(y)[0, 0].numpy()
        progress(index + 1, len(slices))
    if out.name.lower().endswith(NIFTI):
        write_nifti(out, images, source)
        return out
    if run.images.source in ("nifti", "dicom"):
        endings = " or name a .nii.gz file with --out" if run.images.source == "nifti" else ""
        say(f"{out.suffix} files keep no place in space{';' * bool(endings)}{endings}")
    write_atomic(out, _encoded({"reconstruction": images}, out.suffix.lower(), source, say))
    return out


def _named(source: Path, folder: Path) -> tuple[Path, str]:
    """The data folder and the name of a volume below it: that of the study, where it lies there, else its own place."""
    known, path = known_place(folder.parent), source.resolve()
    if known is not None and path.is_relative_to(known.resolve()):
        return known, path.relative_to(known.resolve()).as_posix()
    return path.parent, path.name


def _check_out(source: Path, out: Path) -> None:
    """Refuse to write what cannot be written, or over what is given."""
    nifti = source.name.lower().endswith(NIFTI)
    if not out.name.lower().endswith((*HDF5, ".npy", *(NIFTI if nifti else ()))):
        kinds = ".nii.gz, .nii, .h5 or .npy" if nifti else ".h5 or .npy"
        raise UserError(out, f"has the ending '{out.suffix}'", f"volumes are written as {kinds}")
    if out.resolve() == source.resolve():
        raise UserError(out, "is the volume that is given", "name another place with --out")


def is_volume(path: Path) -> bool:
    """Whether a file is one that :func:`reconstruct_volume` reads."""
    return path.name.lower().endswith((*ISMRMRD, *MATLAB, ".npy"))


def _scans(source: Path, images: Images) -> list[VolumeInfo]:
    if not source.is_file():
        raise UserError(source, "does not exist", "give a fastMRI .h5 file, or a .npy array")
    options: dict[str, Any] = {"folders": (source.name,), "val": 1, "test": 1}
    if SOURCES[images.source].content == "kspace":
        options |= {"axes": images.axes, "dataset": images.dataset}
    if source.suffix.lower() == ".npy":
        alone = Images(source="kspace-array", **options)
        return [list_kspace_arrays(alone, source.parent).volumes[0]]
    if source.name.lower().endswith(ISMRMRD) and is_ismrmrd(source):
        named = images.dataset if images.source == "ismrmrd" else None
        alone = Images(source="ismrmrd", **{**options, "dataset": named})
        return scan_ismrmrd(source.name, source, alone, undersampled=True)
    return [scan_hdf5(source.name, source, Images(source="fastmri", **options))]


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


def _encoded(volumes: dict[str, np.ndarray], suffix: str, source: Path, say: Callable[[str], None]) -> bytes:
    """A file of volumes by their names; HDF5 with the attributes and the header of the one that they were made from."""
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, next(iter(volumes.values())))
        return buffer.getvalue()
    import h5py

    with h5py.File(buffer, "w") as file:
        for name, images in volumes.items():
            file[name] = images
        if source.name.lower().endswith(ISMRMRD):
            with h5py.File(source) as given:
                for sentence in copy_attributes(given, file):
                    say(sentence)
                if (header := header_of(given)) is not None:
                    file["ismrmrd_header"] = header
    return buffer.getvalue()
