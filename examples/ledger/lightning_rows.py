"""A LightningModule whose trainer writes a row of points at the end of every test.

python examples/ledger/lightning_rows.py [POINTS.csv]
"""

import sys

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

import reconscale as rs


class Fields(Dataset):
    """Smooth random images with noise; yours would read files."""

    def __len__(self):
        return 60

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        x = nn.functional.interpolate(torch.rand(1, 1, 4, 4, generator=g), size=16, mode="bicubic")[0]
        return x + 0.1 * torch.randn(x.shape, generator=g), x


class Denoiser(lightning.LightningModule):
    """Two convolutions; nothing in it knows of reconscale."""

    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))

    def training_step(self, batch, index):
        y, x = batch
        return nn.functional.mse_loss(self.net(y), x)

    def validation_step(self, batch, index):
        y, x = batch
        self.log("val_psnr", -10 * nn.functional.mse_loss(self.net(y), x).log10(), batch_size=len(y))

    def test_step(self, batch, index):
        y, x = batch
        self.log("test_psnr", -10 * nn.functional.mse_loss(self.net(y), x).log10(), batch_size=len(y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


path = sys.argv[1] if len(sys.argv) > 1 else "points.csv"
images, split = Fields(), rs.subsets(60, n=[2, 8, 24], seeds=1, val=6, test=12)
for one in split:
    lightning.seed_everything(one.seed, verbose=False)
    row = rs.LedgerCallback(rs.Ledger(path, n=one.n, seed=one.seed, width=4))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_steps=40, max_epochs=-1, callbacks=[row], **quiet)
    trainer.fit(model := Denoiser(4), DataLoader(Subset(images, one.train), 4), DataLoader(Subset(images, one.val)))
    trainer.test(model, DataLoader(Subset(images, one.test)), verbose=False)
print(rs.decide(rs.Points.from_csv(path), worthwhile=0.1))
