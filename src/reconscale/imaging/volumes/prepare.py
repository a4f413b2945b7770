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
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from reconscale.files import to_json, write_whole
from reconscale.imaging.volumes.kspace import read_slice
from reconscale.imaging.volumes.scan import Place, Scan
from reconscale.imaging.volumes.transform import center, of_lower_resolution, root_sum_of_squares, square, to_image
from reconscale.mistakes import Mistake

FORMAT = 1
"""Version of what is kept; another version is prepared anew."""
AGREEMENT = 0.01
"""Relative difference (2-norm) up to which a stored reconstruction agrees with its k-space."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Volume:
    """A prepared volume. Pickles as two places; its values stay on the disk until they are read.

    Attributes:
        path: its directory in the cache.
        place: where its k-space lies; none for images.
    """

    path: Path
    place: Place | None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Volume, (self.path, self.place))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, unit, kind, sizes, maxima and hashes of its slices."""
        facts: dict[str, Any] = json.loads((self.path / "facts.json").read_text(encoding="utf-8"))
        return facts

    @property
    def name(self) -> str:
        """Unique among the volumes of a study."""
        return str(self.facts["name"])

    @property
    def unit(self) -> str:
        """The patient, or the volume itself where no patient is known."""
        return str(self.facts["patient"] or self.facts["name"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(coils, rows, columns) of the k-space."""
        coils, rows, columns = self.facts["shape"]
        return coils, rows, columns

    def truth(self, index: int) -> np.ndarray:
        """(h, w) float32 magnitude image of a slice."""
        height, width = self.facts["size"]
        return self._row("truth.bin", index, (height, width), np.dtype(np.float32))

    def image(self, index: int) -> np.ndarray:
        """(H, W) complex64 image of a slice, where its acquisition is simulated."""
        return self._row("image.bin", index, self.shape[1:], np.dtype(np.complex64))

    def kspace(self, index: int) -> np.ndarray:
        """(coils, H, W) complex64 measured k-space of a slice.

        Raises:
            Mistake: the file has gone, or was cut short.
        """
        assert self.place is not None
        return read_slice(self.place, self.shape, index)

    def _row(self, file: str, index: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        values = np.empty(shape, dtype)
        with (self.path / file).open("rb", buffering=0) as stream:
            stream.seek(index * values.nbytes)
            if stream.readinto(values.data.cast("B")) != values.nbytes:
                raise Mistake(self.path / file, "is cut short", "delete its folder: it is prepared anew")
        return values


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


def _volume(scan: Scan, root: Path, matrix: int | None) -> Volume | Mistake:
    asked = json.dumps([FORMAT, scan.name, scan.patient, scan.identity, matrix], sort_keys=True)
    home = root / hashlib.sha256(asked.encode()).hexdigest()[:24]
    if (home / "facts.json").is_file():
        return Volume(home, scan.place)
    part = Path(tempfile.mkdtemp(dir=root, prefix=f"{home.name}.", suffix=".part"))
    try:
        facts = _read_through(scan, part, matrix)
        write_whole(part / "facts.json", to_json(facts))
        shutil.rmtree(home, ignore_errors=True)  # without facts: left by a process that died
        part.chmod(0o755)
        part.rename(home)
    except Mistake as mistake:
        return mistake
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Volume(home, scan.place)


def _read_through(scan: Scan, part: Path, matrix: int | None) -> dict[str, Any]:
    """Read every slice once: check it, hash it, and write what is kept."""
    hashes, maxima, peaks = [], [], []
    size, shape = (0, 0), scan.shape
    with (part / "truth.bin").open("wb") as truths, (part / "image.bin").open("wb") as kept:
        for index in range(scan.count):
            values = scan.read(index)
            _check_finite(scan, index, values)
            if scan.kind == "kspace":
                truth = _truth_of(scan, index, values)
            else:
                values = values if matrix is None else _lowered(scan, values, matrix)
                shape = (1, *values.shape)
                truth = np.abs(values).astype(np.float32)
                kept.write(np.ascontiguousarray(values, np.complex64).data)
            size = truth.shape
            hashes.append(hashlib.sha256(np.ascontiguousarray(values).data).hexdigest())
            maxima.append(float(truth.max()))
            peaks.append(float(square(truth).max()))
            truths.write(np.ascontiguousarray(truth, np.float32).data)
    if max(maxima) <= 0:
        raise Mistake(scan.name, "holds nothing but zeros", "remove it")
    return {
        "name": scan.name, "patient": scan.patient, "acquisition": scan.acquisition, "kind": scan.kind,
        "count": scan.count, "shape": list(shape), "size": list(size),
        "maximum": scan.maximum or max(maxima),
        "peak": max(peaks), "peaks": peaks, "hashes": hashes,
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
