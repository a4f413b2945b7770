"""Families of networks by name, and what a network of a family costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reconscale.mistakes import Mistake, nearest
from reconscale.networks.unet import UNet
from reconscale.study.run import Network


@dataclass(frozen=True)
class Family:
    """A builder with a width dial.

    Attributes:
        build: (channels, width, depth) -> network from (B, channels, H, W) to the same shape.
        depth: the depth when a study does not say.
        least: depth -> the smallest side of an image that the network accepts.
        context: depth -> pixels around a tile that its centre depends on directly (normalisation aside).
        source: where the network comes from.
    """

    build: Callable[[int, int, int], nn.Module]
    depth: int
    least: Callable[[int], int]
    context: Callable[[int], int]
    source: str


@dataclass(frozen=True)
class Size:
    """What a network costs.

    Attributes:
        p: number of trainable parameters.
        flops: floating-point operations of one forward pass per pixel (a multiply-add is two).
    """

    p: int
    flops: float


def _dncnn(channels: int, width: int, depth: int) -> nn.Module:
    from deepinv.models import DnCNN

    device = torch.get_default_device()  # DnCNN moves itself to its argument's device
    network: nn.Module = DnCNN(channels, channels, depth=depth, nf=width, pretrained=None, device=device)
    return network


FAMILIES: dict[str, Family] = {
    "unet": Family(
        build=UNet,
        depth=2,
        least=lambda depth: 2 ** (depth + 1),
        context=lambda depth: 8 * 2**depth,
        source="Zbontar et al. 2018, as in Klug and Heckel 2023",
    ),
    "dncnn": Family(
        build=_dncnn,
        depth=7,
        least=lambda depth: 4,
        context=lambda depth: depth,
        source="Zhang et al. 2017, from deepinv",
    ),
}


def family_of(network: Network) -> Family:
    """The family of a network.

    Raises:
        Mistake: there is no such family.
    """
    if network.family not in FAMILIES:
        raise Mistake("network.family", f"found '{network.family}'", nearest(network.family, FAMILIES))
    return FAMILIES[network.family]


def depth_of(network: Network) -> int:
    """The network's depth: its own, or the family's default."""
    return network.depth or family_of(network).depth


def build(network: Network, channels: int) -> nn.Module:
    """An untrained network, initialised from torch's global generator.

    Raises:
        Mistake: there is no such family.
    """
    return family_of(network).build(channels, network.width, depth_of(network))


@lru_cache(maxsize=1024)
def size_of(network: Network, channels: int) -> Size:
    """Parameters and FLOPs of a network, counted on the meta device: nothing is allocated or trained.

    Raises:
        Mistake: there is no such family.
    """
    side = max(64, family_of(network).least(depth_of(network)))
    with torch.device("meta"):
        module = build(network, channels)
        image = torch.empty(1, channels, side, side)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(image)
    p = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Size(p=p, flops=counter.get_total_flops() / side**2)
