"""Problems and families from the command line: a study of each, its report, and what cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .calling import call, refused

STUDY = """
name = "small"
[problem]
{problem}
[images]
source = "deadleaves"
channels = "gray"
size = 32
total = 14
patch = {patch}
val_patch = 32
test_patch = 32
val = 2
test = 3
{images}
[network]
{network}
[sweep]
n = [2, 4, 8]
width = [{width}]
seed = [0, 1]
[recipe]
steps = 6
batch = 2
{recipe}
"""


def write(
    folder: Path,
    problem: str,
    *,
    network: str = "",
    width: int = 4,
    patch: int = 32,
    images: str = "",
    recipe: str = "",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = STUDY.format(problem=problem, network=network, width=width, patch=patch, images=images, recipe=recipe)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_a_study_of_superresolution_from_plan_to_a_larger_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a", 'kind = "superresolution"\nfactor = 2\nsigma = 5\ntest_sigma = [2, 10]')
    code, out, err = call("run", path, "--keep-going")
    assert code == 0, err
    other = write(
        tmp_path / "b", 'kind = "superresolution"\nfactor = 2\nsigma = 5', network='family = "edsr"\ndepth = 2'
    )
    assert call("run", other, "--keep-going")[0] == 0
    code, out, err = call("report", path, "--out", tmp_path / "r")
    assert code == 0, err
    page = (tmp_path / "r" / "report.html").read_text()
    for words in ("Super-resolution 2 times, bicubic reduction, noise of σ = 5 of 255", "psnr-y-crop-s",
                  "test at sigma 10", "What one step of quality is worth", "less noise",
                  "given 4 × 4 pixels by bicubic reduction",
                  "iterative back-projection"):  # fmt: skip
        assert words in page, words
    numbers = json.loads((tmp_path / "r" / "numbers.json").read_text())
    assert {row["what"] for row in numbers["tables"]["exchange"]} == {"n", "sigma"}
    code, out, err = call("compare", path, other, "--out", tmp_path / "c")
    assert code == 0, err
    assert "less noise" in out and "+0.1 dB =" in out
    compared = (tmp_path / "c" / "compare.html").read_text()
    assert "b over a" in compared and "What one step of quality is worth" in compared and "comparison.png" in compared
    made = json.loads((tmp_path / "c" / "numbers.json").read_text())
    assert [row["n"] for row in made["differences"]] == [2, 4, 8] and all(d["pairs"] == 2 for d in made["differences"])
    run = next((tmp_path / "a" / "runs").iterdir())
    Image.fromarray(np.zeros((21, 18), np.uint8)).save(tmp_path / "small.png")
    assert call("reconstruct", run, tmp_path / "small.png", "--out", tmp_path / "large.png")[0] == 0
    with Image.open(tmp_path / "large.png") as image:
        assert image.size == (36, 42)


@pytest.mark.parametrize(
    "problem, words",
    [
        (
            'kind = "tomography"\nangles = 8\nsigma = 1',
            ["8 parallel-beam views", "3 views, as dense as 8 of 32 pixels"],
        ),
        ('kind = "inpainting"\nkeep = 0.6', ["inpainting, 60 % of the pixels kept"]),
        ('kind = "compressed-sensing"\nblock = 8', ["25 % of the pixels", "0.25 combinations a pixel of blocks of 8"]),
        ('kind = "deblurring"\nradius = 1', ["gaussian kernel of 1 pixels"]),
        ('kind = "denoising"\nsigma = 10\nphotons = 200', ["Gaussian noise, σ = 10 of 255 and Poisson noise of 200"]),
    ],
)
def test_reports_of_other_problems(problem: str, words: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "s", problem)
    code, _, err = call("run", path, "--keep-going")
    assert code == 0, err
    assert call("report", path, "--out", tmp_path / "r")[0] == 0
    page = (tmp_path / "r" / "report.html").read_text()
    for text in words:
        assert text in page, text


@pytest.mark.parametrize(
    "options, sentence",
    [
        (
            {"problem": 'kind = "superresolution"\nfactor = 3'},
            "images.patch: found 32, which the factor 3 does not divide",
        ),
        ({"problem": 'kind = "superresolution"\nfactor = 5'}, "problem.factor: found 5, input should be 2, 3, 4 or 8"),
        ({"problem": 'kind = "superresolution"', "network": 'family = "varnet"'}, "'varnet' is not made for superres"),
        (
            {"problem": 'kind = "superresolution"', "network": 'family = "dncnn"\nupsampler = "subpixel"'},
            "it has: bicubic",
        ),
        (
            {"problem": 'kind = "superresolution"\nfactor = 8', "network": 'family = "swinir"', "width": 6},
            "images.patch: found 32; swinir of depth 6 needs at least 64",
        ),
        (
            {"problem": 'kind = "denoising"', "network": 'family = "swinir"', "width": 10},
            "sweep.width: found 10, which 6 attention heads do not divide; give a multiple, like 12",
        ),
        (
            {"problem": 'kind = "denoising"', "network": 'family = "unet"\ndepth = 5', "patch": 64},
            "images.val_patch: found 32; unet of depth 5 needs at least 64",
        ),
        (
            {"problem": 'kind = "denoising"', "network": 'family = "unet"\nheads = 2'},
            "network.heads: 'unet' has no heads",
        ),
        (
            {"problem": 'kind = "tomography"', "images": "split_seed = 1", "patch": 16},
            "the views of a crop are not those of its image; set val_patch and test_patch to 16",
        ),
        ({"problem": 'kind = "compressed-sensing"\nblock = 12'}, "found 32, which blocks of 12 do not divide"),
        ({"problem": 'kind = "deepinv"\noperator = "Blurr"'}, "problem.operator: found 'Blurr'; did you mean 'Blur'"),
        ({"problem": 'kind = "deepinv"\noperator = "MRI"'}, "problem.operator: 'MRI' cannot measure"),
        ({"problem": 'kind = "deblurring"\nradius = 20'}, "problem.radius: found 20, a kernel of"),
        ({"problem": 'kind = "deblurring"\ntest_sigma = [5, 5]'}, "problem.test_sigma: a level is given twice"),
        ({"problem": 'kind = "denoising"\nsigma = 0'}, "found 0, which leaves nothing to remove"),
        ({"problem": 'kind = "denoising"\nsigma_range = [50, 5]'}, "sigma_range: found [50.0, 5.0]"),
        ({"problem": 'kind = "denoising"\nnoise = "fixed"'}, "set images.crop to 'center' without augment"),
        (
            {"problem": 'kind = "inpainting"', "recipe": 'loss = "sure"'},
            "'sure' is for denoising; inpainting needs the",
        ),
        (
            {"problem": 'kind = "denoising"\nphotons = 10', "recipe": 'loss = "sure"'},
            "'sure' needs Gaussian noise of one",
        ),
        ({"problem": 'kind = "deblurring"', "network": 'family = "unrolled"'}, "'unrolled' is not made for deblurring"),
    ],
)
def test_what_cannot_work_is_named_before_anything_trains(
    options: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "s", **options)  # type: ignore[arg-type]
    assert sentence in refused("run", path)
    assert not list(tmp_path.rglob("result.json")) and not list(tmp_path.rglob("weights*"))


def test_profiles_belong_to_their_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "s", 'kind = "denoising"', recipe='[analysis]\nprofile = "psnr-y-crop-s"')
    assert "analysis.profile: found 'psnr-y-crop-s', which is not for denoising" in refused("status", path)
