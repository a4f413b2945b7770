"""Parts of your own: a small U-Net, images of discs, a loss and a metric. See docs/how-to/bring-your-own-network.md."""

import torch
from torch import nn
from torch.utils.data import Dataset

import reconscale as rs
from reconscale.study import Profile


class SmallUNet(nn.Module):
    """One level down and up again; it predicts what to take away."""

    def __init__(self, channels, width):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = nn.Conv2d(2 * width, channels, 3, padding=1)

    def forward(self, y):
        fine = self.first(y).relu()
        coarse = self.up(self.down(fine).relu()).relu()
        return y - self.last(torch.cat([fine, coarse], 1))


class Discs(Dataset):
    """Grey discs on grey ground; each image is drawn from a generator that its index seeds."""

    def __init__(self, total, size, seed):
        self.total, self.size, self.seed = total, size, seed

    def __len__(self):
        return self.total

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(1_000_003 * self.seed + i)
        rows, columns = torch.meshgrid(torch.arange(self.size), torch.arange(self.size), indexing="ij")
        image = torch.rand(1, generator=g).repeat(self.size, self.size)
        for row, column, radius, value in torch.rand(12, 4, generator=g).tolist():
            inside = (rows - row * self.size) ** 2 + (columns - column * self.size) ** 2 < (radius * self.size / 3) ** 2
            image[inside] = value
        return image[None]


def charbonnier(x_hat, x, scale):
    """A smooth l1; the data range of every image is `scale`."""
    return (((x_hat - x) / scale[:, None, None, None]).square() + 1e-6).sqrt().mean()


def mean_absolute_error(x_hat, x):
    """(B, C, H, W) twice to (B,) float64."""
    return (x_hat.double() - x.double()).abs().flatten(1).mean(1)


rs.FAMILIES["small-unet"] = rs.make_family(SmallUNet, multiple=2)
rs.SOURCES["discs"] = rs.make_source(Discs)
rs.LOSSES["charbonnier"] = charbonnier
rs.PROFILES["mae"] = Profile(
    name="mae",
    kind="error",
    channel="all",
    clip=False,
    window=0,
    unit="",
    description="mean absolute error over pixels and channels, range 1; mean over images",
    function=mean_absolute_error,
)
