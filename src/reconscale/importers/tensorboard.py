"""TensorBoard event files, read with the package tensorboard alone.

tensorboard's own loaders load TensorFlow where it happens to be installed. So the records are taken apart here, and
only their checksums and messages are left to tensorboard.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from reconscale.errors import UserError
from reconscale.importers.log import (
    Plain,
    RunLog,
    Series,
    SkippedRun,
    files_below,
    merge_attempts,
    name_below,
    read_each,
    read_yaml,
    require_yaml,
)

PHASES = ("train", "training", "val", "validation", "test", "eval")
"""Folders of these names are parts of the training in whose folder they lie, as Keras writes them."""

SETTINGS = "hparams.yaml"

LARGEST = 65_536
"""Bytes of a record that can still be scalars or hyperparameters."""

START = 1
"""Status of a session that begins, after which earlier steps from its own on do not count."""


def matches(source: Path) -> bool:
    """Whether there is an event file at or below ``source``."""
    return next(files_below(source, _is_events), None) is not None


def read(source: Path) -> list[RunLog | SkippedRun]:
    """One run for each topmost folder with event files; what lies below it belongs to the same run.

    Tags of a part in a folder of its own begin with the folder's name (``validation/epoch_loss``), except for the
    folders that ``add_hparams`` makes. Settings are the hyperparameters of ``add_hparams`` and those of a
    ``hparams.yaml`` beside the events.

    Raises:
        UserError: tensorboard, or PyYAML where there is a ``hparams.yaml``, is not installed.
    """
    _need_tensorboard()
    root = source if source.is_dir() else source.parent
    runs = _runs(root, sorted({path.parent for path in files_below(source, _is_events)}))
    if any((run / SETTINGS).is_file() for run in runs):
        require_yaml()
    return read_each((name_below(root, run), partial(_run, root, run, parts)) for run, parts in runs.items())


def _runs(root: Path, folders: list[Path]) -> dict[Path, list[Path]]:
    """The folders with event files, gathered by the run that they belong to."""
    runs: dict[Path, list[Path]] = {}
    for folder in folders:
        own = folder.parent if folder.name in PHASES and folder != root else folder
        # A stray file beside the runs' folders must not make one run of all of them.
        above = [run for run in runs if run in own.parents and (run != root or _is_part(own))]
        runs.setdefault(above[0] if above else own, []).append(folder)
    return runs


def _is_part(folder: Path) -> bool:
    """Whether a folder directly below the root was made by ``add_hparams``, whose names are times."""
    return folder.name.replace(".", "").isdecimal()


def _run(root: Path, run: Path, parts: list[Path]) -> RunLog:
    settings: dict[str, Plain] = {}
    series: Series = {}
    cut = restarted = ""
    for part in parts:
        own, measured, ends, overlap = _part(part)
        cut, restarted = cut or ends, restarted or overlap
        # add_hparams writes into a folder of its own, which says nothing.
        prefix = "" if part == run or own else f"{part.relative_to(run).as_posix()}/"
        settings |= own
        for tag, values in measured.items():
            series.setdefault(prefix + tag, {}).update(values)
    dumped = run / SETTINGS
    if dumped.is_file():
        settings = read_yaml(dumped) | settings
    ordered = {tag: dict(sorted(values.items())) for tag, values in series.items()}
    return RunLog(name_below(root, run), settings, ordered, cut=cut, restarted=restarted)


@dataclass
class _File:
    """What an event file holds, as far as it was read.

    Attributes:
        began: time of its first event.
        purge: the step from which on an earlier file does not count, as the file says itself.
        cut: whole events before the place where the file ends in the middle of a record; none: it is whole.
    """

    name: str
    began: float = 0.0
    purge: float = math.inf
    cut: int | None = None
    settings: dict[str, Plain] = field(default_factory=dict)
    series: Series = field(default_factory=dict)


def _part(folder: Path) -> tuple[dict[str, Plain], Series, str, str]:
    """Hyperparameters and scalars of one folder, what is cut off, and how attempts overlap."""
    paths = (path for path in folder.iterdir() if path.is_file() and _is_events(path.name))
    files = sorted((_file(path) for path in paths), key=lambda read: (read.began, read.name))
    settings: dict[str, Plain] = {}
    merged: Series = {}
    restarted = ""
    for read in files:
        settings |= read.settings
        for tag in merged:
            merged[tag] = {step: value for step, value in merged[tag].items() if step < read.purge}
        merged, overlap = merge_attempts([("", {t: v for t, v in merged.items() if v}), (read.name, read.series)])
        restarted = restarted or overlap
    cut = next((read for read in files if read.cut is not None), None)
    return settings, merged, "" if cut is None else f"{cut.name} after {cut.cut} events", restarted


def _file(path: Path) -> _File:
    read = _File(path.name)
    for event in _events(path, read):
        read.began = read.began or float(event.wall_time)
        try:
            if event.HasField("session_log") and event.session_log.status == START:
                read.purge = min(read.purge, float(event.step))
                for tag, values in read.series.items():
                    read.series[tag] = {step: value for step, value in values.items() if step < event.step}
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "hparams":
                    read.settings |= _hyperparameters(value.metadata.plugin_data.content)
                elif (scalar := _scalar(value)) is not None:
                    read.series.setdefault(value.tag, {})[float(event.step)] = scalar
        except Exception as error:  # tensorboard raises classes of every kind on odd messages
            reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
            raise UserError(path, f"is damaged ({reason})", "remove it, or restore it from a copy") from error
    read.series = {tag: values for tag, values in read.series.items() if values}
    return read


def _events(path: Path, read: _File) -> Iterator[Any]:
    """The events of a file; where it ends in the middle of a record, those before it, and ``read.cut`` says so.

    Raises:
        UserError: the file cannot be read, or it is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    count = 0
    if not path.is_file():
        raise UserError(path, "is not a regular file", "remove it")
    try:
        with path.open("rb") as stream:
            for record in _records(stream):
                yield Event.FromString(record)
                count += 1
    except _CutError:
        read.cut = count
    except (_DamageError, DecodeError) as error:
        raise UserError(path, f"is damaged after {count} events", "remove it, or restore it from a copy") from error
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check its permissions") from error


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """The records of a TFRecord file: 8 bytes of length, 4 of checksum, the data, 4 of checksum; large ones are passed.

    Pictures and histograms are passed because tensorboard computes checksums in Python, which takes a second a few MB.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    size = os.fstat(stream.fileno()).st_size
    while header := stream.read(12):
        if len(header) < 12 or (not any(header) and not any(stream.read())):  # a disk that filled leaves zeros
            raise _CutError
        length, check = struct.unpack("<QI", header)
        if masked_crc32c(header[:8]) != check:
            raise _DamageError
        if stream.tell() + length + 4 > size:
            raise _CutError
        if length > LARGEST:
            stream.seek(length + 4, os.SEEK_CUR)
            continue
        data = stream.read(length)
        if masked_crc32c(data) != struct.unpack("<I", stream.read(4))[0]:
            raise _DamageError
        yield data


class _CutError(Exception):
    """The file ends in the middle of a record, as when its writer was killed."""


class _DamageError(Exception):
    """A record whose length or checksum is wrong."""


def _scalar(value: Any) -> float | None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind == "tensor" and value.metadata.plugin_data.plugin_name in ("scalars", ""):
        from tensorboard.util.tensor_util import make_ndarray

        # A shape is only a claim: what it claims would be allocated.
        if any(side.size != 1 for side in value.tensor.tensor_shape.dim):
            return None
        array = make_ndarray(value.tensor)
        return float(array.item()) if array.size == 1 and array.dtype.kind == "f" else None
    return None


def _hyperparameters(content: bytes) -> dict[str, Plain]:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found: dict[str, Plain] = {}
    for name, value in HParamsPluginData.FromString(content).session_start_info.hparams.items():
        kind = value.WhichOneof("kind")
        if kind in ("number_value", "string_value", "bool_value"):
            found[name] = getattr(value, kind)
    return found


def _is_events(name: str) -> bool:
    return ".tfevents." in name


def _need_tensorboard() -> None:
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError(
            "event files", "need the package tensorboard, which is not installed",
            "pip install 'reconscale[tensorboard]'",
        ) from error  # fmt: skip
