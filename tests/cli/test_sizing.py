"""The verb test-size, on studies of the repository and on tables of anybody."""

import json
from pathlib import Path

import numpy as np
import pytest

from .calling import call, refused

STUDIES = Path(__file__).parents[2] / "studies"


def images(tmp_path, count=40, spread=0.1, name="methods.csv"):
    rng = np.random.default_rng(0)
    first = 30 + 2 * rng.standard_normal(count)
    second = first + 0.1 + spread * rng.standard_normal(count)
    path = tmp_path / name
    rows = "".join(f"{k},{a},{b}\n" for k, (a, b) in enumerate(zip(first, second, strict=True)))
    path.write_text(f"image,unet,swinir\n{rows}")
    return path


def test_a_study():
    code, out, _ = call("test-size", STUDIES / "denoising-photos", "--difference", 0.1)
    assert code == 0 and "the present 68 images can tell" in out and "width 24, width 48" in out


def test_slices_count_as_patients():
    _, out, _ = call("test-size", STUDIES / "mri-brain" / "unet-4x", "--test-set", "ljubljana", "--json")
    answer = json.loads(out)["answer"]
    assert (answer["units"], answer["noun"]) == (3, "patients")
    assert {item["code"] for item in answer["findings"]} >= {"few-test-units"}


def test_one_patient_is_refused():
    words = refused("test-size", STUDIES / "mri-brain" / "unet-4x")
    assert "found 1 patient; nothing says how another one would differ" in words


def test_two_runs_of_a_study():
    runs = STUDIES / "denoising-photos" / "runs"
    first, second = (next(runs.glob(f"*-w24-n638-s{seed}-*")) / "images.csv" for seed in (0, 1))
    _, out, _ = call("test-size", first, "--beside", second, "--metric", "psnr-rgb-clip", "--json")
    assert json.loads(out)["answer"]["units"] == 68


def test_a_table_of_images_paired_and_unpaired(tmp_path):
    path = images(tmp_path)
    _, out, _ = call("test-size", path, "--metric", "psnr", "--difference", 0.1)
    assert "the present 40 images can tell" in out and "unet and swinir" in out and "paired" in out
    _, out, _ = call("test-size", path, "--metric", "psnr", "--difference", 0.1, "--unpaired", "--power", 0.8, "--json")
    answer = json.loads(out)["answer"]
    assert answer["needed"] > 1000 and not answer["enough"] and answer["power"] == 0.8


def test_a_table_of_runs(tmp_path):
    path = tmp_path / "points.csv"
    rng = np.random.default_rng(0)
    errors = 1e-3 * np.exp(rng.normal(0, 0.05, (3, 20)) + rng.normal(0, 0.5, 20))
    head = ",".join(f"image_{k + 1}" for k in range(20))
    rows = [
        f"{n},{-10 * np.log10(e).mean()}," + ",".join(map(str, e)) for n, e in zip((10, 30, 100), errors, strict=True)
    ]
    path.write_text(f"n,psnr,{head}\n" + "\n".join(rows) + "\n")
    code, out, _ = call("test-size", path)
    assert code == 0 and "20 images" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--metric", "psnr", "--difference", 0), "a difference above 0 is expected"),
        (("--metric", "psnr", "--power", 1.5), "a chance from 0.5 to below 1"),
        (("--metric", "vmaf"), "--higher-is-better"),
        ((), "does not say what its values are"),
        (("--metric", "psnr", "--beside", STUDIES / "denoising-photos"), "holds the methods unet, swinir"),
    ],
)
def test_refused(tmp_path, more, words):
    assert words in refused("test-size", images(tmp_path), *more)


def test_means_alone_are_refused(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("n,psnr\n10,28\n30,29\n")
    assert "no values of single images" in refused("test-size", path)


def test_other_images_are_refused(tmp_path):
    first, second = images(tmp_path), tmp_path / "other.csv"
    first.write_text("image,psnr\na,30\nb,31\n")
    second.write_text("image,psnr\na,30\nc,31\n")
    assert "of which 2 are of one alone, such as 'b'" in refused("test-size", first, "--beside", second)


def test_columns_that_are_no_methods_are_said(tmp_path):
    path = images(tmp_path)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},fold", *(f"{row},{k % 5}" for k, row in enumerate(rows))]))
    _, out, _ = call("test-size", path, "--metric", "psnr")
    assert "Columns that are no methods: fold" in out and "unet and swinir" in out
    assert json.loads(call("test-size", path, "--metric", "psnr", "--json")[1])["left_out"] == ["fold"]
    path.write_text("\n".join(["image,unet,fold", *(f"{k},{30.5 + k},{k % 5}" for k in range(9))]))
    assert "one method alone (columns that are no methods: fold)" in refused("test-size", path, "--metric", "psnr")
