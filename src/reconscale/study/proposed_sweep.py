"""A grid for studies that name none: sizes by what the images allow, a few widths, three seeds.

It is worked out once, by the first ``reconscale run`` with a budget, and kept beside the results, so that every later
command means the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.study.base import FrozenModel

NAME = "sweep.json"
"""The file of a results folder."""
STEP, SIZES, SMALLEST = 2.5, 6, 3
"""Factor between neighbouring sizes, how many of them at most, and the smallest n."""
WIDTHS, SEEDS = (8, 16, 32), (0, 1, 2)
AXES = ("n", "width", "seed")
REMEDY = "delete it, and run with --budget again; or give n, width and seed in the study file"


Sizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class ProposedSweep(FrozenModel):
    """The axes that a study file leaves open.

    Attributes:
        n, width, seed: as in a study's sweep; none where the study file gives them.
    """

    n: Sizes | None = None
    width: Sizes | None = None
    seed: Seeds | None = None


def open_axes(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The axes that the content of a study file does not give; with ``n`` and ``width`` given none is open.

    Where it says what comes from several sources, that may say n, too.
    """
    given = content.get("sweep", {})
    if not isinstance(given, Mapping):
        return ()
    said = {*given, "n"} if given.get("mix") else {*given}
    return () if {"n", "width"} <= said else tuple(name for name in AXES if name not in said)


def with_proposed(content: Mapping[str, Any], root: Path, proposed: ProposedSweep | None = None) -> Mapping[str, Any]:
    """The content of a study file with the axes that its results folder holds for it.

    Args:
        content: as read from TOML.
        root: the results folder.
        proposed: axes that are not written down yet; none: those of the folder.

    Raises:
        UserError: what the folder holds is damaged.
    """
    missing = open_axes(content)
    path = root / NAME
    if not missing or (proposed is None and not path.is_file()):
        return content
    try:
        proposed = proposed or TypeAdapter(ProposedSweep).validate_json(to_json(read_json(path)))
    except ValueError as error:
        raise UserError(path, "is damaged", REMEDY) from error
    known = {name: list(value) for name in missing if (value := getattr(proposed, name)) is not None}
    return {**content, "sweep": {**content.get("sweep", {}), **known}}


def propose_sizes(available: int) -> tuple[int, ...]:
    """Sizes of the training set, each about 2.5 times the one before, up to all that there is.

    Args:
        available: how many training images there are.

    Raises:
        UserError: they are too few for three sizes.

    >>> propose_sizes(638)
    (7, 16, 41, 102, 255, 638)
    """
    sizes = sorted({round(available / STEP**k) for k in range(SIZES) if round(available / STEP**k) >= SMALLEST})
    if len(sizes) < 3:
        raise UserError("images", f"found {available} for training, too few for three sizes",
                      "give more images, or n in the study file's [sweep]; with images.counts = \"images\" n "
                      "counts every image, also of one photograph, folder or patient")  # fmt: skip
    return tuple(sizes)


def propose_widths(multiple: int = 1) -> tuple[int, ...]:
    """Three widths, each twice the one before, that a family can have.

    Args:
        multiple: what widths must be a multiple of.

    >>> propose_widths(), propose_widths(6)
    ((8, 16, 32), (6, 18, 30))
    """
    return tuple(dict.fromkeys(max(1, round(width / multiple)) * multiple for width in WIDTHS))


def record_proposed(root: Path, proposed: ProposedSweep) -> None:
    """Keep what was proposed beside the results.

    Raises:
        UserError: the folder cannot be written to.
    """
    write_atomic(root / NAME, to_json(proposed.model_dump(exclude_none=True)))
