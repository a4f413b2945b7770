"""Items of several sources, divided: each source has its own nested order, validation and test are of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.files import json_digest
from reconscale.study.images.image_sources import check_source_names
from reconscale.study.items import HeldOut
from reconscale.study.mixes import MixedRun
from reconscale.study.subsets import Subsets, subsets


@dataclass(frozen=True)
class MixedItems:
    """Items of several sources.

    For a seed, the first k items of a source are the same whatever comes from the others, and the same as of that
    source alone. No group of which the target holds out an item is trained on as one of another source.

    Attributes:
        parts: source -> its items, divided; the target first, then by name.
        dropped: items of other sources that are used nowhere, as their groups are held out by the target.
    """

    parts: Mapping[str, Subsets] = field(repr=False)
    dropped: int = 0

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources, the target first."""
        return tuple(self.parts)

    @property
    def _target(self) -> Subsets:
        return next(iter(self.parts.values()))

    @property
    def val(self) -> list[Any]:
        """The validation items, of the target."""
        return self._target.val

    @property
    def test(self) -> list[Any]:
        """The test items, of the target."""
        return self._target.test

    @property
    def val_names(self) -> tuple[str, ...]:
        """The names of the validation items."""
        return self._target.val_names

    @property
    def test_names(self) -> tuple[str, ...]:
        """The names of the test items."""
        return self._target.test_names

    @property
    def count(self) -> int:
        """How many items there are."""
        return sum(part.count for part in self.parts.values())

    @property
    def grouped(self) -> bool:
        """Whether items have groups."""
        return self._target.grouped

    @property
    def unused(self) -> int:
        """Items in no set, whose groups are held out."""
        return self._target.unused + self.dropped

    @cached_property
    def digest(self) -> str:
        """A hash of the items, their sources and groups, and of which are held out."""
        return json_digest([[name, part.digest] for name, part in self.parts.items()])

    def training(self, run: MixedRun) -> list[Any]:
        """The training items of a run, source after source.

        Raises:
            UserError: a source has not as many.
        """
        mix, parts = run.mix, self.parts.items()
        return [item for name, part in parts if mix.get(name) for item in part.train(mix[name], run.seed)]

    def check_mix(self, mix: Mapping[str, int]) -> None:
        """Refuse a mix that there are too few items for.

        Raises:
            UserError: as said.
        """
        for name, count in mix.items():
            part = self.parts[name]
            if count > part.available:
                left = f"at most {part.available} of its {part.count} items are left for training"
                raise UserError("mix", f"found {count} of {name}", left)


def mixed_items(
    sources: Mapping[str, Any],
    *,
    target: str,
    groups: Mapping[str, Sequence[Any]] | None,
    val: HeldOut,
    test: HeldOut,
) -> MixedItems:
    """Divide the items of several sources.

    Args:
        sources: name -> paths or ids; each item in one source.
        target: the source that validation and test items are of.
        groups: name -> a label for each item; equal labels are one group, also in two sources. None: each item is one.
        val: items of the target for validation, as of :func:`~reconscale.study.subsets.subsets`.
        test: items of the target for test.

    Raises:
        UserError: a source has no items, or a name that is none; an item is in two sources; labels are missing; or
            what ``subsets`` refuses.
    """
    if not isinstance(sources, Mapping):
        raise UserError("sources", f"found a {type(sources).__name__}", "give a mapping: name -> list of items")
    try:
        check_source_names(tuple(map(str, sources)), target)
    except ValueError as error:
        raise mistake_of(error) from error
    if groups is not None and not isinstance(groups, Mapping):
        raise UserError("groups", f"found a {type(groups).__name__}", "give a mapping: source -> a label for each item")
    if groups is not None and set(groups) != set(sources):
        odd = sorted(set(groups) ^ set(sources))[0]
        what = f"there is no source '{odd}'" if odd in groups else f"has no labels for '{odd}'"
        raise UserError("groups", what, suggest(odd, sources) if odd in groups else "give labels for all sources")
    names = sorted(sources, key=lambda name: (name != target, name))
    parts, dropped = dict[str, Subsets](), 0
    for name in names:
        labels = None if groups is None else groups[name]
        try:
            part = subsets(sources[name], 1, 1, labels, val if name == target else 0, test if name == target else 1)
        except UserError as mistake:
            if name == target and mistake.where in ("val", "test", "val and test"):
                raise
            where = f"sources, {name}" if mistake.where == "items" else f"{mistake.where}, source {name}"
            raise UserError(where, mistake.found, mistake.remedy) from mistake
        if name != target:
            part = _all_for_training(part, parts[target])
            dropped += part.unused
        parts[name] = part
    _refuse_shared(parts)
    return MixedItems(parts, dropped)


def _all_for_training(part: Subsets, target: Subsets) -> Subsets:
    """The items of another source than the target: all are for training, but for groups that the target holds out."""
    rows = np.arange(part.count)
    if part.groups is not None and target.groups is not None:
        kept = {target.groups[row] for row in target.rows[0].tolist()}
        held = {label for label in target.groups if label not in kept}
        order = sorted(rows.tolist(), key=lambda row: (part.groups[row], row))  # type: ignore[index]
        rows = np.array([row for row in order if part.groups[row] not in held], np.int64)
    none = np.zeros(0, np.int64)
    return Subsets(part.items, part.names, part.groups, (rows, none, none), part.n, part.seeds)


def _refuse_shared(parts: Mapping[str, Subsets]) -> None:
    """Refuse an item that two sources have: it could be trained on and tested on."""
    owner: dict[str, str] = {}
    for name, part in parts.items():
        for item in part.names:
            if item in owner:
                remedy = "give each item to one source; of numbers let those of the second begin where the first ends"
                raise UserError("sources", f"'{item}' is in both {owner[item]} and {name}", remedy)
            owner[item] = name


def mistake_of(error: ValueError) -> UserError:
    """A sentence ``where: found; remedy`` as a mistake of the user's."""
    where, _, rest = str(error).partition(": ")
    found, _, remedy = rest.rpartition("; ")
    return UserError(where, found or remedy, remedy if found else "mend it")
