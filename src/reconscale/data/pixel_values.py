"""The values of pixels: their spread, and what is suspicious about it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reconscale.data.kept_answers import HEAVY, memoize
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.shards import DTYPES
from reconscale.data.store import SCALES
from reconscale.data.subset import ImageSubset

CORNER = 0.25
"""Images whose values together cover at most this part of the range of their type are probably not in its units."""
CLIPPED = 0.01
"""This part of the values at white, where ``images.range`` says what white is, is worth a word."""
VERY_DARK = 1 / 16
"""Images without a pixel above this part of the range, as 12 bits in 16, or a mask of a few numbers, are counted."""
SOME = 0.1
"""That many of them among others are worth a word."""
_IMAGES, _VALUES = 500, 4096
"""Images, spread evenly, and values of each, that percentiles are taken of; the least and largest are those of all."""
_PERCENTILES = (1, 50, 99, 99.9)


def kept_spread(name: str, pixels: ImageSubset) -> list[dict[str, Any]]:
    """As :func:`value_spread`, from the cache where that is worth it; one after the other of several sources.

    Args:
        name: what the images stand for.
        pixels: the images.
    """
    if isinstance(pixels, MixedSubset):
        return [spread for part in pixels.parts.values() if len(part) for spread in kept_spread(name, part)]
    size = pixels.area_in_all * pixels.channels * np.dtype(pixels.dtype).itemsize
    return memoize("values 2", [(name, pixels)], lambda: value_spread(pixels), heavy=size > HEAVY)


def value_spread(pixels: ImageSubset) -> list[dict[str, Any]]:
    """The values of some images, in their own units, one entry for every type of file among them; JSON values only.

    Args:
        pixels: the images.

    Returns:
        Entries with ``type``, ``images``, ``white`` (the largest value of the type), ``min``, ``1 %``, ``50 %``,
        ``99 %``, ``99.9 %``, ``max``; ``at black`` and ``at white``: parts of the values; ``very dark``: how many
        images have no pixel above ``VERY_DARK`` of white, and ``darkest``: one of them.
    """
    types = pixels.store.source_types[pixels.rows]
    return [_spread(pixels, np.flatnonzero(types == number), DTYPES[number]) for number in np.unique(types).tolist()]


def _spread(pixels: ImageSubset, chosen: np.ndarray, name: str) -> dict[str, Any]:
    white, stored = SCALES[name], pixels.scale
    ends = []
    sampled = []
    looked = set(np.linspace(0, len(chosen) - 1, min(_IMAGES, len(chosen))).round().astype(int).tolist())
    for place, index in enumerate(chosen.tolist()):
        image = pixels.store.unchecked(int(pixels.rows[index]))
        ends.append((float(image.min()), float(image.max())))
        if place in looked:
            flat = image.reshape(-1)
            sampled.append(np.asarray(flat[:: max(1, flat.size // _VALUES)], np.float64))
    values = np.concatenate(sampled) * (white / stored)
    low, high = min(low for low, _ in ends) * white / stored, max(high for _, high in ends) * white / stored
    percentiles = {f"{p} %": _short(float(v), name) for p, v in zip(_PERCENTILES, np.percentile(values, _PERCENTILES),
                                                                   strict=True)}  # fmt: skip
    dark = [index for index, (_, high) in zip(chosen.tolist(), ends, strict=True) if high <= VERY_DARK * stored]
    darkest = {"very dark": len(dark), "darkest": pixels.names[dark[0]] if dark else ""}
    parts = {"at black": round(float((values <= 0).mean()), 4), "at white": round(float((values >= white).mean()), 4)}
    return {"type": name, "images": len(chosen), "white": white, "min": _short(low, name), **percentiles,
            "max": _short(high, name), **parts, **darkest}  # fmt: skip


def _short(value: float, name: str) -> float:
    return round(value) if name != "float32" else float(f"{value:.4g}")


def spread_words(spread: dict[str, Any]) -> str:
    """An entry of :func:`value_spread` in words.

    >>> entry = {"type": "uint8", "white": 255.0, "min": 3, "1 %": 9, "50 %": 90, "99 %": 240, "max": 255}
    >>> spread_words(entry | {"at black": 0.0, "at white": 0.0125})
    'uint8 3 to 255 of 255 (1 %: 9, 50 %: 90, 99 %: 240; at black 0 %, at white 1.2 %)'
    """
    middle = ", ".join(f"{key}: {spread[key]:g}" for key in ("1 %", "50 %", "99 %"))
    ends = ", ".join(f"{key} {100 * spread[key]:.2g} %" for key in ("at black", "at white"))
    return f"{spread['type']} {spread['min']:g} to {spread['max']:g} of {spread['white']:g} ({middle}; {ends})"


def spread_cautions(what: str, spreads: list[dict[str, Any]], limits: tuple[float, float] | None) -> list[str]:
    """What is suspicious about the values of images, one sentence each.

    Args:
        what: the images, in words.
        spreads: from :func:`value_spread`, of all sets of the same source.
        limits: ``images.range``; where it is given, the range is known, and only clipping is looked at.
    """
    if limits is not None:
        clipped = max(spread["at white"] for spread in spreads)
        if clipped <= CLIPPED:
            return []
        return [f"about {100 * clipped:.2g} % of the values of {what} are at or above white, images.range[1] = "
                f"{limits[1]:g}, and were clipped to it"]  # fmt: skip
    found = []
    for name in sorted({spread["type"] for spread in spreads}):
        mine = [spread for spread in spreads if spread["type"] == name]
        low, high = min(spread["min"] for spread in mine), max(spread["max"] for spread in mine)
        if high - low <= CORNER * SCALES[name]:
            found.append(_corner(what, name, low, high))
        else:
            found += _few_bright(what, name, mine)
    if len({spread["type"] for spread in spreads}) > 1:
        counts = ", ".join(f"{sum(s['images'] for s in spreads if s['type'] == name)} {name}"
                           for name in sorted({spread["type"] for spread in spreads}))  # fmt: skip
        found.append(f"{what} are of different depths ({counts}), each taken as a part of the range of its own type")
    return found


def _few_bright(what: str, name: str, spreads: list[dict[str, Any]]) -> list[str]:
    """The cautions about images in a corner of the range which a few pixels, or a few images, leave."""
    white, count = SCALES[name], sum(spread["images"] for spread in spreads)
    nearly = max(spread["99.9 %"] for spread in spreads)
    if name == "uint16" and nearly <= VERY_DARK * white:
        return [f"99.9 % of the pixels of {what} are at or below {nearly:g} of {white:g}, and few reach "
                f"{max(spread['max'] for spread in spreads):g}: if these are hot pixels, PSNR is "
                f"{20 * math.log10(white / max(nearly, 1)):.0f} dB too high; say which values are black and white with "
                "images.range"]  # fmt: skip
    dark = sum(spread["very dark"] for spread in spreads)
    if dark < max(2, SOME * count):
        return []
    named = next(spread["darkest"] for spread in spreads if spread["darkest"])
    return [f"{dark} of {count} {name} images of {what} (such as {named}) have no pixel above "
            f"{VERY_DARK * white:.0f} of {white:g}, others do: these may be masks, or of another depth; leave them "
            "out, or bring all to one range"]  # fmt: skip


def _corner(what: str, name: str, low: float, high: float) -> str:
    """The caution about values in a corner of the range."""
    white = SCALES[name]
    if high <= CORNER * white:
        real = high if name == "float32" else float(2 ** max(1, math.ceil(math.log2(high + 1))) - 1)
        whose = "any image" if what == "the images" else what
        start = f"no pixel of {whose} is above {high:g} of {white:g}"
        black = 0.0
    else:
        real, black = high, low
        start = f"all pixels of {what} lie between {low:g} and {high:g} of {white:g}"
    factor = white / max(real - black, 1e-12)
    return (
        f"{start}: if that is all that they can be, PSNR is {20 * math.log10(factor):.0f} dB too high and noise of a "
        f"given sigma {factor:.2g} times too strong for them; say which values are black and white, such as "
        f"images.range = [{black:g}, {real:g}], or that it is the whole range, images.range = [0, {white:g}]"
    )
