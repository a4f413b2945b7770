"""Who is held out and in which order training units come, against the plain way of saying it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.data.subset import split_sources
from reconscale.study import Images
from reconscale.study.subsets import SPLIT, SUBSET, WITHIN, nested_order, permutation

NAMES = st.lists(st.text("ab-/", min_size=1, max_size=4), min_size=3, max_size=30)


def plainly_divided(units: Sequence[str], images: Images) -> list[list[int]]:
    known = sorted(set(units))
    order = permutation(len(known), images.split_seed, SPLIT)
    test, val, train = np.split(order, [images.test, images.test + images.val])
    return [
        [i for u in np.sort(part) for i, unit in enumerate(units) if unit == known[u]] for part in (train, val, test)
    ]


def plainly_ordered(units: Sequence[str], seed: int, shuffled: bool) -> tuple[list[int], list[int]]:
    names = list(dict.fromkeys(units))
    pieces = []
    for index in permutation(len(names), seed, SUBSET).tolist():
        piece = [i for i, unit in enumerate(units) if unit == names[index]]
        order = permutation(len(piece), seed, WITHIN, index)
        pieces.append([piece[i] for i in order.tolist()] if shuffled else piece)
    return [i for piece in pieces for i in piece], np.cumsum([len(piece) for piece in pieces]).tolist()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(names=NAMES, alone=st.booleans(), val=st.integers(1, 4), test=st.integers(1, 4), seed=st.integers(0, 99))
def test_divided(names: list[str], alone: bool, val: int, test: int, seed: int) -> None:
    units = sorted(set(names)) if alone else names
    images = Images(source="bundled", val=val, test=test, split_seed=seed)
    if len(set(units)) <= val + test:
        with pytest.raises(ValueError, match="nothing is left"):
            split_sources(units, images, (val, test))
        return
    parts = split_sources(tuple(units), images, (val, test))
    assert [part.tolist() for part in parts] == plainly_divided(units, images)
    assert {part.dtype for part in parts} == {np.dtype(np.int64)}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(names=NAMES, seed=st.integers(0, 99), shuffled=st.booleans())
def test_nested_order(names: list[str], seed: int, shuffled: bool) -> None:
    units = sorted(names)
    numbers = np.unique(units, return_inverse=True)[1]
    for given_units in (tuple(units), numbers * 7 + 3):
        order, ends = nested_order(given_units, seed, shuffled=shuffled)
        assert (order.tolist(), ends.tolist()) == plainly_ordered(units, seed, shuffled)
