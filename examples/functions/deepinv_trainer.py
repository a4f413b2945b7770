"""Train with deepinv's Trainer: denoising with a DnCNN whose channels grow.

python examples/functions/deepinv_trainer.py [FOLDER]
"""

import sys

import deepinv as dinv
import torch
from torch.utils.data import DataLoader, Dataset, Subset

import reconscale as rs


class Fields(Dataset):
    """Smooth random images; yours would read files."""

    def __len__(self):
        return 60

    def __getitem__(self, i):
        coarse = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(i))
        return torch.nn.functional.interpolate(coarse, size=16, mode="bicubic")[0].clamp(0, 1)


def train(job):
    torch.manual_seed(job.seed)
    model = dinv.models.DnCNN(1, 1, depth=4, nf=job.width, pretrained=None, device=job.device)
    physics = dinv.physics.Denoising(dinv.physics.GaussianNoise(0.1, rng=torch.Generator(job.device).manual_seed(job.seed)))
    loader = lambda items, shuffle=False: DataLoader(Subset(Fields(), items), 4, shuffle=shuffle)
    trainer = dinv.Trainer(
        model=model,
        physics=physics,
        optimizer=torch.optim.Adam(model.parameters(), 3e-3),
        train_dataloader=loader(job.train, shuffle=True),
        epochs=max(1, 160 // job.n),  # about as many images for every n
        metrics=dinv.metric.PSNR(),
        online_measurements=True,
        device=job.device,
        save_path=job.folder,
        show_progress_bar=False,
        verbose=False,
    )
    trainer.train()
    psnr = lambda items: trainer.test(loader(items), compare_no_learning=False)["PSNR"]
    p = sum(weights.numel() for weights in model.parameters())
    return {"psnr": psnr(job.test), "validation": psnr(job.val), "p": p}


folder = sys.argv[1] if len(sys.argv) > 1 else "deepinv-study"
points = rs.measure(train, len(Fields()), n=[2, 8, 24], seed=1, width=[4], val=6, test=12, folder=folder)
print(rs.infer(points).decide(worthwhile=0.1))
