"""A test image of a study, measured as the study measures it, comes out of `reconstruct` with the recorded quality."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from reconscale.data import ImageSubset, Slices, open_images
from reconscale.physics import problem_of
from reconscale.results import Folder
from reconscale.study import load_study, runs_of
from reconscale.training.evaluate import EVALUATION_SEED
from tests import phantoms

from .calling import call, refused

STUDY = """
name = "recorded"
[problem]
kind = "denoising"
[images]
{images}
patch = 16
val = {held}
test = {held}
[network]
family = "dncnn"
depth = 4
[sweep]
n = [2]
width = [4]
[recipe]
steps = 20
batch = 2
"""


def scene(seed: int, channels: int = 1) -> np.ndarray:
    """(32, 32, channels) in [0, 1]: smooth, with edges."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32] / 32
    planes = [0.5 + 0.4 * np.sin(9 * rows * rng.random() + 9 * columns * rng.random() + 6 * rng.random())
              * np.where(columns > rng.random(), 1, -1) for _ in range(channels)]  # fmt: skip
    return np.stack(planes, -1)


def pngs(data: Path) -> str:
    for index in range(8):
        Image.fromarray((255 * scene(index, 3)).astype(np.uint8)).save(data / f"{index}.png")
    return 'source = "folder"'


def twelve_bits(data: Path) -> str:
    for index in range(8):
        tifffile.imwrite(data / f"{index}.tif", (100 + 630 * scene(index)[..., 0]).astype(np.uint16))
    return 'source = "folder"\nrange = [100, 730]'


def stacks(data: Path) -> str:
    for index in range(6):
        pages = np.stack([scene(10 * index + page)[..., 0] for page in range(4)])
        tifffile.imwrite(data / f"{index}.tif", (4095 * pages).astype(np.uint16), photometric="minisblack",
                         metadata={"axes": "ZYX"})  # fmt: skip
    return 'source = "folder"\nrange = [0, 4095]'


def array(data: Path) -> str:
    np.save(data / "a.npy", np.stack([2000 * scene(index)[..., 0] - 1000 for index in range(8)]))
    return 'source = "array"\nrange = [-1000, 1000]'


@pytest.mark.parametrize("make", [pngs, twelve_bits, stacks, array], ids=lambda make: make.__name__)
def test_the_recorded_number(make: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(images=make(data), held=2))
    code, _, err = call("run", path, "--keep-going", "--data", data, "--workers", 1, "--no-probe")
    assert code == 0, err
    study = load_study(path)
    run = runs_of(study)[0]
    home = Folder.beside(path).of(run)
    black, white = study.images.range or (0.0, 255.0)
    test = open_images(study.images, data=data).tests["test"]
    assert isinstance(test, ImageSubset)
    measured = problem_of(study.problem, torch.device("cpu"), 0).fixed(test, 1, None, EVALUATION_SEED)
    given = measured.y[0].permute(1, 2, 0).double().numpy() * (white - black) + black
    tifffile.imwrite(tmp_path / "y.tif", given.astype(np.float32), photometric="rgb" if given.shape[2] == 3 else None)
    words = ("reconstruct", home, tmp_path / "y.tif", "--out", tmp_path / "x.tif", "--range", black, white)
    code, _, err = call(*words)
    assert code == 0, err
    found = (tifffile.imread(tmp_path / "x.tif").reshape(given.shape) - black) / (white - black)
    truth = measured.x[0].permute(1, 2, 0).numpy()
    with (home / "images.csv").open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream) if row["set"] == "test"}
    recorded = float(rows[test.names[1]]["psnr-rgb-clip"])
    assert -10 * np.log10(((found - truth) ** 2).mean()) == pytest.approx(recorded, abs=1e-3)


def test_other_units_than_those_of_training_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(images=pngs(data), held=2))
    assert call("run", path, "--keep-going", "--data", data, "--workers", 1, "--no-probe")[0] == 0
    home = Folder.beside(path).of(runs_of(load_study(path))[0])
    deep = (100 + 630 * scene(50)[..., 0]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep)
    words = ("reconstruct", home, tmp_path / "a.tif", "--out", tmp_path / "b.tif")
    said = refused(*words)
    assert "a small part of the range" in said and "--range" in said and not (tmp_path / "b.tif").exists()
    code, _, err = call(*words, "--range", 100, 730)
    assert code == 0 and "what is grey goes through as three equal channels" in err
    result = tifffile.imread(tmp_path / "b.tif")
    assert result.min() >= 100 and result.max() <= 730
    tifffile.imwrite(tmp_path / "c.tif", 255 * scene(51, 3).astype(np.float32), photometric="rgb")
    assert "holds values from" in refused("reconstruct", home, tmp_path / "c.tif", "--out", tmp_path / "d.tif")
    Image.fromarray((60 * scene(52, 3)).astype(np.uint8)).save(tmp_path / "dark.png")
    code, _, err = call("reconstruct", home, tmp_path / "dark.png", "--out", tmp_path / "e.png")
    assert code == 0 and "much less than those of training" in err
    np.save(tmp_path / "many.npy", np.stack([(255 * scene(seed, 3)).astype(np.uint8) for seed in (60, 61)]))
    assert call("reconstruct", home, tmp_path / "many.npy", "--out", tmp_path / "out.npy")[0] == 0
    result = np.load(tmp_path / "out.npy")
    assert result.shape == (2, 32, 32, 3) and result.dtype == np.uint8
    np.save(tmp_path / "wide.npy", (1000 * np.stack([scene(60, 3)])).astype(np.int32))
    assert "holds int32 values, whose range is not known" in refused(
        "reconstruct", home, tmp_path / "wide.npy", "--out", tmp_path / "out2.npy"
    )


MRI = """
name = "volumes"
[problem]
kind = "mri"
acceleration = 3
center_fraction = 0.2
mask = "random"
[images]
source = "{source}"
folders = ["scans"]
counts = "images"
val = 1
test = 2
[network]
family = "unrolled"
depth = 2
cascades = 2
[sweep]
n = [4]
width = [2]
[recipe]
steps = 10
batch = 2
"""


@pytest.mark.parametrize("source", ["nifti", "complex"])
def test_the_recorded_number_of_a_volume_of_images(source: str, tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")
    scans = tmp_path / "my data" / "scans"
    scans.mkdir(parents=True)
    for index in range(6):
        volume = np.abs(phantoms.images(3, (32, 28), index)).astype(np.float32)
        if source == "nifti":
            image = nib.Nifti1Image(np.moveaxis(volume, 0, -1), np.diag([1, 1, 5, 1]))
            image.to_filename(scans / f"p{index}.nii")
        else:
            np.save(scans / f"p{index}.npy", volume * np.exp(1j * volume / volume.max()).astype(np.complex64))
    path = tmp_path / "study.toml"
    path.write_text(MRI.format(source=source))
    code, _, err = call("run", path, "--keep-going", "--data", tmp_path / "my data", "--workers", 1, "--no-probe")
    assert code == 0, err
    study = load_study(path)
    home = Folder.beside(path).of(runs_of(study)[0])
    slices = open_images(study.images, data=tmp_path / "my data").tests["test"]
    assert isinstance(slices, Slices)
    volume_name, number = slices.names[0].rpartition("/")[::2]
    code, _, err = call("reconstruct", home, tmp_path / "my data" / volume_name, "--out", tmp_path / "x.npy")
    assert code == 0, err
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    found = torch.from_numpy(np.load(tmp_path / "x.npy")[int(number)])[None, None]
    scores = problem.scores(found, problem.fixed(slices, 0, None, EVALUATION_SEED))
    with (home / "images.csv").open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream) if row["set"] == "test"}
    for profile in ("psnr-fastmri-slice-v1", "ssim-fastmri-slice-v1"):
        assert scores[profile] == pytest.approx(float(rows[slices.names[0]][profile]), abs=1e-4)
