"""Networks of the user's own: a family made from a class, and what is checked of it before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from reconscale.code_digest import code_of_object
from reconscale.errors import UserError, check_int
from reconscale.networks.family import BuildArgs, Family, PadToMultiple
from reconscale.study.base import Form

DIALS: Mapping[str, Callable[[BuildArgs], Any]] = {
    "width": lambda dials: dials.width,
    "channels": lambda dials: dials.channels,
    "depth": lambda dials: dials.depth,
    "sigma": lambda dials: dials.given.sigma,
    "factor": lambda dials: dials.given.factor,
}
"""The arguments that a network of the user's own may have."""


def make_family(
    network: Callable[..., nn.Module],
    *,
    depth: int | None = None,
    multiple: int = 1,
    least: int = 1,
    context: int = 64,
    form: Form = "image",
    source: str = "your own",
) -> Family:
    """A family of networks for ``FAMILIES``, from a class or a function that builds one.

    Args:
        network: called with those of ``width``, ``channels`` (of the images), ``depth``, ``sigma`` (of the noise, for
            images in [0, 1]) and ``factor`` (of super-resolution) that its signature names; ``width`` must be one of
            them. The network maps (B, C, H, W) to the same shape.
        depth: the depth where a study does not say; none: the default of its argument ``depth``, if it has one.
        multiple: what the sides of its input must be multiples of, as of networks that halve images; others are padded
            by repeating the last row and column, and cut again.
        least: the smallest side of an image that it takes.
        context: pixels around a tile that its centre depends on, for images that are reconstructed tile by tile.
        form: what it is given: an ``image``; or ``lowres``, ``kspace`` or ``sensed``, see ``Family``.
        source: where it comes from, for the reader.

    Raises:
        UserError: its signature has no width, or asks for what no study knows.
    """
    asked = _arguments(network)
    name = getattr(network, "__name__", type(network).__name__)
    known = depth if depth is not None else _default(network, "depth")
    if "depth" in asked and known is None:
        raise UserError(f"make_family({name})", "its depth has no default", "say one: make_family(..., depth=3)")
    multiple, least = check_int("multiple", multiple, 1), check_int("least", least, 1)
    smallest = -(-least // multiple) * multiple

    def build(dials: BuildArgs) -> nn.Module:
        made = network(**{argument: DIALS[argument](dials) for argument in asked})
        if not isinstance(made, nn.Module):
            raise UserError(f"make_family({name})", f"it builds a {type(made).__name__}", "return a torch.nn.Module")
        if any(isinstance(parameter, UninitializedParameter) for parameter in made.parameters()):
            raise UserError(f"make_family({name})", "it has lazy layers, whose size is not known before they are used",
                            "say their size, as nn.Conv2d(channels, width, 3) does")  # fmt: skip
        return PadToMultiple(made, multiple, smallest) if multiple > 1 or least > 1 else made

    has_depth = "depth" in asked
    return Family(
        build={form: build},
        depth={form: int(known) if has_depth and known is not None else 1},
        least=lambda depth: 1 if form == "image" else least,
        context=lambda depth: context,
        source=source,
        least_depth=1 if has_depth else 0,
        code=code_of_object(network),
    )


def _arguments(network: Callable[..., nn.Module]) -> tuple[str, ...]:
    """The dials that a network is built with."""
    name = getattr(network, "__name__", type(network).__name__)
    where = f"make_family({name})"
    try:
        parameters = inspect.signature(network).parameters.values()
    except (TypeError, ValueError) as error:
        raise UserError(
            where, "it cannot be called", "give a class of networks, or a function that builds one"
        ) from error
    found = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if "width" not in found:
        said = ", ".join(found) or "nothing"
        raise UserError(
            where, f"it takes {said}, and no width", "add an argument `width` that makes the network larger"
        )
    needed = [p.name for p in parameters if p.default is p.empty and p.name in found and p.name not in DIALS]
    if needed:
        raise UserError(where, f"it needs '{needed[0]}', which no study knows",
                        f"give it a default; known are {', '.join(DIALS)}")  # fmt: skip
    return tuple(argument for argument in found if argument in DIALS)


def _default(network: Callable[..., nn.Module], argument: str) -> Any:
    parameter = inspect.signature(network).parameters.get(argument)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def check_output(where: str, network: nn.Module, y: Any, x: Tensor) -> None:
    """Refuse an untrained network that does not give an image of the shape of the truth, or gives NaN.

    Args:
        where: names the network.
        network: on the device of the example.
        y: what was measured.
        x: (B, C, H, W) the truth.

    Raises:
        UserError: as said.
    """
    size = " x ".join(str(side) for side in x.shape[-2:])
    try:
        with torch.no_grad():
            x_hat = network(y)
    except UserError:
        raise
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0][:300]
        remedy = "mend it; where sizes do not fit, make_family(..., multiple=8) pads images"
        found = f"fails on an image of {size} pixels ({type(error).__name__}: {said})"
        raise UserError(where, found, remedy) from error
    if not isinstance(x_hat, Tensor):
        raise UserError(where, f"gives a {type(x_hat).__name__}, not a tensor", "return the image alone from forward")
    if x_hat.shape != x.shape:
        remedy = "it must return the shape of its input: check padding, and make_family(..., multiple=8)"
        raise UserError(where, f"gives {tuple(x_hat.shape)} where the image is {tuple(x.shape)}", remedy)
    if not bool(torch.isfinite(x_hat).all()):
        raise UserError(where, f"gives NaN or infinity before any training, for an image of {size} pixels",
                        "check its initialisation, and divisions and roots in forward")  # fmt: skip
