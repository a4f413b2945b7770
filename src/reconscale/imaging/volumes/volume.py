"""A volume as it is kept in the cache: values on the disk, and checksums of all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.files import read_json, to_json, write_whole
from reconscale.imaging.volumes.kspace import read_slice
from reconscale.imaging.volumes.scan import Place
from reconscale.mistakes import Damaged, Mistake

FACTS, TRUTHS, IMAGES = "facts.json", "truth.bin", "image.bin"
"""The files of a prepared volume. The facts are written last."""
ANEW = "delete its folder: it is prepared anew"
"""What to do about a damaged one."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A prepared volume. Pickles as two places; its values stay on the disk until they are read.

    The first time that an object reads a slice, its values are compared with their checksums.

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
        """Name, unit, kind, sizes, maxima and hashes of its slices.

        Raises:
            Damaged: they are missing, or not what was written.
        """
        path = self.path / FACTS
        try:
            facts = read_json(path)
        except Mistake as mistake:
            raise Damaged(path, mistake.found, ANEW) from mistake
        if not isinstance(facts, dict) or facts.pop("sha256", None) != _sum(facts):
            raise Damaged(path, "does not match its checksum", ANEW)
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
            Damaged: it is not what was prepared.
        """
        height, width = self.facts["size"]
        return self._row(TRUTHS, index, (height, width), np.dtype(np.float32), "truths")

    def image(self, index: int) -> np.ndarray:
        """(H, W) complex64 image of a slice, where its acquisition is simulated.

        Raises:
            Damaged: it is not what was prepared.
        """
        return self._row(IMAGES, index, self.shape[1:], np.dtype(np.complex64), "hashes")

    def kspace(self, index: int) -> np.ndarray:
        """(coils, H, W) complex64 measured k-space of a slice.

        Raises:
            Mistake: the file has gone, or was cut short.
            Damaged: it holds other values than it did.
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
        except Damaged as damaged:
            yield f"{damaged.where}: {damaged.found}"
            return
        for read in parts:
            for index in range(count):
                try:
                    read(index)
                except Mistake as mistake:
                    yield f"{mistake.where}: {mistake.found}"
                    break

    def is_whole(self) -> bool:
        """Whether its facts are as they were written, and its files have the sizes that follow from them."""
        try:
            facts = self.facts
            sizes = [(self.path / name).stat().st_size for name in (TRUTHS, IMAGES)]
        except (Damaged, OSError):
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
            raise Damaged(self.path / file, f"cannot be read ({error.strerror})", ANEW) from error
        if short:
            raise Damaged(self.path / file, "is cut short", ANEW)
        self._check(self.path / file, index, values, sums, ANEW)
        return values

    def _check(self, path: Path, index: int, values: np.ndarray, sums: str, remedy: str) -> None:
        if (path, index) in self._checked:
            return
        if sum_of(values) != self.facts[sums][index]:
            raise Damaged(path, f"does not match its checksum at slice {index}: it was damaged or changed", remedy)
        self._checked.add((path, index))

    @cached_property
    def _checked(self) -> set[tuple[Path, int]]:
        return set()


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write what a folder holds, with a checksum over it.

    Raises:
        Mistake: the folder cannot be written to.
    """
    write_whole(folder / FACTS, to_json({**facts, "sha256": _sum(facts)}))


def sum_of(values: np.ndarray) -> str:
    """SHA-256 of the values of an array, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _sum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
