"""Super-resolution: the reduction is that of Pillow and MATLAB, and published values of bicubic interpolation hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reconscale.data import open_images
from reconscale.errors import UserError
from reconscale.physics.base import Crops
from reconscale.physics.metrics import measure_image, psnr_y_crop
from reconscale.physics.superresolution import Superresolution, back_project, crop_to_multiple, downscale, upscale
from reconscale.study import Images
from reconscale.study.problems import SuperresolutionProblem

CPU = torch.device("cpu")


def cubic(x: np.ndarray) -> np.ndarray:
    a = np.abs(x)
    near, far = 1.5 * a**3 - 2.5 * a**2 + 1, -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
    return np.where(a <= 1, near, np.where(a <= 2, far, 0.0))


def matlab(before: int, after: int) -> Tensor:
    """The matrix of MATLAB's imresize along one axis, written from its documentation: borders are mirrored."""
    scale = after / before
    reach = 2 / min(scale, 1)
    centres = (np.arange(after) + 0.5) / scale - 0.5
    places = np.floor(centres - reach).astype(int)[:, None] + np.arange(int(2 * reach) + 3)
    weights = cubic(min(scale, 1) * (centres[:, None] - places))
    weights /= weights.sum(1, keepdims=True)
    places %= 2 * before
    places = np.where(places >= before, 2 * before - 1 - places, places)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], places), weights)
    return torch.from_numpy(matrix)


def imresize(x: Tensor, rows: int, columns: int) -> Tensor:
    return matlab(x.shape[-2], rows) @ x.double() @ matlab(x.shape[-1], columns).T


def rounded(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="module")
def image() -> Tensor:
    rows = np.linspace(0, 1, 96)[:, None] * np.ones(72)
    noise = np.random.default_rng(0).random((96, 72))
    return torch.from_numpy((0.5 * rows + 0.5 * noise).astype(np.float32))[None, None]


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
class TestReduction:
    @pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "box", "gaussian"])
    def test_a_constant_stays_and_a_ramp_is_not_shifted(self, factor: int, kernel: str) -> None:
        assert torch.allclose(downscale(torch.full((1, 3, 48, 48), 0.3), factor, kernel), torch.tensor(0.3), atol=1e-6)
        ramp = torch.arange(96.0).expand(1, 1, 48, 96)
        means = ramp.reshape(1, 1, 48, 96 // factor, factor).mean(-1)[..., ::factor, :]
        inside = (..., slice(None), slice(3, -3))
        assert torch.allclose(downscale(ramp, factor, kernel)[inside], means[inside], atol=1e-3)

    def test_bicubic_is_pillows_everywhere(self, factor: int, image: Tensor) -> None:
        small = (72 // factor, 96 // factor)
        theirs = Image.fromarray(image[0, 0].numpy(), mode=None).resize(small, Image.Resampling.BICUBIC)
        assert np.abs(downscale(image, factor)[0, 0].numpy() - np.asarray(theirs)).max() < 1e-5

    def test_bicubic_is_matlabs_in_the_interior(self, factor: int, image: Tensor) -> None:
        theirs = imresize(image, 96 // factor, 72 // factor)
        inside = (..., slice(2, -2), slice(2, -2))
        assert (downscale(image, factor).double() - theirs)[inside].abs().max() < 1e-5
        larger = imresize(theirs, 96, 72)[..., 2 * factor : -2 * factor, 2 * factor : -2 * factor]
        ours = upscale(theirs, factor)[..., 2 * factor : -2 * factor, 2 * factor : -2 * factor]
        assert (larger - ours).abs().max() < 1e-5

    def test_back_projection_agrees_with_the_measurement(self, factor: int, image: Tensor) -> None:
        y = downscale(image, factor)
        before, after = ((downscale(back_project(y, factor, "bicubic", k), factor) - y).abs().mean() for k in (0, 16))
        assert after < 0.3 * before


def test_deepinvs_downsampling_is_shifted() -> None:
    """Why it is not used: at factor 4 its images lie a pixel beside those of MATLAB and Pillow."""
    from deepinv.physics import Downsampling

    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    theirs = Downsampling(img_size=(1, 64, 64), filter="bicubic", factor=4, device="cpu").A(x)
    shifted = Downsampling(img_size=(1, 64, 64), filter="bicubic", factor=4, device="cpu").A(x.roll((-1, -1), (2, 3)))
    ours, inside = downscale(x, 4), (..., slice(2, -2), slice(2, -2))
    assert (theirs - ours)[inside].abs().max() > 0.05
    assert (shifted - ours)[inside].abs().max() < 1e-5


PUBLISHED = {
    ("Set5", 2): 33.66, ("Set5", 3): 30.39, ("Set5", 4): 28.42,
    ("Set14", 2): 30.24, ("Set14", 3): 27.55, ("Set14", 4): 26.00,
}  # fmt: skip
"""PSNR of bicubic interpolation on the luma, as papers print it (for instance Lim et al. 2017, table 2)."""


@pytest.mark.parametrize("name", ["Set5", "Set14", "CBSD68", "Urban100_sub8"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_published_values_of_bicubic_interpolation(name: str, factor: int, shared: Path) -> None:
    """Within 0.02 dB of the printed values where the whole set is here, else of MATLAB's formula."""
    values, theirs = [], []
    problem = SuperresolutionProblem(kind="superresolution", factor=factor)  # type: ignore[arg-type]
    every = 1 if (name, factor) in PUBLISHED else 8
    for path in sorted((shared / "data" / "natural_test" / name).glob("*.*g"))[::every]:
        array = np.asarray(Image.open(path))
        planes = array[..., None] if array.ndim == 2 else array
        x = crop_to_multiple(torch.from_numpy(planes.copy()).permute(2, 0, 1)[None].double() / 255, factor)
        rows, columns = x.shape[-2] // factor, x.shape[-1] // factor
        y = rounded(downscale(x, factor))
        values.append(measure_image(upscale(y, factor), x, problem)["psnr-y-crop-s"])
        small = rounded(imresize(x, rows, columns))
        theirs.append(float(psnr_y_crop(imresize(small, *x.shape[-2:]), x, factor)))
    assert np.mean(values) == pytest.approx(np.mean(theirs), abs=0.02)
    if (name, factor) in PUBLISHED:
        assert np.mean(values) == pytest.approx(PUBLISHED[name, factor], abs=0.02)


def test_the_border_and_the_luma_of_the_metric() -> None:
    x = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    broken = x.clone()
    broken[..., :2, :] = 0
    broken[..., -2:] = 1
    assert float(psnr_y_crop(broken, x, 2)) == 100 > float(psnr_y_crop(broken, x, 1))
    grey = rounded(x[:, :1])
    assert float(psnr_y_crop(grey + 0.3 / 255, grey, 2)) == 100
    assert float(psnr_y_crop(grey + 1 / 255, grey, 2)) == pytest.approx(48.13, abs=0.6)


def test_options(tmp_path: Path) -> None:
    options = Images(source="deadleaves", channels="rgb", size=48, total=6, patch=48, val=1, test=1)
    pixels = open_images(options, cache=tmp_path).train
    x = torch.rand(2, 3, 48, 48)

    def drawn(**more: object) -> Tensor:
        problem = Superresolution(SuperresolutionProblem(kind="superresolution", **more), CPU, 0)  # type: ignore[arg-type]
        y = problem.examples(Crops(pixels, (x * 255).to(torch.uint8), ("a", "b")))[0].y
        assert isinstance(y, Tensor)
        return y

    clean = drawn()
    assert torch.equal(clean, rounded(clean))
    noisy = drawn(sigma=10.0)
    assert float((noisy - clean).std()) == pytest.approx(10 / 255, rel=0.1) and not torch.equal(noisy, rounded(noisy))
    blocky = drawn(jpeg=30)
    assert 0.01 < float((blocky - clean).abs().mean()) < 0.3 and blocky.shape == clean.shape
    assert not torch.equal(drawn(kernel="gaussian"), clean)


def test_scales_that_do_not_divide(tmp_path: Path) -> None:
    options = Images(source="deadleaves", channels="gray", size=48, total=6, patch=40, val=1, test=1)
    pixels = open_images(options, cache=tmp_path).train
    problem = Superresolution(SuperresolutionProblem(kind="superresolution", factor=3), CPU, 0)
    with pytest.raises(UserError, match="found 40, which the factor 3 does not divide; give a multiple of 3, like 39"):
        problem.check(pixels, 40)  # type: ignore[arg-type]
    example = problem.fixed(pixels, 0)  # type: ignore[arg-type]
    assert example.x.shape == (1, 1, 48, 48)
    assert problem.fixed(pixels, 0, crop=40).x.shape == (1, 1, 39, 39)  # type: ignore[arg-type]
