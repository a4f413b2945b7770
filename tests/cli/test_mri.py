"""A study of volumes through the command line: planned, run, killed and continued, reported, applied."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests import phantoms

from .test_sweep import call, records, start

STUDY = """
name = "volumes"
[problem]
kind = "mri"
acceleration = 3
center_fraction = 0.2
[images]
source = "fastmri"
counts = "images"
val = 1
test = 2
[network]
family = "unrolled"
depth = 2
cascades = 2
[sweep]
n = [2, 6]
width = [2]
seed = [0, 1]
[recipe]
steps = 30
batch = 2
lr = 3e-3
validate_every = 10
loss = "l1"
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volumes")
    for index in range(6):
        phantoms.write_fastmri(root / f"file{index}.h5", phantoms.kspace(3, 2, seed=20 * index))
    return root


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_study(tmp_path_factory.mktemp("mri") / "study")
    code, _, err = call("run", path, "--keep-going", "--data", data, "--workers", 1)
    assert code == 0, err
    assert len(records(path)) == 4
    return path


def test_killed_and_continued(finished: Path, data: Path, tmp_path: Path) -> None:
    path = write_study(tmp_path / "again")
    for wait in (4.0, 5.0):
        process = start("run", path, "--keep-going", "--data", data, "--workers", 1, "--checkpoint-seconds", 0)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    code, _, err = call("run", path, "--keep-going", "--data", data, "--workers", 1)
    assert code == 0, err
    assert records(path) == records(finished)


def test_data_and_plan(finished: Path, data: Path) -> None:
    code, out, err = call("data", finished, "--data", data, "--json")
    assert code == 0, err
    described = json.loads(out)
    assert described["sets"]["train"] | {"slices": 9, "volumes": 3, "units": 3} == described["sets"]["train"]
    code, out, err = call("plan", finished, "--data", data, "--no-calibrate", "--json")
    assert code == 0, err
    cell = json.loads(out)["cells"][0]
    assert cell["done"] == 2 and cell["flops"] == pytest.approx(3 * 32 * 40 * 60 * per_pixel(finished))


def per_pixel(study: Path) -> float:
    result = next((study.parent / "runs").glob("*/result.json"))
    return float(json.loads(result.read_text())["flops"])


def test_the_report(finished: Path, tmp_path: Path) -> None:
    code, _, err = call("report", finished, "--out", tmp_path / "report")
    assert code == 0, err
    page = (tmp_path / "report" / "report.html").read_text()
    text = re.sub(r"<[^>]+>", " ", page)
    for words in ("MRI accelerated 3 times", "measured k-space", "zero-filled", "total variation", "CG-SENSE",
                  "Volume by volume", "6 slices", "n counts slices"):  # fmt: skip
        assert words in text, words
    assert "data-crime" not in text
    assert (tmp_path / "report" / "volumes.csv").is_file() and (tmp_path / "report" / "training_sets.csv").is_file()


def test_simulated_k_space_is_told_aloud(tmp_path: Path) -> None:
    text = STUDY.replace(
        'source = "fastmri"', 'source = "deadleaves"\nsize = 32\ntotal = 8\npatch = 24\nchannels = "gray"'
    )
    path = write_study(tmp_path / "simulated", text.replace("n = [2, 6]", "n = [2]"))
    code, _, err = call("run", path, "--keep-going", "--workers", 1)
    assert code == 0, err
    code, out, err = call("report", path, "--out", tmp_path / "report")
    assert code == 0, err
    assert "data-crime" in out and "simulated from magnitude images" in out


def test_crops_too_narrow_for_the_mask_are_refused(tmp_path: Path) -> None:
    text = STUDY.replace(
        'source = "fastmri"', 'source = "deadleaves"\nsize = 64\ntotal = 8\npatch = 8\nchannels = "gray"'
    )
    path = write_study(tmp_path / "narrow", text.replace("center_fraction = 0.2", "center_fraction = 0.05"))
    code, _, err = call("run", path, "--keep-going")
    assert code == 2 and "0.05 of 8 lines leaves a mask without a centre" in err


def test_reconstruct(finished: Path, data: Path, tmp_path: Path) -> None:
    run = next((finished.parent / "runs").glob("*-n6-s0-*"))
    code, _, err = call("reconstruct", run, data / "file1.h5", "--out", tmp_path / "out.h5")
    assert code == 0, err
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["reconstruction"].shape == (3, 28, 28) and np.isfinite(file["reconstruction"]).all()


SOURCE, MRI, FACTOR = 'source = "fastmri"', 'kind = "mri"', "acceleration = 3"
WRONG = [
    (MRI, 'kind = "mir"', "problem.kind: found 'mir'; did you mean 'mri'?"),
    (FACTOR, "accelration = 3", "problem.accelration: there is no such key, did you mean 'acceleration'?"),
    (FACTOR, "acceleration = 1", "problem.acceleration: found 1, input should be greater than or equal to 2"),
    (FACTOR, "acceleration = 8", "the centre alone takes 8"),
    ("center_fraction = 0.2", "center_fraction = 0.001", "leaves a mask without a centre"),
    (
        'family = "unrolled"',
        'family = "dncnn"',
        "'dncnn' is not made for mri; families for mri: unet, unrolled, unrolled-resnet, varnet",
    ),
    ('"unrolled"\ndepth = 2\ncascades = 2', '"unet"', "file0.h5: found 28 pixels; unet of depth 4 needs at least 32"),
    (SOURCE, f"{SOURCE}\nmatrix = 16", "matrix: is for volumes of images"),
    (SOURCE, f'{SOURCE}\naxes = "schx"', "axes: found 'schx'"),
    (SOURCE, 'source = "folder"\nacquisition = ["a"]', "acquisition: is for volumes"),
    (SOURCE, f'{SOURCE}\npatient = "("', "patient: '(' is not a regular expression"),
    ("n = [2, 6]", "n = [2, 60]", "sweep.n: found 60; the images allow at most 9 images for training"),
    ("[recipe]", '[analysis]\nprofile = "psnr-y"\n[recipe]', "found 'psnr-y', which is not for mri"),
]


@pytest.mark.parametrize("before, after, sentence", WRONG, ids=[sentence[:30] for _, _, sentence in WRONG])
def test_mistakes_in_the_study(data: Path, tmp_path: Path, before: str, after: str, sentence: str) -> None:
    path = write_study(tmp_path / "wrong", STUDY.replace(before, after))
    code, _, err = call("run", path, "--keep-going", "--data", data)
    assert code == 2 and sentence in " ".join(err.split()) and "Traceback" not in err
    assert not (path.parent / "runs" / "anchors").exists()


def test_reconstruct_takes_the_order_of_axes_of_its_study(tmp_path: Path) -> None:
    """A network that was trained on arrays of another order is given them in that order."""
    data = tmp_path / "data"
    data.mkdir()
    for index in range(3):
        np.save(data / f"{index}.npy", np.moveaxis(phantoms.kspace(2, 2, seed=20 * index), 1, -1))
    text = STUDY.replace('source = "fastmri"', 'source = "kspace-array"\naxes = "shwc"').replace("test = 2", "test = 1")
    text = (
        text.replace("n = [2, 6]", "n = [2]").replace("seed = [0, 1]", "seed = [0]").replace("steps = 30", "steps = 10")
    )
    path = write_study(tmp_path / "study", text)
    code, _, err = call("run", path, "--keep-going", "--data", data, "--workers", 1)
    assert code == 0, err
    run = next(path for path in (path.parent / "runs").glob("mri-*") if path.is_dir())
    code, _, err = call("reconstruct", run, data / "1.npy", "--out", tmp_path / "out.npy")
    assert code == 0, err
    assert np.load(tmp_path / "out.npy").shape == (2, 32, 40)
