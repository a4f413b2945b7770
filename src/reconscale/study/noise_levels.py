"""Levels of noise that were meant in another unit."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

GREY = 255
"""Grey levels of an image: the unit of noise of every problem but MRI."""
LEAST = 0.3
"""Rounding to 8 bit is noise of 0.29 grey levels: who asks for less thinks of images in [0, 1]."""


def check_grey_levels(problem: BaseModel) -> None:
    """Refuse levels of noise in grey levels that were meant for images in [0, 1].

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    field = type(problem).model_fields.get("sigma")
    if field is None or not any(getattr(limit, "le", None) == GREY for limit in field.metadata):
        return
    for key in ("sigma", "test_sigma", "sigma_range"):
        stated = getattr(problem, key, None)
        levels = stated if isinstance(stated, Iterable) else () if stated is None else (stated,)
        small = next((level for level in levels if 0 < level < LEAST), None)
        if small is not None:
            raise ValueError(
                f"problem.{key}: found {small:g}, in grey levels of 255, which is less than rounding to 8 bit; for "
                f"{small:g} of images in [0, 1] write {GREY * small:g}"
            )
