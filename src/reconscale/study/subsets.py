"""Nested training subsets of a list of items, with the same validation and test items for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from pathlib import PurePath
from typing import Any

import numpy as np

from reconscale.errors import UserError, check_int
from reconscale.files import json_digest

SPLIT, SUBSET, WITHIN = 0, 1, 2
"""What a permutation is for."""
Rows = tuple[np.ndarray, np.ndarray]
"""For training, and for test."""
MOST_ITEMS = 100_000_000
"""Items that a list may have."""


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
        for unit, stop, length in zip(order.tolist(), ends.tolist(), lengths.tolist(), strict=True):
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
    used nowhere. Of a nested subset the last group may be incomplete.

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
    def available(self) -> int:
        """Items that can be trained on."""
        return len(self.rows[0])

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

    def check(self, n: int) -> None:
        """Refuse a size that there are too few items for.

        Raises:
            UserError: as said.
        """
        if n > self.available:
            held = f"{len(self.rows[1])} are for validation and {len(self.rows[2])} for test"
            left = len(self.items) - len(self.rows[1]) - len(self.rows[2]) - self.available
            also = f", and {left} more belong to their groups" if left else ""
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
    val: int = 0,
    test: int = 1,
) -> Subsets:
    """Nested training subsets: the first n of one order a seed, with the same validation and test items for all.

    ``n``, ``val`` and ``test`` count items, also where there are groups.

    >>> found = subsets(10, n=[2, 4], seeds=2, val=2, test=3)
    >>> [(one.n, one.seed, len(one.train)) for one in found]
    [(2, 0, 2), (4, 0, 4), (2, 1, 2), (4, 1, 4)]
    >>> set(found.train(2, 0)) < set(found.train(4, 0)), found.test == subsets(10, 1, val=2, test=3).test
    (True, True)

    Args:
        items: paths, ids, or a number N for the indices 0, ..., N - 1; each once.
        n: training set sizes.
        seeds: a number k for the seeds 0, ..., k - 1, or a list.
        groups: a label for each item (patient, scene, ...); none: each item is a group of its own.
        val: items for validation.
        test: items for test.

    Raises:
        UserError: an item is given twice, labels are missing, or there are too few items.
    """
    found = list_items(items)
    sizes, all_seeds = sizes_of(n), seeds_of(seeds, "seeds")
    names = [name_of(item, position) for position, item in enumerate(found)]
    labels = None if groups is None else _labels(groups, len(found))
    order = sorted(range(len(found)), key=lambda i: (0, found[i], "") if _is_index(found[i]) else (1, 0, names[i]))
    sorted_labels = None if labels is None else tuple(labels[i] for i in order)
    _refuse_repeated([names[i] for i in order])
    rows = _divide(len(found), sorted_labels, check_int("val", val, 0), check_int("test", test, 1))
    made = Subsets(
        tuple(found[i] for i in order), tuple(names[i] for i in order), sorted_labels, rows, sizes, all_seeds
    )
    made.check(max(sizes))
    return made


def _divide(
    count: int, labels: tuple[str, ...] | None, val: int, test: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows for training, validation and test; each sorted by group."""
    members: dict[str, list[int]] = {}
    for row in range(count if labels is not None else 0):
        members.setdefault(labels[row], []).append(row)  # type: ignore[index]
    units = [[row] for row in range(count)] if labels is None else [members[label] for label in sorted(members)]
    held: tuple[list[int], list[int]] = ([], [])
    train: list[int] = []
    for unit in permutation(len(units), 0, SPLIT).tolist():
        for part, most in zip(held, (test, val), strict=True):
            if len(part) < most:
                part += units[unit][: most - len(part)]
                break
        else:
            train.append(unit)
    if len(held[0]) < test or len(held[1]) < val or not train:
        kept = "" if labels is None else f" in {len(units)} groups"
        raise UserError("val and test", f"hold out {val} + {test} of {count} items{kept}",
                        "nothing is left to train on: hold out fewer, or add items")  # fmt: skip
    rows = [row for unit in sorted(train) for row in units[unit]]
    return np.array(rows, np.int64), np.sort(np.array(held[1], np.int64)), np.sort(np.array(held[0], np.int64))


def list_items(items: Any) -> list[Any]:
    """The items as a list.

    Raises:
        UserError: they are no sequence of paths, ids or indices.
    """
    if isinstance(items, Integral) and not isinstance(items, bool):
        return list(range(check_int("items", items, 1, MOST_ITEMS)))
    remedy = "give a list of paths or ids, or a number N for the indices 0 to N - 1"
    if hasattr(items, "columns"):  # it would be iterated over by the names of its columns
        raise UserError("items", "found a table", "give one of its columns, or its length")
    if isinstance(items, str | bytes | PurePath | Mapping) or not hasattr(items, "__iter__"):
        what = repr(items)[:60] if isinstance(items, str | PurePath) else f"a {type(items).__name__}"
        more = "; of a data set give len(data), and use the indices in train" if hasattr(items, "__getitem__") else ""
        raise UserError("items", f"found {what}", remedy + more)
    found = []
    for position, item in enumerate(items):
        name_of(item, position)  # before the rest is read: a data set of images may be meant
        found.append(_plain(item))
    if not found:
        raise UserError("items", "the list is empty", remedy)
    return found


def name_of(item: Any, position: int) -> str:
    """The name of an item: of a path as it is written, but for ``./`` and the like.

    Raises:
        UserError: it is neither a path, nor an id, nor a number.
    """
    if isinstance(item, tuple) and item:
        return "/".join(name_of(part, position) for part in item)
    if isinstance(item, bool | bytes) or not isinstance(item, str | PurePath | Integral):
        raise UserError(f"items, number {position}", f"found a {type(item).__name__}",
                        "give paths, ids or numbers, and read the data in train; for the items of a data set give its "
                        "length")  # fmt: skip
    text = str(item).encode(errors="backslashreplace").decode()  # names of files need not be UTF-8
    return os.path.normpath(text) if "/" in text else text


def _plain(item: Any) -> Any:
    """The item without numpy's types."""
    if isinstance(item, np.generic):
        return item.item()
    return item


def _is_index(item: Any) -> bool:
    return isinstance(item, int)


def _labels(groups: Any, count: int) -> list[str]:
    remedy = "give one label for each item: a patient, a scene, ..."
    if isinstance(groups, str | bytes | Mapping) or not hasattr(groups, "__iter__"):
        raise UserError("groups", f"found a {type(groups).__name__}", remedy)
    labels = list(groups)
    if len(labels) != count:
        raise UserError("groups", f"found {len(labels)} labels for {count} items", remedy)
    for position, label in enumerate(labels):
        if label is None or label != label or str(label) == "":
            raise UserError(f"groups, number {position}", f"found {label!r}", remedy)
    return [str(label) for label in labels]


def _refuse_repeated(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError("items", f"'{name}' is given twice", "give each item once, or it could be trained on and "
                            "tested on")  # fmt: skip
        seen.add(name)


class NestedShuffleSplit:
    """Nested training subsets as a splitter of scikit-learn: for every seed and n the rows for training and for test.

    >>> splitter = NestedShuffleSplit(n=[2, 4], seeds=2, test=3)
    >>> splitter.get_n_splits(), [(len(train), len(test)) for train, test in splitter.split([[0.0]] * 10)]
    (4, [(2, 3), (4, 3), (2, 3), (4, 3)])

    Args:
        n: training set sizes, in rows.
        seeds: a number k for the seeds 0, ..., k - 1, or a list.
        test: rows for test, the same in all splits.
        val: rows that are kept out of both.
    """

    def __init__(self, n: int | Iterable[int], *, seeds: int | Iterable[int] = 1, test: int = 1, val: int = 0) -> None:
        self.n, self.seeds, self.test, self.val = sizes_of(n), seeds_of(seeds, "seeds"), test, val

    def __repr__(self) -> str:
        return f"NestedShuffleSplit(n={list(self.n)}, seeds={list(self.seeds)}, test={self.test}, val={self.val})"

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Rows]:  # noqa: N803, ARG002
        """Rows for training and rows for test, split by split.

        Args:
            X: (N, ...) the data; only its length is used.
            y: not used.
            groups: (N,) labels that no split divides, or none.

        Raises:
            UserError: there are too few rows, or labels are missing.
        """
        count = X.shape[0] if hasattr(X, "shape") else len(X)
        for one in subsets(int(count), self.n, self.seeds, groups, self.val, self.test):
            yield np.array(one.train, np.int64), np.array(one.test, np.int64)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803, ARG002
        """How many splits there are."""
        return len(self.n) * len(self.seeds)
