"""Training images from several sources: what is said of each, and which keys then say nothing for all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from reconscale.errors import suggest
from reconscale.study.base import OWN, FrozenModel
from reconscale.study.images.sources import SOURCES, Source

if TYPE_CHECKING:
    from reconscale.study.images import Images

MIXTURE = "mixture"
"""What ``images.source`` is where images come from several sources; it is filled in, and not a word of study files."""
OF_SOURCES = Source("reconscale.data.mixed_images:open_mixed")
"""What other rooms need to know of such images."""
MOST_SOURCES = 5
"""More cannot be told apart by some dozens of runs."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
TAKEN = ("train", "val", "test", "total", "p", "params")
"""Names that mean something else in tables and in lists of test sets."""


class ImageSource(FrozenModel):
    """What is said of one of several sources, in ``[images.sources.NAME]``; the rest is said in ``[images]`` for all.

    Attributes:
        source, folders, unit, dataset, channel, range, downscale, size, total, tile: as in ``[images]``.
        test: how many of its files or folders are held out for a test set of its own; 0: it has none. None: as many as
            of the target.
    """

    source: str
    folders: tuple[str, ...] = (".",)
    unit: Literal["file", "folder"] = "file"
    dataset: str | None = None
    channel: int | Literal["rgb"] | None = None
    range: tuple[float, float] | None = None
    downscale: int = Field(default=1, ge=1, le=16)
    size: int = Field(default=128, ge=16, le=4096)
    total: int = Field(default=1000, ge=3, le=10_000_000)
    tile: int = Field(default=190, ge=16, le=4096)
    test: int | None = Field(default=None, ge=0)


OF_ONE = tuple(key for key in ImageSource.model_fields if key != "test")
"""The keys of ``[images]`` that are of one source."""
NOT_MIXED = ("split", "patient", "acquisition", "slices", "matrix", "axes", "inputs", "truths", "csv", "match",
             "input_range", "allow_shift", "allow_noisy_truth", "allow_unrelated")  # fmt: skip
"""The keys of ``[images]`` that do not go with several sources."""


def fill_in_sources(content: Any) -> Any:
    """The content of ``[images]`` with what several sources leave to be filled in: the target, and the source.

    Raises:
        ValueError: something is said for all sources that is to be said of each, or does not go with several.
    """
    if not isinstance(content, Mapping) or not content.get("sources"):
        return content
    sources = content["sources"]
    if not isinstance(sources, Mapping):
        raise ValueError("sources: a table is expected, [images.sources.NAME] for each source")
    for key in OF_ONE:
        if key in content and not (key == "source" and content[key] == MIXTURE):
            raise ValueError(f"{key}: images come from several sources; say it of each, in [images.sources."
                             f"{next(iter(sources))}]")  # fmt: skip
    for key in NOT_MIXED:
        if content.get(key):
            raise ValueError(f"{key}: does not go with [images.sources]; leave it out, or study one source alone")
    return {"target": next(iter(sources)), **content, "source": MIXTURE}


def check_sources(images: Images) -> None:
    """Refuse sources that do not go together, or are none.

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    if not images.sources:
        if images.target is not None:
            raise ValueError("target: is for images of several sources; leave it out, or name [images.sources]")
        if images.source == MIXTURE:
            raise ValueError(f"source: '{MIXTURE}' is no source; name several in [images.sources.NAME]")
        return
    _check_names(images)
    for name in images.sources:
        _check_one(name, images)
    nouns = sorted({images.of_source(name).split_noun for name in images.sources})
    if images.counts == "units" and len(nouns) > 1:
        raise ValueError(f'counts: the sources count {" and ".join(nouns)}; set counts = "images", which add up')


def _check_names(images: Images) -> None:
    check_source_names(tuple(images.sources), images.target, tuple(images.test_sets))
    if images.sources[str(images.target)].test is not None:
        raise ValueError(f"sources.{images.target}.test: is that of the target; say it as images.test")


def check_source_names(names: Sequence[str], target: str | None, test_sets: Sequence[str] = ()) -> None:
    """Refuse one source alone, too many, names that mean something else, and a target that is none of them.

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    if len(names) < 2:
        raise ValueError(f"sources: found '{names[0]}' alone; name two or more, or say it in [images] itself")
    if len(names) > MOST_SOURCES:
        raise ValueError(f"sources: found {len(names)}; more than {MOST_SOURCES} cannot be told apart")
    for name in names:
        if not NAME.fullmatch(name) or name in TAKEN or name in test_sets:
            raise ValueError(f"sources.{name}: is no name for a source; give lower-case letters, digits and _, and "
                             f"none of {', '.join(TAKEN)} or of the test sets")  # fmt: skip
    if target not in names:
        raise ValueError(f"target: found '{target}'; {suggest(str(target), names)}")


def _check_one(name: str, images: Images) -> None:
    """Refuse a source that could not be one alone, or is of a kind that is not mixed."""
    one = images.sources[name]
    if one.source not in SOURCES:
        raise ValueError(f"sources.{name}.source: found '{one.source}'; {suggest(one.source, SOURCES)}; {OWN}")
    if SOURCES[one.source].volumes or SOURCES[one.source].paired:
        what = "volumes" if SOURCES[one.source].volumes else "pairs"
        raise ValueError(f"sources.{name}.source: '{one.source}' gives {what}, which are not mixed; take sources of "
                         "single images, or write the runs' numbers into a table for `reconscale mixture`")  # fmt: skip
    alone = one.model_dump(exclude={"test"}, exclude_unset=True) | {"val": 1, "test": 1}
    try:
        type(images).model_validate(alone)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(["sources", name, *map(str, detail["loc"])])
        message = detail["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}{'.' if detail['type'] == 'value_error' else ': '}{message}") from error


def images_of_source(images: Images, name: str) -> Images:
    """The options of one of several sources, as if it were the only one; not validated again.

    Validation images are of the target alone, and so are further test sets.
    """
    one = images.sources[name]
    target = name == images.target
    test = images.test if target or one.test is None else one.test
    own = {key: getattr(one, key) for key in OF_ONE}
    held = {"val": images.val if target else 0, "test": test, "test_sets": images.test_sets if target else {}}
    return images.model_copy(update={**own, **held, "sources": {}, "target": None})
