"""Nested training subsets of a list of items, with the same validation and test items for all of them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np

from reconscale.errors import UserError, check_int
from reconscale.files import json_digest
from reconscale.study.items import HeldOut, held_out, labels_of, list_items, name_of, refuse_repeated
from reconscale.study.mixes import MixedRun

SPLIT, SUBSET, WITHIN = 0, 1, 2
"""What a permutation is for."""
Rows = tuple[np.ndarray, np.ndarray]
"""For training, and for test."""


def nested_order(units: Sequence[str] | np.ndarray, seed: int, *, shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """The nested order of training images that a seed gives.

    Units, which come sorted, are permuted by 64-bit draws of numpy's PCG64, whose stream is fixed for good; images
    follow in the order of their units.

    Args:
        units: (N,) the unit of every image, or numbers that stand for them, equal ones side by side.
        seed: decides the order.
        shuffled: whether images within a unit are permuted likewise (slices, whose neighbours are much alike); else
            they come by name.

    Returns:
        (N,) positions in that order, and (U,) how many images the first 1, 2, ... units hold.
    """
    names = np.array(units)
    starts = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1, [len(names)]])
    order = permutation(len(starts) - 1, seed, SUBSET)
    lengths = np.diff(starts)[order]
    ends = np.cumsum(lengths)
    positions = np.arange(len(names)) + np.repeat(starts[order] - ends + lengths, lengths)
    if shuffled:
        several = np.flatnonzero(lengths > 1)  # a permutation of one image takes as long as one of ten
        rows = (order[several].tolist(), ends[several].tolist(), lengths[several].tolist())
        for unit, stop, length in zip(*rows, strict=True):
            piece = positions[stop - length : stop]
            positions[stop - length : stop] = piece[permutation(length, seed, WITHIN, unit)]
    return positions, ends


def permutation(count: int, seed: int, *purpose: int) -> np.ndarray:
    """A permutation of 0, ..., count - 1, from a seed and what it is for: one of ``SPLIT``, ``SUBSET``, ``WITHIN``."""
    draws = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)).random_raw(count)
    return np.argsort(draws, kind="stable")


def seeds_of(seeds: int | Iterable[int], where: str = "seed") -> tuple[int, ...]:
    """The seeds that a number or a list means.

    >>> seeds_of(3), seeds_of([7, 9])
    ((0, 1, 2), (7, 9))

    Raises:
        UserError: no seed, one below 0, or one twice.
    """
    if isinstance(seeds, Integral):
        if seeds == 0:
            raise UserError(where, "found 0, which is a number of seeds", f"write {where}=[0] for the seed 0 alone")
        return tuple(range(check_int(where, seeds, 1, 100_000)))
    return _distinct(where, seeds, 0)


def sizes_of(n: int | Iterable[int], where: str = "n") -> tuple[int, ...]:
    """One number or several, each a whole one of 1 or more.

    Raises:
        UserError: they are not.
    """
    return (check_int(where, n, 1),) if isinstance(n, Integral) else _distinct(where, n, 1)


def _distinct(where: str, values: Any, least: int) -> tuple[int, ...]:
    try:
        found = tuple(check_int(where, value, least) for value in values)
    except TypeError as error:
        raise UserError(where, f"found {values!r}", "a whole number, or a list of them, is expected") from error
    if not found:
        raise UserError(where, "the list is empty", "give at least one value")
    if len(set(found)) < len(found):
        raise UserError(where, "a value is given twice", "give each value once")
    return found


@dataclass(frozen=True)
class Subset:
    """The items of one run.

    Attributes:
        n, seed: which run.
        train: the first n items of the seed's order.
        val, test: the same for all n and seeds.
    """

    n: int
    seed: int
    train: list[Any]
    val: list[Any]
    test: list[Any]


@dataclass(frozen=True)
class Subsets:
    """Items, divided: ``val`` and ``test`` for all runs, and an order of the others for each seed.

    Items are sorted by name first, so that the order of the list does not matter. Groups never lie on both sides of a
    line: whole groups are held out until there are as many items as asked for, and what is left of the last group is
    used nowhere; nor is what a list leaves of a group. Of a nested subset the last group may be incomplete.

    Attributes:
        items: sorted by name.
        names: of the items.
        groups: of the items, numbers that are equal where their groups are.
        val, test: items held out.
        n, seeds: the subsets that were asked for.
    """

    items: tuple[Any, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    groups: tuple[str, ...] | None = field(repr=False)
    rows: tuple[np.ndarray, np.ndarray, np.ndarray] = field(repr=False, compare=False)
    n: tuple[int, ...]
    seeds: tuple[int, ...]

    @property
    def val(self) -> list[Any]:
        """The validation items."""
        return [self.items[row] for row in self.rows[1]]

    @property
    def test(self) -> list[Any]:
        """The test items."""
        return [self.items[row] for row in self.rows[2]]

    @property
    def val_names(self) -> tuple[str, ...]:
        """The names of the validation items."""
        return tuple(self.names[row] for row in self.rows[1])

    @property
    def test_names(self) -> tuple[str, ...]:
        """The names of the test items."""
        return tuple(self.names[row] for row in self.rows[2])

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.items)

    @property
    def grouped(self) -> bool:
        """Whether items have groups."""
        return self.groups is not None

    @property
    def available(self) -> int:
        """Items that can be trained on."""
        return len(self.rows[0])

    @property
    def unused(self) -> int:
        """Items in no set, whose groups are held out."""
        return len(self.items) - sum(map(len, self.rows))

    @cached_property
    def digest(self) -> str:
        """A hash of the items, their groups, and of which are held out."""
        held = [self.rows[1].tolist(), self.rows[2].tolist()]
        return json_digest([self.names, self.groups, held])

    def train(self, n: int, seed: int) -> list[Any]:
        """The first n items of a seed's order.

        Raises:
            UserError: there are not as many.
        """
        self.check(n)
        rows = self.rows[0]
        units = rows if self.groups is None else np.array([self.groups[row] for row in rows])
        order, _ = nested_order(units, seed, shuffled=True)
        return [self.items[row] for row in rows[order[:n]]]

    def training(self, run: MixedRun) -> list[Any]:
        """The training items of a run: of one source, so that there is no mix."""
        return self.train(run.n, run.seed)

    def check(self, n: int) -> None:
        """Refuse a size that there are too few items for.

        Raises:
            UserError: as said.
        """
        if n > self.available:
            held = f"{len(self.rows[1])} are for validation and {len(self.rows[2])} for test"
            also = f", and {self.unused} more belong to their groups" if self.unused else ""
            raise UserError("n", f"found {n}", f"at most {self.available} of the {len(self.items)} items are left "
                            f"for training ({held}{also})")  # fmt: skip

    def __len__(self) -> int:
        return len(self.n) * len(self.seeds)

    def __iter__(self) -> Iterator[Subset]:
        val, test = self.val, self.test
        for seed in self.seeds:
            for n in self.n:
                yield Subset(n, seed, self.train(n, seed), list(val), list(test))


def subsets(
    items: Any,
    n: int | Iterable[int],
    seeds: int | Iterable[int] = 1,
    groups: Sequence[Any] | None = None,
    val: HeldOut = 0,
    test: HeldOut = 1,
) -> Subsets:
    """Nested training subsets: the first n of one order a seed, with the same validation and test items for all.

    ``n``, ``val`` and ``test`` count items, also where there are groups.

    >>> found = subsets(10, n=[2, 4], seeds=2, val=2, test=3)
    >>> [(one.n, one.seed, len(one.train)) for one in found]
    [(2, 0, 2), (4, 0, 4), (2, 1, 2), (4, 1, 4)]
    >>> set(found.train(2, 0)) < set(found.train(4, 0)), found.test == subsets(10, 1, val=2, test=3).test
    (True, True)
    >>> subsets(10, 4, val=1, test=[7, 9]).test
    [7, 9]

    Args:
        items: paths, ids, or a number N for the indices 0, ..., N - 1; each once.
        n: training set sizes.
        seeds: a number k for the seeds 0, ..., k - 1, or a list.
        groups: a label for each item (patient, scene, ...); none: each item is a group of its own.
        val: items for validation: how many, or which.
        test: items for test, likewise. A number is drawn from what no list holds; where a list holds a part of a
            group, the rest of that group is used nowhere.

    Raises:
        UserError: an item is given twice, labels are missing, there are too few items; or a list is empty, has an item
            that is not in ``items``, or one that the other set has, or a group that it has.
    """
    found = list_items(items)
    sizes, all_seeds = sizes_of(n), seeds_of(seeds, "seeds")
    names = [name_of(item, position) for position, item in enumerate(found)]
    labels = None if groups is None else labels_of(groups, len(found))
    order = sorted(
        range(len(found)), key=lambda i: (0, found[i], "") if isinstance(found[i], int) else (1, 0, names[i])
    )
    sorted_labels = None if labels is None else tuple(labels[i] for i in order)
    sorted_names = tuple(names[i] for i in order)
    refuse_repeated(sorted_names)
    held = {"test": held_out("test", test, sorted_names, 1), "val": held_out("val", val, sorted_names, 0)}
    rows = _divide(sorted_names, sorted_labels, held)
    made = Subsets(tuple(found[i] for i in order), sorted_names, sorted_labels, rows, sizes, all_seeds)
    made.check(max(sizes))
    return made


def _divide(
    names: Sequence[str], labels: tuple[str, ...] | None, held: Mapping[str, int | tuple[int, ...]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows for training, validation and test; those for training sorted by group.

    Args:
        names: of the items.
        labels: of their groups, or none.
        held: ``test`` and ``val`` -> how many, or the rows.

    Raises:
        UserError: two lists share an item or a group, or nothing would be left.
    """
    group_of: Sequence[Any] = range(len(names)) if labels is None else labels
    listed = {name: rows for name, rows in held.items() if not isinstance(rows, int)}
    taken = _groups_of_lists(names, group_of, listed, labels is not None)
    members: dict[Any, list[int]] = {}
    for row, group in enumerate(group_of):
        if group not in taken:
            members.setdefault(group, []).append(row)
    units = [members[group] for group in sorted(members)]
    counts = {name: rows for name, rows in held.items() if isinstance(rows, int)}
    drawn: dict[str, list[int]] = {name: [] for name in counts}
    train: list[int] = []
    for unit in permutation(len(units), 0, SPLIT).tolist():
        for name, most in counts.items():
            if len(drawn[name]) < most:
                drawn[name] += units[unit][: most - len(drawn[name])]
                break
        else:
            train.append(unit)
    if any(len(drawn[name]) < most for name, most in counts.items()) or not train:
        kept = "" if labels is None else f" in {len(set(labels))} groups"
        many = {name: rows if isinstance(rows, int) else len(rows) for name, rows in held.items()}
        raise UserError("val and test", f"hold out {many['val']} + {many['test']} of {len(names)} items{kept}",
                        "nothing is left to train on: hold out fewer, or add items")  # fmt: skip
    rows = [row for unit in sorted(train) for row in units[unit]]
    val, test = (np.sort(np.array(listed.get(name, drawn.get(name)), np.int64)) for name in ("val", "test"))
    return np.array(rows, np.int64), val, test


def _groups_of_lists(
    names: Sequence[str], group_of: Sequence[Any], listed: Mapping[str, tuple[int, ...]], grouped: bool
) -> set[Any]:
    """The groups that lists hold.

    Raises:
        UserError: two lists share one.
    """
    owner: dict[Any, tuple[str, int]] = {}
    for name, rows in listed.items():
        for row in rows:
            first, there = owner.setdefault(group_of[row], (name, row))
            if first == name:
                continue
            if row == there or not grouped:
                raise UserError("val and test", f"both hold '{names[row]}'", "give each item to one of the two")
            raise UserError("val and test", f"both hold the group '{group_of[row]}', with '{names[row]}' and "
                            f"'{names[there]}'", "give each group to one of the two")  # fmt: skip
    return set(owner)


class NestedShuffleSplit:
    """Nested training subsets as a splitter of scikit-learn: for every seed and n the rows for training and for test.

    >>> splitter = NestedShuffleSplit(n=[2, 4], seeds=2, test=3)
    >>> splitter.get_n_splits(), [(len(train), len(test)) for train, test in splitter.split([[0.0]] * 10)]
    (4, [(2, 3), (4, 3), (2, 3), (4, 3)])

    Args:
        n: training set sizes, in rows.
        seeds: a number k for the seeds 0, ..., k - 1, or a list.
        test: rows for test, the same in all splits: how many, or which.
        val: rows that are kept out of both, likewise.
    """

    def __init__(
        self, n: int | Iterable[int], *, seeds: int | Iterable[int] = 1, test: HeldOut = 1, val: HeldOut = 0
    ) -> None:
        self.n, self.seeds = sizes_of(n), seeds_of(seeds, "seeds")
        self.test, self.val = (list(rows) if isinstance(rows, Iterator) else rows for rows in (test, val))

    def __repr__(self) -> str:
        test, val = (reprlib.repr(rows) for rows in (self.test, self.val))
        return f"NestedShuffleSplit(n={list(self.n)}, seeds={list(self.seeds)}, test={test}, val={val})"

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Rows]:  # noqa: N803, ARG002
        """Rows for training and rows for test, split by split.

        Args:
            X: (N, ...) the data; only its length is used.
            y: not used.
            groups: (N,) labels that no split divides, or none.

        Raises:
            UserError: there are too few rows, labels are missing, or listed rows are not there.
        """
        count = X.shape[0] if hasattr(X, "shape") else len(X)
        for one in subsets(int(count), self.n, self.seeds, groups, self.val, self.test):
            yield np.array(one.train, np.int64), np.array(one.test, np.int64)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803, ARG002
        """How many splits there are."""
        return len(self.n) * len(self.seeds)
