"""A training script that knows nothing of reconscale: lists of files in, weights and a measured PSNR out."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--train-list", type=Path, required=True)
parser.add_argument("--val-list", type=Path, required=True)
parser.add_argument("--test-list", type=Path, required=True)
parser.add_argument("--width", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()


def pairs(list_file):
    """Noisy images and their truths; the noise of a file is always the same."""
    for path in list_file.read_text().splitlines():
        truth = torch.from_numpy(np.load(path))[None, None]
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(int(Path(path).stem)))
        yield truth + 0.1 * noise, truth


torch.manual_seed(args.seed)
network = nn.Sequential(nn.Conv2d(1, args.width, 3, padding=1), nn.ReLU(), nn.Conv2d(args.width, 1, 3, padding=1))
optimizer = torch.optim.Adam(network.parameters(), 1e-2)
images = list(pairs(args.train_list))
for step in range(args.steps):
    noisy, truth = images[step % len(images)]
    optimizer.zero_grad()
    nn.functional.mse_loss(network(noisy), truth).backward()
    optimizer.step()
torch.save(network.state_dict(), args.out / "weights.pt")

with torch.no_grad():
    psnr = {
        name: [-10 * float((network(y) - x).square().mean().log10()) for y, x in pairs(file)]
        for name, file in (("test", args.test_list), ("val", args.val_list))
    }
result = {
    "psnr": psnr["test"],
    "validation": sum(psnr["val"]) / len(psnr["val"]),
    "p": sum(weights.numel() for weights in network.parameters()),
}
(args.out / "metrics.json").write_text(json.dumps(result))
print(f"width {args.width}, {len(images)} images: {np.mean(psnr['test']):.2f} dB")
