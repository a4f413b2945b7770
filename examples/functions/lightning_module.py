"""Train a LightningModule: denoising with two convolutions.

python examples/functions/lightning_module.py [FOLDER]
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
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))

    def training_step(self, batch, index):
        y, x = batch
        return nn.functional.mse_loss(self.net(y), x)

    def test_step(self, batch, index):
        y, x = batch
        self.log("psnr", -10 * nn.functional.mse_loss(self.net(y), x).log10(), batch_size=len(y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


def train(job):
    lightning.seed_everything(job.seed)
    model = Denoiser(job.width)
    loader = lambda items, size, shuffle=False: DataLoader(Subset(Fields(), items), size, shuffle=shuffle)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_steps=60, max_epochs=-1, default_root_dir=job.folder, accelerator=job.device, **quiet)
    trainer.fit(model, loader(job.train, 4, shuffle=True))
    psnr = lambda items: trainer.test(model, loader(items, 1), verbose=False)[0]["psnr"]
    p = sum(weights.numel() for weights in model.parameters())
    return {"psnr": psnr(job.test), "validation": psnr(job.val), "p": p}


folder = sys.argv[1] if len(sys.argv) > 1 else "lightning-study"
points = rs.measure(train, len(Fields()), n=[2, 8, 24], seed=1, width=[4], val=6, test=12, folder=folder)
print(rs.infer(points).decide(worthwhile=0.1))
