"""Every reader of a user's file: small valid files to start from, and what reads them.

``fuzz/campaign.py`` and ``test_fuzz.py`` change the valid files; a reader gives a value or a ``UserError``, never more.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.jobs.command import WHO, read_result
from reconscale.jobs.job import NotFinite, check_outcome
from reconscale.laws.metrics import METRICS
from reconscale.results import Result
from reconscale.study import Images, load_study
from reconscale.study.external import Command, load_external
from reconscale.study.plan import runs_of
from reconscale.study.study_file import parse_study

STUDY = """
name = "small"
[problem]
kind = "denoising"
sigma = 25
[images]
source = "folder"
folders = ["train"]
val = 2
test = 2
[images.test_sets]
urban = "urban"
[network]
family = "unet"
depth = 2
[sweep]
n = [1, 2, 4]
width = [4, 8]
seed = [0, 1]
[[override]]
n = [1, 2]
seeds = 1
recipe = {steps = 10}
[analysis]
worthwhile = 0.1
"""


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        file: the name that the file gets.
        read: reads the file at a path, in a folder of its own.
        valid: makes files that it reads without a UserError.
    """

    file: str
    read: Callable[[Path], object]
    valid: Callable[[], list[bytes]]


def _images(source: str, **options: Any) -> Images:
    return Images.model_validate({"source": source, "val": 1, "test": 1, **options})


def _study(path: Path) -> object:
    return [run.id for run in runs_of(load_study(path))]


def _points(path: Path) -> object:
    from reconscale.laws import Points

    return Points.from_csv(path, metric="psnr")


def _split(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from reconscale.data.own_split import Known, split_as_given
        from reconscale.study.images.own_split import OwnSplit

        return split_as_given(Known(("a", "b", "c"), ("a", "b", "c")), OwnSplit(val=(name,)), path.parent)

    return read


def _masks(path: Path) -> object:
    from reconscale.study.mask_files import read_masks

    return read_masks({"kind": "mri", "mask_file": path.name}, path.parent)


def _shapes(path: Path) -> object:
    from reconscale.training.initial_weights import shapes_of

    return shapes_of(path)


def _weights() -> list[bytes]:
    import torch
    from safetensors.torch import save

    return [save({"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)})]


def _ledger(path: Path) -> object:
    from reconscale.ledger import Ledger

    return Ledger(path, n=7, seed=0).write(30.0)


@cache
def _result() -> dict[str, bytes]:
    content = {
        "name": "small", "problem": {"kind": "denoising"}, "images": {"source": "bundled", "val": 2, "test": 2},
        "sweep": {"n": (1,), "width": (4,)},
    }  # fmt: skip
    run = runs_of(parse_study(content))[0]
    values = {"test": {"a.png": {"mse": 0.01, "psnr-rgb-clip": 20.0}, "b.png": {"mse": 0.02, "psnr-rgb-clip": 17.0}}}
    record = {
        "status": "done", "run": run, "p": 10, "metrics": {"test": {"mse": 0.015}}, "images": values, "volumes": values,
        "validation": ({"step": 1, "samples": 2, "lr": 1e-3, "mse": 0.1, "psnr": 10.0},), "times": {"train": 1.5},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / run.id
        Result.model_validate(record).write(folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()} | {"": run.id.encode()}


def _result_with(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        files = _result()
        folder = path.parent / files[""].decode()
        folder.mkdir(exist_ok=True)
        for other, content in files.items():
            if other:
                (folder / other).write_bytes(path.read_bytes() if other == name else content)
        return Result.read(folder)

    return read


def _record(place: str, read: Callable[[Any], object]) -> Callable[[Path], object]:
    """A record of the results folder at ``place``, read through its own function."""

    def within(path: Path) -> object:
        from reconscale.results import Folder

        target = path.parent / "runs" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        return read(Folder(path.parent / "runs"))

    return within


def _anchors(folder: Any) -> object:
    from reconscale.report.pictures import _anchor_picture
    from reconscale.results.baseline_record import read_baselines

    anchors = read_baselines(folder)
    if anchors is None:
        return None
    return [_anchor_picture(anchors, item, kind) for item in anchors.pictures for kind in ("truth", *anchors.labels)]


def _explanation(folder: Any) -> object:
    from reconscale.report.explanation import explanation_of

    return explanation_of(folder)


def _training_sets(folder: Any) -> object:
    from reconscale.report.run_tables import sets_grid, training_sets_of

    return sets_grid(training_sets_of(folder), "patients")


def _image(path: Path) -> object:
    from reconscale.data.image_files import read_image

    return read_image(path)


def _mended(path: Path) -> object:
    """A PNG file whose checksums are put right first: no change would get past them."""
    data = path.read_bytes()
    at, parts = 8, [data[:8]]
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        parts += [data[at:end], zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    path.write_bytes(b"".join(parts))
    return _image(path)


def _pictures(*endings: str) -> Callable[[], list[bytes]]:
    def make() -> list[bytes]:
        import cv2
        import tifffile

        rng = np.random.default_rng(0)
        grey, rgb = rng.integers(0, 255, (9, 7), np.uint8), rng.integers(0, 255, (8, 8, 3), np.uint8)
        deep = rgb.astype(np.uint16) * 257
        made = []
        for image in (grey, rgb, deep):
            for ending in endings:
                if ending in (".tif", "deflate"):
                    stream = io.BytesIO()
                    photometric = "rgb" if image.ndim == 3 else "minisblack"
                    compression = "zlib" if ending == "deflate" else None
                    tifffile.imwrite(stream, image, photometric=photometric, compression=compression)
                    made.append(stream.getvalue())
                elif ending == ".png" or image.dtype == np.uint8:
                    made.append(cv2.imencode(ending, image)[1].tobytes())
        return made

    return make


def _stack(path: Path) -> object:
    from reconscale.data.folders import list_folder

    listing = list_folder(_images("folder"), path.parent)
    return [(listing.header(index), listing.load(index)) for index in range(min(3, len(listing.names)))]


def _stacks() -> list[bytes]:
    import tifffile

    made = []
    for how in ({"metadata": {"axes": "ZYX"}}, {"imagej": True}, {"ome": True}, {"metadata": None}):
        stream = io.BytesIO()
        tifffile.imwrite(stream, np.zeros((4, 9, 7), np.uint16), photometric="minisblack", **how)
        made.append(stream.getvalue())
    return made


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz() -> list[bytes]:
    made = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, a=np.zeros((2, 8, 8), np.uint8), b=np.ones((1, 9, 8, 3), np.float32))
        made.append(stream.getvalue())
    return made


def _array(path: Path) -> object:
    from reconscale.data.array_files import list_arrays

    listing = list_arrays(_images("array"), path.parent)
    return [(listing.header(index), listing.load(index)) for index in range(min(3, len(listing.names)))]


def _scans(source: str, **options: Any) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from reconscale.data.volumes.cache import _read_through
        from reconscale.plugins import load_object
        from reconscale.study import SOURCES

        part = path.parent.parent / "part"
        part.mkdir(exist_ok=True)
        scans = load_object(SOURCES[source].listing)(_images(source, **options), path.parent, "images.folders")
        return [_read_through(scan, part, None) for scan in scans.volumes[:3]]

    return read


def _kspace() -> np.ndarray:
    from reconscale.data.volumes.transforms import to_kspace

    rng = np.random.default_rng(0)
    return np.asarray(to_kspace(5 + rng.random((2, 2, 16, 16)) + 1j * rng.random((2, 2, 16, 16))), np.complex64)


def _hdf5(write: Callable[[Any], None]) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getvalue()


def _fastmri() -> list[bytes]:
    from reconscale.data.volumes.transforms import root_sum_of_squares

    kspace = _kspace()

    def plain(file: Any) -> None:
        file["kspace"] = kspace
        file["reconstruction_rss"] = np.stack([root_sum_of_squares(slice_) for slice_ in kspace])
        file.attrs.update({"max": 7.0, "patient_id": "p1", "acquisition": "T2"})

    def packed(file: Any) -> None:
        file.create_dataset("kspace", data=kspace, chunks=(1, 2, 16, 16), compression="gzip")

    return [_hdf5(plain), _hdf5(packed)]


def _matlab() -> list[bytes]:
    import scipy.io

    kspace = _kspace().transpose(2, 3, 1, 0)
    made = []
    for packed in (True, False):
        stream = io.BytesIO()
        scipy.io.savemat(stream, {"kspace": kspace, "n": 3.0}, do_compression=packed)
        made.append(stream.getvalue())
    parts = np.empty(kspace.shape, [("real", "<f4"), ("imag", "<f4")])
    parts["real"], parts["imag"] = kspace.real, kspace.imag

    def write(file: Any) -> None:
        file["kspace"] = parts.T

    return [*made, _hdf5(write)]


def _complex() -> list[bytes]:
    images = _kspace()[:, 0] + 1

    def labelled(file: Any) -> None:
        file["image"] = images
        file["patient_id"] = np.array([b"a", b"b"])
        file["contrast"], file["max"] = np.array([b"T1", b"T2"]), np.array([1.0, 2.0])

    def parts(file: Any) -> None:
        file["image_ri"] = np.stack([images.real, images.imag], axis=1)

    return [_hdf5(labelled), _hdf5(parts)]


def _hdf5_images() -> list[bytes]:
    def one(file: Any) -> None:
        file.create_dataset("exp/raw", data=np.zeros((4, 9, 8), np.uint16), chunks=(2, 9, 8), compression="gzip")
        file["times"] = np.arange(4)

    def plain(file: Any) -> None:
        file["raw"] = np.zeros((2, 9, 8, 3), np.float32)

    return [_hdf5(one), _hdf5(plain)]


def _ismrmrd() -> list[bytes]:
    from tests.raw_data import lines_of, oversampled, write_raw

    with tempfile.TemporaryDirectory() as place:
        kspace, _ = oversampled(0, rows=16, columns=16)
        write_raw(Path(place, "a.h5"), lines_of(kspace), x=32, y=16, recon=16, last=15, center=8)
        return [Path(place, "a.h5").read_bytes()]


@cache
def _zarr(kind: str) -> dict[str, bytes]:
    """The files of an OME-Zarr image by their names below its folder."""
    import zarr

    from tests.zarr_images import write_zarr

    codecs: dict[str, Any] = {
        "2": {}, "3": {}, "shard": {"shards": (2, 16, 16)}, "plain": {"compressors": None},
        "blosc": {"compressors": zarr.codecs.BloscCodec()}, "gzip": {"compressors": zarr.codecs.GzipCodec()},
    }[kind]  # fmt: skip
    values = np.random.default_rng(0).integers(0, 200, (2, 16, 16), np.uint8)
    with tempfile.TemporaryDirectory() as place:
        write_zarr(Path(place), values, "zyx", "0.4" if kind == "2" else "0.5", chunks=(1, 8, 8), **codecs)
        return {
            path.relative_to(place).as_posix(): path.read_bytes() for path in Path(place).rglob("*") if path.is_file()
        }


def _zarr_file(kind: str, name: str) -> Reader:
    """The reader of one file of an OME-Zarr image; the others are as they should be."""

    def read(path: Path) -> object:
        from reconscale.data.ome_zarr import list_ome_zarr

        place = path
        for _ in Path(name).parts:
            place = place.parent
        for other, content in _zarr(kind).items():
            if other != name:
                (place / other).parent.mkdir(parents=True, exist_ok=True)
                (place / other).write_bytes(content)
        listing = list_ome_zarr(_images("ome-zarr"), place.parent)
        return [(listing.header(index), listing.load(index)) for index in range(min(3, len(listing.names)))]

    return Reader(f"data/a.zarr/{name}", read, lambda: [_zarr(kind)[name]])


def _nifti() -> list[bytes]:
    import nibabel

    rng = np.random.default_rng(0)
    made = []
    for kind, dtype in ((nibabel.Nifti1Image, np.int16), (nibabel.Nifti2Image, np.float32)):
        image = kind((100 * rng.random((16, 17, 3))).astype(dtype), np.diag([1.0, 1, 4, 1]))
        made.append(image.to_bytes())
    return made


def _dicom(syntax: str = "1.2.840.10008.1.2.1") -> list[bytes]:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    file = FileDataset("x.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    file.PatientID, file.SeriesInstanceUID, file.SeriesNumber, file.InstanceNumber = "p", "1.2.4", 3, 1
    file.SeriesDescription, file.SOPInstanceUID = "T1", "1.2.3"
    file.SOPClassUID = meta.MediaStorageSOPClassUID
    file.Rows, file.Columns, file.SamplesPerPixel, file.NumberOfFrames = 16, 17, 1, 1
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PhotometricInterpretation, file.RescaleSlope, file.RescaleIntercept = "MONOCHROME2", "2", "1"
    file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, 1], [1, 0, 0, 0, 1, 0]
    file.PixelData = np.arange(16 * 17, dtype=np.uint16).tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return [stream.getvalue()]


def _imported(path: Path) -> object:
    from reconscale.importers import import_logs

    return import_logs(path.parent, metric="psnr")


def _exported(path: Path) -> object:
    from reconscale.importers import import_logs

    return import_logs(path, metric="psnr")


def _events() -> list[bytes]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util.tensor_util import make_tensor_proto

    settings = HParamsPluginData()
    settings.session_start_info.hparams["n_train"].number_value = 100
    told = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams"))
    told.plugin_data.content = settings.SerializeToString()
    scalars = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    values = [
        Summary.Value(tag="hparams", metadata=told),
        Summary.Value(tag="val/psnr", simple_value=28.5),
        Summary.Value(tag="val/psnr", metadata=scalars, tensor=make_tensor_proto(np.float32(29.5))),
    ]
    events = [Event(step=step, summary=Summary(value=[value])) for step, value in enumerate(values)]
    return [b"".join(record(event.SerializeToString()) for event in events)]


def record(data: bytes) -> bytes:
    """A record of a TFRecord file, with its checksums."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    length = len(data).to_bytes(8, "little")
    sums = [masked_crc32c(part).to_bytes(4, "little") for part in (length, data)]
    return length + sums[0] + data + sums[1]


def _summary(path: Path) -> object:
    """The messages of an event file without their checksums, which no change would get past."""
    inner = path.parent / "inner"
    inner.mkdir(exist_ok=True)
    (inner / "events.out.tfevents.1").write_bytes(record(path.read_bytes()))
    return _exported(inner)


def _messages() -> list[bytes]:
    from reconscale.importers.tensorboard import _records

    with tempfile.TemporaryFile() as stream:
        stream.write(_events()[0])
        stream.seek(0)
        return list(_records(stream))


BASICSR = """
2024-05-01 12:00:00,123 INFO:
  name: small
  datasets:[
    train:[
      name: DIV
    ]
  ]
  val:[
    val_freq: 100.0
  ]
2024-05-01 12:00:01,000 INFO: Training statistics:
\tNumber of train images: 100
2024-05-01 12:00:02,000 INFO: Network: Net, with parameters: 1,234
2024-05-01 12:00:03,000 INFO: [small..][epoch:  0, iter:     100, lr:(1.000e-04,)] [eta: 0:00:01] l_pix: 1.0e-02
2024-05-01 12:00:04,000 INFO: Validation Set5
\t # psnr: 28.1234\tBest: 28.1234 @ 100 iter
"""

WANDB_TABLE = 'Name,State,n_train,seed,val/psnr\n"unet-1",finished,100,0,28.5\n"unet-2",finished,200,1,29.5\n'
WANDB_LINES = "Step,n10 - psnr,n10 - psnr__MIN,n10 - psnr__MAX\n1,20.0,20.0,20.0\n2,21.0,21.0,21.0\n"
LIGHTNING = "epoch,step,train_loss,val_psnr\n0,1,0.5,\n0,1,,28.5\n1,2,,29.0\n"
HPARAMS = "n_train: 100\nmodel: !!python/object:x.Y\n  width: 8\n  seed: 1\nlist: &a [1, 2.5, true]\nagain: *a\n"


def _lightning(path: Path) -> object:
    (path.parent / "hparams.yaml").write_text("n_train: 100\n")
    return _imported(path)


def _hparams(path: Path) -> object:
    (path.parent / "metrics.csv").write_text(LIGHTNING)
    return _imported(path)


def _checkpoint(path: Path) -> object:
    import torch

    from reconscale.training.checkpoint import load

    return load(path.parent, torch.device("cpu"))


def _checkpoints() -> list[bytes]:
    import torch

    stream = io.BytesIO()
    torch.save({"step": 3, "weights": {"a": torch.zeros(2)}, "lr": 0.1, "history": [1.5]}, stream)
    return [stream.getvalue()]


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


def _records_of(**record: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(record).encode()]


POINTS = (
    "n,p,width,seed,psnr,validation,profile,image_1,image_2\n10,1e3,4,0,28.5,28.4,psnr-y,0.1,0.2\n20,1e3,4,1,29,"
    "29.5,psnr-y,0.1,0.1\n"
)

COMMAND = """
name = "small"
[command]
run = ["python", "train.py", "{train}", "--width", "{width}", "{folder}"]
time_limit = 60.0
[images]
folders = ["photos"]
patterns = ["*.png"]
group = "patient(.)"
val = 2
test = 3
[[sweep]]
n = [1, 2]
width = [4]
seed = [0, 1]
[analysis]
metric = "vmaf"
[metric]
name = "vmaf"
better = "higher"
most = 100.0
"""
CALLABLE = """
name = "small"
[callable]
name = "train"
[images]
val = 2
test = 3
count = 9
digest = "abc"
[sweep]
n = [1, 2]
"""


def _external(path: Path) -> object:
    study = load_external(path)
    return study.runs(), study.known_metric, study.worthwhile


def _measured(path: Path) -> object:
    metric = METRICS["psnr"]
    command = Command(run=("python", "{train}", "{folder}"), result=path.name)
    try:
        return check_outcome(read_result(path.parent, command, "psnr", 0.0), metric, ("a.png", "b.png"), WHO)
    except NotFinite:  # a run that has diverged
        return None


READERS: dict[str, Reader] = {
    "study": Reader("study.toml", _study, _texts(STUDY)),
    "external-study": Reader("study.toml", _external, _texts(COMMAND, CALLABLE)),
    "external-result": Reader(
        "metrics.json", _measured,
        _texts('{"psnr": [31.2, 30.5], "validation": 31.0, "p": 116707}', '{"psnr": {"a.png": 3, "b.png": 4}}', "31.2"),
    ),
    "points": Reader("points.csv", _points, _texts(POINTS, "n,y\n1,2\n3,4\n")),
    "result": Reader("result.json", _result_with("result.json"), lambda: [_result()["result.json"]]),
    "result-images": Reader("images.csv", _result_with("images.csv"), lambda: [_result()["images.csv"]]),
    "anchors": Reader(
        "anchors.json", _record("anchors/anchors.json", _anchors),
        _records_of(sets={"test": {"input": {"psnr-y": 20.0}}}, labels={"input": "input"},
                    pictures=[{"image": "a", "rule": "median", "truth": "t.png", "psnr": {"truth": 3.0}}]),
    ),
    "explanation": Reader(
        "explanation.json", _record("theory/explanation.json", _explanation),
        _records_of(curve={"n": [1, 2], "mse": [0.2, 0.1]}, within={"0.5": 3.0}, floor=0.1, floor_on_test=0.1,
                    test_set="test", patch=8, images=10),
    ),
    "training-sets": Reader(
        "training-sets.json", _record("training-sets.json", _training_sets),
        _records_of(pixels=100, sets=[{"n": 1, "slices": 2, "volumes": 3, "units": 4}]),
    ),
    "split-table": Reader("split.csv", _split("split.csv"), _texts("set,image\ntrain,a\nval,b\n", "image\na\nb\n")),
    "split-list": Reader("val.txt", _split("val.txt"), _texts("# ours\na\n./b\n")),
    "mask": Reader("m.npy", _masks, lambda: [_npy(np.eye(5, dtype=np.uint8)), _npy(np.eye(5)[2])]),
    "init": Reader("w.safetensors", _shapes, _weights),
    "ledger": Reader("points.csv", _ledger, _texts("n,seed,psnr\n10,0,29.0\n30,0,30.0\n")),
    "png": Reader("a.png", _image, _pictures(".png")),
    "png-chunks": Reader("a.png", _mended, _pictures(".png")),
    "jpeg": Reader("a.jpg", _image, _pictures(".jpg")),
    "tiff": Reader("a.tif", _image, _pictures(".tif", "deflate")),
    "tiff-stack": Reader("a.tif", _stack, _stacks),
    "bmp": Reader("a.bmp", _image, _pictures(".bmp")),
    "webp": Reader("a.webp", _image, _pictures(".webp")),
    "npy": Reader("data/a.npy", _array, lambda: [_npy(np.zeros((2, 8, 8), np.uint8)), _npy(np.ones((2, 8, 9, 3)))]),
    "npz": Reader("data/a.npz", _array, _npz),
    "fastmri": Reader("data/a.h5", _scans("fastmri"), _fastmri),
    "complex": Reader("data/a.h5", _scans("complex"), _complex),
    "kspace-array": Reader("data/a.npy", _scans("kspace-array"), lambda: [_npy(_kspace())]),
    "matlab": Reader("data/a.mat", _scans("kspace-array", axes="hwcs"), _matlab),
    "complex-array": Reader("data/a.npy", _scans("complex"), lambda: [_npy(_kspace()[0] + 1)]),
    "hdf5-images": Reader("data/a.h5", _array, _hdf5_images),
    "ismrmrd": Reader("data/a.h5", _scans("ismrmrd"), _ismrmrd),
    "zarr-2-group": _zarr_file("2", ".zattrs"),
    "zarr-2-array": _zarr_file("2", "0/.zarray"),
    "zarr-2-chunk": _zarr_file("2", "0/0.0.0"),
    "zarr-3-group": _zarr_file("3", "zarr.json"),
    "zarr-3-array": _zarr_file("shard", "0/zarr.json"),
    "zarr-3-chunk": _zarr_file("3", "0/c/0/0/0"),
    "zarr-shard": _zarr_file("shard", "0/c/0/0/0"),
    "zarr-blosc": _zarr_file("blosc", "0/c/0/0/0"),
    "zarr-gzip": _zarr_file("gzip", "0/c/0/0/0"),
    "zarr-plain": _zarr_file("plain", "0/c/0/0/0"),
    "nifti": Reader("data/a.nii", _scans("nifti"), _nifti),
    "nifti-gz": Reader(
        "data/a.nii.gz", _scans("nifti"), lambda: [gzip.compress(data, mtime=0) for data in _nifti()]
    ),
    "dicom": Reader("data/a.dcm", _scans("dicom"), _dicom),
    "tensorboard": Reader("logs/events.out.tfevents.1", _imported, _events),
    "tensorboard-messages": Reader("message", _summary, _messages),
    "lightning": Reader("logs/metrics.csv", _lightning, _texts(LIGHTNING)),
    "yaml": Reader("logs/hparams.yaml", _hparams, _texts(HPARAMS)),
    "basicsr": Reader("logs/train_small_20240501_120000.log", _imported, _texts(BASICSR)),
    "wandb": Reader("wandb.csv", _exported, _texts(WANDB_TABLE, WANDB_LINES)),
    "checkpoint": Reader("checkpoint.pt", _checkpoint, _checkpoints),
}  # fmt: skip
"""Name -> reader."""
for package in ("zarr", "ismrmrd"):  # optional ones
    if find_spec(package) is None:
        READERS = {name: reader for name, reader in READERS.items() if not name.startswith(package)}


def read(name: str, data: bytes, folder: Path) -> object:
    """What a reader makes of a file that holds ``data``; the folder is empty before."""
    path = folder / READERS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return READERS[name].read(path)


def valid() -> Iterator[tuple[str, bytes]]:
    """Every valid file: the name of its reader, and its content."""
    for name, reader in READERS.items():
        yield from ((name, data) for data in reader.valid())
