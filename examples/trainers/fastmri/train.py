"""Train fastMRI's U-Net with its own Lightning module and data module. It knows nothing of reconscale.

The data module reads ``singlecoil_train``, ``_val`` and ``_test`` below one folder: three links make that folder.
"""

import argparse
import json
from pathlib import Path

import pytorch_lightning as pl
from fastmri.data.subsample import RandomMaskFunc
from fastmri.data.transforms import UnetDataTransform
from fastmri.pl_modules import FastMriDataModule, UnetModule

parser = argparse.ArgumentParser()
for name in ("--train", "--val", "--test", "--out"):
    parser.add_argument(name, type=Path, required=True)
parser.add_argument("--width", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=150, help="of the optimiser, the same for every training set")
args = parser.parse_args()

data_path = args.out / "knee"
data_path.mkdir(exist_ok=True)
for name in ("train", "val", "test"):
    link = data_path / f"singlecoil_{name}"
    link.unlink(missing_ok=True)  # of an earlier attempt
    link.symlink_to(getattr(args, name))

pl.seed_everything(args.seed)
mask = RandomMaskFunc([0.16], [4], seed=args.seed)  # create_mask_for_mask_type gives one without a seed
fixed = UnetDataTransform("singlecoil", mask_func=mask)  # the mask of a volume is always the same
data = FastMriDataModule(
    data_path,
    "singlecoil",
    train_transform=UnetDataTransform("singlecoil", mask_func=mask, use_seed=False),
    val_transform=fixed,
    test_transform=fixed,
    use_dataset_cache_file=False,  # its file in the working folder is shared by all runs
    num_workers=0,
)
model = UnetModule(chans=args.width, num_pool_layers=2, lr=2e-3, lr_step_size=10**6, num_log_images=0)
trainer = pl.Trainer(
    max_steps=args.steps,
    val_check_interval=30,
    check_val_every_n_epoch=None,  # count steps, not epochs
    num_sanity_val_steps=0,
    default_root_dir=args.out,
    callbacks=pl.callbacks.ModelCheckpoint(monitor="val_metrics/psnr", mode="max"),
    enable_progress_bar=False,
)
trainer.fit(model, data)


def measure(loader):
    """Mean PSNR over volumes, as fastMRI's module measures it; its test step measures nothing."""
    return trainer.validate(model, loader, ckpt_path="best", verbose=False)[0]["val_metrics/psnr"]


result = {
    "psnr": measure(data.test_dataloader()),
    "validation": measure(data.val_dataloader()),
    "p": sum(weights.numel() for weights in model.parameters()),
    "steps": trainer.global_step,
}
(args.out / "metrics.json").write_text(json.dumps(result))
