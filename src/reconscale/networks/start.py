"""Networks that give back their input before they are trained: a last convolution of zeros, and what it is added to."""

from __future__ import annotations

from torch import Tensor, nn

from reconscale.imaging.superresolution import enlarged


def zeroed(convolution: nn.Conv2d) -> None:
    """Set the weights and the bias of a convolution to zero."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


class Added(nn.Module):
    """A network that predicts what to add to the bicubic enlargement of its input.

    Args:
        network: from (B, C, h, w) to (B, C, factor h, factor w).
        factor: how many times images are enlarged.
    """

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, y: Tensor) -> Tensor:
        """Map small images (B, C, h, w) to (B, C, factor h, factor w)."""
        change: Tensor = self.network(y)
        return enlarged(y.float(), self.factor) + change
