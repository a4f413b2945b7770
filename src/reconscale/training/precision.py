"""Compute modes of a training step: precision and memory layout."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from reconscale.errors import UserError
from reconscale.study import Run


@dataclass(frozen=True)
class ComputeMode:
    """How the steps of a run are computed. Evaluation is in fp32 and uncompiled, whatever the way.

    Attributes:
        bf16: convolutions and matrix products of a step in bf16 (autocast); weights, the optimiser, sums of the
            normalisations, and the loss stay in float32.
        channels_last: the channels of a pixel lie side by side in memory.
        compiled: the network is compiled by torch.compile, which takes about a minute in every process.
    """

    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """What a forward pass of training runs in."""
        return torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def arrange(self, network: nn.Module) -> nn.Module:
        """Lay the weights of a network out, in place.

        Returns:
            What training calls: the network, or a compiled one that shares its weights.
        """
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        network.to(memory_format=layout)
        if not self.compiled:
            return network
        return cast(nn.Module, torch.compile(network))


COMPUTE_MODES = {
    "fp32": ComputeMode(),
    "bf16": ComputeMode(bf16=True),
    "fp32+channels_last": ComputeMode(channels_last=True),
    "bf16+channels_last": ComputeMode(bf16=True, channels_last=True),
    "fp32+compile": ComputeMode(compiled=True),
    "bf16+compile": ComputeMode(bf16=True, compiled=True),
    "fp32+channels_last+compile": ComputeMode(channels_last=True, compiled=True),
    "bf16+channels_last+compile": ComputeMode(bf16=True, channels_last=True, compiled=True),
}
"""By the names that ``precision.json`` and the provenance of a result have."""


def bf16_is_native(device: str = "cpu") -> bool:
    """Whether a device has instructions for bf16: a processor without them takes many times as long as in fp32."""
    if device != "cpu":
        return True
    if hasattr(torch.cpu, "get_capabilities"):
        return any(there and name.endswith("bf16") for name, there in torch.cpu.get_capabilities().items())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # of older versions: nearly the same question


def refuse_slow_bf16(run: Run, device: str) -> None:
    """Refuse bf16 that was asked for where it cannot be had; what ``auto`` has chosen elsewhere continues as it began.

    Args:
        run: about to be trained.
        device: what it will be computed on.

    Raises:
        UserError: the processor has no instructions for bf16.
    """
    if run.recipe.precision == "bf16" and not bf16_is_native(device):
        raise UserError("recipe.precision", "found 'bf16', and this processor has no instructions for it",
                      "set it to 'auto', which takes what is fastest here, or to 'fp32'")  # fmt: skip
