"""Slices of prepared volumes, in an order: what training and evaluation read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from reconscale.imaging.volumes.volume import Volume


@dataclass(frozen=True)
class Slice:
    """One slice as it was read.

    Attributes:
        kspace: (coils, H, W) complex64, measured; or none.
        image: (H, W) complex64, where the acquisition is simulated; or none.
        truth: (h, w) float32 magnitude image.
        maximum: data range of the volume: what its file states, else its largest value.
        volume: name of the volume, which decides its mask.
    """

    kspace: np.ndarray | None
    image: np.ndarray | None
    truth: np.ndarray
    maximum: float
    volume: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(coils, H, W, h, w); coils is 0 where the acquisition is simulated."""
        values = self.image if self.kspace is None else self.kspace
        assert values is not None
        coils = 0 if self.kspace is None else len(self.kspace)
        return (coils, *values.shape[-2:], *self.truth.shape)


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices in an order. Pickles as places and numbers; the values stay on the disk until they are read.

    Attributes:
        volumes: the prepared volumes.
        rows: (N, 2) int64: index of the volume, number of the slice in it.
    """

    volumes: tuple[Volume, ...] = field(repr=False)
    rows: np.ndarray = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Slices, (self.volumes, self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def channels(self) -> int:
        """1: magnitude images."""
        return 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the slices: the volume's, a slash and the number."""
        return tuple(f"{self.volumes[v].name}/{s:03d}" for v, s in self.rows.tolist())

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of every slice: the patient, or the volume."""
        return tuple(self.volumes[v].unit for v, _ in self.rows.tolist())

    @cached_property
    def volume_names(self) -> tuple[str, ...]:
        """The volume of every slice."""
        return tuple(self.volumes[v].name for v, _ in self.rows.tolist())

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of the values of every slice, in hexadecimal."""
        return [self.volumes[v].facts["hashes"][s] for v, s in self.rows.tolist()]

    def pick(self, positions: np.ndarray) -> Slices:
        """The slices at some positions, in that order."""
        return Slices(self.volumes, self.rows[positions])

    def area(self, i: int, crop: int | None = None) -> int:
        """Pixels of the k-space of a slice; ``crop`` is for images, slices are never cropped."""
        del crop
        _, rows, columns = self.volumes[int(self.rows[i, 0])].shape
        return rows * columns

    def peak(self, i: int) -> float:
        """Data range for evaluation: the largest value of the volume's square centre crops (fastMRI's)."""
        return float(self.volumes[int(self.rows[i, 0])].facts["peak"])

    def slice(self, i: int) -> Slice:
        """Read one slice.

        Raises:
            Mistake: its file has gone, or was cut short.
            Damaged: it is not what was prepared.
        """
        index, number = self.rows[i].tolist()
        volume = self.volumes[index]
        measured = volume.place is not None
        return Slice(
            kspace=volume.kspace(number) if measured else None,
            image=None if measured else volume.image(number),
            truth=volume.truth(number),
            maximum=float(volume.facts["maximum"]),
            volume=volume.name,
        )

    def described(self) -> dict[str, Any]:
        """Counts and sizes; JSON values only."""
        facts = [self.volumes[v].facts for v in np.unique(self.rows[:, 0]).tolist()]
        return {
            "slices": len(self),
            "volumes": len(facts),
            "units": len(set(self.units)),
            "kinds": _counted(fact["kind"] for fact in facts),
            "acquisitions": _counted(fact["acquisition"] or "not stated" for fact in facts),
            "coils x rows x columns": _counted(" x ".join(map(str, fact["shape"])) for fact in facts),
        }


def _counted(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))
