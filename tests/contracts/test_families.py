"""What every network family promises."""

from __future__ import annotations

import pytest
import torch

from reconscale.mistakes import Mistake
from reconscale.networks import FAMILIES, build, size_of
from reconscale.study import Network


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("channels", [1, 3])
class TestFamily:
    def test_parameters_are_known_before_training(self, family: str, channels: int) -> None:
        for width in (3, 8):
            network = Network(family=family, width=width)
            module = build(network, channels)
            assert size_of(network, channels).p == sum(p.numel() for p in module.parameters() if p.requires_grad)

    def test_width_is_the_dial(self, family: str, channels: int) -> None:
        sizes = [size_of(Network(family=family, width=width), channels) for width in (4, 8, 16)]
        assert sizes[0].p < sizes[1].p < sizes[2].p and sizes[0].flops < sizes[1].flops < sizes[2].flops

    @pytest.mark.parametrize("size", [(37, 53), (64, 48)])
    def test_images_of_any_size_keep_it(self, family: str, channels: int, size: tuple[int, int]) -> None:
        y = torch.rand(2, channels, *size)
        with torch.no_grad():
            assert build(Network(family=family, width=4), channels)(y).shape == y.shape

    def test_the_smallest_image(self, family: str, channels: int) -> None:
        side = FAMILIES[family].least(FAMILIES[family].depth)
        y = torch.rand(1, channels, side, side)
        assert build(Network(family=family, width=2), channels)(y).isfinite().all()

    def test_same_seed_same_weights(self, family: str, channels: int) -> None:
        states = []
        for _ in range(2):
            torch.manual_seed(3)
            states.append(build(Network(family=family, width=4), channels).state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_it_learns(self, family: str, channels: int) -> None:
        torch.manual_seed(0)
        x = torch.rand(4, channels, 16, 16)
        y = x + 0.1 * torch.randn_like(x)
        module = build(Network(family=family, width=8), channels)
        optimizer = torch.optim.Adam(module.parameters(), 3e-3)
        losses = []
        for _ in range(30):
            loss = (module(y) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]


def test_an_unknown_family() -> None:
    with pytest.raises(Mistake, match="did you mean 'unet'"):
        build(Network(family="unett", width=4), 3)
