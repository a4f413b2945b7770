"""Denoising without the truth: what is estimated is what the truth would have said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from reconscale.data import ImageSet, ImageSubset, open_images
from reconscale.errors import UserError
from reconscale.physics import problem_of
from reconscale.physics.baselines import denoise_dct
from reconscale.physics.denoising import ALPHA, NoGroundTruth
from reconscale.study import DenoisingProblem, Images
from tests.cli.calling import call, refused

SIGMA = 10.0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, ImageSet, Path]:
    """Clean images, and the same with noise as an image set whose truth is lost."""
    place = tmp_path_factory.mktemp("noisy")
    options = Images(source="deadleaves", channels="gray", size=64, total=40, patch=64, val=1, test=1)
    train = open_images(options, cache=place).train
    assert isinstance(train, ImageSubset)
    clean = np.stack([train.image(i).astype(np.float32)[..., 0] / train.scale for i in range(36)])
    noise = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    clean = 0.25 + 0.5 * clean
    np.save(place / "noisy.npy", (clean + SIGMA / 255 * noise).clip(0, 1))
    images = Images(source="array", folders=("noisy.npy",), channels="gray", patch=32, val=4, test=12)
    return clean, open_images(images, data=place, cache=place / "cache"), place


def test_the_estimate_is_the_error_against_the_truth(both: tuple[np.ndarray, ImageSet, Path]) -> None:
    clean, images, _ = both
    problem = problem_of(DenoisingProblem(kind="denoising", sigma=SIGMA, truth="noisy"), torch.device("cpu"), 0)
    assert isinstance(problem, NoGroundTruth)
    everything = [images.train, images.val, images.tests["test"]]
    told, true = [], []
    for pixels in everything:
        assert isinstance(pixels, ImageSubset)
        for i, name in enumerate(pixels.names):
            example = problem.fixed(pixels, i)
            x_hat = denoise_dct(example.y, problem.level)  # type: ignore[arg-type]
            told.append(problem.scores(x_hat, example)["mse-from-noisy"])
            x = clean[int(name.rpartition("/")[2])]
            true.append(float(((x_hat[0, 0].numpy() - x) ** 2).mean()))
            spread = float((example.y[0, 0] - torch.from_numpy(x)).std())  # type: ignore[index]
            assert spread == pytest.approx(SIGMA / 255 * (1 + ALPHA**2) ** 0.5, rel=0.08)
    assert np.mean(told) == pytest.approx(np.mean(true), rel=0.1)
    scores = {str(i): {"mse-from-noisy": value} for i, value in enumerate(told)}
    pooled = problem.by_volume(scores, everything[0])["all images"]["psnr-from-noisy"]
    assert pooled == pytest.approx(-10 * np.log10(np.mean(true)), abs=0.45)


@pytest.mark.parametrize(("sigma", "photons"), [(0.0, 100.0), (5.0, 60.0)])
def test_the_estimate_with_poisson_noise(
    both: tuple[np.ndarray, ImageSet, Path], sigma: float, photons: float, tmp_path: Path
) -> None:
    clean = both[0]
    rng = np.random.default_rng(1)
    noisy = rng.poisson(clean * photons) / photons + sigma / 255 * rng.standard_normal(clean.shape)
    np.save(tmp_path / "counts.npy", (0.25 + noisy / 2).clip(0, 1).astype(np.float32))
    images = Images(source="array", folders=("counts.npy",), channels="gray", patch=32, val=4, test=12,
                    range=(0.25, 0.75))  # fmt: skip
    opened = open_images(images, data=tmp_path, cache=tmp_path / "cache")
    described = DenoisingProblem(kind="denoising", sigma=sigma, photons=photons, truth="noisy")
    problem = problem_of(described, torch.device("cpu"), 0)
    assert isinstance(problem, NoGroundTruth)
    told, true, without = [], [], []
    for pixels in (opened.train, opened.val, opened.tests["test"]):
        assert isinstance(pixels, ImageSubset)
        for i, name in enumerate(pixels.names):
            example = problem.fixed(pixels, i)
            x_hat = denoise_dct(example.y, problem.level)  # type: ignore[arg-type]
            told.append(problem.scores(x_hat, example)["mse-from-noisy"])
            x = clean[int(name.rpartition("/")[2])]
            true.append(float(((x_hat[0, 0].numpy() - x) ** 2).mean()))
            without.append(float(((example.x[0, 0].numpy() - x_hat[0, 0].numpy()) ** 2).mean()))
    assert np.mean(told) == pytest.approx(np.mean(true), rel=0.25)  # three times its scatter over 36 images
    assert np.mean(without) > 5 * np.mean(true)  # what is subtracted is most of it


def test_noise_that_is_not_there(both: tuple[np.ndarray, ImageSet, Path]) -> None:
    problem = NoGroundTruth(DenoisingProblem(kind="denoising", sigma=SIGMA, truth="noisy"), torch.device("cpu"), 0)
    with pytest.raises(UserError, match="weaker than the 10 grey levels given"):
        problem.by_volume({"a": {"mse-from-noisy": -0.001}}, both[1].train)  # type: ignore[arg-type]


STUDY = """
name = "blind"
[problem]
kind = "denoising"
truth = "noisy"
sigma = 10
{problem}
[images]
source = "array"
folders = ["noisy.npy"]
channels = "gray"
patch = 32
crop = "center"
val = 4
test = 12
[network]
family = "dncnn"
depth = 3
[sweep]
n = [2, 6, 18]
width = [4]
seed = [0, 1]
[recipe]
steps = 20
batch = 2
loss = "{loss}"
select = "loss"
"""


def test_a_curve_without_any_truth(both: tuple[np.ndarray, ImageSet, Path], tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(problem="", loss="neighbor2neighbor"))
    code, _, err = call("run", path, "--keep-going", "--data", both[2])
    assert code == 0, err
    code, _, err = call("report", path, "--out", tmp_path / "r")
    assert code == 0, err
    page = (tmp_path / "r" / "report.html").read_text()
    assert "nobody has the truth" in page and "no-truth" in page and "psnr-from-noisy" in page
    numbers = json.loads((tmp_path / "r" / "numbers.json").read_text())
    assert numbers["profile"] == "psnr-from-noisy" and ">Pictures<" not in page


@pytest.mark.parametrize(
    "problem, loss, sentence",
    [
        ("", "mse", "recipe.loss: without the truth, set it to 'neighbor2neighbor', 'noise2void' or 'sure'"),
        ("", "noise2noise", "recipe.loss: without the truth"),
        ("photons = 10", "sure", "'sure' needs Gaussian noise of one level; leave photons"),
        ("test_sigma = [10]", "sure", "test_sigma: images that are noisy already"),
    ],
)
def test_what_needs_the_truth(problem: str, loss: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(problem=problem, loss=loss))
    assert sentence in refused("status", path)
