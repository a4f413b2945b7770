"""A volume in the cache: its values and their checksums."""

from __future__ import annotations

import hashlib
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

from reconscale.data.listing import Progress
from reconscale.data.volumes.checks import ImageChecks, KSpaceChecks, check_finite
from reconscale.data.volumes.kspace_files import read_slice
from reconscale.data.volumes.scan import KSpaceLocation, VolumeInfo
from reconscale.data.volumes.transforms import of_lower_resolution, square
from reconscale.errors import DamagedFileError, UserError
from reconscale.files import json_digest, read_json, to_json, write_atomic
from reconscale.machine import cores

FACTS, TRUTHS, IMAGES = "facts.json", "truth.bin", "image.bin"
"""The files of a prepared volume. The facts are written last."""
PREPARE_AGAIN = "delete its folder: it is prepared again"
"""The remedy for a damaged one."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A prepared volume. Pickles as two places; its values stay on the disk until they are read.

    The first time that an object reads a slice, its values are compared with their checksums.

    Attributes:
        path: its directory in the cache.
        place: where its k-space lies; none for images.
    """

    path: Path
    place: KSpaceLocation | None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Volume, (self.path, self.place))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, unit, kind, sizes, maxima and hashes of its slices.

        Raises:
            DamagedFileError: they are missing, or not what was written.
        """
        path = self.path / FACTS
        try:
            facts = read_json(path)
        except UserError as mistake:
            raise DamagedFileError(path, mistake.found, PREPARE_AGAIN) from mistake
        if not isinstance(facts, dict) or facts.pop("sha256", None) != json_digest(facts):
            raise DamagedFileError(path, "does not match its checksum", PREPARE_AGAIN)
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
        """(h, w) float32 magnitude image of a slice.

        Raises:
            DamagedFileError: it is not what was prepared.
        """
        height, width = self.facts["size"]
        return self._row(TRUTHS, index, (height, width), np.dtype(np.float32), "truths")

    def image(self, index: int) -> np.ndarray:
        """(H, W) complex64 image of a slice, where its acquisition is simulated.

        Raises:
            DamagedFileError: it is not what was prepared.
        """
        return self._row(IMAGES, index, self.shape[1:], np.dtype(np.complex64), "hashes")

    def kspace(self, index: int) -> np.ndarray:
        """(coils, H, W) complex64 measured k-space of a slice.

        Raises:
            UserError: the file has gone, or was cut short.
            DamagedFileError: it holds other values than it did.
        """
        assert self.place is not None
        values = read_slice(self.place, self.shape, index)
        self._check(self.place.path, index, values, "hashes", "restore the file")
        return values

    def damages(self) -> Iterator[str]:
        """Read everything again; what is wrong, a sentence each."""
        parts: list[Callable[[int], np.ndarray]] = [self.truth, self.image if self.place is None else self.kspace]
        try:
            count = int(self.facts["count"])
        except DamagedFileError as damaged:
            yield f"{damaged.where}: {damaged.found}"
            return
        for read in parts:
            for index in range(count):
                try:
                    read(index)
                except UserError as mistake:
                    yield f"{mistake.where}: {mistake.found}"
                    break

    def is_whole(self) -> bool:
        """Whether its facts are as they were written, and its files have the sizes that follow from them."""
        try:
            facts = self.facts
            sizes = [(self.path / name).stat().st_size for name in (TRUTHS, IMAGES)]
        except (DamagedFileError, OSError):
            return False
        height, width = facts["size"]
        of_images = 0 if facts["kind"] == "kspace" else 8 * facts["count"] * facts["shape"][1] * facts["shape"][2]
        return sizes == [4 * facts["count"] * height * width, of_images]

    def _row(self, file: str, index: int, shape: tuple[int, ...], dtype: np.dtype[Any], sums: str) -> np.ndarray:
        values = np.empty(shape, dtype)
        try:
            with (self.path / file).open("rb", buffering=0) as stream:
                stream.seek(index * values.nbytes)
                short = stream.readinto(values.data.cast("B")) != values.nbytes
        except OSError as error:
            raise DamagedFileError(self.path / file, f"cannot be read ({error.strerror})", PREPARE_AGAIN) from error
        if short:
            raise DamagedFileError(self.path / file, "is cut short", PREPARE_AGAIN)
        self._check(self.path / file, index, values, sums, PREPARE_AGAIN)
        return values

    def _check(self, path: Path, index: int, values: np.ndarray, sums: str, remedy: str) -> None:
        if (path, index) in self._checked:
            return
        if sum_of(values) != self.facts[sums][index]:
            raise DamagedFileError(
                path, f"does not match its checksum at slice {index}: it was damaged or changed", remedy
            )
        self._checked.add((path, index))

    @cached_property
    def _checked(self) -> set[tuple[Path, int]]:
        return set()


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write the facts of a volume, with a checksum over them.

    Raises:
        UserError: the folder cannot be written to.
    """
    write_atomic(folder / FACTS, to_json({**facts, "sha256": json_digest(facts)}))


def sum_of(values: np.ndarray) -> str:
    """SHA-256 of the values of an array, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


FORMAT = 3
"""Version of the cache; volumes of another version are prepared again."""


def prepare_volumes(
    scans: Sequence[VolumeInfo], root: Path, matrix: int | None, progress: Progress
) -> Iterator[Volume | UserError]:
    """The volumes of scans, in their order; those that are missing in the cache are prepared first.

    Args:
        scans: the volumes.
        root: the folder of all prepared volumes.
        matrix: the side that k-space of images is cut to; none: it is not.
        progress: called with (label, volumes done, volumes).

    Yields:
        The volume, or what is wrong with it.

    Raises:
        UserError: the cache cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock"), ThreadPoolExecutor(min(4, cores())) as pool:
            for done, volume in enumerate(pool.map(lambda scan: _volume(scan, root, matrix), scans), 1):
                progress("preparing volumes", done, len(scans))
                yield volume
    except OSError as error:
        raise UserError(root, f"the cache cannot be written ({error.strerror or error})",
                      "free some space, or choose another one with RECONSCALE_CACHE") from error  # fmt: skip


def load_cached(scan: VolumeInfo, root: Path, matrix: int | None) -> Volume:
    """The place of a volume in the cache, prepared or not."""
    key = json_digest([FORMAT, scan.name, scan.patient, scan.identity, matrix])
    return Volume(root / key[:24], scan.place)


def _volume(scan: VolumeInfo, root: Path, matrix: int | None) -> Volume | UserError:
    volume = load_cached(scan, root, matrix)
    home = volume.path
    if volume.is_whole():
        return volume
    part = Path(tempfile.mkdtemp(dir=root, prefix=f"{home.name}.", suffix=".part"))
    try:
        write_facts(part, _read_through(scan, part, matrix))
        shutil.rmtree(home, ignore_errors=True)  # damaged, or left by a process that died
        part.chmod(0o755)
        part.rename(home)
    except UserError as mistake:
        return mistake
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Volume(home, scan.place)


def _read_through(scan: VolumeInfo, part: Path, matrix: int | None) -> dict[str, Any]:
    """Read every slice once: check it, hash it, and write it to the cache."""
    hashes, truths, maxima, peaks, minima = [], [], [], [], []
    size, shape = (0, 0), scan.shape
    measured, pictures = KSpaceChecks(scan), ImageChecks(scan)
    with (part / TRUTHS).open("wb") as shown, (part / IMAGES).open("wb") as simulated:
        for index in range(scan.count):
            values = scan.read(index)
            check_finite(scan, index, values)
            if scan.kind == "kspace":
                truth = measured.truth_of(index, values)
            else:
                pictures.look_at(index, values)
                values = values if matrix is None else _lowered(scan, values, matrix)
                shape = (1, *values.shape)
                truth = np.abs(values).astype(np.float32)
                simulated.write(np.ascontiguousarray(values, np.complex64).data)
            size = truth.shape
            hashes.append(sum_of(values))
            truths.append(sum_of(np.asarray(truth, np.float32)))
            maxima.append(float(truth.max()))
            minima.append(float(truth.min()))
            peaks.append(float(square(truth).max()))
            shown.write(np.ascontiguousarray(truth, np.float32).data)
    if max(maxima) <= 0:
        raise UserError(scan.name, "holds nothing but zeros", "remove it")
    if scan.kind != "kspace":
        pictures.finish()
    return {
        "name": scan.name, "patient": scan.patient, "acquisition": scan.acquisition, "kind": scan.kind,
        "count": scan.count, "shape": list(shape), "size": list(size), "dtype": scan.dtype,
        "maximum": scan.maximum or max(maxima), "range": [min(minima), max(maxima)],
        "peak": max(peaks), "peaks": peaks, "hashes": hashes, "truths": truths,
    }  # fmt: skip


def _lowered(scan: VolumeInfo, image: np.ndarray, matrix: int) -> np.ndarray:
    if min(image.shape) < matrix:
        raise UserError(
            scan.name, f"is {image.shape[1]} x {image.shape[0]} pixels", f"images.matrix = {matrix} needs more"
        )
    return of_lower_resolution(image, matrix)
