"""Images of the user's own: a source made from a ``torch.utils.data.Dataset``, or from anything with items."""

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reconscale.code_digest import code_of_object
from reconscale.data.image_files import Header
from reconscale.data.listing import Listing
from reconscale.data.pairs.listing import PairListing
from reconscale.errors import UserError
from reconscale.own_parts import code_behind
from reconscale.study import SOURCES, Images, Source

PROBED = 16
"""Items whose pixels decide whether packed images are those of the data set."""
OPTIONS: dict[str, Callable[[Images, Path | None], Any]] = {
    "data": lambda images, data: data,
    "size": lambda images, data: images.size,
    "total": lambda images, data: images.total,
    "seed": lambda images, data: images.split_seed,
}
"""The arguments that a class of data sets may have."""


class Items(Protocol):
    """What a data set must have."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


def make_source(
    dataset: Items | Callable[..., Items], *, needs_folder: bool | None = None, pairs: bool = False
) -> Source:
    """A source of images for ``SOURCES``, from a data set whose items are the truth.

    An item is an image, or a pair (image, label), whose label is left out, or a pair (input, truth), whose input is
    left out: the problem of the study makes it. An image is a tensor (C, H, W) or (H, W),
    an array (H, W), (H, W, C) or (C, H, W), or a PIL image; 1 or 3 channels of uint8, uint16, or floating point in
    [0, 1]. Every item is a unit of its own. It must be the same each time that it is asked for.

    With ``pairs`` an item is a pair (input, truth), and both are used: a source for ``kind = "pairs"``. Floating-point
    inputs may lie outside [0, 1]. Items of one scene, such as noisy copies, are kept together where the data set has an
    attribute ``scenes``, a label for each item.

    Args:
        dataset: a data set; or a class, called with those of ``data`` (the data folder), ``size``, ``total`` and
            ``seed`` (``images.size``, ``.total`` and ``.split_seed``) that its signature names.
        needs_folder: whether it reads files below ``--data``; none: where it has an argument ``data``.
        pairs: whether items are inputs with their truths, and the inputs count.

    Raises:
        UserError: it is no data set, or asks for what no study knows.
    """
    name = getattr(dataset, "__name__", type(dataset).__name__)
    asked = () if _has_items(dataset) else _arguments(dataset, name)
    lock = threading.Lock()

    def listing(images: Images, data: Path | None) -> Listing:
        where = f"images.source '{images.source}'"
        given = {argument: OPTIONS[argument](images, data) for argument in asked}
        made = dataset if _has_items(dataset) else _made(dataset, given, where)  # type: ignore[arg-type]
        code = code_behind("SOURCES", images.source, SOURCES.get(images.source))
        listed = _list_pairs if pairs else _list_items
        return listed(made, where, [images.source, code], lock)  # type: ignore[arg-type]

    folder = "data" in asked if needs_folder is None else needs_folder
    code = code_of_object(dataset if inspect.isclass(dataset) or inspect.isfunction(dataset) else type(dataset))
    return Source(listing, needs_folder=folder, paired=pairs, code=code)


def _has_items(dataset: Any) -> bool:
    return not inspect.isclass(dataset) and hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")


def _arguments(dataset: Any, name: str) -> tuple[str, ...]:
    where = f"make_source({name})"
    try:
        parameters = inspect.signature(dataset).parameters.values()
    except (TypeError, ValueError) as error:
        raise UserError(where, "it has no items and cannot be called", "give a data set, or a class of them") from error
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p.name for p in named if p.default is p.empty and p.name not in OPTIONS]
    if needed:
        raise UserError(where, f"it needs '{needed[0]}', which no study knows",
                        f"give it a default, or give the data set itself; known are {', '.join(OPTIONS)}")  # fmt: skip
    return tuple(p.name for p in named if p.name in OPTIONS)


def _made(dataset: Callable[..., Items], given: dict[str, Any], where: str) -> Items:
    try:
        made = dataset(**given)
    except UserError:
        raise
    except Exception as error:
        raise UserError(where, f"its data set cannot be made ({_said(error)})", "mend it, or its arguments") from error
    if not _has_items(made):
        raise UserError(where, f"a {type(made).__name__} has no length or no items",
                        "give it __len__ and __getitem__")  # fmt: skip
    return made


def _list_items(
    items: Items, where: str, identity: Sequence[Any], lock: threading.Lock, part: Callable[[Any], Any] | None = None
) -> Listing:
    """The images of a data set; ``part``: which of an item, none: its truth."""
    count = len(items)
    if not count:
        raise UserError(where, "its data set is empty", "check where it reads from")
    digits = max(6, len(str(count - 1)))
    names = tuple(f"item-{index:0{digits}d}" for index in range(count))

    def load(index: int) -> np.ndarray:
        with lock:  # images are packed by several threads, and a data set need not stand that
            item = _item(items, index, where)
        place = f"{where}, item {index}"
        return pixels_of(item, place) if part is None else _pixels_of_part(item, part, place)

    def header(index: int) -> Header:
        rows, columns, channels = (pixels := load(index)).shape
        return Header(rows, columns, channels, pixels.dtype.name)

    probed = [_digest(load(index)) for index in sorted({round(at) for at in np.linspace(0, count - 1, PROBED)})]
    if probed[0] != _digest(load(0)) or probed[-1] != _digest(load(count - 1)):
        raise UserError(where, "gives other pixels each time it is asked for an item",
                        "draw its random numbers from a generator that the index seeds")  # fmt: skip
    return Listing(where, [*identity, count, probed], names, "file", header, load)


def _list_pairs(items: Items, where: str, identity: Sequence[Any], lock: threading.Lock) -> PairListing:
    inputs = _list_items(items, where, [*identity, "inputs"], lock, part=_INPUT)
    truths = _list_items(items, where, [*identity, "truths"], lock, part=_TRUTH)
    count = len(inputs.names)
    scenes = getattr(items, "scenes", None)
    if scenes is not None and len(scenes) != count:
        raise UserError(where, f"has {len(scenes)} scenes for {count} items", "give one label for each item")
    return PairListing(
        inputs.place, inputs.identity, inputs.names, "file", inputs.header, inputs.load, truths=truths,
        truth_of=tuple(range(count)), scenes=inputs.names if scenes is None else tuple(map(str, scenes)),
        rule="by the data set",
    )  # fmt: skip


def _item(items: Items, index: int, where: str) -> Any:
    try:
        return items[index]
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where}, item {index}", f"cannot be read ({_said(error)})", "mend the data set") from error


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode() + pixels.tobytes()).hexdigest()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"


def truth_of(item: Any) -> Any:
    """The truth of an item: of a pair of images the second one, of an image with a label the image."""
    if not isinstance(item, tuple | list) or not len(item):
        return item
    return item[1] if len(item) == 2 and np.ndim(item[1]) >= 2 else item[0]


_INPUT, _TRUTH = itemgetter(0), itemgetter(1)


def pixels_of(item: Any, where: str) -> np.ndarray:
    """The image that an item of a data set is: see :func:`make_source`.

    Returns:
        (H, W, C) of uint8, uint16 or float32.

    Raises:
        UserError: it is none.
    """
    array = _array_of(truth_of(item), where)
    _refuse_beyond_range(array, where)
    return array


def _pixels_of_part(item: Any, part: Callable[[Any], Any], where: str) -> np.ndarray:
    """As ``pixels_of``, of the input or the truth of a pair."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        found = f"{len(item)} things" if isinstance(item, tuple | list) else f"a {type(item).__name__}"
        raise UserError(where, f"is {found}", "with pairs=True an item is a pair (input, truth)")
    array = _array_of(part(item), where)
    if part is _TRUTH:
        _refuse_beyond_range(array, f"{where}, truth")
    elif array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{where}, input", "holds NaN or infinite values", "replace them, or leave the item out")
    return array


def _array_of(image: Any, where: str) -> np.ndarray:
    """(H, W, C) of uint8, uint16 or float32, whatever its values."""
    channels_first = hasattr(image, "detach")
    array = np.asarray(image.detach().cpu() if channels_first else image)
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3 and (channels_first or (array.shape[-1] not in (1, 3) and array.shape[0] in (1, 3))):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3):
        raise UserError(
            where, f"has the shape {tuple(np.shape(image))}", "an image of 1 or 3 channels is expected: (C, H, W)"
        )
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise UserError(where, f"has values of type {array.dtype}", "give uint8, uint16, or floating point in [0, 1]")
    return np.ascontiguousarray(array, array.dtype if array.dtype.kind == "u" else np.float32)


def _refuse_beyond_range(array: np.ndarray, where: str) -> None:
    if array.dtype.kind != "f":
        return
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (np.isfinite(array).all() and low >= 0 and high <= 1):
        raise UserError(where, f"has values from {low:g} to {high:g}", "floating point must lie in [0, 1]: divide it")
