"""Who is held out, and in which order training units come: the same for images and for slices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from operator import lt

import numpy as np

from reconscale.mistakes import Mistake
from reconscale.study import Images

_SPLIT, _SUBSET, _WITHIN = 0, 1, 2


def divided(units: Sequence[str], images: Images, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions for training, validation and test; each sorted by unit, then as given.

    Args:
        units: (N,) the unit of every image.
        images: the options; ``val``, ``test`` and ``split_seed`` are read.
        names: (N,) names of the images.

    Raises:
        Mistake: nothing would be left to train on.
    """
    alone = all(map(lt, units, islice(units, 1, None)))  # as files come: sorted, and each its own unit
    members: dict[str, list[int]] = {}
    for position, unit in enumerate(() if alone else units):
        members.setdefault(unit, []).append(position)
    known = units if alone else sorted(members)
    if len(known) <= images.val + images.test:
        folder = images.unit == "folder" and not images.volumes
        hint = ' (a unit is a folder: set images.unit = "file" if its images are independent)' if folder else ""
        raise Mistake(
            "images.val and images.test",
            f"hold out {images.val} + {images.test} of {len(known)} units",
            f"nothing is left to train on: hold out fewer, or add images{hint}",
        )
    order = _permutation(len(known), images.split_seed, _SPLIT)
    parts = np.split(order, [images.test, images.test + images.val])
    test, val, train = (
        np.sort(part) if alone else np.array([i for u in np.sort(part) for i in members[known[u]]], np.int64)
        for part in parts
    )
    return train, val, test


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
    order = _permutation(len(starts) - 1, seed, _SUBSET)
    lengths = np.diff(starts)[order]
    ends = np.cumsum(lengths)
    positions = np.arange(len(names)) + np.repeat(starts[order] - ends + lengths, lengths)
    if shuffled:
        for unit, stop, length in zip(order.tolist(), ends.tolist(), lengths.tolist(), strict=True):
            piece = positions[stop - length : stop]
            positions[stop - length : stop] = piece[_permutation(length, seed, _WITHIN, unit)]
    return positions, ends


def _permutation(count: int, seed: int, *purpose: int) -> np.ndarray:
    draws = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)).random_raw(count)
    return np.argsort(draws, kind="stable")
