"""The linear explanation of other problems: the matrix of a patch measures what the problem measures of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reconscale.data import ImageSet, open_images
from reconscale.errors import UserError
from reconscale.physics import problem_of
from reconscale.physics.base import ROUNDING, matrix_of
from reconscale.physics.superresolution import downscale
from reconscale.results import Folder
from reconscale.study import Images
from reconscale.study.problems import PROBLEMS
from reconscale.study.study_file import parse_study
from reconscale.training.linear_explanation import explanation


def made(kind: str, channels: int = 1, patch: int = 48, **options: Any) -> Any:
    problem = problem_of(PROBLEMS[kind](kind=kind, **options), torch.device("cpu"), 0)
    return problem.patch_operator(channels, patch)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("kernel", ["bicubic", "box", "gaussian"])
def test_the_matrix_reduces_a_patch(channels: int, factor: int, kernel: str) -> None:
    operator = made("superresolution", channels, factor=factor, kernel=kernel)
    patch = np.random.default_rng(0).random(operator.shape)
    image = torch.from_numpy(patch).permute(2, 0, 1)[None].float()
    expected = downscale(image, factor, kernel)[0].flatten().numpy()
    assert np.allclose(operator.matrix @ patch.ravel(), expected, atol=1e-6)
    assert operator.sigma == ROUNDING and operator.measurements == operator.pixels // factor**2


def test_views_grow_with_the_side() -> None:
    few, many = made("tomography", angles=16, patch=48), made("tomography", angles=64, patch=48)
    assert few.words.startswith("4 views") and many.words.startswith("16 views")
    assert np.linalg.norm(few.matrix, 2) == pytest.approx(1, abs=0.02)


def test_blocks_of_compressed_sensing_have_orthonormal_rows() -> None:
    matrix = made("compressed-sensing", block=8, ratio=0.25).matrix
    assert np.allclose(matrix @ matrix.T, np.eye(16), atol=1e-5)


def test_the_order_of_pixels() -> None:
    doubled = matrix_of(lambda x: 2 * x[:, :, 1:2, 0:1], (2, 2, 3))
    assert doubled.shape == (3, 12) and np.flatnonzero(doubled).tolist() == [6, 12 + 7, 24 + 8]


@pytest.mark.parametrize(
    "kind, options, sentence",
    [
        ("denoising", {"photons": 10.0}, "Poisson noise has no linear explanation"),
        ("denoising", {"truth": "noisy"}, "noisy images have no clean covariance"),
        ("superresolution", {"jpeg": 50}, "JPEG has no linear explanation"),
        ("compressed-sensing", {"block": 16}, "blocks up to 12"),
    ],
)
def test_what_has_none(kind: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(kind, **options)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    options = Images(source="deadleaves", channels="gray", size=48, total=60, patch=48, val=2, test=10)
    return open_images(options, cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    "problem",
    [{"kind": "superresolution", "factor": 2}, {"kind": "tomography", "angles": 12, "sigma": 2.0},
     {"kind": "inpainting"}, {"kind": "compressed-sensing", "block": 8}],
    ids=lambda problem: problem["kind"],
)  # fmt: skip
def test_more_is_measured_the_lower_is_the_floor(problem: dict[str, Any], images: ImageSet, tmp_path: Path) -> None:
    more = {"superresolution": {"kernel": "box"}, "tomography": {"angles": 48}, "inpainting": {"keep": 0.9},
            "compressed-sensing": {"ratio": 0.7}}[problem["kind"]]  # fmt: skip
    floors = []
    for index, options in enumerate((problem, problem | more)):
        drawn = images.images.model_dump(exclude_defaults=True) | {"val_patch": 48, "test_patch": 48}
        content = {"name": "s", "problem": options, "images": drawn, "sweep": {"n": [4, 16], "width": [4]}}
        study = parse_study(content)
        record = explanation(study, images, Folder(tmp_path / str(index)), lambda *_: None)
        assert "lacking" not in record and record["operator"]
        mse = record["curve"]["mse"]
        assert all(np.diff(mse) < 0) and mse[-1] > record["floor"] > 0
        floors.append(record["floor"])
    if problem["kind"] != "superresolution":
        assert floors[1] < floors[0]
