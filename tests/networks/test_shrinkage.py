"""The quick networks of denoising: what they are before training, and how many parameters they have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reconscale.networks import InputSpec, build, size_of
from reconscale.networks.convolutional import ResNet
from reconscale.networks.registry import FAMILIES, min_image_size
from reconscale.networks.shrinkage import Shrinkage
from reconscale.study import Network

SIGMA = 25 / 255
QUICK = ("resnet", "shrinkage", "shrinkage-unet")


def smooth(channels: int, rows: int = 64, columns: int = 80) -> Tensor:
    """A smooth image with an edge, in [0, 1]."""
    down, right = torch.linspace(0, 3, rows)[:, None], torch.linspace(0, 5, columns)
    image = 0.5 + 0.2 * torch.sin(down + right) + 0.15 * (right > 2.2)
    return image.expand(1, channels, rows, columns).clone()


def psnr(x: Tensor, x_hat: Tensor) -> float:
    return float(-10 * torch.log10((x - x_hat).square().mean()))


def noisy(x: Tensor) -> Tensor:
    return x + SIGMA * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", ["shrinkage", "shrinkage-unet"])
@pytest.mark.parametrize("channels", [1, 3])
def test_untrained_shrinkage_removes_noise(family: str, channels: int) -> None:
    x = smooth(channels)
    y = noisy(x)
    with torch.no_grad():
        x_hat = build(Network(family=family, width=4), InputSpec(channels, sigma=SIGMA))(y)
    assert psnr(x, x_hat) > psnr(x, y) + 8.0


def test_untrained_shrinkage_is_the_filter_written_out() -> None:
    """Blocks one by one, in float64: an orthonormal DCT, the gains, its inverse, and the mean over all blocks."""
    y = noisy(smooth(1, 16, 18)).double()
    network = Shrinkage(1, 4, 1, SIGMA).double()
    with torch.no_grad():
        x_hat = network(y)
    z = torch.nn.functional.pad((y - 0.45) / SIGMA, (6, 6, 6, 6), mode="reflect")[0, 0]
    frequency, position = torch.arange(8.0, dtype=torch.float64)[:, None], torch.arange(8.0, dtype=torch.float64)
    dct = torch.cos(torch.pi * (2 * position + 1) * frequency / 16) / 2
    dct[0] /= 2**0.5
    expected = torch.zeros_like(z)
    for row in range(0, z.shape[0] - 7, 2):
        for column in range(0, z.shape[1] - 7, 2):
            coefficients = dct @ z[row : row + 8, column : column + 8] @ dct.T
            odds = (coefficients.square() / 3.2**2 + 0.02).square()
            odds[0, 0] *= torch.e**8
            expected[row : row + 8, column : column + 8] += dct.T @ (coefficients * odds / (1 + odds)) @ dct / 16
    assert torch.allclose(x_hat[0, 0], expected[6:-6, 6:-6] * SIGMA + 0.45, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("head", ["random", "zero"])
def test_untrained_shrinkage_gives_back_what_is_not_noisy(channels: int, head: str) -> None:
    """Of colour images the highest frequencies of the colour differences are left out."""
    small = smooth(channels, 32, 40)
    network = Network(family="shrinkage", width=4, head=head)
    enlarged = build(Network(family="resnet", width=4, head="zero"), InputSpec(channels, "superresolution", 2))(small)
    with torch.no_grad():
        x_hat = build(network, InputSpec(channels, "superresolution", 2))(small)
    assert torch.allclose(x_hat, enlarged, atol=1e-3)


@pytest.mark.parametrize("network", [Network(family="resnet", width=6, head="zero"),
                                     Network(family="unet", width=6, head="zero", norm="none")])  # fmt: skip
def test_an_untrained_network_with_a_head_of_zeros_gives_back_its_input(network: Network) -> None:
    y = noisy(smooth(3, 37, 50))
    with torch.no_grad():
        assert torch.equal(build(network, InputSpec(3))(y), y)


@pytest.mark.parametrize("family", QUICK)
@pytest.mark.parametrize("size", [(9, 12), (33, 31), (2, 65)])
def test_odd_sizes(family: str, size: tuple[int, int]) -> None:
    network = Network(family=family, width=2)
    for channels in (1, 3):
        x_hat = build(network, InputSpec(channels))(torch.rand(2, channels, *size))
        assert x_hat.shape == (2, channels, *size) and x_hat.isfinite().all()
    assert min_image_size(network, InputSpec(1)) <= 8


@pytest.mark.parametrize("channels, coefficients", [(1, 64), (3, 94)])
@pytest.mark.parametrize("width, depth", [(2, 1), (16, 2), (48, 3)])
def test_parameters_have_a_formula(channels: int, coefficients: int, width: int, depth: int) -> None:
    def counted(family: str) -> int:
        return size_of(Network(family=family, width=width, depth=depth), InputSpec(channels)).p

    def inside(width: int, depth: int) -> int:
        return depth * (18 * width**2 + 2 * width)

    def shrinkage(depth: int) -> int:
        filters = 2 * 4 * channels * 16 * coefficients
        return filters + inside(width, depth) + (2 * coefficients + 1) * width + coefficients

    assert counted("resnet") == 18 * depth * width**2 + (72 * channels + 2 * depth + 1) * width + 4 * channels
    assert counted("shrinkage") == shrinkage(depth)
    second = 2 * inside(width, depth) + inside(2 * width, depth) + 16 * width**2 + 6 * width
    ends = (72 * channels + 1) * width + 36 * channels * width + 4 * channels
    assert counted("shrinkage-unet") == shrinkage(1) + second + ends


@pytest.mark.parametrize("family", QUICK)
def test_the_centre_of_a_tile_sees_what_it_sees_in_the_whole_image(family: str) -> None:
    """The context that a family names is enough: what is farther away does not change a pixel."""
    torch.manual_seed(0)
    network = Network(family=family, width=4, depth=1)
    module = build(network, InputSpec(1)).double()
    context = -(-FAMILIES[family].context(1) // 4) * 4
    y = torch.rand(1, 1, 2 * context + 24, 2 * context + 24, dtype=torch.float64)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    far = y.clone()
    far[..., :4, :] = 0
    with torch.no_grad():
        assert torch.allclose(module(y)[..., context + 4 :, :], module(far)[..., context + 4 :, :], atol=1e-12)


def test_little_noise_does_not_make_the_changes_of_a_residual_network_small() -> None:
    """What inpainting leaves to do has nothing to do with how much noise there is: 8 dB were lost by that."""

    def unit(kind: str, sigma: float, photons: float | None = None) -> float:
        network = build(Network(family="resnet", width=4), InputSpec(1, kind, 1, sigma, photons))
        return next(part.scale for part in network.modules() if isinstance(part, ResNet))

    assert unit("inpainting", 0.05 / 255) == unit("inpainting", SIGMA) == SIGMA
    assert unit("inpainting", 100 / 255) == 100 / 255
    assert unit("denoising", 1 / 255) == 1 / 255
    assert unit("denoising", 1 / 255, 10.0) == pytest.approx((0.45 / 10 + 1 / 255**2) ** 0.5)
