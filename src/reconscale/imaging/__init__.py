"""Images and how they are measured: image sets, problems, metric profiles."""

from reconscale.imaging.decode import read_image, write_image
from reconscale.imaging.images import ImageSet, open_images
from reconscale.imaging.metrics import METRICS, measure_image
from reconscale.imaging.pixels import Pixels
from reconscale.imaging.problems import PROBLEMS, Denoising
from reconscale.imaging.sources import SOURCES, source_of

__all__ = [
    "METRICS",
    "PROBLEMS",
    "SOURCES",
    "Denoising",
    "ImageSet",
    "Pixels",
    "measure_image",
    "open_images",
    "read_image",
    "source_of",
    "write_image",
]
