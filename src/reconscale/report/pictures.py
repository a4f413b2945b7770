"""The picture strip: truth, measurement, baseline, and the networks of the smallest and largest n."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconscale.format import amount, plain
from reconscale.laws import Points
from reconscale.results import Folder, Result
from reconscale.results.baseline_record import Baselines

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 900_000
"""Characters of all pictures of a page together, as they stand in it: with them it stays below 2 MB."""


@dataclass(frozen=True)
class Picture:
    """One picture of a strip.

    Attributes:
        title: what it is.
        note: its quality, or empty.
        uri: the picture itself, as a data URI; empty: it is there, and too large for a page.
    """

    title: str
    note: str
    uri: str


@dataclass(frozen=True)
class Strip:
    """The same image, reconstructed by several methods.

    Attributes:
        image: name of the image.
        rule: the rule by which it was chosen.
        pictures: from the truth to the largest n.
    """

    image: str
    rule: str
    pictures: tuple[Picture, ...]


def strips_of(
    anchors: Baselines | None, folder: Folder, results: Sequence[Result], best: Points | None, test_set: str
) -> list[Strip]:
    """The strips whose pictures are there; missing pictures are left out."""
    if anchors is None or best is None or best.width is None:
        return []
    strips = []
    ends = [(float(n), int(best.width[best.n == n][0])) for n in sorted({best.n.min(), best.n.max()})]
    for index, item in enumerate(anchors.pictures):
        name = str(item.get("image", ""))
        pictures = [_anchor_picture(anchors, item, kind) for kind in ("truth", *anchors.labels)]
        for n, width in ends:
            pictures.append(_run_picture(folder, results, (n, width), index, (test_set, name)))
        shown = tuple(picture for picture in pictures if picture is not None)
        if len(shown) > 1:
            strips.append(Strip(name, str(item.get("rule", "")), shown))
    return strips


def fitting(strips: Sequence[Strip], most: int = LARGEST) -> tuple[list[Strip], int]:
    """The strips that a page has room for, in their order, and how many pictures that leaves out.

    Strips are kept whole, so that what is compared stays side by side; only where the first is too large itself its
    pictures are taken one by one.

    Args:
        strips: all of them.
        most: characters of all pictures together.
    """
    kept: list[Strip] = []
    room, total = most, sum(len(strip.pictures) for strip in strips)
    for strip in strips:
        fits = [picture for picture in strip.pictures if picture.uri]
        if sum(len(picture.uri) for picture in fits) > room:
            fits = [] if kept else _first_of(fits, room)
        if len(fits) > 1:
            kept.append(replace(strip, pictures=tuple(fits)))
            room -= sum(len(picture.uri) for picture in fits)
    return kept, total - sum(len(strip.pictures) for strip in kept)


def left_out_words(count: int, folder: Path) -> str:
    """That pictures are left out, and where they are; empty where none is.

    Args:
        count: how many.
        folder: the results folder.
    """
    if not count:
        return ""
    are = "1 picture is" if count == 1 else f"{amount(count)} pictures are"
    return (
        f"{are} left out, so that this page stays small: the PNG files are in {folder.name}/anchors and beside the "
        f"results of each run in {folder.name}."
    )


def _first_of(pictures: Sequence[Picture], room: int) -> list[Picture]:
    """Those pictures, in their order, that fit."""
    taken = []
    for picture in pictures:
        if len(picture.uri) <= room:
            taken.append(picture)
            room -= len(picture.uri)
    return taken


def _anchor_picture(anchors: Baselines, item: Mapping[str, Any], kind: str) -> Picture | None:
    uri = embedded(anchors.root, item.get(kind))
    psnr = item.get("psnr")
    value = psnr.get(kind) if isinstance(psnr, Mapping) else None
    title = anchors.labels.get(kind, kind)
    note = f"{plain(float(value))} dB" if isinstance(value, int | float) else ""
    return None if uri is None else Picture(title, note, uri)


def _run_picture(
    folder: Folder, results: Sequence[Result], cell: tuple[float, int], index: int, image: tuple[str, str]
) -> Picture | None:
    """The picture of the first seed of a cell (n, width) that has one; never the best seed."""
    members = [r for r in results if r.status == "done" and (r.run.n, r.run.network.width) == cell]
    for result in sorted(members, key=lambda r: r.run.seed):
        uri = embedded(folder.of(result.run), f"picture-{index}.png")
        if uri is not None:
            values = result.images.get(image[0], {}).get(image[1], {})
            value = values.get(result.run.problem.picture_metric)
            note = "" if value is None else f"{plain(value)} dB"
            return Picture(f"network, n = {amount(cell[0])}", note, uri)
    return None


def embedded(root: Path, name: object) -> str | None:
    """A PNG file directly below ``root`` as a data URI; none where it is missing or something else.

    Of a file that is too large for a page the text is empty.
    """
    if not isinstance(name, str) or not name or Path(name).name != name:
        return None
    path = root / name
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(LARGEST)
        more = bool(file.read(1))
    if not data.startswith(SIGNATURE):
        return None
    return "" if more else f"data:image/png;base64,{base64.b64encode(data).decode()}"
