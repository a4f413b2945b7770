"""The losses of several networks of equal shape, each of its own images, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from reconscale.imaging.example import Example, KSpace, Sensed
from reconscale.training.losses import Loss
from reconscale.training.ways import Way


def losses_of(network: nn.Module, loss: Loss) -> Callable[..., Tensor]:
    """A function that gives the losses of several networks, (runs,).

    Args:
        network: the modules that all of them have; its own weights are not used.
        loss: of each.
    """

    def losses(
        weights: dict[str, Tensor], given: tuple[Tensor, ...], targets: Tensor, scales: Tensor, kind: Kind
    ) -> Tensor:
        def one(own: dict[str, Tensor], parts: tuple[Tensor, ...], target: Tensor, scale: Tensor) -> Tensor:
            x_hat: Tensor = functional_call(network, own, (_whole(parts, kind),))
            return loss(x_hat.float(), target, scale)

        found: Tensor = vmap(one)(weights, given, targets, scales)
        return found

    return losses


@contextmanager
def as_trained(way: Way, device: torch.device) -> Iterator[None]:
    """What the forward pass of a stack runs in."""
    if not way.bf16:
        yield
        return
    with way.autocast(device), _Bf16Convolutions():
        yield


class _Bf16Convolutions(TorchFunctionMode):
    """Casts what convolutions are given to bf16: within vmap autocast leaves them in fp32 (torch 2.15)."""

    CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.CONVOLUTIONS:
            args = tuple(_bf16(each) for each in args)
            kwargs = {name: _bf16(each) for name, each in kwargs.items()}
        return func(*args, **kwargs)


def _bf16(value: Any) -> Any:
    return value.bfloat16() if isinstance(value, Tensor) and value.is_floating_point() else value


@dataclass(frozen=True)
class Kind:
    """What a network is given of an example besides tensors.

    Attributes:
        form: ``image``, ``kspace`` or ``sensed``.
        facts: of k-space: its centre, the size of its image, and how maps are estimated.
        operator: of what was sensed. That of the first run stands for all; where each has its own, and the network asks
            for it, gradients come out wrong, which is found before any run is trained.
    """

    form: str
    facts: tuple[Any, ...] = ()
    operator: Any = field(default=None, compare=False)


def form_of(example: Example) -> tuple[Any, ...]:
    """What must be equal for examples to be computed at once."""
    parts, kind = parts_of(example)
    return kind, example.x.shape, example.scale.shape, *((part.shape, part.dtype) for part in parts)


def parts_of(example: Example) -> tuple[tuple[Tensor, ...], Kind]:
    """The tensors that a network is given of an example, and what else it is given."""
    y = example.y
    if isinstance(y, KSpace):
        maps = () if y.maps is None else (y.maps,)
        return (y.values, y.mask, *maps), Kind("kspace", (y.center, y.size, y.method))
    if isinstance(y, Sensed):
        return (y.values, y.image), Kind("sensed", operator=y.operator)
    return (y,), Kind("image")


def _whole(parts: tuple[Tensor, ...], kind: Kind) -> Any:
    """What :func:`parts_of` took apart."""
    if kind.form == "kspace":
        center, size, method = kind.facts
        return KSpace(parts[0], parts[1], center, size, parts[2] if len(parts) > 2 else None, method)
    return Sensed(parts[0], parts[1], kind.operator) if kind.form == "sensed" else parts[0]
