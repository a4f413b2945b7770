"""The paper's U-Net: published parameter counts, and the fastMRI network as the reference."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from reconscale.networks import InputSpec, UNet, build, size_of
from reconscale.study import Network

PUBLISHED = {16: 116_707, 32: 465_859, 64: 1_861_507, 128: 7_442_179, 192: 16_742_019, 256: 29_761_027, 320: 46_499_203}


@pytest.mark.parametrize("width, p", PUBLISHED.items())
def test_published_parameter_counts(width: int, p: int) -> None:
    assert size_of(Network(family="unet", width=width), InputSpec(3)).p == p == 454 * width**2 + 30 * width + 3


@pytest.mark.parametrize("width", [16, 32, 64])
def test_parameter_count_of_the_mri_network(width: int) -> None:
    assert size_of(Network(family="unet", width=width, depth=4), InputSpec(1)).p == 7574 * width**2 + 10 * width + 1


def test_flops_are_counted_by_hand() -> None:
    """Multiply-adds per pixel: convolutions at full, half and quarter resolution, transposed ones, and the head."""
    c, channels = 16, 3
    full = 9 * (channels * c + c * c + 2 * c * c + c * c) + channels * c
    half = 9 * (2 * c * c + 4 * c * c + 8 * c * c + 4 * c * c) / 4
    quarter = 9 * (8 * c * c + 16 * c * c) / 16
    up = 4 * (2 * c * c) / 4 + 4 * (8 * c * c) / 16
    assert size_of(Network(width=c), InputSpec(channels)).flops == pytest.approx(2 * (full + half + quarter + up))


class Reference(nn.Module):
    """The same network written out level by level from its published description, with torch's own layers."""

    def __init__(self, channels: int, c: int) -> None:
        super().__init__()
        block = lambda a, b: nn.Sequential(  # noqa: E731
            nn.Conv2d(a, b, 3, padding=1, bias=False), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2),
            nn.Conv2d(b, b, 3, padding=1, bias=False), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2),
        )  # fmt: skip
        up = lambda a, b: nn.Sequential(  # noqa: E731
            nn.ConvTranspose2d(a, b, 2, stride=2, bias=False), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2)
        )
        self.down1, self.down2, self.bottom = block(channels, c), block(c, 2 * c), block(2 * c, 4 * c)
        self.up2, self.dec2, self.up1, self.dec1 = up(4 * c, 2 * c), block(4 * c, 2 * c), up(2 * c, c), block(2 * c, c)
        self.head = nn.Conv2d(c, channels, 1)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        a = self.down1(y)
        b = self.down2(functional.avg_pool2d(a, 2))
        m = self.bottom(functional.avg_pool2d(b, 2))
        x = self.dec2(torch.cat([self.up2(m), b], 1))
        return y - self.head(self.dec1(torch.cat([self.up1(x), a], 1)))


def test_same_function_as_the_written_out_network() -> None:
    torch.manual_seed(0)
    ours, reference = UNet(3, 4, 2), Reference(3, 4)
    renamed = {
        "encoder.0": "down1", "encoder.1": "down2", "encoder.2": "bottom",
        "decoder.0": "dec1", "decoder.1": "dec2", "up.0": "up1.0", "up.1": "up2.0", "head": "head",
    }  # fmt: skip
    state = {}
    for name, value in ours.state_dict().items():
        place = next(key for key in renamed if name.startswith(key + "."))
        rest = name.removeprefix(place).replace("first", "0").replace("second", "3")
        state[renamed[place] + rest] = value
    reference.load_state_dict(state)
    y = torch.rand(2, 3, 32, 24)
    torch.testing.assert_close(ours(y), reference(y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(33, 47), (8, 8), (50, 9)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    y = torch.rand(1, 1, *size)
    assert build(Network(width=2), InputSpec(1))(y).shape == y.shape


def test_the_subpixel_networks_weights_are_drawn_as_they_always_were() -> None:
    """Other draws would be other results of the same runs: first those of the U-Net, then the head of its own."""
    torch.manual_seed(5)
    made = build(Network(family="unet", width=4, upsampler="subpixel"), InputSpec(3, "superresolution", 2))
    torch.manual_seed(5)
    expected = {**UNet(3, 4, residual=False).state_dict()}
    head = nn.Conv2d(4, 12, 1)
    expected |= {"head.weight": head.weight, "head.bias": head.bias}
    found = made.state_dict()
    assert found.keys() == {f"unet.{name}" for name in expected}
    assert all(torch.equal(found[f"unet.{name}"], value) for name, value in expected.items())
