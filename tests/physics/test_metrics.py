"""Metric profiles against scikit-image, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from reconscale.errors import UserError
from reconscale.physics import measure_image
from reconscale.physics.metrics import MOST_DB
from reconscale.plugins import load_object
from reconscale.study import PROFILES, profiles_of

METRICS = {
    name: load_object(profile.function)
    for name, profile in PROFILES.items()
    if profile.function and profile.takes != "volumes" and not profile.problems
}
SIZES = [(7, 7), (8, 31), (33, 20), (64, 64)]


def pair(
    height: int, width: int, channels: int, seed: int = 0, noise: float = 0.1
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, channels, height, width, generator=generator)
    return x + noise * torch.randn(x.shape, generator=generator), x


def planes(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).double().numpy()


def test_every_profile_has_a_metric() -> None:
    assert tuple(METRICS) == profiles_of("denoising")
    assert all(p.function or p.takes == "volumes" or p.truth == "noisy" for p in PROFILES.values())


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("channels", [1, 3])
class TestContract:
    def test_one_float64_value_an_image(self, name: str, channels: int) -> None:
        x_hat, x = (
            torch.cat([a, a, b]) for a, b in zip(pair(20, 30, channels), pair(20, 30, channels, 1), strict=True)
        )
        values = METRICS[name](x_hat, x)
        assert values.shape == (3,) and values.dtype == torch.float64 and values.isfinite().all()
        assert values[0] == values[1] != values[2]
        assert torch.equal(values[2:], METRICS[name](x_hat[2:], x[2:]))

    def test_less_noise_is_better(self, name: str, channels: int) -> None:
        values = [float(METRICS[name](*pair(32, 32, channels, noise=noise))) for noise in (0.02, 0.1, 0.3)]
        assert sorted(values, reverse=PROFILES[name].larger_is_better) == values

    def test_equal_images(self, name: str, channels: int) -> None:
        _, x = pair(16, 16, channels)
        perfect = {"error": 0.0, "psnr": MOST_DB, "ssim": 1.0}[PROFILES[name].kind]
        assert float(METRICS[name](x, x)) == pytest.approx(perfect, abs=1e-12)

    def test_clipping_is_as_the_profile_says(self, name: str, channels: int) -> None:
        x_hat, x = pair(16, 16, channels, noise=0.5)
        same = torch.equal(METRICS[name](x_hat, x), METRICS[name](x_hat.clamp(0, 1), x))
        assert same == PROFILES[name].clip

    def test_bfloat16_and_inference_mode(self, name: str, channels: int) -> None:
        x_hat, x = pair(16, 16, channels)
        with torch.inference_mode():
            assert METRICS[name](x_hat.bfloat16(), x).dtype == torch.float64


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_ssim_and_psnr_equal_scikit_image(size: tuple[int, int], channels: int, noise: float) -> None:
    x_hat, x = pair(*size, channels, noise=noise)
    ours, theirs = 255 * planes(x), 255 * planes(x_hat.clamp(0, 1))
    ssim = structural_similarity(ours, theirs, data_range=255, channel_axis=-1)
    assert float(METRICS["ssim-uniform7"](x_hat, x)) == pytest.approx(ssim, abs=1e-6)
    psnr = peak_signal_noise_ratio(ours, theirs, data_range=255)
    assert float(METRICS["psnr-rgb-clip"](x_hat, x)) == pytest.approx(psnr, abs=1e-9)


def test_ssim_of_smooth_images_equals_scikit_image() -> None:
    ramp = torch.linspace(0, 1, 50).repeat(40, 1)[None, None]
    flat = torch.full_like(ramp, 0.5)
    for a, b in ((ramp, ramp * 0.9), (flat, flat + 0.01), (flat, ramp)):
        reference = structural_similarity(255 * planes(b), 255 * planes(a), data_range=255, channel_axis=-1)
        assert float(METRICS["ssim-uniform7"](a, b)) == pytest.approx(reference, abs=1e-6)


def test_psnr_of_luma_equals_that_of_scikit_image() -> None:
    x_hat, x = pair(40, 30, 3)
    ours, theirs = rgb2ycbcr(planes(x))[..., 0], rgb2ycbcr(planes(x_hat.clamp(0, 1)))[..., 0]
    reference = peak_signal_noise_ratio(ours, theirs, data_range=255)
    assert float(METRICS["psnr-y"](x_hat, x)) == pytest.approx(reference, abs=1e-9)
    gray_hat, gray = pair(40, 30, 1)
    assert torch.equal(METRICS["psnr-y"](gray_hat, gray), METRICS["psnr-rgb-clip"](gray_hat, gray))


def test_too_small_for_ssim() -> None:
    with pytest.raises(UserError, match=r"ssim-uniform7: found 6 x 9 pixels; needs 7 x 7"):
        METRICS["ssim-uniform7"](*pair(9, 6, 1))


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(7, 24), st.integers(7, 24), st.sampled_from([1, 3]), st.integers(0, 99), st.floats(0, 2))
def test_laws(height: int, width: int, channels: int, seed: int, noise: float) -> None:
    x_hat, x = pair(height, width, channels, seed, noise)
    values = measure_image(x_hat, x)
    assert list(values) == list(METRICS)
    assert values["mse"] >= 0 and values["ssim-uniform7"] <= 1 + 1e-12
    flipped = measure_image(x_hat.flip(-1), x.flip(-1))
    assert flipped == pytest.approx(values, rel=1e-9)
    if x_hat.min() >= 0 and x_hat.max() <= 1 and values["mse"] > 1e-10:
        assert values["psnr-rgb-clip"] == pytest.approx(-10 * np.log10(values["mse"]), abs=1e-9)
    assert values["psnr-rgb-clip"] <= MOST_DB
