"""Network families by name, with parameters and FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reconscale.errors import UserError
from reconscale.networks.convolutional import EDSR, RFDN, DRUNetAt, LinearFilter, ResNet, SubpixelResNet, dncnn
from reconscale.networks.family import (
    BuildArgs,
    Family,
    InputSpec,
    OnFilteredImage,
    OnUpsampledImage,
    PadToMultiple,
    meta_input,
)
from reconscale.networks.mri import SENS_DEPTH, Unrolled, VarNet, ZeroFilledUNet
from reconscale.networks.shrinkage import Shrinkage, ShrinkageUNet
from reconscale.networks.transformers import WINDOW, restormer, swinir
from reconscale.networks.unet import SubpixelUNet, UNet
from reconscale.networks.unrolled import UnrolledLinear, UnrolledMRI
from reconscale.own_parts import recalled_from
from reconscale.study.base import suggest_own
from reconscale.study.problems import PROBLEMS
from reconscale.study.run import Network


@dataclass(frozen=True)
class Size:
    """The size and the cost of a network.

    Attributes:
        p: number of trainable parameters.
        flops: floating-point operations of one forward pass per pixel (a multiply-add is two).
    """

    p: int
    flops: float


FAMILIES: dict[str, Family] = {
    "unet": Family(
        build={
            "image": lambda dials: UNet(
                dials.channels,
                dials.width,
                dials.depth,
                residual=dials.residual is not False,
                norm=dials.norm,
                zero_head=dials.zero_head,
            ),
            "lowres": lambda dials: SubpixelUNet(
                dials.channels, dials.width, dials.depth, dials.given.factor, norm=dials.norm, zero_head=dials.zero_head
            ),
            "kspace": lambda dials: ZeroFilledUNet(
                dials.width,
                dials.depth,
                residual=dials.zero_head if dials.residual is None else dials.residual,
                norm=dials.norm,
                zero_head=dials.zero_head,
            ),
        },
        depth={"image": 2, "kspace": 4},
        least=lambda depth: 2 ** (depth + 1),
        context=lambda depth: 8 * 2**depth,
        source="Zbontar et al. 2018, as in Klug and Heckel 2023",
        upsamplers=("bicubic", "subpixel"),
        norms=("instance", "none"),
        residual=True,
    ),
    "dncnn": Family(
        build={
            "image": lambda dials: dncnn(dials.channels, dials.width, dials.depth, zero_head=dials.zero_head),
        },
        depth={"image": 7},
        least=lambda depth: 4,
        context=lambda depth: depth,
        source="Zhang et al. 2017, from deepinv; on enlarged images it is VDSR",
    ),
    "drunet": Family(
        build={
            "image": lambda dials: PadToMultiple(
                DRUNetAt(dials.channels, dials.width, dials.depth, dials.given.sigma, zero_head=dials.zero_head),
                multiple=8,
                least=32,
            )
        },
        depth={"image": 4},
        least=lambda depth: 8,
        context=lambda depth: 48 + 8 * depth,
        source="Zhang et al. 2021, from deepinv, with the problem's level of noise",
        small={"depth": 1},
    ),
    "swinir": Family(
        build={
            "image": lambda dials: swinir(
                dials.channels, dials.width, dials.depth, dials.layers, dials.heads, zero_head=dials.zero_head
            ),
            "lowres": lambda dials: swinir(
                dials.channels,
                dials.width,
                dials.depth,
                dials.layers,
                dials.heads,
                dials.given.factor,
                dials.upsampler,
                zero_head=dials.zero_head,
            ),
        },
        depth={"image": 6},
        least=lambda depth: WINDOW,
        context=lambda depth: WINDOW * depth,
        source="Liang et al. 2021, from deepinv",
        layers=6,
        heads=6,
        upsamplers=("subpixel", "direct", "bicubic"),
        small={"depth": 1, "layers": 2, "heads": 1},
    ),
    "restormer": Family(
        build={
            "image": lambda dials: PadToMultiple(
                restormer(dials.channels, dials.width, dials.depth, zero_head=dials.zero_head), multiple=8, least=8
            )
        },
        depth={"image": 4},
        least=lambda depth: 8,
        context=lambda depth: 48 + 8 * depth,
        source="Zamir et al. 2022, from deepinv",
        width_multiple=2,
        small={"depth": 1},
    ),
    "edsr": Family(
        build={
            "image": lambda dials: EDSR(dials.channels, dials.width, dials.depth, 1, zero_head=dials.zero_head),
            "lowres": lambda dials: EDSR(
                dials.channels, dials.width, dials.depth, dials.given.factor, zero_head=dials.zero_head
            ),
        },
        depth={"image": 16},
        least=lambda depth: 4,
        context=lambda depth: 2 * depth + 4,
        source="Lim et al. 2017",
        upsamplers=("subpixel", "bicubic"),
        small={"depth": 2},
    ),
    "rfdn": Family(
        build={
            "image": lambda dials: RFDN(dials.channels, dials.width, dials.depth, 1, zero_head=dials.zero_head),
            "lowres": lambda dials: RFDN(
                dials.channels, dials.width, dials.depth, dials.given.factor, zero_head=dials.zero_head
            ),
        },
        depth={"image": 4},
        least=lambda depth: 8,
        context=lambda depth: 16 + 4 * depth,
        source="Liu et al. 2020",
        upsamplers=("subpixel", "bicubic"),
        small={"depth": 2},
    ),
    "resnet": Family(
        build={
            "image": lambda dials: PadToMultiple(
                ResNet(dials.channels, dials.width, dials.depth, dials.residual_scale, zero_head=dials.zero_head),
                multiple=2,
                least=4,
            ),
            "lowres": lambda dials: SubpixelResNet(
                dials.channels, dials.width, dials.depth, dials.given.factor, zero_head=dials.zero_head
            ),
        },
        depth={"image": 4, "lowres": 8},
        least=lambda depth: 4,
        context=lambda depth: 4 * depth + 6,
        source="the blocks of EDSR (Lim et al. 2017), pixel-unshuffled",
        upsamplers=("subpixel", "bicubic"),
    ),
    "shrinkage": Family(
        build={
            "image": lambda dials: PadToMultiple(
                Shrinkage(*dials.shrinkage_args, shrinks=dials.denoises), multiple=2, least=8
            )
        },
        depth={"image": 2},
        least=lambda depth: 4,
        context=lambda depth: 4 * depth + 16,
        source="shrinkage in a sliding DCT (Yu and Sapiro 2011), learned",
    ),
    "shrinkage-unet": Family(
        build={
            "image": lambda dials: PadToMultiple(
                ShrinkageUNet(*dials.shrinkage_args, shrinks=dials.denoises), multiple=4, least=8
            )
        },
        depth={"image": 2},
        least=lambda depth: 4,
        context=lambda depth: 16 * depth + 36,
        source="shrinkage, and a small U-Net on what it gives and takes away",
    ),
    "linear": Family(
        build={
            "image": lambda dials: LinearFilter(dials.channels, dials.width),
            "lowres": lambda dials: LinearFilter(dials.channels, dials.width, dials.given.factor),
        },
        depth={"image": 1},
        least=lambda depth: 1,
        context=lambda depth: 64,
        source="the trained linear estimator, one convolution; width: pixels seen on each side",
        upsamplers=("subpixel", "bicubic"),
        least_depth=0,
    ),
    "unrolled": Family(
        build={"kspace": lambda dials: Unrolled(dials.width, dials.depth, dials.cascades)},
        depth={"kspace": 5},
        least=lambda depth: 8,
        context=lambda depth: depth,
        source="Schlemper et al. 2018",
        cascades=5,
        least_depth=2,
        small={"cascades": 2},
    ),
    "unrolled-resnet": Family(
        build={
            "kspace": lambda dials: UnrolledMRI(dials.width, dials.depth, dials.cascades),
            "sensed": lambda dials: UnrolledLinear(dials.channels, dials.width, dials.depth, dials.cascades),
        },
        depth={"kspace": 2, "sensed": 2},
        least=lambda depth: 4,
        context=lambda depth: 4 * depth + 6,
        source="gradient steps (Hammernik et al. 2018, Adler and Oktem 2017) and residual blocks in turns",
        cascades=5,
        small={"cascades": 2},
    ),
    "varnet": Family(
        build={
            "kspace": lambda dials: VarNet(dials.width, dials.depth, dials.cascades, zero_head=dials.zero_head),
        },
        depth={"kspace": 4},
        least=lambda depth: 2 ** (max(depth, SENS_DEPTH) + 1),
        context=lambda depth: 8 * 2**depth,
        source="Sriram et al. 2020",
        cascades=12,
        small={"cascades": 2},
    ),
}

BUILT_IN = frozenset(FAMILIES)
"""The families of the package; all others are the user's own."""


def family_of(network: Network, kind: str | None = None) -> Family:
    """The family of a network.

    Args:
        network: names the family.
        kind: the kind of problem that it must be made for; none: any.

    Raises:
        UserError: there is no such family, it is not made for the problem, or it has not a dial that is set.
    """
    name = network.family
    if name not in FAMILIES:
        if place := recalled_from("FAMILIES", name):
            raise UserError("network.family", f"'{name}' comes from {place}, which is not loaded",
                            f"pass --plugin {place}")  # fmt: skip
        raise UserError("network.family", f"found '{name}'", suggest_own(name, FAMILIES))
    family = FAMILIES[name]
    if kind is not None and not family.made_for(kind):
        made = ", ".join(name for name, other in FAMILIES.items() if other.made_for(kind))
        raise UserError("network.family", f"'{name}' is not made for {kind}", f"families for {kind}: {made}")
    _check_dials(network, family)
    if network.upsampler is not None and kind is not None:
        if PROBLEMS[kind].form != "lowres":
            raise UserError("network.upsampler", f"{kind} enlarges nothing", "leave the key out")
        if network.upsampler not in family.upsamplers:
            known = ", ".join(family.upsamplers)
            raise UserError("network.upsampler", f"'{name}' has no '{network.upsampler}'", f"it has: {known}")
    small = kind is not None and PROBLEMS[kind].form == "lowres"
    if network.residual is not None and small and network.upsampler == "subpixel":
        raise UserError("network.residual", "with 'subpixel' the U-Net always adds to the enlarged image",
                      "leave the key out")  # fmt: skip
    return family


def _check_dials(network: Network, family: Family) -> None:
    name = network.family
    for dial in ("cascades", "layers", "heads"):
        if getattr(network, dial) and not getattr(family, dial):
            raise UserError(f"network.{dial}", f"'{name}' has no {dial}", "leave the key out")
    if not family.least_depth and network.depth:
        raise UserError("network.depth", f"'{name}' has no depth", "leave the key out")
    if network.depth is not None and network.depth < family.least_depth:
        least = f"the networks of '{name}' have at least {family.least_depth} layers"
        raise UserError("network.depth", f"found {network.depth}", least)
    if network.norm not in family.norms:
        raise UserError("network.norm", f"found '{network.norm}', which '{name}' has not", "leave the key out")
    if network.residual is not None and not family.residual:
        raise UserError("network.residual", f"'{name}' has no choice of it", "leave the key out")
    if network.residual is False and network.head == "zero":
        raise UserError("network.residual", "found false, and a head of zeros then gives an image of zeros",
                      "set network.head to 'random', or leave residual out")  # fmt: skip
    _check_width(network, family)


def _check_width(network: Network, family: Family) -> None:
    heads, width = network.heads or family.heads, network.width
    if heads and width % heads:
        fitting = max(1, round(width / heads)) * heads
        raise UserError("sweep.width", f"found {width}, which {heads} attention heads do not divide",
                      f"give a multiple, like {fitting}, or set network.heads")  # fmt: skip
    multiple = family.width_multiple
    if width % multiple:
        what = "halves it: give an even width" if multiple == 2 else f"divides it: give a multiple of {multiple}"
        fitting = -(-width // multiple) * multiple
        raise UserError("sweep.width", f"found {width}", f"'{network.family}' {what}, like {fitting}")


def depth_of(network: Network, given: InputSpec) -> int:
    """The network's depth: its own, or the family's default for the problem."""
    depths = family_of(network, given.kind).depth
    return network.depth or depths.get(given.form, depths.get("image", 1))


def upsampler_of(network: Network, given: InputSpec) -> str:
    """How the network enlarges small images; empty where the problem has none.

    Raises:
        UserError: the network says how, and there is nothing to enlarge.
    """
    family = family_of(network, given.kind)
    if given.form != "lowres" and network.upsampler is not None:
        raise UserError("network.upsampler", f"this study of {given.kind} enlarges nothing", "leave the key out")
    return (network.upsampler or family.upsamplers[0]) if given.form == "lowres" else ""


def min_image_size(network: Network, given: InputSpec) -> int:
    """The smallest side of an image of the truth that the network accepts."""
    least = family_of(network, given.kind).least(depth_of(network, given))
    seen_small = given.factor > 1 and upsampler_of(network, given) != "bicubic"
    return least * given.factor if seen_small else -(-least // given.factor) * given.factor


def build(network: Network, given: InputSpec) -> nn.Module:
    """An untrained network, initialised from torch's global generator.

    Args:
        network: family and dials.
        given: what it gets.

    Raises:
        UserError: there is no such family, or it is not made for the problem.
    """
    family, form = family_of(network, given.kind), given.form
    dials = BuildArgs(
        given, network.width, depth_of(network, given), network.cascades or family.cascades,
        network.layers or family.layers, network.heads or family.heads, upsampler_of(network, given),
        network.norm, network.head == "zero", network.residual,
    )  # fmt: skip
    if form == "lowres" and dials.upsampler == "bicubic":
        return OnUpsampledImage(family.build["image"](dials), given.factor)
    if form == "sensed" and form not in family.build:
        return OnFilteredImage(family.build["image"](dials))
    return family.build[form](dials)


def size_of(network: Network, given: InputSpec) -> Size:
    """Parameters and FLOPs of a network, counted on the meta device: nothing is allocated or trained.

    Fourier transforms and linear operators are not counted; of several coils, one is. A network of the user's own that
    the meta device cannot do is counted on the CPU.

    Raises:
        UserError: there is no such family, or it is not made for the problem.
    """
    return _counted(network, given, family_of(network, given.kind))


@lru_cache(maxsize=1024)
def _counted(network: Network, given: InputSpec, family: Family) -> Size:
    """As :func:`size_of`; the family is named so that another one of the same name is counted afresh."""
    del family
    try:
        return _count(network, given, "meta")
    except Exception:
        if network.family in BUILT_IN:
            raise
    with torch.random.fork_rng(devices=[]):  # training draws from the same stream
        return _count(network, given, "cpu")


def _count(network: Network, given: InputSpec, device: str) -> Size:
    side = max(64, min_image_size(network, given))
    side = -(-side // given.factor) * given.factor
    with torch.device(device):
        module = build(network, given)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            module(meta_input(given, side))
    p = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Size(p=p, flops=counter.get_total_flops() / side**2)
