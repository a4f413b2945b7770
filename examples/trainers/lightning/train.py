"""A plain script of Lightning: a module, a data module, a Trainer with a CSVLogger. It knows nothing of reconscale."""

import argparse
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    """Images with noise, and their truths; the noise of a file is always the same."""

    def __init__(self, list_file):
        self.paths = Path(list_file).read_text().splitlines()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        truth = torch.from_numpy(np.load(self.paths[i]))[None]
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(int(Path(self.paths[i]).stem)))
        return truth + 0.1 * noise, truth


class Data(lightning.LightningDataModule):
    def __init__(self, train_list, val_list, test_list):
        super().__init__()
        self.train, self.val, self.test = map(Noisy, (train_list, val_list, test_list))

    def train_dataloader(self):
        return DataLoader(self.train, 4, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, 1)

    def test_dataloader(self):
        return DataLoader(self.test, 1)


class Denoiser(lightning.LightningModule):
    def __init__(self, width, lr=1e-2):
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))
        self.save_hyperparameters({"width": width, "lr": lr, "params": sum(w.numel() for w in self.parameters())})

    def training_step(self, batch, index):
        noisy, truth = batch
        return nn.functional.mse_loss(self.network(noisy), truth)

    def measure(self, batch, name):
        noisy, truth = batch
        psnr = -10 * nn.functional.mse_loss(self.network(noisy), truth).log10()
        self.log(name, psnr, on_step=False, on_epoch=True, batch_size=len(truth))

    def validation_step(self, batch, index):
        self.measure(batch, "val_psnr")

    def test_step(self, batch, index):
        self.measure(batch, "test_psnr")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams.lr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--train-list", "--val-list", "--test-list", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()

    lightning.seed_everything(args.seed)
    trainer = lightning.Trainer(
        max_steps=args.steps,
        val_check_interval=20,
        check_val_every_n_epoch=None,  # count steps, not epochs: a small training set has many
        accelerator="cpu",
        logger=CSVLogger(args.out, name="logs", version=0),
        callbacks=ModelCheckpoint(Path(args.out) / "checkpoints", monitor="val_psnr", mode="max"),
        enable_progress_bar=False,
    )
    data = Data(args.train_list, args.val_list, args.test_list)
    trainer.fit(Denoiser(args.width), data)
    trainer.test(ckpt_path="best", datamodule=data)
