"""A script of deepinv: denoising with a DnCNN and deepinv's Trainer. It knows nothing of reconscale."""

import argparse
import json
from pathlib import Path

import deepinv as dinv
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Images(Dataset):
    """The images of a list of files, (1, height, width)."""

    def __init__(self, list_file):
        self.paths = Path(list_file).read_text().splitlines()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return torch.from_numpy(np.load(self.paths[i]))[None]


parser = argparse.ArgumentParser()
for name in ("--train-list", "--val-list", "--test-list", "--out"):
    parser.add_argument(name, required=True)
parser.add_argument("--width", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=150, help="of the optimiser, the same for every training set")
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

torch.manual_seed(args.seed)
train, val, test = map(Images, (args.train_list, args.val_list, args.test_list))
model = dinv.models.DnCNN(1, 1, depth=4, nf=args.width, pretrained=None, device=args.device)
noise = dinv.physics.GaussianNoise(0.1, rng=torch.Generator(args.device).manual_seed(args.seed))
trainer = dinv.Trainer(
    model=model,
    physics=dinv.physics.Denoising(noise),
    optimizer=torch.optim.Adam(model.parameters(), 1e-3),
    train_dataloader=DataLoader(train, 4, sampler=RandomSampler(train, replacement=True, num_samples=4 * args.steps)),
    epochs=1,
    metrics=dinv.metric.PSNR(),
    online_measurements=True,
    device=args.device,
    save_path=args.out,
    show_progress_bar=False,
    verbose=False,
)
trainer.train()


def psnr(images):
    """On noise of its own, the same for every network."""
    noise.rng.manual_seed(1234)
    return trainer.test(DataLoader(images, 1), compare_no_learning=False)["PSNR"]


p = sum(weights.numel() for weights in model.parameters())
Path(args.out, "metrics.json").write_text(json.dumps({"psnr": psnr(test), "validation": psnr(val), "p": p}))
