"""Levels of noise that were meant in another unit."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

GREY = 255
"""Grey levels of an image: the unit of noise of every problem but MRI."""
LEAST = 0.3
"""Rounding to 8 bit is noise of 0.29 grey levels: who asks for less thinks of images in [0, 1]."""
UNIT = "grey levels"
"""What ``sigma_unit`` says where small levels are meant as they are."""


def check_grey_levels(problem: BaseModel) -> None:
    """Refuse levels of noise that may have been meant for images in [0, 1], unless ``sigma_unit`` says what they are.

    Levels below ``LEAST`` are less than rounding. Where all levels of a key are below 1, both may be meant: half a grey
    level, or half of the range. A list or a range that reaches 1 is in grey levels.

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    field = type(problem).model_fields.get("sigma")
    in_grey = field is not None and any(getattr(limit, "le", None) == GREY for limit in field.metadata)
    if not in_grey or getattr(problem, "sigma_unit", None) == UNIT:
        return
    for key in ("sigma", "test_sigma", "sigma_range"):
        stated = getattr(problem, key, None)
        levels = stated if isinstance(stated, Iterable) else () if stated is None else (stated,)
        small = [level for level in levels if 0 < level < (LEAST if max(levels) >= 1 else 1)]
        if small:
            first = min(small)
            less = ", which is less than rounding to 8 bit" if first < LEAST else ""
            raise ValueError(
                f"problem.{key}: found {first:g}, in grey levels of 255{less}; for {first:g} of images in [0, 1] write "
                f'{GREY * first:g}, or set problem.sigma_unit = "{UNIT}" if {first:g} of 255 is meant'
            )
