"""Network families with a width; parameters and FLOPs are known before training."""

from reconscale.networks.family import Family, InputSpec, input_spec
from reconscale.networks.registry import FAMILIES, Size, build, size_of
from reconscale.networks.unet import UNet

__all__ = ["FAMILIES", "Family", "InputSpec", "Size", "UNet", "build", "input_spec", "size_of"]
