"""Which images of a study are for training, in which order, and which are held out."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconscale.data.image_set import ImageSet, open_images
from reconscale.data.listing import Progress
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.subset import ImageSubset
from reconscale.data.volumes.volume_set import Slices
from reconscale.errors import UserError, check_int
from reconscale.laws.spreadsheets import MARK, SPREADSHEETS, check_spreadsheet
from reconscale.study import Study
from reconscale.study.external import refuse_other_code


@dataclass(frozen=True)
class ListedImage:
    """An image of a split.

    Attributes:
        name: the image: a relative path, of a page of a file with its number, of a slice with that of its volume.
        unit: what the split keeps together with others of the same: a file, a folder, a photograph, a volume or a
            patient; of real pairs a scene.
        truth: of real pairs the truth; empty otherwise.
        source: of several sources the name of its; empty where there is one, and for further test sets.
    """

    name: str
    unit: str
    truth: str = ""
    source: str = ""


@dataclass(frozen=True)
class SplitListing:
    """The images of a study by what they are for.

    Attributes:
        n: the size of the training set, in what the study counts; none: all that there are.
        seed: whose nested order the training images are in; of several sources that of each.
        sets: ``train``, in the order in which images come as n grows; ``val``; and the test sets by their names.
    """

    n: int | None
    seed: int
    sets: Mapping[str, tuple[ListedImage, ...]]

    def to_csv(self, *, spreadsheet: str = "") -> str:
        """A line for every image: set, place (of training images, in the nested order of their source), unit, image; of
        pairs truth, of several sources the source.

        Args:
            spreadsheet: ``point`` or ``comma``: for one with that mark of decimals; empty: for programs.

        Raises:
            UserError: another spreadsheet.
        """
        check_spreadsheet(spreadsheet)
        stream = io.StringIO()
        stream.write(MARK if spreadsheet else "")
        writer = csv.writer(stream, lineterminator="\n", delimiter=SPREADSHEETS.get(spreadsheet, ","))
        paired = any(image.truth for images in self.sets.values() for image in images)
        mixed = any(image.source for images in self.sets.values() for image in images)
        writer.writerow(["set", "place", "unit", "image", *(["truth"] * paired), *(["source"] * mixed)])
        for name, images in self.sets.items():
            places: dict[str, int] = {}
            for image in images:
                places[image.source] = place = places.get(image.source, 0) + 1
                more = [*([image.truth] * paired), *([image.source] * mixed)]
                writer.writerow([name, place, image.unit, image.name, *more])
        return stream.getvalue()


def list_split(
    study: Study,
    *,
    n: int | None = None,
    seed: int | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> SplitListing:
    """List which images of a study are for training, validation and test.

    Args:
        study: the study.
        n: the size of the training set, in what the study counts; none: all that there are.
        seed: whose nested order; none: the first of the sweep.
        data: the folder above the image folders; none: ``$RECONSCALE_DATA``.
        progress: called with (label, done, total) while images are prepared.

    Raises:
        UserError: there are fewer images, the seed is below 0, or the images cannot be opened.
    """
    refuse_other_code(study)
    if n is not None:
        check_int("n", n, least=1)
    seed = check_int("seed", study.sweep.seed[0] if seed is None else seed, least=0)
    data = data or os.environ.get("RECONSCALE_DATA")
    images = open_images(study.images, data=Path(data) if data else None, progress=progress)
    train = images.train
    if isinstance(train, MixedSubset):
        if n is not None:
            raise UserError("n", f"found {n}, and the images come from several sources",
                            "leave it out: the first k lines of a source are its k training images")  # fmt: skip
        return SplitListing(None, seed, _mixed(study, images, seed))
    if n is not None and n > images.available:
        raise UserError("n", f"found {n}", f"the images allow at most {images.available} {study.images.counts}")
    train = images.training(n or images.available, seed if study.images.subset == "seed" else 0)
    return SplitListing(n, seed, {name: _listed(train if name == "train" else pixels)
                                  for name, pixels in images.sets.items()})  # fmt: skip


def _mixed(study: Study, images: ImageSet, seed: int) -> dict[str, tuple[ListedImage, ...]]:
    """The sets of images of several sources."""
    target, *others = study.images.source_names
    ordered = images.training(0, seed if study.images.subset == "seed" else 0, images.available_of)
    assert isinstance(ordered, MixedSubset)
    found = {"train": tuple(item for name, part in ordered.parts.items() for item in _listed(part, name))}
    for name, pixels in {"val": images.val, **images.tests}.items():
        source = target if name in ("val", "test") else name if name in others else ""
        found[name] = _listed(pixels, source)
    return found


def _listed(pixels: ImageSubset | Slices, source: str = "") -> tuple[ListedImage, ...]:
    if isinstance(pixels, PairSubset):
        return tuple(map(ListedImage, pixels.names, pixels.units, pixels.truth_names))
    return tuple(ListedImage(name, unit, source=source) for name, unit in zip(pixels.names, pixels.units, strict=True))
