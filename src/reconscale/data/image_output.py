"""Write images that were made from a file of images, with what that file says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reconscale.data.image_files import encoded_png
from reconscale.data.png_chunks import said_by, with_chunks
from reconscale.data.tiff_files import SIGNATURES, tiff_pages
from reconscale.data.tiff_metadata import facts_of, write_tiff
from reconscale.data.volumes.scan import first_line
from reconscale.errors import UserError
from reconscale.files import write_atomic

TIFF = (".tif", ".tiff")


def write_like(target: Path, images: list[np.ndarray], source: Path, factor: float = 1) -> list[str]:
    """Write images that were made from those of a file.

    TIFF to TIFF: resolution, description, OME-XML with its sizes corrected, axes and spacing of ImageJ, colour profile,
    place on the earth. PNG to PNG: colours, resolution, texts. Photographs to PNG: resolution and colour profile.

    Args:
        target: the file to write: ``.png``, ``.tif`` or ``.tiff``.
        images: (H, W, C) of one shape and type, C 1 or 3; a PNG file holds one.
        source: the file that they were made from.
        factor: how many times more pixels they have in each direction.

    Returns:
        What is not kept, one sentence each.
    """
    try:
        return _write_kept(target, images, source, factor)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # tags of every kind, which libraries read and do not write
        if target.suffix.lower() in TIFF:
            write_tiff(target, images, None)
        else:
            write_atomic(target, encoded_png(images[0]))
        return [f"what {source.name} says of itself is not kept ({first_line(error)[:100]})"]


def _write_kept(target: Path, images: list[np.ndarray], source: Path, factor: float) -> list[str]:
    with source.open("rb") as stream:
        of_tiff = stream.read(4) in SIGNATURES
    if target.suffix.lower() in TIFF:
        if of_tiff:
            return write_tiff(target, images, facts_of(source, tiff_pages(source)), factor)
        chunks, exif = said_by(source, factor)
        return write_tiff(target, images, None) + _unkept(bool(chunks) or exif, source, target)
    said = ["numbers with a point are rounded to 16 bit in PNG files"] if images[0].dtype.kind == "f" else []
    if of_tiff:
        facts = facts_of(source, tiff_pages(source))
        held = bool(facts.resolution or facts.tags or any(facts.descriptions))
        write_atomic(target, encoded_png(images[0]))
        return said + _unkept(held, source, target)
    chunks, exif = said_by(source, factor)
    write_atomic(target, with_chunks(encoded_png(images[0]), chunks))
    return said + (["EXIF and XMP are not kept: images are written as they are seen"] if exif else [])


def _unkept(held: bool, source: Path, target: Path) -> list[str]:
    ending = source.suffix.lower()
    return [f"what {ending} files say of themselves is not kept in {target.suffix.lower()} files"] if held else []
