"""The table ``[images]`` of a study file: where images come from, and how they are divided."""

from reconscale.study.images.settings import Images, one_of

__all__ = ["Images", "one_of"]
