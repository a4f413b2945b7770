"""Write TIFF files that keep what another one says of itself: resolution, description, OME-XML, ImageJ's axes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.tiff_files import opened_tiff
from reconscale.files import write_atomic

MOST_TEXT = 1 << 24
"""Characters of a description that are kept at most."""
KEPT = {271, 272, 305, 306, 315, 316, 33432, 34675, 42112}
"""Tags that are copied: make, model, software, time, author, computer, rights, colour profile, GDAL's text."""
GEO = {33550, 33922, 34264, 34735, 34736, 34737}
"""Tags that say where on the earth pixels lie: copied where no pixel moves."""
LAYOUT = {
    254, 255, 256, 257, 258, 259, 262, 263, 266, 270, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 285, 296, 297,
    317, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 529, 530, 531, 532, 32995, 32996, 32997, 32998, 42113,
    50838, 50839,
}  # fmt: skip
"""Tags of the layout of pixels, and those that are written by the new pixels."""
_OWN = {"ImageJ", "images", "channels", "slices", "frames", "hyperstack", "mode", "axes", "shape"}
"""Entries of metadata that follow from the pixels."""
_OME_TYPE = {"uint8": "uint8", "uint16": "uint16", "float32": "float", "float64": "double", "int16": "int16",
             "int32": "int32", "uint32": "uint32", "int8": "int8"}  # fmt: skip


_TAG = r"""(?:[^>"']|"[^"]*"|'[^']*'){0,5000}>"""
_PIXELS = re.compile(rf"<(?:\w+:)?Pixels\b{_TAG}")
_ROOT = re.compile(rf"<(?:\w+:)?OME\b{_TAG}")
_UUID = re.compile(rf"<(\w+:)?UUID\b{_TAG}[^<]*</(\w+:)?UUID>")
"""The name of the file that a plane lies in: it is another one."""
_ATTRIBUTE = re.compile(r"""\s+([A-Za-z]+)\s*=\s*("[^"]*"|'[^']*')""")
_OWN_ID = re.compile(r"""\s+UUID\s*=\s*("[^"]*"|'[^']*')""")


@dataclass(frozen=True)
class TiffFacts:
    """What a TIFF file says of itself, besides its pixels.

    Attributes:
        kind: ``ome``, ``imagej``, ``shaped`` (by tifffile) or ``plain``.
        descriptions: of every page that is an image.
        metadata: of ImageJ and tifffile, by name.
        axes, shape: of the series.
        resolution: pixels per unit, across and down; none: not stated.
        unit: 1 none, 2 inch, 3 centimetre.
        tags: further ones, as ``tifffile.imwrite`` takes them.
        dropped: names of tags that are not kept.
    """

    kind: str
    descriptions: tuple[str, ...]
    metadata: dict[str, Any]
    axes: str
    shape: tuple[int, ...]
    resolution: tuple[float, float] | None
    unit: int
    tags: tuple[tuple[Any, ...], ...]
    dropped: tuple[str, ...]


def facts_of(path: Path, pages: Sequence[int]) -> TiffFacts:
    """What a TIFF file says of itself.

    Args:
        path: the file.
        pages: the numbers of its pages that are images.
    """
    with opened_tiff(path) as file:
        first = file.pages[pages[0]]
        metadata: dict[str, Any] = {}
        kind = "plain"
        if first.is_ome:
            kind = "ome"
        elif first.is_imagej:
            kind, metadata = "imagej", dict(file.imagej_metadata or {})
        elif first.is_shaped:
            kind, metadata = "shaped", _json(first.description)
        turned = int(_tag(first, 274, 1))
        resolution = _resolution(first)
        tags, dropped = [], []
        for tag in first.tags.values():
            if tag.code in KEPT or (tag.code in GEO and turned == 1):
                tags.append((tag.code, tag.dtype, tag.count, tag.value, True))
            elif tag.code not in LAYOUT:
                dropped.append(str(tag.name))
        if resolution and turned > 4:
            resolution = resolution[::-1]
        texts = tuple(str(file.pages[number].description)[:MOST_TEXT] for number in pages)
        series = file.series[0]
        return TiffFacts(kind, texts, metadata, series.axes, tuple(series.shape), resolution, int(_tag(first, 296, 1)),
                         tuple(tags), tuple(dropped))  # fmt: skip


def _tag(page: Any, code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _resolution(page: Any) -> tuple[float, float] | None:
    values = [_tag(page, code, None) for code in (282, 283)]
    if not all(isinstance(value, tuple) and len(value) == 2 and min(value) > 0 for value in values):
        return None
    (a, b), (c, d) = values
    return (a / b, c / d)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_tiff(path: Path, images: list[np.ndarray], facts: TiffFacts | None, factor: float = 1) -> list[str]:
    """Write images as the pages of a TIFF file.

    Args:
        path: the file to write.
        images: (H, W, C) of one shape and type, C 1 or 3.
        facts: what the file says of itself besides; none: nothing.
        factor: how many times more pixels the images have in each direction than those that ``facts`` are of.

    Returns:
        What is not kept, one sentence each.
    """
    import tifffile

    stack = np.stack(images)
    colour = stack.shape[3] == 3
    stack = stack if colour else stack[..., 0]
    how: dict[str, Any] = {"photometric": "rgb" if colour else "minisblack"}
    said: list[str] = []
    buffer = io.BytesIO()
    if facts is None:
        alone = stack[0] if len(images) == 1 else stack
        axes = {} if len(images) == 1 else {"metadata": {"axes": "ZYXS" if colour else "ZYX"}}
        tifffile.imwrite(buffer, alone, **how, **axes)
        write_atomic(path, buffer.getvalue())
        return said
    if facts.resolution:
        how |= {"resolution": tuple(factor * value for value in facts.resolution), "resolutionunit": facts.unit}
    tags, moved = _scaled_tags(facts, factor)
    said += (
        [f"the TIFF tags {', '.join(sorted({*facts.dropped, *moved}))} are not kept"] if facts.dropped or moved else []
    )
    how["extratags"] = tags
    how["software"] = False
    shape = _series_shape(facts, stack)
    if shape is None:
        said += [f"axes '{facts.axes}' are not kept: there are other pages"] if facts.kind != "plain" else []
    if facts.kind == "imagej" and shape is not None:
        kept = {key: value for key, value in facts.metadata.items() if key not in _OWN}
        tifffile.imwrite(buffer, stack.reshape(shape), imagej=True, metadata={**kept, "axes": facts.axes}, **how)
    elif facts.kind == "shaped" and shape is not None:
        kept = {key: value for key, value in facts.metadata.items() if key not in _OWN}
        tifffile.imwrite(buffer, stack.reshape(shape), metadata={**kept, "axes": facts.axes}, **how)
    else:
        texts: list[str] = list(facts.descriptions)
        if facts.kind == "ome":
            texts[0], why = _ome(facts.descriptions[0], stack, factor)
            said += why
        with tifffile.TiffWriter(buffer, bigtiff=stack.nbytes > 1 << 31) as writer:
            for page, text in zip(stack, texts, strict=True):
                writer.write(page, description=text.encode() or None, metadata=None, **how)
    write_atomic(path, buffer.getvalue())
    return said


def _scaled_tags(facts: TiffFacts, factor: float) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Tags as they are, the size of a pixel on the earth divided; and those that cannot be kept."""
    kept: list[tuple[Any, ...]] = []
    moved: list[str] = []
    for code, kind, count, value, once in facts.tags:
        if code == 33550 and factor != 1:
            kept.append((code, kind, count, (value[0] / factor, value[1] / factor, *value[2:]), once))
        elif code == 34264 and factor != 1:
            moved.append("ModelTransformationTag")
        else:
            kept.append((code, kind, count, value, once))
    return kept, moved


def _series_shape(facts: TiffFacts, stack: np.ndarray) -> tuple[int, ...] | None:
    """The shape of the series with the pixels of the stack; none where the pages are not those of the series."""
    outer = [length for axis, length in zip(facts.axes, facts.shape, strict=True) if axis not in "YXS"]
    places = [axis for axis in facts.axes if axis in "YXS"]
    if int(np.prod(outer)) != len(stack) or places[:2] != ["Y", "X"]:
        return None
    return (*outer, *stack.shape[1:])


def _ome(text: str, stack: np.ndarray, factor: float) -> tuple[str, list[str]]:
    """OME-XML with the sizes, the type and the pixel sizes of the stack. It is edited as text, and never parsed."""
    if re.search(r"<!(DOCTYPE|ENTITY)", text) or not _PIXELS.search(text):
        return "", ["its OME-XML is not kept: it declares entities, or has no pixels"]
    values = {"SizeY": str(stack.shape[1]), "SizeX": str(stack.shape[2]),
              "Type": _OME_TYPE.get(stack.dtype.name, stack.dtype.name)}  # fmt: skip

    def edited(found: re.Match[str]) -> str:
        return _ATTRIBUTE.sub(attribute, found[0])

    def attribute(found: re.Match[str]) -> str:
        name, value = found[1], found[2][1:-1]
        if name in ("SignificantBits", "BigEndian"):
            return ""
        if name in ("PhysicalSizeX", "PhysicalSizeY") and factor != 1:
            return f' {name}="{_divided(value, factor)}"'
        return f' {name}="{values[name]}"' if name in values else found[0]

    text = _UUID.sub("", text)
    root = _ROOT.sub(lambda found: _OWN_ID.sub("", found[0]), text, count=1)
    return _PIXELS.sub(edited, root), []


def _divided(text: str, factor: float) -> str:
    try:
        return repr(float(text) / factor)
    except ValueError:
        return text
