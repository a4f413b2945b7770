"""Write the folders in lightning/: three tiny trainings by Lightning's Trainer with its CSVLogger.

Needs pytorch-lightning (2.6.6 was used) and PyYAML. Usage: python make_lightning.py OUT-FOLDER
"""

# ruff: noqa: ARG002 - Lightning fixes the signatures, and save_hyperparameters reads the arguments
from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")


class Model(pl.LightningModule):
    """A line through noise, whose hyperparameters hold objects as people's do."""

    def __init__(self, train_size: int, width: int, seed: int, data: dict, where: Path, more: argparse.Namespace):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        self._measure(batch, "val")

    def test_step(self, batch, index):
        self._measure(batch, "test")

    def _measure(self, batch, name):
        mse = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log(f"{name}_mse", mse)
        self.log(f"{name}/psnr", -10 * torch.log10(mse))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)


def main(out: Path) -> None:
    for train_size, seed in ((8, 0), (16, 0), (32, 1)):
        pl.seed_everything(seed)
        x = torch.randn(train_size, 1)
        data = DataLoader(TensorDataset(x, x + 0.1 * torch.randn_like(x)), batch_size=8)
        model = Model(
            train_size, 16, seed, {"crops": (64, 128), "val_size": 4}, Path("somewhere"), argparse.Namespace(depth=2)
        )
        trainer = pl.Trainer(
            max_epochs=3, logger=CSVLogger(out, name="lightning_logs"), log_every_n_steps=1, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(model, data, data)
        trainer.test(model, data, verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
