"""Network families with a width dial: parameters and FLOPs known before training."""

from reconscale.networks.families import FAMILIES, Size, build, size_of
from reconscale.networks.family import Family
from reconscale.networks.given import Given, given_of
from reconscale.networks.unet import UNet

__all__ = ["FAMILIES", "Family", "Given", "Size", "UNet", "build", "given_of", "size_of"]
