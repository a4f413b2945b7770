"""Transformers from deepinv: SwinIR, the paper's second denoiser, and Restormer."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from reconscale.networks.family import Added, zero_initialised

WINDOW = 8
"""Side of SwinIR's windows, in pixels."""
UPSAMPLERS = {"subpixel": "pixelshuffle", "direct": "pixelshuffledirect"}
"""Our words for SwinIR's ends: of classical and of lightweight super-resolution."""


def swinir(  # noqa: PLR0913 - its dials
    channels: int, width: int, depth: int, layers: int, heads: int, factor: int = 1, upsampler: str = "subpixel",
    *, zero_head: bool = False,
) -> nn.Module:  # fmt: skip
    """SwinIR (Liang et al. 2021, arXiv 2108.10257); with 6 groups of 6 layers, 6 heads and width 180 it is SwinIR-M.

    Stochastic depth is off: it draws from torch's global generator, and small data call for none in the paper. The
    masks of shifted windows depend on the size of the image alone and are kept for the last few sizes.

    Args:
        channels: of the image.
        width: channels of the features, a multiple of ``heads``.
        depth: groups.
        layers: transformer layers of a group.
        heads: attention heads.
        factor: how many times images are enlarged.
        upsampler: how, where the factor is not 1: ``subpixel`` or ``direct``.
        zero_head: whether the last convolution starts at zero; it then predicts what to add to bicubic interpolation.
    """
    with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
        from deepinv.models import SwinIR
        from deepinv.models.swinir import SwinTransformerBlock

    end = UPSAMPLERS[upsampler] if factor > 1 else ""
    how: dict[str, Any] = {"img_size": 2 * WINDOW, "in_chans": channels, "window_size": WINDOW, "mlp_ratio": 2}
    how |= {"embed_dim": width, "depths": (layers,) * depth, "num_heads": (heads,) * depth, "drop_path_rate": 0.0}
    with _ListsOnTheCPU(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")  # deepinv's, about a later torch
        network: nn.Module = SwinIR(**how, upscale=factor, upsampler=end, pretrained=None)
    for block in network.modules():
        if isinstance(block, SwinTransformerBlock):
            block.calculate_mask = partial(_Mask, block.window_size, block.shift_size)
            block.input_resolution = (
                (-1, -1) if block.shift_size else _AnySize()
            )  # masks are looked up, or there is none
    return _starting_at_input(network, factor) if zero_head else network


def _starting_at_input(network: nn.Module, factor: int) -> nn.Module:
    """SwinIR with its last convolution at zero; enlarging, it predicts what to add to bicubic interpolation."""
    last = next(layer for layer in reversed(list(network.modules())) if isinstance(layer, nn.Conv2d))
    zero_initialised(last)
    if factor == 1:
        return network  # it adds what it predicts to its input as it is
    assert isinstance(network.mean, Tensor)
    mean = network.mean.flatten()
    if last.bias is not None and len(mean) > 1:  # it adds the mean colour, which it took away from its input
        with torch.no_grad():
            last.bias.copy_(-mean.repeat_interleave(len(last.bias) // len(mean)).to(last.bias.device))
    return Added(network, factor)


class _AnySize:
    """Equal to every size: windows that are not shifted need no mask, whatever the image."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple)

    def __hash__(self) -> int:
        return 0


@dataclass(frozen=True)
class _Mask:
    """The mask of a block for a size of images; ``to`` finds it on a device."""

    window_size: int
    shift_size: int
    size: tuple[int, int]

    def to(self, device: torch.device) -> Tensor:
        return _mask_on(self, device)


@lru_cache(maxsize=16)
def _mask_on(mask: _Mask, device: torch.device) -> Tensor:
    with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
        from deepinv.models.swinir import SwinTransformerBlock

    with torch.device("cpu"), torch.inference_mode(False):
        made: Tensor = SwinTransformerBlock.calculate_mask(mask, mask.size)
    return made.to(device)


class _ListsOnTheCPU(TorchFunctionMode):
    """Keeps torch.linspace on the CPU: SwinIR turns its values into numbers, which the meta device has not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def restormer(channels: int, width: int, depth: int, *, zero_head: bool = False) -> nn.Module:
    """Restormer (Zamir et al. 2022, arXiv 2111.09881): width 48 and depth 4 are the paper's.

    Args:
        channels: of the image.
        width: channels of the first level; every level below doubles them.
        depth: blocks of the first level; the others have 1.5, 1.5 and 2 times as many.
        zero_head: whether the last convolution, whose output is added to the input, starts at zero.
    """
    with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
        from deepinv.models import Restormer

    more = math.ceil(1.5 * depth)
    blocks = (depth, more, more, 2 * depth)
    network = Restormer(channels, channels, dim=width, num_blocks=blocks, num_refinement_blocks=depth, pretrained=None)
    if zero_head:
        zero_initialised(network.output)
    return network  # type: ignore[no-any-return]
