"""SwinIR: our masks are deepinv's, for every size and factor, and nothing is drawn or downloaded."""

from __future__ import annotations

import copy

import pytest
import torch

from reconscale.networks.transformers import swinir


def theirs(network: torch.nn.Module, side: int, factor: int) -> torch.nn.Module:
    """Deepinv's own network with the same weights, made for images of another size, so that it makes its masks."""
    from deepinv.models import SwinIR

    how = {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2), "mlp_ratio": 2, "drop_path_rate": 0.0}
    upsampler = "pixelshuffle" if factor > 1 else ""
    made: torch.nn.Module = SwinIR(
        img_size=side, in_chans=3, window_size=8, pretrained=None, upscale=factor, upsampler=upsampler, **how
    )
    weights = {name: value for name, value in network.state_dict().items() if "attn_mask" not in name}
    made.load_state_dict(weights, strict=False)
    return made.eval()


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (32, 24), (33, 19)])
@pytest.mark.parametrize("factor", [1, 3])
def test_it_is_deepinvs(size: tuple[int, int], factor: int) -> None:
    torch.manual_seed(0)
    ours = swinir(3, 8, 2, 2, 2, factor).eval()
    x = torch.rand(2, 3, *size)
    with torch.no_grad():
        for side in (32, 64):
            assert torch.allclose(ours(x), theirs(ours, side, factor)(x), atol=1e-6)


def test_copies_and_training_modes() -> None:
    """No stochastic depth: training and evaluation agree; a copy is a network of its own."""
    torch.manual_seed(0)
    ours = swinir(1, 8, 1, 2, 2)
    x = torch.rand(1, 1, 16, 16)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        y = ours.train()(x)
        assert torch.equal(y, ours.eval()(x)) and torch.equal(y, other(x))
        for value in other.parameters():
            value.zero_()
        assert torch.equal(y, ours(x)) and not torch.equal(y, other(x))
