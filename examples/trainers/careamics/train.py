"""A script of CAREamics: Noise2Void on folders of TIFF files. It knows nothing of reconscale."""

import argparse
import json
from pathlib import Path

import numpy as np
import tifffile
from careamics import CAREamist
from careamics.config.factories.n2v_factory import create_advanced_n2v_config

parser = argparse.ArgumentParser()
for name in ("--train", "--val", "--test", "--clean", "--out"):
    parser.add_argument(name, type=Path, required=True)
parser.add_argument("--width", type=int, default=8, help="channels of the first level, 8 or more")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=100, help="of the optimiser, the same for every training set")
args = parser.parse_args()

config = create_advanced_n2v_config(
    experiment_name="n2v",
    data_type="tiff",
    axes="YX",
    patch_size=(32, 32),
    batch_size=4,
    num_epochs=args.steps,  # an upper bound: a small training set has one step in an epoch
    num_workers=0,
    model_params={"depth": 1, "num_channels_init": args.width},
    optimizer_params={"lr": 2e-3},
    lr_scheduler="StepLR",  # the default one waits for a validation in every epoch
    lr_scheduler_params={"step_size": args.steps},
    trainer_params={
        "accelerator": "cpu",
        "max_steps": args.steps,
        "val_check_interval": 50,
        "check_val_every_n_epoch": None,  # count steps, not epochs
    },
    seed=args.seed,
)
careamist = CAREamist(config, work_dir=args.out, enable_progress_bar=False)
careamist.train(train_data=args.train, val_data=args.val)


def psnr(folder):
    """Of each image of a folder of links, in the order of names, against the clean image of the same name."""
    files = sorted(folder.iterdir())
    predictions, _ = careamist.predict(files, batch_size=1)
    clean = [tifffile.imread(args.clean / path.resolve().name) for path in files]
    return [-10 * float(np.log10(np.mean((y.squeeze() - x) ** 2))) for y, x in zip(predictions, clean, strict=True)]


result = {
    "psnr": float(np.mean(psnr(args.test))),
    "validation": float(np.mean(psnr(args.val))),
    "p": sum(weights.numel() for weights in careamist.model.parameters()),
    "steps": args.steps,
}
(args.out / "metrics.json").write_text(json.dumps(result))
