"""Families of networks by name, and what a network of a family costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reconscale.imaging.example import KSpace
from reconscale.mistakes import Mistake, nearest
from reconscale.networks.mri import SENS_DEPTH, Unrolled, VarNet, ZeroFilledUNet
from reconscale.networks.unet import UNet
from reconscale.study.run import Network


@dataclass(frozen=True)
class Dials:
    """What a network of a family is built from.

    Attributes:
        channels: of the images.
        width, depth, cascades: the dials, with nothing left open.
    """

    channels: int
    width: int
    depth: int
    cascades: int


@dataclass(frozen=True)
class Family:
    """A builder with a width dial.

    Attributes:
        build: kind of problem -> builder of a network from what is measured (denoising: (B, channels, H, W); mri:
            ``KSpace``) to (B, channels, h, w).
        depth: kind of problem -> the depth when a study does not say.
        least: depth -> the smallest side of an image that the network accepts.
        context: depth -> pixels around a tile that its centre depends on directly (normalisation aside).
        source: where the network comes from.
        cascades: of unrolled families: how many when a study does not say; 0: the family has none.
    """

    build: Mapping[str, Callable[[Dials], nn.Module]]
    depth: Mapping[str, int]
    least: Callable[[int], int]
    context: Callable[[int], int]
    source: str
    cascades: int = 0


@dataclass(frozen=True)
class Size:
    """What a network costs.

    Attributes:
        p: number of trainable parameters.
        flops: floating-point operations of one forward pass per pixel (a multiply-add is two).
    """

    p: int
    flops: float


def _dncnn(dials: Dials) -> nn.Module:
    from deepinv.models import DnCNN

    device = torch.get_default_device()  # DnCNN moves itself to its argument's device
    network: nn.Module = DnCNN(
        dials.channels, dials.channels, depth=dials.depth, nf=dials.width, pretrained=None, device=device
    )
    return network


FAMILIES: dict[str, Family] = {
    "unet": Family(
        build={
            "denoising": lambda dials: UNet(dials.channels, dials.width, dials.depth),
            "mri": lambda dials: ZeroFilledUNet(dials.width, dials.depth),
        },
        depth={"denoising": 2, "mri": 4},
        least=lambda depth: 2 ** (depth + 1),
        context=lambda depth: 8 * 2**depth,
        source="Zbontar et al. 2018, as in Klug and Heckel 2023",
    ),
    "dncnn": Family(
        build={"denoising": _dncnn},
        depth={"denoising": 7},
        least=lambda depth: 4,
        context=lambda depth: depth,
        source="Zhang et al. 2017, from deepinv",
    ),
    "unrolled": Family(
        build={"mri": lambda dials: Unrolled(dials.width, dials.depth, dials.cascades)},
        depth={"mri": 5},
        least=lambda depth: 8,
        context=lambda depth: depth,
        source="Schlemper et al. 2018",
        cascades=5,
    ),
    "varnet": Family(
        build={"mri": lambda dials: VarNet(dials.width, dials.depth, dials.cascades)},
        depth={"mri": 4},
        least=lambda depth: 2 ** (max(depth, SENS_DEPTH) + 1),
        context=lambda depth: 8 * 2**depth,
        source="Sriram et al. 2020",
        cascades=12,
    ),
}


def family_of(network: Network, kind: str | None = None) -> Family:
    """The family of a network.

    Args:
        network: names the family.
        kind: the kind of problem that it must be made for; none: any.

    Raises:
        Mistake: there is no such family, it is not made for the problem, or it has no cascades and some are asked for.
    """
    if network.family not in FAMILIES:
        raise Mistake("network.family", f"found '{network.family}'", nearest(network.family, FAMILIES))
    family = FAMILIES[network.family]
    if kind is not None and kind not in family.build:
        made = ", ".join(name for name, other in FAMILIES.items() if kind in other.build)
        raise Mistake("network.family", f"'{network.family}' is not made for {kind}", f"families for {kind}: {made}")
    if network.cascades and not family.cascades:
        raise Mistake("network.cascades", f"'{network.family}' has no cascades", "leave the key out")
    if network.family == "unrolled" and (network.depth or 2) < 2:
        raise Mistake("network.depth", "found 1", "the networks of 'unrolled' have at least 2 layers")
    return family


def depth_of(network: Network, kind: str) -> int:
    """The network's depth: its own, or the family's default for the problem."""
    return network.depth or family_of(network, kind).depth[kind]


def build(network: Network, channels: int, kind: str = "denoising") -> nn.Module:
    """An untrained network, initialised from torch's global generator.

    Args:
        network: family and dials.
        channels: of the images.
        kind: the kind of problem.

    Raises:
        Mistake: there is no such family, or it is not made for the problem.
    """
    family = family_of(network, kind)
    cascades = network.cascades or family.cascades
    return family.build[kind](Dials(channels, network.width, depth_of(network, kind), cascades))


@lru_cache(maxsize=1024)
def size_of(network: Network, channels: int, kind: str = "denoising") -> Size:
    """Parameters and FLOPs of a network, counted on the meta device: nothing is allocated or trained.

    Fourier transforms are not counted; of several coils, one is.

    Raises:
        Mistake: there is no such family, or it is not made for the problem.
    """
    side = max(64, family_of(network, kind).least(depth_of(network, kind)))
    with torch.device("meta"):
        module = build(network, channels, kind)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            module(_measured(kind, channels, side))
    p = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Size(p=p, flops=counter.get_total_flops() / side**2)


def _measured(kind: str, channels: int, side: int) -> Tensor | KSpace:
    """What a network of this problem is given, without values."""
    if kind == "denoising":
        return torch.empty(1, channels, side, side)
    values, mask = torch.empty(1, 1, side, side, dtype=torch.complex64), torch.empty(1, 1, 1, side, dtype=torch.bool)
    return KSpace(values, mask, (side // 2 - 2, 4), (side, side))
