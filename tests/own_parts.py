"""Small parts of a user's own for tests, and registries that are put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconscale import own_parts
from reconscale.plugins import load_object

PARTS = """
import torch
from torch import nn
from torch.utils.data import Dataset
import reconscale as rs

class Net(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.first, self.drop = nn.Conv2d(channels, width, 3, padding=1), nn.Dropout2d(0.2)
        self.norm, self.last = nn.BatchNorm2d(width), nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, y):
        return y - self.last(self.drop(self.norm(self.first(y)).relu()))

class Blocks(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        return nn.functional.interpolate(torch.rand(1, 1, 4, 4, generator=g), size=16)[0]

rs.FAMILIES["net"] = rs.make_family(Net)
rs.SOURCES["blocks"] = rs.make_source(Blocks)
"""

STUDY = """
version = 2
name = "own"
[problem]
kind = "denoising"
[images]
source = "blocks"
patch = 16
val = 2
test = 4
[network]
family = "net"
[sweep]
n = [2, 4, 8]
width = [2, 4]
[recipe]
policy = "budget"
steps = 20
batch = 2
precision = "fp32"
"""


@contextmanager
def put_back() -> Iterator[None]:
    """The registries as they were, and no plugin loaded, in the end."""
    registries = [load_object(place) for place in own_parts.REGISTRIES.values()]
    before = [dict(registry) for registry in registries]
    try:
        yield
    finally:
        own_parts._LOADED.clear()
        own_parts._RECALLED.clear()
        for registry, was in zip(registries, before, strict=True):
            registry.clear()
            registry.update(was)
