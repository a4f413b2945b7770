"""Every volume is read once, checked, and what training needs of it is kept: a directory a volume in the cache.

Measured k-space stays where it is; its magnitude images are kept. Of images, the images are kept. A volume that is
prepared is not prepared again: what was stopped goes on, and a file that is added costs that file alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from reconscale.imaging.volumes.scan import Scan
from reconscale.imaging.volumes.transform import center, of_lower_resolution, root_sum_of_squares, square, to_image
from reconscale.imaging.volumes.volume import IMAGES, TRUTHS, Volume, sum_of, write_facts
from reconscale.mistakes import Mistake

FORMAT = 2
"""Version of what is kept; another version is prepared anew."""
AGREEMENT = 0.01
"""Relative difference (2-norm) up to which a stored reconstruction agrees with its k-space."""

Progress = Callable[[str, int, int], None]


def prepared(scans: Sequence[Scan], root: Path, matrix: int | None, progress: Progress) -> Iterator[Volume | Mistake]:
    """The volumes of scans, in their order; those that are missing in the cache are prepared first.

    Args:
        scans: the volumes.
        root: the folder of all prepared volumes.
        matrix: the side that k-space of images is cut to; none: it is not.
        progress: called with (label, volumes done, volumes).

    Yields:
        The volume, or what is wrong with it.

    Raises:
        Mistake: the cache cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock"), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for done, volume in enumerate(pool.map(lambda scan: _volume(scan, root, matrix), scans), 1):
                progress("preparing volumes", done, len(scans))
                yield volume
    except OSError as error:
        raise Mistake(root, f"the cache cannot be written ({error.strerror or error})",
                      "free some space, or choose another one with RECONSCALE_CACHE") from error  # fmt: skip


def kept(scan: Scan, root: Path, matrix: int | None) -> Volume:
    """Where a volume is kept once it is prepared."""
    asked = json.dumps([FORMAT, scan.name, scan.patient, scan.identity, matrix], sort_keys=True)
    return Volume(root / hashlib.sha256(asked.encode()).hexdigest()[:24], scan.place)


def _volume(scan: Scan, root: Path, matrix: int | None) -> Volume | Mistake:
    volume = kept(scan, root, matrix)
    home = volume.path
    if volume.is_whole():
        return volume
    part = Path(tempfile.mkdtemp(dir=root, prefix=f"{home.name}.", suffix=".part"))
    try:
        write_facts(part, _read_through(scan, part, matrix))
        shutil.rmtree(home, ignore_errors=True)  # damaged, or left by a process that died
        part.chmod(0o755)
        part.rename(home)
    except Mistake as mistake:
        return mistake
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Volume(home, scan.place)


def _read_through(scan: Scan, part: Path, matrix: int | None) -> dict[str, Any]:
    """Read every slice once: check it, hash it, and write what is kept."""
    hashes, truths, maxima, peaks = [], [], [], []
    size, shape = (0, 0), scan.shape
    with (part / TRUTHS).open("wb") as shown, (part / IMAGES).open("wb") as simulated:
        for index in range(scan.count):
            values = scan.read(index)
            _check_finite(scan, index, values)
            if scan.kind == "kspace":
                truth = _truth_of(scan, index, values)
            else:
                values = values if matrix is None else _lowered(scan, values, matrix)
                shape = (1, *values.shape)
                truth = np.abs(values).astype(np.float32)
                simulated.write(np.ascontiguousarray(values, np.complex64).data)
            size = truth.shape
            hashes.append(sum_of(values))
            truths.append(sum_of(np.asarray(truth, np.float32)))
            maxima.append(float(truth.max()))
            peaks.append(float(square(truth).max()))
            shown.write(np.ascontiguousarray(truth, np.float32).data)
    if max(maxima) <= 0:
        raise Mistake(scan.name, "holds nothing but zeros", "remove it")
    return {
        "name": scan.name, "patient": scan.patient, "acquisition": scan.acquisition, "kind": scan.kind,
        "count": scan.count, "shape": list(shape), "size": list(size),
        "maximum": scan.maximum or max(maxima),
        "peak": max(peaks), "peaks": peaks, "hashes": hashes, "truths": truths,
    }  # fmt: skip


def _check_finite(scan: Scan, index: int, values: np.ndarray) -> None:
    if not np.isfinite(values.view(np.float32)).all():
        what = "k-space" if scan.kind == "kspace" else "image"
        raise Mistake(scan.name, f"holds NaN or infinite values in the {what} of slice {index}",
                      "replace them, or remove the file")  # fmt: skip


def _lowered(scan: Scan, image: np.ndarray, matrix: int) -> np.ndarray:
    if min(image.shape) < matrix:
        raise Mistake(
            scan.name, f"is {image.shape[1]} x {image.shape[0]} pixels", f"images.matrix = {matrix} needs more"
        )
    return of_lower_resolution(image, matrix)


def _truth_of(scan: Scan, index: int, kspace: np.ndarray) -> np.ndarray:
    """The magnitude image of a slice of measured k-space, cut to what the k-space can show."""
    middle = index == scan.count // 2
    if middle:
        _check_kspace(scan, index, kspace)
    if scan.truth is None:
        return root_sum_of_squares(kspace)
    stored = scan.truth(index)
    if not np.isfinite(stored).all():
        raise Mistake(scan.name, f"holds NaN or infinite values in the reconstruction of slice {index}",
                      "replace them, or remove the file")  # fmt: skip
    height, width = (min(pair) for pair in zip(stored.shape, kspace.shape[-2:], strict=True))
    truth = center(stored, height, width)
    if middle:
        _check_agreement(scan, index, center(root_sum_of_squares(kspace), height, width), truth)
    return truth


def _check_kspace(scan: Scan, index: int, kspace: np.ndarray) -> None:
    """Refuse what is not centred k-space: images, and transforms with the zero frequency elsewhere.

    K-space is more peaked than its image: the energy of the zero frequency is that of the mean over all pixels.
    """
    energy = (np.abs(kspace) ** 2).sum(0)
    if energy.max() == 0:
        return  # an empty slice; an empty volume is refused later
    if not kspace.imag.any():
        raise Mistake(scan.name, f"holds real numbers as the k-space of slice {index}: it looks like a magnitude image",
                      'give images through source = "complex", "nifti" or "dicom"')  # fmt: skip
    if energy.max() < (np.abs(to_image(kspace)) ** 2).sum(0).max():
        found = f"is less peaked in slice {index} than its Fourier transform: it looks like an image, not like k-space"
        raise Mistake(scan.name, found, 'give complex images through source = "complex"')
    rows, columns = energy.shape
    row, column = (int(place) for place in np.unravel_index(energy.argmax(), energy.shape))
    if abs(row - rows // 2) > rows // 4 or abs(column - columns // 2) > columns // 4:
        found = f"has the zero frequency of slice {index} at row {row}, column {column} of {rows} x {columns}"
        raise Mistake(scan.name, found, "it belongs in the middle: save np.fft.fftshift(kspace, axes=(-2, -1))")


def _check_agreement(scan: Scan, index: int, computed: np.ndarray, stored: np.ndarray) -> None:
    difference = float(np.linalg.norm(computed - stored)) / max(float(np.linalg.norm(stored)), 1e-30)
    if difference > AGREEMENT:
        ratio = float((computed * stored).sum()) / max(float((stored * stored).sum()), 1e-30)
        raise Mistake(
            scan.name,
            f"holds a reconstruction of slice {index} that differs by {difference:.1%} from the root sum of squares of "
            f"its k-space (which is {ratio:.3g} times as bright)",
            "write the root sum of squares of the orthonormal transform, or leave the reconstruction out",
        )
