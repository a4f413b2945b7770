"""Arrays of Zarr, formats 2 and 3, in folders: what they claim is checked before a library decodes anything.

Chunks are compressed each for itself, and say in their first bytes how large they will be. A library believes them, and
format 2 may name a codec that unpickles: so the metadata are read here first, only codecs that are known pass, and no
chunk may be larger than the shape says.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.data.volumes.scan import library
from reconscale.errors import UserError
from reconscale.files import read_json

MOST_CHUNK = 1 << 29
"""Bytes that a chunk may have: it is decoded as a whole."""
MOST_PARTS = 1 << 20
"""Chunks that a shard may hold."""
BLOCK = 1 << 27
"""Bytes of planes of one row of chunks that are read together and kept."""
_MEASURED = 1 << 16
"""Bytes of a deflated chunk from which on it is measured before it is decoded."""
_COMPRESSORS = ("blosc", "zstd", "gzip", "zlib", "lz4")
_V2_TYPE = re.compile(r"[<>|]([uif])([1248])")
_V3_TYPES = {f"{kind}{bits}" for kind in ("uint", "int", "float") for bits in (8, 16, 32, 64)} - {"float8"}
_DAMAGED = "replace or remove it"
_EMPTY = (1 << 64) - 1
_MAGIC_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Codecs:
    """How the bytes of a chunk are packed.

    Attributes:
        compressor: a name in ``_COMPRESSORS``, or empty.
        checksum: whether four bytes of a checksum follow.
    """

    compressor: str
    checksum: bool


@dataclass(frozen=True)
class ZarrArray:
    """An array, as its metadata describe it.

    Attributes:
        path: its folder.
        version: of the format, 2 or 3.
        shape: of the array.
        dtype: of its numbers, in the byte order of this machine.
        files: shape of what one file holds: a chunk, or a shard of chunks.
        chunks: shape of what is decoded as a whole.
        separator: between the numbers in the name of a file.
        prefix: before them.
        codecs: of a chunk.
        sharded: whether a file is a shard, with its index at the ``start`` or the ``end``; empty: it is not.
    """

    path: Path
    version: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    files: tuple[int, ...]
    chunks: tuple[int, ...]
    separator: str
    prefix: str
    codecs: Codecs
    sharded: str = ""

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk before it is packed."""
        return math.prod(self.chunks) * self.dtype.itemsize


def group_of(path: Path) -> tuple[int, dict[str, Any]] | None:
    """Format and attributes of a group; none where the folder is none.

    Raises:
        UserError: its metadata are no JSON.
    """
    if (path / "zarr.json").is_file():
        content = _object(path / "zarr.json")
        if content.get("node_type") != "group":
            return None
        attributes = content.get("attributes", {})
        return 3, attributes if isinstance(attributes, dict) else {}
    if (path / ".zgroup").is_file() or (path / ".zattrs").is_file():
        return 2, _object(path / ".zattrs") if (path / ".zattrs").is_file() else {}
    return None


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path, _DAMAGED)
    if not isinstance(content, dict):
        raise UserError(path, "holds no table", _DAMAGED)
    return content


def open_array(path: Path) -> ZarrArray:
    """An array, from its metadata alone.

    Raises:
        UserError: there is none, or one of another type or codec, or it claims chunks that are too large.
    """
    try:
        if (path / ".zarray").is_file():
            found = _of_version_2(path, _object(path / ".zarray"))
        elif (path / "zarr.json").is_file():
            found = _of_version_3(path, _object(path / "zarr.json"))
        else:
            _refuse(path, "holds no Zarr array")
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(path, "has metadata that are no Zarr array's", _DAMAGED) from error
    whole = (found.shape, found.files, found.chunks)
    if len({len(lengths) for lengths in whole}) > 1 or min(map(min, whole), default=0) < 1:
        found_shapes = f"claims the shape {found.shape} in chunks of {found.chunks}"
        _refuse(path, found_shapes)
    if found.chunk_bytes > MOST_CHUNK:
        raise UserError(path, f"claims chunks of {found.chunk_bytes / 1e9:.1f} GB",
                        f"write chunks of at most {MOST_CHUNK >> 20} MiB")  # fmt: skip
    if found.sharded and (
        _parts(found) > MOST_PARTS or any(f % c for f, c in zip(found.files, found.chunks, strict=True))
    ):
        _refuse(path, f"claims shards of {found.files} in chunks of {found.chunks}")
    return found


def _refuse(where: object, found: str) -> NoReturn:
    raise UserError(where, found, _DAMAGED)


def _lengths(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= 5 or any(type(value) is not int for value in values):
        raise ValueError("no shape")
    return tuple(values)


def _of_version_2(path: Path, content: dict[str, Any]) -> ZarrArray:
    kind = _V2_TYPE.fullmatch(str(content["dtype"]))
    if kind is None or kind.groups() == ("f", "1"):
        found = f"holds values of type {content['dtype']}"[:80]
        raise UserError(path, found, "expected numbers: uint8, uint16, or another type with images.range")
    if content.get("filters"):
        _refuse_codec(path, str(content["filters"])[:60])
    compressor = content.get("compressor")
    name = "" if compressor is None else str(compressor["id"])
    chunks = _lengths(content["chunks"])
    separator = str(content.get("dimension_separator", "."))
    codecs = _codecs(path, [name] if name else [])
    dtype = np.dtype("".join(kind.groups()))
    return ZarrArray(path, 2, _lengths(content["shape"]), dtype, chunks, chunks, separator, "", codecs)


def _of_version_3(path: Path, content: dict[str, Any]) -> ZarrArray:
    if content.get("node_type") != "array":
        _refuse(path, "is a group, where an array is expected")
    if content["data_type"] not in _V3_TYPES:
        found = f"holds values of type {content['data_type']}"[:80]
        raise UserError(path, found, "expected numbers: uint8, uint16, or another type with images.range")
    grid, key = content["chunk_grid"], content["chunk_key_encoding"]
    if grid["name"] != "regular" or key["name"] not in ("default", "v2") or content.get("storage_transformers"):
        _refuse(path, "has chunks of a kind that is not known")
    separator = str(key.get("configuration", {}).get("separator", "/" if key["name"] == "default" else "."))
    files, sharded = _lengths(grid["configuration"]["chunk_shape"]), ""
    chunks, steps = files, content["codecs"]
    if [step["name"] for step in steps] == ["sharding_indexed"]:
        inner = steps[0]["configuration"]
        chunks, steps = _lengths(inner["chunk_shape"]), inner["codecs"]
        sharded = inner.get("index_location", "end")
        if [step["name"] for step in inner["index_codecs"]] != ["bytes", "crc32c"] or sharded not in ("start", "end"):
            _refuse_codec(path, "an index of shards of another kind")
    names = [str(step["name"]) for step in steps]
    while names[:1] == ["transpose"]:
        del names[0]
    if names[:1] != ["bytes"]:
        _refuse_codec(path, ", ".join(names)[:60])
    shape, dtype = _lengths(content["shape"]), np.dtype(content["data_type"])
    prefix, codecs = f"c{separator}" if key["name"] == "default" else "", _codecs(path, names[1:])
    return ZarrArray(path, 3, shape, dtype, files, chunks, separator, prefix, codecs, sharded)


def _codecs(path: Path, names: list[str]) -> Codecs:
    """Those that turn bytes into bytes: a compressor and a checksum at most."""
    checksum = names[-1:] == ["crc32c"]
    rest = names[:-1] if checksum else names
    if len(rest) > 1 or any(name not in _COMPRESSORS for name in rest):
        _refuse_codec(path, ", ".join(names)[:60])
    return Codecs(rest[0] if rest else "", checksum)


def _refuse_codec(path: Path, found: str) -> NoReturn:
    raise UserError(path, f"is packed by a codec that is not read here ({found})",
                    f"write it with one of {', '.join(_COMPRESSORS)}, or uncompressed")  # fmt: skip


def changed(path: Path) -> str:
    """What is another text where an array has changed: number, size and the last change of its files.

    Raises:
        UserError: a folder cannot be read.
    """
    count = size = last = 0
    waiting = [path]
    try:
        while waiting:
            for entry in waiting.pop().iterdir():
                status = entry.stat()
                if entry.is_dir():
                    waiting.append(entry)
                else:
                    count, size = count + 1, size + status.st_size
                    last = max(last, status.st_mtime_ns, status.st_ctime_ns)
    except OSError as error:
        raise UserError(error.filename, f"cannot be read ({error.strerror})", "check its permissions") from error
    return f"{count} {size} {last}"


def read_plane(array: ZarrArray, where: tuple[int, ...], stamp: str) -> np.ndarray:
    """The last two axes of an array at some place.

    Args:
        array: from :func:`open_array`.
        where: an index for every other axis.
        stamp: from :func:`changed`.

    Returns:
        (H, W) of the type of the array.

    Raises:
        UserError: a chunk is damaged or holds more than it should, or the files hold none of it.
    """
    if not where:
        return np.asarray(_block(array, (), 0, 1, stamp)[0])
    depth = array.chunks[len(where) - 1]
    plane = math.prod(array.shape[-2:]) * array.dtype.itemsize
    depth = depth if depth * plane <= BLOCK else 1
    first = where[-1] // depth * depth
    count = min(depth, array.shape[len(where) - 1] - first)
    return np.asarray(_block(array, where[:-1], first, count, stamp)[where[-1] - first])


@lru_cache(maxsize=4)
def _block(array: ZarrArray, before: tuple[int, ...], first: int, count: int, stamp: str) -> np.ndarray:
    """Planes that lie in the same chunks, (count, H, W); images are read one after the other."""
    del stamp  # decides, with the array, whether its files are still the same
    outer = len(array.shape) - 2
    where: tuple[Any, ...] = (*before, slice(first, first + count)) if outer else ()
    places = [range(at, at + 1) for at in before] + ([range(first, first + count)] if outer else [])
    _check_files(array, [*places, *(range(length) for length in array.shape[-2:])])
    zarr = library("zarr", "zarr")
    try:
        opened = zarr.open_array(str(array.path), mode="r", zarr_format=array.version)
        values = np.asarray(opened[(*where, slice(None), slice(None))])
    except MemoryError:
        raise
    except Exception as error:  # zarr and its codecs raise classes of every kind on damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(array.path, f"cannot be decoded ({reason[:200]})", _DAMAGED) from error
    return values.astype(array.dtype, copy=False).reshape(count, *array.shape[-2:])


def _check_files(array: ZarrArray, places: list[range]) -> None:
    """Look at every file that holds a part of some places.

    Raises:
        UserError: there is none, or one holds more than it should.
    """
    numbers = [
        range(place.start // size, -(-place.stop // size)) for place, size in zip(places, array.files, strict=True)
    ]
    there = False
    for key in itertools.product(*numbers):
        path = array.path / (array.prefix + array.separator.join(map(str, key)))
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        there = True
        _check_file(array, path, status.st_size, status.st_mtime_ns)
    if not there:
        named = ", ".join(str(place.start) for place in places[:-2])
        found = f"has no file that holds a part of the plane at ({named}): it is empty, or a copy that is not complete"
        raise UserError(array.path, found, "copy it again, or leave it out")


@lru_cache(maxsize=1 << 16)
def _check_file(array: ZarrArray, path: Path, size: int, changed_at: int) -> None:
    del changed_at
    if not path.is_file():
        raise UserError(path, "is not a regular file", "remove it")
    with path.open("rb") as stream:
        parts = _shard_parts(array, path, stream, size) if array.sharded else [(0, size)]
        for offset, length in parts:
            _check_chunk(array, path, stream, offset, length)


def _parts(array: ZarrArray) -> int:
    return math.prod(file // chunk for file, chunk in zip(array.files, array.chunks, strict=True))


def _shard_parts(array: ZarrArray, path: Path, stream: Any, size: int) -> list[tuple[int, int]]:
    """Where the chunks of a shard lie."""
    length = 16 * _parts(array) + 4
    if size < length:
        _refuse(path, "is cut short")
    stream.seek(0 if array.sharded == "start" else size - length)
    index = np.frombuffer(stream.read(length)[:-4], "<u8").reshape(-1, 2)
    held = [(int(offset), int(count)) for offset, count in index if offset != _EMPTY]
    if any(offset + count > size for offset, count in held):
        _refuse(path, "is cut short")
    return held


def _check_chunk(array: ZarrArray, path: Path, stream: Any, offset: int, length: int) -> None:
    """Refuse a chunk that says, or is, more than its shape: its decoder would allocate that."""
    length -= 4 if array.codecs.checksum else 0
    stream.seek(offset)
    head = stream.read(min(length, 32))
    expected, kind = array.chunk_bytes, array.codecs.compressor
    if kind in ("gzip", "zlib") and length > _MEASURED:
        found = len(zlib.decompressobj(47).decompress(head + stream.read(length - len(head)), expected + 1))
    elif kind in ("gzip", "zlib"):
        found = expected  # too small to fill the memory
    else:
        found = _claimed(kind, head, length)
    if kind == "blosc" and int.from_bytes(head[12:16], "little") != length:
        _refuse(path, "is cut short")
    if found < 0:
        raise UserError(path, "does not say how large it is", "write the array again with zarr-python, or with blosc")
    if found > expected or (not kind and found != expected):
        _refuse(path, f"holds {found:,} bytes, where its shape needs {expected:,}")


def _claimed(kind: str, head: bytes, length: int) -> int:
    """The bytes that a packed chunk says it holds; -1: it does not say."""
    if not kind:
        return length
    if kind == "blosc":
        return int.from_bytes(head[4:8], "little") if len(head) >= 16 else -1
    if kind == "lz4":
        return int.from_bytes(head[:4], "little") if len(head) >= 4 else -1
    if head[:4] != _MAGIC_ZSTD or len(head) < 6:
        return 0  # its decoder says that it is damaged
    return _zstd_size(head)


def _zstd_size(head: bytes) -> int:
    """The content size in the header of a frame (RFC 8878, section 3.1.1); -1: there is none."""
    flags = head[4]
    single, of_size = bool(flags & 0x20), flags >> 6
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    if of_size == 0 and not single:
        return -1
    length = (1, 2, 4, 8)[of_size]
    if len(head) < at + length:
        return 0
    value = int.from_bytes(head[at : at + length], "little")
    return value + 256 if length == 2 else value
