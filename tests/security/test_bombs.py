"""What a small file claims to hold is not allocated: every bomb is refused in one sentence, within a bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data.image_files import read_header
from reconscale.errors import UserError
from reconscale.study import load_study
from reconscale.study.study_file import parse_study
from tests.security import readers

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 1 << 30
"""Bytes of address space that a reader gets on top of what its libraries take."""
CHILD = f"""
import json, os, resource, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from reconscale.errors import UserError
from tests.security import readers
import cv2, h5py, nibabel, pydicom, tifffile, tensorboard.util.tensor_util, PIL.Image  # noqa
said = {{}}
names = json.loads(sys.argv[2])
for name in set(names.values()):
    for number, data in enumerate(readers.READERS[name].valid()):
        place = Path(sys.argv[1]) / "valid" / name / str(number)
        try:
            readers.read(name, data, place)
        except UserError:
            pass
taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (taken + {MEMORY},) * 2)
for bomb, name in names.items():
    place = Path(sys.argv[1]) / "read" / bomb
    try:
        readers.read(name, (Path(sys.argv[1]) / bomb).read_bytes(), place)
        said[bomb] = "read"
    except UserError as mistake:
        said[bomb] = str(mistake)
    except BaseException as error:
        said[bomb] = f"CRASH {{type(error).__name__}}: {{error}}"
print(json.dumps(said))
"""


def _png(width: int, height: int, *, second: bool = False) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    more = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) if second else b""
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(b"\0" * 4000)) + chunk(b"IEND", b"")


def _jpeg() -> bytes:
    data = readers.READERS["jpeg"].valid()[0]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 65_000, 65_000) + data[at + 4 :]


def _tiff(**changed: Any) -> bytes:
    import tifffile

    options = {"photometric": "minisblack", **{k: v for k, v in changed.items() if k == "compression"}}
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((64, 64), np.uint8), **options)
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = {tag.name: tag for tag in file.pages[0].tags}
    for name, value in changed.items():
        if name in tags:
            size = {3: 2, 4: 4}[int(tags[name].dtype)]
            data[tags[name].valueoffset : tags[name].valueoffset + size] = value.to_bytes(size, "little")
    return bytes(data)


def _tiff_deflated() -> bytes:
    """One strip of 16 x 16 pixels that holds 1.2 GB of zeros."""
    squeezed = zlib.compressobj(9)
    block = bytes(1 << 24)
    strip = b"".join(squeezed.compress(block) for _ in range(72)) + squeezed.flush()
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 16, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    table = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + table


def _npy(shape: str, kind: str = "|u1") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def _hdf5(name: str, shape: tuple[int, ...], kind: type = np.complex64) -> bytes:
    def write(file: Any) -> None:
        file.create_dataset(name, shape, kind, chunks=(1, *(min(side, 64) for side in shape[1:])), compression="gzip")

    return readers._hdf5(write)


def _zarr_array(**changed: Any) -> bytes:
    return json.dumps(json.loads(readers._zarr("2")["0/.zarray"]) | changed).encode()


def _zstd_claim() -> bytes:
    """A frame that says that it holds a terabyte."""
    return b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + bytes(20)


def _blosc_claim() -> bytes:
    return bytes([2, 1, 33, 1]) + struct.pack("<3I", (1 << 31) - 17, 1 << 20, 116) + bytes(100)


def _gzip_chunk() -> bytes:
    """A chunk of 64 pixels that holds 1.2 GB of zeros."""
    squeezed = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 24)
    return b"".join(squeezed.compress(block) for _ in range(72)) + squeezed.flush()


def _raw_entities() -> bytes:
    """A header of ISMRMRD whose entities grow tenfold nine times."""
    import h5py

    names = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    stream = io.BytesIO(readers._ismrmrd()[0])
    with h5py.File(stream, "a") as file:
        text = file["dataset/xml"][0].replace(b"?>", f'?><!DOCTYPE a [<!ENTITY a0 "x">{names}]>'.encode(), 1)
        file["dataset/xml"][0] = text.replace(b"T2w", b"&a9;")
    return stream.getvalue()


def _raw_claim() -> bytes:
    import h5py

    stream = io.BytesIO(readers._ismrmrd()[0])
    with h5py.File(stream, "a") as file:
        file["dataset/data"].resize((1 << 40,))
    return stream.getvalue()


def _matlab() -> bytes:
    """A variable of 16 GB of zeros by its header."""
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, {"kspace": np.zeros((16, 16, 3), np.complex64)})
    data = bytearray(stream.getvalue())
    at = data.index(struct.pack("<3i", 16, 16, 3))
    data[at : at + 12] = struct.pack("<3i", 30_000, 30_000, 2)
    return bytes(data)


def _nifti(*dim: int, offset: float = 352) -> bytes:
    data = bytearray(readers._nifti()[0])
    data[42:48] = struct.pack("<3h", *dim)
    data[108:112] = struct.pack("<f", offset)
    return bytes(data)


def _dicom_deflated() -> bytes:
    return readers._dicom("1.2.840.10008.1.2.1.99")[0]


def _dicom_large() -> bytes:
    data = readers._dicom()[0]
    for tag in (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"):
        at = data.index(tag) + len(tag)
        data = data[:at] + b"\xff\xff" + data[at + 2 :]
    return data


def _tensor() -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.util.tensor_util import make_tensor_proto

    tensor = make_tensor_proto(np.float32(1))
    for _ in range(3):
        tensor.tensor_shape.dim.add(size=100_000)
    return Event(summary=Summary(value=[Summary.Value(tag="val/psnr", tensor=tensor)])).SerializeToString()


def _yaml(text: str) -> Callable[[], bytes]:
    return text.encode


LAUGHS = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(10))}}}\n" for i in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 10))

BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "huge png": ("png", lambda: _png(60_000, 60_000), "images may have at most 200 million"),
    "png that cannot hold it": ("png", lambda: _png(14_000, 14_000), "cannot hold the 14000 x 14000 pixels"),
    "png with two headers": ("png", lambda: _png(8, 8, second=True), "two headers"),
    "huge jpeg": ("jpeg", _jpeg, "images may have at most 200 million"),
    "huge tiff": ("tiff", lambda: _tiff(ImageWidth=60_000, ImageLength=60_000), "images may have at most 200 million"),
    "tiff that cannot hold it": ("tiff", lambda: _tiff(ImageWidth=14_000, ImageLength=14_000), "cannot hold"),
    "tiff of many channels": ("tiff", lambda: _tiff(SamplesPerPixel=65_535), "65535 channels"),
    "deflated tiff": ("tiff", _tiff_deflated, "holds more than the pixels that it claims"),
    "huge npy": ("npy", lambda: _npy("(1000000, 60000, 60000)"), "cannot be read"),
    "npy of objects": ("npy", lambda: _npy("(2, 8, 8)", "|O"), "it holds Python objects"),
    "huge kspace npy": ("kspace-array", lambda: _npy("(100, 8, 60000, 60000)", "<c8"), "cannot be read"),
    "npz named npy": ("kspace-array", lambda: readers._npz()[0], "it is a .npz archive"),
    "huge hdf5": ("fastmri", lambda: _hdf5("kspace", (10, 100, 60_000, 60_000)), "claims to hold"),
    "hdf5 of many slices": ("complex", lambda: _hdf5("image", (1 << 40, 16, 16)), "claims to hold"),
    "huge hdf5 of images": ("hdf5-images", lambda: _hdf5("image", (1 << 40, 16, 16), np.uint8), "was never written"),
    "zarr of huge chunks": ("zarr-2-array", lambda: _zarr_array(chunks=[2, 60_000, 60_000]), "claims chunks of"),
    "huge zarr": ("zarr-2-array", lambda: _zarr_array(shape=[2, 60_000, 60_000]), "at most 200 million"),
    "zarr of many planes": ("zarr-2-array", lambda: _zarr_array(shape=[1 << 40, 16, 16]), "at most 1,000,000 are read"),
    "zarr of objects": ("zarr-2-array", lambda: _zarr_array(compressor={"id": "pickle"}), "codec that is not read"),
    "zstd that claims": ("zarr-3-chunk", _zstd_claim, "holds 1,099,511,627,776 bytes, where its shape needs 64"),
    "blosc that claims": ("zarr-blosc", _blosc_claim, "holds 2,147,483,631 bytes, where its shape needs 64"),
    "gzip in zarr": ("zarr-gzip", _gzip_chunk, "holds 65 bytes, where its shape needs 64"),
    "laughs in a header": ("ismrmrd", _raw_entities, "no plain XML"),
    "acquisitions that a file cannot hold": ("ismrmrd", _raw_claim, "claims to hold 1,099,511,627,776 acquisitions"),
    "huge matlab": ("matlab", _matlab, "claims to hold"),
    "huge nifti": ("nifti", lambda: _nifti(32_000, 32_000, 32_000), "claims to hold"),
    "nifti that cannot hold it": ("nifti", lambda: _nifti(800, 800, 800), "cannot hold the shape"),
    "huge nifti, gzipped": ("nifti-gz", lambda: gzip.compress(_nifti(32_000, 32_000, 32_000)), "claims to hold"),
    "nifti with huge extensions": (
        "nifti-gz", lambda: gzip.compress(_nifti(16, 17, 3, offset=2e9) + bytes(1 << 28), 9), "values begin at byte"
    ),
    "deflated dicom": ("dicom", _dicom_deflated, "is a deflated DICOM file"),
    "huge dicom": ("dicom", _dicom_large, "claims to hold"),
    "tensor of a claimed shape": ("tensorboard-messages", _tensor, "no series is named after psnr"),
    "billion laughs": ("yaml", _yaml(LAUGHS), "more than 10000 settings"),
    "billion merges": ("yaml", _yaml(MERGES), "merge keys"),
    "nested yaml": ("yaml", _yaml("a: " + "[" * 100_000), "is not YAML"),
    "nested json": ("anchors", _yaml("[" * 1_000_000), "is nested too deeply"),
    "infinite json": ("anchors", _yaml('{"sets": 1e400}'), "too large a number"),
    "endless whole number": ("anchors", _yaml(f'{{"sets": 1{"0" * 400}}}'), "too large"),
    "long line": ("basicsr", _yaml("2024-05-01 12:00:00,123 INFO: " + "Network: " * 200_000), "no series"),
}  # fmt: skip
"""Name -> reader, the file, and what is said."""
BOMBS = {name: bomb for name, bomb in BOMBS.items() if bomb[0] in readers.READERS}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the readers say to all bombs, from one process with a limit on its memory."""
    place = tmp_path_factory.mktemp("bombs")
    for bomb, (_, make, _) in BOMBS.items():
        (place / bomb).write_bytes(make())
        assert (place / bomb).stat().st_size < 4 << 20  # bombs are small
    names = json.dumps({bomb: name for bomb, (name, _, _) in BOMBS.items()})
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(place), names], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert time.monotonic() - began < 120
    return dict(json.loads(ended.stdout.splitlines()[-1]))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits the address space as Linux does")
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_one_sentence(said: dict[str, str], bomb: str) -> None:
    assert BOMBS[bomb][2] in said[bomb]
    assert "\n" not in said[bomb] and not said[bomb].startswith("CRASH")


STUDIES = {
    "nested": ("a = " + "[" * 100_000, "nested too deeply"),
    "large": ("#" * 2_000_000, "at most 1,048,576 are read"),
    "long number": ("a = " + "9" * 10_000, "is not TOML"),
    "unknown keys": ("".join(f"a{i} = 1\n" for i in range(5_000)), "and 4998 more"),
    "long key": ("x" * 900_000 + " = 1", "there is no such key"),
    "binary": ("a = \x00", "is not TOML"),
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_file_is_bounded(tmp_path: Path, name: str) -> None:
    text, message = STUDIES[name]
    (tmp_path / "study.toml").write_text(text)
    began = time.monotonic()
    with pytest.raises(UserError, match=message) as caught:
        load_study(tmp_path / "study.toml")
    assert len(str(caught.value)) < 4000 and time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"sweep": {"n": tuple(range(1, 1001)), "width": tuple(range(1, 1001)), "seed": tuple(range(1000))}},
         "the grid has 1,000,000,000 runs"),
        ({"recipe": {"lr": float("inf")}}, "recipe.lr: found inf"),
        ({"recipe": {"lr": float("nan")}}, "recipe.lr: found nan"),
        ({"problem": {"kind": "denoising", "sigma": float("inf")}}, "sigma: found inf"),
        ({"override": ({"recipe": {"lr": float("nan")}},)}, "override.0.recipe.lr"),
        ({"override": ({"recipe": {"loss": {"a": 1}}},)}, "loss"),
        ({"analysis": {"forecast": (float("inf"),)}}, "forecast"),
        ({"images": {"source": "fastmri", "val": 1, "test": 1, "patient": "a{99999999999}"}}, "regular expression"),
        ({"images": {"source": "fastmri", "val": 1, "test": 1, "patient": "(" * 5000}}, "regular expression"),
    ],
)  # fmt: skip
def test_a_study_asks_for_what_can_be(
    content: Callable[..., dict[str, Any]], tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        parse_study(content(**tables))


def test_1e400_in_a_study_file_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(readers.STUDY.replace("sigma = 25", "sigma = 1e400"))
    with pytest.raises(UserError, match=r"problem.sigma: found inf"):
        load_study(tmp_path / "study.toml")


@pytest.mark.parametrize("columns", [300_000])
def test_a_csv_of_many_columns_takes_seconds(tmp_path: Path, columns: int) -> None:
    header = "n,psnr," + ",".join(f"c{i}" for i in range(columns))
    row = "10,20," + ",".join("1" for _ in range(columns))
    began = time.monotonic()
    readers.read("points", f"{header}\n{row}\n{row.replace('10', '20', 1)}\n".encode(), tmp_path)
    assert time.monotonic() - began < 30


def test_a_pipe_among_images_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match="is not a regular file"):
        read_header(tmp_path / "a.png")
