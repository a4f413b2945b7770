"""Network families with a width dial: parameters and FLOPs known before training."""

from reconscale.networks.family import Family
from reconscale.networks.input_spec import Given, given_of
from reconscale.networks.registry import FAMILIES, Size, build, size_of
from reconscale.networks.unet import UNet

__all__ = ["FAMILIES", "Family", "Given", "Size", "UNet", "build", "given_of", "size_of"]
