"""The listing of real pairs: the inputs, and the truths that they belong to, before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from reconscale.data.folders import data_folder, with_pages
from reconscale.data.image_checks import Limits
from reconscale.data.image_files import Header, read_header, read_image, read_pixels
from reconscale.data.listing import Listing, file_of, unit_of
from reconscale.data.pairs.matching import FilePairs, match_files
from reconscale.errors import UserError
from reconscale.study import Images


@dataclass(frozen=True)
class PairListing(Listing):
    """The inputs of pairs, as a listing of images; and what they belong to.

    Attributes:
        truths: the truths; one of them may belong to several inputs, noisy copies of a scene.
        truth_of: (N,) for every input the index of its truth.
        scenes: (N,) the scene of every input: what a split keeps together, and n counts.
        rule: how names were matched, in words.
    """

    truths: Listing = field(kw_only=True)
    truth_of: tuple[int, ...] = field(kw_only=True)
    scenes: tuple[str, ...] = field(kw_only=True)
    rule: str = field(kw_only=True)


def list_pairs(images: Images, data: Path | None, key: str = "images") -> PairListing:
    """The pairs of two folders, or of a table.

    Every image of ``images.inputs`` needs a truth in ``images.truths``: of the same name but for its ending; or the
    only one in the folder of its name; or as ``images.match`` says. Of a TIFF file of several pages every page is an
    image, and belongs to the page of the same number, or to the only page.

    Args:
        images: the options.
        data: the folder that all places are below.
        key: what messages call the images.

    Raises:
        UserError: no data folder; a place is missing or leads out of it; an input has no truth; what a table says
            cannot be.
    """
    root = data_folder(f"{key}.inputs", data)
    files = match_files(images, root, key)
    inputs, truths = (_pages(root, sorted(set(names))) for names in (files.truth_of, files.truth_of.values()))
    truth_of = {name: truth for file in files.truth_of for name, truth in _page_pairs(file, files, inputs, truths)}
    names, known = sorted(truth_of), sorted(set(truth_of.values()))
    place = {name: index for index, name in enumerate(known)}
    limits = images.input_range or images.range
    clean = _Reader(root, _places(truths, known), images.range)
    measured = _Reader(root, _places(inputs, names), limits)
    return PairListing(
        place=str(root),
        identity=["pair inputs", 1, *([list(limits)] if limits else [])],
        names=tuple(names),
        unit="file",
        header=measured.header,
        load=measured.load_unclipped,
        stamps=measured.stamps(),
        passed_over=files.passed_over,
        remarks=files.remarks,
        truths=Listing(
            place=str(root),
            identity=["folder", 2, list(images.range)] if images.range else ["folder", 2],  # as the source "folder"
            names=tuple(known),
            unit="file",
            header=clean.header,
            load=clean.load,
            stamps=clean.stamps(),
        ),
        truth_of=tuple(place[truth_of[name]] for name in names),
        scenes=tuple(_scene(truth_of[name], files, images) for name in names),
        rule=files.rule,
    )


def list_paired_test_set(images: Images, name: str, data: Path | None) -> PairListing:
    """The pairs of a further test set: in folders of the same names as those of the study, or in a table.

    Raises:
        UserError: as :func:`list_pairs`.
    """
    place, key = images.test_sets[name], f"images.test_sets.{name}"
    more: dict[str, str | None] = {"csv": place, "inputs": None, "truths": None, "match": None}
    if not place.lower().endswith(".csv"):
        if images.csv:
            raise UserError(key, f"found '{place}'", "the pairs of this study come from a table: name one, as test.csv")
        more = {side: str(PurePosixPath(place, getattr(images, side))) for side in ("inputs", "truths")}
    return list_pairs(images.model_copy(update={**more, "test_sets": {}}), data, key)


Files = dict[str, list[tuple[str, int | None]]]
"""File -> its images by name, with the page that each is; none: the only one."""


def _pages(root: Path, files: list[str]) -> Files:
    names, pages = with_pages(files, [root / name for name in files])
    held: Files = {}
    for name, (file, page) in zip(names, pages, strict=True):
        held.setdefault(file, []).append((name, page))
    return held


def _page_pairs(file: str, files: FilePairs, inputs: Files, truths: Files) -> list[tuple[str, str]]:
    """The images of an input file with their truths.

    Raises:
        UserError: a stack belongs to a stack of other length.
    """
    ours, truth = [name for name, _ in inputs[file]], files.truth_of[file]
    theirs = [name for name, _ in truths[truth]]
    if len(theirs) == 1:
        theirs *= len(ours)
    if len(ours) != len(theirs):
        found = f"has {len(ours)} pages, and its truth {truth} has {len(theirs)}"
        raise UserError(file, found, "give both the same number of pages, or the truth a single one")
    return list(zip(ours, theirs, strict=True))


def _scene(truth: str, files: FilePairs, images: Images) -> str:
    """What a split keeps together: the scene that a table names, else the file or the folder of the truth."""
    return files.scene_of.get(file_of(truth)) or unit_of(truth, images.unit)


def _places(files: Files, names: list[str]) -> list[tuple[str, int | None]]:
    """The file and the page of every image."""
    held = {name: (file, page) for file, images in files.items() for name, page in images}
    return [held[name] for name in names]


@dataclass(frozen=True)
class _Reader:
    """Reads images by their numbers.

    Attributes:
        root: the data folder.
        places: file and page of every image.
        limits: black and white; none: as the type of the file says.
    """

    root: Path
    places: list[tuple[str, int | None]]
    limits: Limits

    def header(self, index: int) -> Header:
        file, page = self.places[index]
        return read_header(self.root / file, page, self.limits)

    def load(self, index: int) -> np.ndarray:
        file, page = self.places[index]
        return read_image(self.root / file, page, self.limits)

    def load_unclipped(self, index: int) -> np.ndarray:
        """As ``load``, but values outside black and white stay: noise that is cut off has another mean."""
        if self.limits is None:
            return self.load(index)
        file, page = self.places[index]
        image, (black, white) = read_pixels(self.root / file, page, self.limits), self.limits
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise UserError(file, "holds NaN or infinite values", "replace them, or remove the image")
        return np.asarray((image.astype(np.float64) - black) / (white - black), np.float32)

    def stamps(self) -> list[str]:
        """Size and time of change of every file, to the nanosecond."""
        known: dict[str, str] = {}
        for file, _ in self.places:
            if file not in known:
                try:
                    status = (self.root / file).stat()
                except OSError as error:
                    raise UserError(file, f"cannot be read ({error.strerror})", "repair or remove it") from error
                known[file] = f"{status.st_size} {status.st_mtime_ns}"
        return [known[file] for file, _ in self.places]
