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
truths = torch.tensor(np.concatenate(photos))[:, None]
scenes = [name for name, cut in zip(names, photos) for _ in cut]
synthetic = torch.tensor(np.stack([leaves(index) for index in range(1000)]))[:, None]

def train_with(others):  # a function for rs.measure that adds this many synthetic images
    def train(job):
        torch.set_num_threads(job.threads)
        rng = torch.Generator().manual_seed(job.seed)
        torch.manual_seed(job.seed)
        mine = synthetic[torch.randperm(len(synthetic), generator=rng)[:others]]
        x_all = torch.cat([truths[job.train], mine])
        conv = lambda a, b: nn.Conv2d(a, b, 3, padding=1)
        net = nn.Sequential(conv(1, 12), nn.ReLU(), conv(12, 12), nn.ReLU(), conv(12, 1))
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
        for step in range(STEPS):  # as many for every mix
            x = x_all[torch.randint(len(x_all), (8,), generator=rng)]
            y = x + 0.1 * torch.randn(x.shape, generator=rng)
            loss = (y - net(y) - x).square().mean()
            optimizer.zero_grad(), loss.backward(), optimizer.step(), schedule.step()
        with torch.no_grad():
            x = truths[job.test]
            y = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
            return {"psnr": (-10 * (y - net(y) - x).square().mean((1, 2, 3)).log10()).tolist()}
    return train

quick = "--quick" in sys.argv
counts, sizes = ([0, 30], [6, 40]) if quick else ([0, 10, 40, 160], [6, 15, 40, 100, 240])
rows = {"photos": [], "leaves": [], "psnr": [], "seed": []}
for others in counts:  # one study for each number of synthetic images, all tested on the same photographs
    points = rs.measure(train_with(others), len(truths), groups=scenes, n=sizes, seed=2, val=20, test=200,
                        folder=f"mixes/leaves-{others}", unit="photos", tell=lambda event: None)
    for name, values in (("photos", points.n), ("leaves", [others] * len(points)), ("psnr", points.y), ("seed", points.seed)):
        rows[name] += list(values)
runs = rs.Mixture({"photos": rows["photos"], "leaves": rows["leaves"]}, rows["psnr"], rows["seed"], metric="psnr")
for counted in zip(*rows.values()):
    print("%d photos, %d leaves: %.3f dB (seed %d)" % counted)
curve = rs.infer_mixture(runs)
here = {"photos": 40, "leaves": 40}
print(*curve.exchange_rates(here), *curve.gains(have=here), curve.best_mix({"photos": 5}, 200, have=here), *curve.findings, sep="\n")
