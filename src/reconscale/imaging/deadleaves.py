"""Procedural images: overlapping discs, as leaves on the ground, with edges and scale invariance as in photographs.

Discs have radii r with density proportional to r**-3 between 3 pixels and half the side, which makes the statistics
(nearly) independent of scale, and one flat colour each. Later ones cover earlier ones; edges are smooth, because the
image is drawn at twice its size and averaged. An image is a pure function of (seed, index, side, channels).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reconscale.imaging.decode import Header
from reconscale.imaging.listing import Listing
from reconscale.study import Images

COVERS = 4.0
"""How many discs lie over a pixel, on average; exp(-4) = 2 % of the ground, which has one colour too, stays visible."""

LEAST = 3.0
"""Radius of the smallest discs, in pixels."""

_OVERSAMPLING = 2
_FRACTION_BITS = 4


def list_deadleaves(images: Images, data: Path | None) -> Listing:
    """``images.total`` images of side ``images.size``, in colour unless ``channels`` is ``gray``; each is its own unit.

    Args:
        images: the options; ``split_seed`` chooses the family.
        data: not used.
    """
    channels = 1 if images.channels == "gray" else 3
    side, seed = images.size, images.split_seed
    digits = max(6, len(str(images.total - 1)))
    return Listing(
        place="dead leaves",
        identity=["deadleaves", seed, side, images.total, COVERS, LEAST],
        names=tuple(f"leaves/{index:0{digits}d}" for index in range(images.total)),
        unit="file",
        header=lambda index: Header(side, side, channels, "uint8"),
        load=lambda index: draw_leaves(seed, index, side, channels),
    )


def draw_leaves(seed: int, index: int, side: int, channels: int) -> np.ndarray:
    """Draw one image.

    Args:
        seed: family of images.
        index: which image of the family.
        side: in pixels.
        channels: 1 or 3.

    Returns:
        (side, side, channels) uint8.
    """
    import cv2

    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, side, channels])))
    radius = _radii(rng, side)
    count = len(radius)
    centre = rng.random((count, 2)) * (side + 2 * radius[:, None]) - radius[:, None]
    colour = _colours(rng, count + 1, channels)
    image = np.empty((side * _OVERSAMPLING, side * _OVERSAMPLING, channels), np.uint8)
    image[:] = colour[-1].astype(np.uint8)
    fine = _OVERSAMPLING << _FRACTION_BITS
    where, radii = np.rint(centre * fine).astype(int).tolist(), np.rint(radius * fine).astype(int).tolist()
    paint = colour.tolist()
    for disc in range(count):
        cv2.circle(image, where[disc], radii[disc], paint[disc], cv2.FILLED, cv2.LINE_8, _FRACTION_BITS)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(side, side, channels)


def _radii(rng: np.random.Generator, side: int) -> np.ndarray:
    """Radii of the discs that touch the image: a disc of radius r has (side + 2 r)**2 places to do so."""
    edges = np.geomspace(LEAST, side / 2, 513)
    middle = np.sqrt(edges[1:] * edges[:-1])
    rate = COVERS / (np.pi * np.log(edges[-1] / edges[0]))
    expected = rate * middle**-3 * (side + 2 * middle) ** 2 * np.diff(edges)
    chosen = np.searchsorted(np.cumsum(expected), rng.random(int(expected.sum())) * expected.sum())
    return np.asarray(middle[np.minimum(chosen, len(middle) - 1)])


def _colours(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    """(count, channels) in 0 to 255: brightness uniform, colour a smaller deviation from grey."""
    grey = rng.uniform(0, 255, (count, 1))
    if channels == 1:
        return grey
    return np.clip(grey + rng.normal(0, 35, (count, channels)), 0, 255)
