"""Real pairs through the command line: the study of the how-to, on the pairs of a camera."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reconscale.data import write_image
from reconscale.data.image_files import read_pixels
from tests import camera

from .calling import call, refused
from .test_sweep import call as call_apart
from .test_sweep import records, start

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "real-pairs.md"
(STUDY,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 scenes of 16-bit images with three noisy copies each."""
    folder = tmp_path_factory.mktemp("camera")
    camera.write_pairs(folder, scenes=20, copies=3, side=48)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of the page, run without interruption."""
    path = tmp_path_factory.mktemp("study") / "study.toml"
    # What computes fastest is measured in each folder of results: on a busy machine it may differ.
    path.write_text(STUDY.replace("[recipe]\n", '[recipe]\nprecision = "fp32"\n'), encoding="utf-8")
    code, out, err = call_apart("run", path, "--data", data, "--keep-going", "--workers", 1)
    assert code == 0, err
    assert "on 18 images of 'test'" in out + err
    return path


def test_a_curve_and_a_report(finished: Path) -> None:
    results = [record for record, _ in records(finished).values()]
    assert sorted({result["run"]["n"] for result in results}) == [2, 5, 10] and len(results) == 6
    assert all({"psnr-rgb-clip", "psnr-affine"} <= set(result["metrics"]["test"]) for result in results)
    code, out, _ = call("status", finished)
    assert code == 0 and "6 done" in out
    code, out, err = call("decide", finished)
    assert code == 0 and "scenes" in out, err
    code, _, err = call("report", finished)
    assert code == 0, err
    page = (finished.parent / "report" / "report.html").read_text(encoding="utf-8")
    assert "Restoration of real pairs" in page and "split by scene" in page
    anchors = json.loads((finished.parent / "runs" / "anchors" / "anchors.json").read_text())
    values = {kind: value["psnr-rgb-clip"] for kind, value in anchors["sets"]["test"].items()}
    assert set(values) == {"input", "classical"} and values["classical"] > values["input"] + 1
    assert max(result["metrics"]["test"]["psnr-rgb-clip"] for result in results) > values["input"]


def test_data_shows_what_belongs_to_what(finished: Path, data: Path) -> None:
    code, out, err = call("data", finished, "--data", data, "--json")
    assert code == 0, err
    described = json.loads(out)
    assert described["pairs"]["matched"] == ("every folder, a scene, has one truth, such as noisy/00/0.tif with "
                                             "clean/00.tif")  # fmt: skip
    assert described["sets"]["train"]["scenes"] == described["available"] == 10
    assert described["pairs"]["median shift in pixels"] < 0.3
    code, out, err = call("data", finished, "--data", data, "--split")
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 60 and rows[0]["truth"] == rows[0]["unit"] == f"clean/{rows[0]['image'][6:8]}.tif"
    assert len({row["unit"] for row in rows[:3]}) == 1  # the copies of the first scene come together


def test_reconstruct_keeps_the_depth_and_the_range(finished: Path, data: Path, tmp_path: Path) -> None:
    run = sorted((finished.parent / "runs").glob("*-n10-s0-*"))[0]
    given = tmp_path / "given"
    shutil.copytree(data / "noisy" / "07", given)
    code, _, err = call("reconstruct", run, given, "--out", tmp_path / "out")
    assert code == 0, err
    truth = read_pixels(data / "clean" / "07.tif").astype(float)
    for name in ("0.tif", "1.tif", "2.tif"):
        noisy, found = (read_pixels(folder / name) for folder in (given, tmp_path / "out"))
        assert found.dtype == np.uint16 and found.shape == noisy.shape
        errors = [np.sqrt(np.mean((image.astype(float) - truth) ** 2)) for image in (noisy, found)]
        assert errors[1] < errors[0] and camera.BLACK <= found.min() < found.max() <= camera.WHITE
    write_image(given / "0.tif", (read_pixels(given / "0.tif").astype(np.uint16) * 16))
    assert "the run was trained on images with black = 100 and white = 1160" in refused(
        "reconstruct", run, given, "--out", tmp_path / "no")  # fmt: skip
    assert not (tmp_path / "no").exists()


def test_a_stack_of_inputs_keeps_its_axes(finished: Path, data: Path, tmp_path: Path) -> None:
    run = sorted((finished.parent / "runs").glob("*-n10-s0-*"))[0]
    stack = np.stack([read_pixels(data / "noisy" / "07" / f"{k}.tif")[..., 0] for k in range(3)])
    about = {"axes": "TYX", "finterval": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(5.0, 5.0), metadata=about)
    code, _, err = call("reconstruct", run, tmp_path / "a.tif", "--out", tmp_path / "b.tif")
    assert code == 0, err
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert (
            file.series[0].axes == "TYX" and file.series[0].shape == stack.shape and file.pages[0].dtype == stack.dtype
        )
        assert file.imagej_metadata["finterval"] == 0.5 and file.pages[0].tags[282].value == (5, 1)


def test_killed_and_continued(finished: Path, data: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of training changes nothing in the results."""
    study = tmp_path / "study.toml"
    shutil.copy(finished, study)
    process = start("run", study, "--data", data, "--keep-going", "--workers", 1, "--checkpoint-seconds", 0.05)
    until = time.monotonic() + 120
    while not list((tmp_path / "runs").glob("*/result.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(list((tmp_path / "runs").glob("*/result.json")))
    assert 0 < done < 6
    time.sleep(1.0)  # workers notice that their driver is gone
    code, _, err = call_apart("run", study, "--data", data, "--keep-going", "--workers", 1)
    assert code == 0, err
    assert records(study) == records(finished)


def test_swapped_folders_write_nothing(data: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY.replace('"noisy"', '"x"').replace('"clean"', '"y"'))
    (tmp_path / "data").mkdir()
    for index in range(16):
        values = camera.scene(index, 48)
        write_image(tmp_path / "data" / "x" / f"{index}.tif", camera.stored(values))
        noisy = camera.photograph(values, np.random.default_rng(index))
        write_image(tmp_path / "data" / "y" / f"{index}.tif", noisy)
    said = refused("run", study, "--data", tmp_path / "data")
    assert "are inputs and truths swapped? If not, set images.allow_noisy_truth = true" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('kind = "pairs"', 'kind = "denoising"', "denoising makes its own inputs, and the source 'pairs' has some"),
        ('source = "pairs"', 'source = "folder"', "is for the source 'pairs', not for 'folder'"),
        ('inputs = "noisy" ', 'inputs = "nosy" ', "images.inputs: found 'nosy', which does not exist"),
        ('kind = "pairs"', 'kind = "pairs"\nfactor = 2', "problem.factor: found 2, and truths are as large as inputs"),
        ('kind = "pairs"', 'kind = "pairs"\nfactor = 5', "problem.factor: found 5"),
        ('kind = "pairs"', 'kind = "pairs"\nsigma = 5', "problem.sigma"),
        ("batch = 4", 'batch = 4\nloss = "sure"', "recipe.loss: 'sure' is for denoising; pairs needs the truth"),
        ("test = 6", "test = 90", "hold out 4 + 90 of 20 units"),
    ],
)
def test_mistakes_of_a_study(old: str, new: str, words: str, data: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    assert STUDY.count(old) == 1
    study.write_text(STUDY.replace(old, new))
    assert words in refused("data", study, "--data", data)
