"""What is a photograph worth in synthetic images? A small denoiser, trained with both, tested on photographs."""
import sys
import numpy as np, torch
from skimage import color, data
from torch import nn
import reconscale as rs

SIDE, STEPS = 32, 200
names = ["astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "rocket"]

def gray(name):
    image = getattr(data, name)()
    return (color.rgb2gray(image) if image.ndim == 3 else image / 255.0).astype(np.float32)

def tiles(image):  # of 32 x 32 pixels
    rows, columns = (side // SIDE for side in image.shape)
    cut = image[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    return cut.reshape(-1, SIDE, SIDE)[:60]

def leaves(index):  # discs of random place, size and grey, the later ones in front
    rng, (y, x) = np.random.default_rng([7, index]), np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), rng.random(), np.float32)
    for radius in np.clip(1.5 / rng.random(150), 1.5, SIDE):
        place = rng.uniform(-8, SIDE + 8, 2)
        image[(y - place[0]) ** 2 + (x - place[1]) ** 2 < radius**2] = rng.random()
    return image

photos = [tiles(gray(name)) for name in names]
sheets = np.stack([leaves(index) for index in range(1000)])
truths = torch.tensor(np.concatenate([*photos, sheets]))[:, None]
scenes = [name for name, cut in zip(names, photos) for _ in cut]
sources = {"photos": range(len(scenes)), "leaves": range(len(scenes), len(truths))}  # each index in one of them
groups = {"photos": scenes, "leaves": sources["leaves"]}

def train(job):  # job.train holds the photographs of the mix, then its leaves; job.mix says how many of each
    torch.set_num_threads(job.threads)
    rng = torch.Generator().manual_seed(job.seed)
    torch.manual_seed(job.seed)
    conv = lambda a, b: nn.Conv2d(a, b, 3, padding=1)
    net = nn.Sequential(conv(1, 12), nn.ReLU(), conv(12, 12), nn.ReLU(), conv(12, 1))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    for step in range(STEPS):  # as many for every mix
        x = truths[job.train][torch.randint(job.n, (8,), generator=rng)]
        y = x + 0.1 * torch.randn(x.shape, generator=rng)
        loss = (y - net(y) - x).square().mean()
        optimizer.zero_grad(), loss.backward(), optimizer.step(), schedule.step()
    with torch.no_grad():
        x = truths[job.test]
        y = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        return {"psnr": (-10 * (y - net(y) - x).square().mean((1, 2, 3)).log10()).tolist()}

quick = "--quick" in sys.argv
mix = {"photos": [6, 40], "leaves": [0, 30]} if quick else {"photos": [6, 15, 40, 100, 240], "leaves": [0, 10, 40, 160]}
runs = rs.measure_mixture(train, sources, mix=mix, groups=groups, seed=2, val=20, test=200, folder="mixes", unit="tiles")
for photos, leaves, psnr, seed in zip(*runs.n.values(), runs.y, runs.seed):
    print(f"{photos:g} photos, {leaves:g} leaves: {psnr:.3f} dB (seed {seed})")
curve = rs.infer_mixture(runs)
here = {"photos": 40, "leaves": 40}
print(*curve.exchange_rates(here), *curve.gains(have=here), curve.best_mix({"photos": 5}, 200, have=here), *curve.findings, sep="\n")
