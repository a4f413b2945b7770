"""Values of a metric by test unit: what is independent in a test set, a patient or a single image."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError

SUBJECTS = {"sub-[A-Za-z0-9]+": "", r"(?:subject|subj|patient)[-_]?\d+": "(?i)"}
"""Expressions for a subject in a path, the first in the names of BIDS, and their flags."""


def subject_of(name: str) -> str:
    """The subject that a path names, or nothing.

    >>> subject_of("set/patient03_study2_FLAIR.nii.gz"), subject_of("cells/a.png")
    ('patient03', '')
    """
    for subject, flags in SUBJECTS.items():
        if found := re.search(f"{flags}(?:^|[/_.-])({subject})", name):
            return found.group(1)
    return ""


@dataclass(frozen=True, eq=False)
class UnitValues:
    """The metric of every run on every unit of the test set.

    Attributes:
        values: (M, U) value of the metric, one row a run; of several images of a unit their mean.
        names: the U units.
        noun: what they are, for instance ``patients`` or ``images``.
        unsure: why units may not be independent of each other; empty where nothing says so.

    Raises:
        UserError: shapes differ, or a value is not finite.
    """

    values: Floats
    names: tuple[str, ...]
    noun: str = "images"
    unsure: str = ""

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.names) or not len(self.names):
            raise UserError("UnitValues, values", f"found shape {values.shape}", f"(runs, {len(self.names)}) expected")
        if not np.isfinite(values).all():
            raise UserError("UnitValues, values", "found a value that is not finite", "leave that image out")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def rows(self, keep: ArrayLike) -> UnitValues:
        """The runs where ``keep``, a mask or indices, says so."""
        return UnitValues(self.values[np.asarray(keep)], self.names, self.noun, self.unsure)

    @property
    def counted(self) -> str:
        """How many units there are.

        >>> UnitValues(np.ones((1, 1)), ("a",), "patients").counted
        '1 patient'
        """
        return count_units(len(self.names), self.noun)


def count_units(count: int, noun: str) -> str:
    """A number of units, in words.

    >>> count_units(1200, "images"), count_units(1, "images")
    ('1,200 images', '1 image')
    """
    return f"{count:,} {noun[:-1] if count == 1 and noun.endswith('s') else noun}"


def mean_by_group(values: Floats, groups: Sequence[Hashable]) -> tuple[Floats, tuple[str, ...]]:
    """The mean of each group, and the groups in order of appearance.

    Args:
        values: (..., K) values of K images.
        groups: (K,) what each belongs to.

    Returns:
        (..., U) means, and the U groups.
    """
    place = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    owner = np.array([place[group] for group in groups])
    share = np.eye(len(place))[owner]
    return np.asarray(np.asarray(values) @ (share / share.sum(0))), tuple(map(str, place))


def units_of_names(names: Sequence[str]) -> tuple[list[str], str]:
    """What images belong to, by their names alone: the subject that is named, else the volume that they are slices of.

    >>> units_of_names(["sub-01_s3.png", "sub-01_s4.png", "sub-02_s3.png"])
    (['sub-01', 'sub-01', 'sub-02'], 'patients')
    >>> units_of_names(["a.h5/000", "a.h5/001", "b.h5/000"])
    (['a.h5', 'a.h5', 'b.h5'], 'volumes')
    >>> units_of_names(["leaves/000036", "leaves/000111"])
    (['leaves/000036', 'leaves/000111'], 'images')

    Returns:
        The unit of each image, and what units are called.
    """
    subjects = [subject_of(name) for name in names]
    if all(subjects):
        return subjects, "patients"
    held: dict[str, list[int]] = {}
    for name in names:
        found = re.fullmatch(r"(.+)/(\d{3,})", name)
        if found is None:
            return list(names), "images"
        held.setdefault(found[1], []).append(int(found[2]))
    whole = all(sorted(numbers) == [*range(min(numbers), max(numbers) + 1)] for numbers in held.values())
    if whole and len(held) < len(names):
        return [name.rpartition("/")[0] for name in names], "volumes"
    return list(names), "images"
