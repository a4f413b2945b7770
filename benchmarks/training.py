"""Images per second and final quality: our loop, a plain PyTorch loop and ``deepinv.Trainer``.

All three train the same network from the same weights on the same crops, batch and optimiser, with fresh Gaussian noise
every step, and all are measured by the same validation. Two settings:

* one run, one core: what a step costs;
* two cores: what a machine with two cores gets done. We carry out two runs side by side with one thread each, as
  ``reconscale run`` does; the others get what their users do: one process, torch's own number of threads. Two trainers
  side by side with one thread each are shown as well.

Rounds alternate between the contestants, so that a busy machine treats them alike; ratios are of medians over rounds.

    make bench-training            # or: python benchmarks/training.py --width 8 --steps 300 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.study import Network

BATCH, IMAGES, LR = 8, 200, 1e-3
PATCHES = {"unet": 64, "swinir": 32}
"""Side of the training crops, by family."""
CONTESTANTS = ("ours", "plain", "trainer")


@dataclass(frozen=True)
class Job:
    """What is trained: a U-Net, or a SwinIR of two groups of two layers with two heads."""

    family: str
    width: int
    steps: int

    @property
    def patch(self) -> int:
        """Side of the training crops."""
        return PATCHES[self.family]

    @property
    def network(self) -> Network:
        """As a study names it."""
        from reconscale.study import Network

        few = {"depth": 2, "layers": 2, "heads": 2} if self.family == "swinir" else {}
        return Network(family=self.family, width=self.width, **few)


def main() -> None:
    """Parse the flags, run the rounds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=PATCHES, default="unet")
    parser.add_argument("--width", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--one", help="(internal) carry out one contestant and print its figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    flags = parser.parse_args()
    if flags.one:
        print(json.dumps(contest(flags.one, Job(flags.family, flags.width[0], flags.steps), flags.threads)))
        return
    record = {"floor": floor(flags.threads), "widths": {}}
    patch = PATCHES[flags.family]
    print(f"{flags.family}, 3 channels, depth 2; {patch} x {patch} crops, batch {BATCH}, Adam {LR:g}, fp32, "
          f"{flags.steps} steps")  # fmt: skip
    print(f"rate of a 1024 x 1024 matrix product, one thread: {record['floor'] / 1e9:.0f} GFLOP/s\n")
    for width in flags.width:
        record["widths"][width] = show(Job(flags.family, width, flags.steps), flags.rounds, record["floor"])
    if flags.json:
        flags.json.write_text(json.dumps(record, indent=2) + "\n")


def show(job: Job, rounds: int, peak: float) -> dict[str, Any]:
    """Run and print the two tables of one width."""
    import torch

    from reconscale.networks import Given, size_of

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = {
        "ours, 1 run x 1 thread": ("ours", 1, 1),
        "plain, 1 x 1": ("plain", 1, 1),
        "deepinv.Trainer, 1 x 1": ("trainer", 1, 1),
        f"ours, {cores} runs x 1 thread": ("ours", cores, 1),
        f"plain, 1 x {torch.get_num_threads()} threads": ("plain", 1, torch.get_num_threads()),
        f"deepinv.Trainer, 1 x {torch.get_num_threads()} threads": ("trainer", 1, torch.get_num_threads()),
        f"deepinv.Trainer, {cores} x 1": ("trainer", cores, 1),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, (who, processes, threads) in settings.items():
            found[name].append(together(who, job, processes, threads))
    flops = 3 * size_of(job.network, Given(3)).flops * job.patch**2
    print(
        f"width {job.width}: {flops / 1e9:.2f} GFLOP an image and step; "
        f"floor {1e3 * BATCH * flops / peak:.1f} ms a step"
    )
    print(f"{'':38}{'images/s':>10}{'of trainer':>12}{'of floor':>10}{'PSNR/dB':>10}{'data wait':>11}")
    table = {}
    for index, (name, rows) in enumerate(found.items()):
        rate = statistics.median(row["rate"] for row in rows)
        base = "deepinv.Trainer, 1 x 1" if index < 3 else f"deepinv.Trainer, 1 x {torch.get_num_threads()} threads"
        ratio = statistics.median(a["rate"] / b["rate"] for a, b in zip(rows, found[base], strict=True))
        used = settings[name][1] * settings[name][2]
        wait = f"{100 * rows[0]['wait']:.2f} %" if "wait" in rows[0] else "-"
        share = rate * flops / (peak * used)
        print(f"{name:38}{rate:10.0f}{ratio:11.2f}x{share:10.0%}{rows[0]['psnr']:10.3f}{wait:>11}")
        if index == 2:
            print()
        table[name] = {"images/s": rate, "of trainer": ratio, "of floor": share, "psnr": rows[0]["psnr"]}
    print()
    return table


def together(who: str, job: Job, processes: int, threads: int) -> dict[str, float]:
    """Several processes of one contestant at once: the sum of their rates, the PSNR of the first."""
    flags = {"--one": who, "--family": job.family, "--width": job.width, "--steps": job.steps, "--threads": threads}
    command = [sys.executable, __file__, *(str(word) for pair in flags.items() for word in pair)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}  # a passive wait policy would halve two threads
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(processes)
    ]
    rows = [json.loads(process.communicate()[0].decode().splitlines()[-1]) for process in started]
    return rows[0] | {"rate": sum(row["rate"] for row in rows)}


def contest(who: str, job: Job, threads: int) -> dict[str, float]:
    """Train with one contestant; images per second without start-up, and PSNR on the validation images."""
    import torch

    torch.set_num_threads(threads)
    return {"ours": ours, "plain": plain, "trainer": trainer}[who](job)


def materials(job: Job) -> tuple[Any, Any]:
    """The run and its images: procedural, so that anyone can repeat this."""
    from reconscale.imaging import open_images
    from reconscale.study import DenoisingProblem, Images, Recipe, Run

    images = Images(source="deadleaves", size=128, total=IMAGES + 16, patch=job.patch, val=8, test=8, crop="center")
    recipe = Recipe(steps=job.steps, batch=BATCH, lr=LR, warmup=0.0, decay="none", validate_every=10**9)
    run = Run(problem=DenoisingProblem(kind="denoising"), images=images, n=IMAGES, network=job.network, recipe=recipe)
    return run, open_images(images)


def ours(job: Job) -> dict[str, float]:
    """The loop that ``reconscale run`` uses."""
    import torch

    from reconscale.training.loop import Training

    (run, images), steps = materials(job), job.steps
    training = Training(run, images, torch.device("cpu"), "fp32")
    for _ in range(WARM):
        training.advance()
    training.clock.spent = {"train": 0.0, "data": 0.0}
    began = time.perf_counter()
    while training.step < steps:
        training.advance()
    seconds = time.perf_counter() - began
    wait = training.clock.spent["data"] / seconds
    return {"rate": BATCH * (steps - WARM) / seconds, "psnr": quality(training.network, images), "wait": wait}


WARM = 5
"""Steps before the clock starts."""


def tensors(images: Any, run: Any) -> Any:
    """The training crops as one float tensor: the others get them without any work."""
    import torch

    pixels = images.training(run.n, run.subset_seed)
    raw = pixels.crops(list(range(len(pixels))), run.images.patch, generator=None)
    return pixels.to_unit(raw, torch.device("cpu"))


def fresh(job: Job) -> Any:
    """The network with the weights that every contestant begins with; of SwinIR deepinv's own, made for this size."""
    import torch

    from reconscale.networks import Given, build

    torch.manual_seed(0)
    network = build(job.network, Given(3))
    if job.family != "swinir":
        return network
    from deepinv.models import SwinIR

    how = {"embed_dim": job.width, "depths": (2, 2), "num_heads": (2, 2), "mlp_ratio": 2, "drop_path_rate": 0.0}
    theirs = SwinIR(img_size=job.patch, in_chans=3, window_size=8, pretrained=None, **how)
    weights = {name: value for name, value in network.state_dict().items() if "attn_mask" not in name}
    theirs.load_state_dict(weights, strict=False)
    return theirs


def plain(job: Job) -> dict[str, float]:
    """What one writes in ten lines: a DataLoader, noise, loss, Adam."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    (run, images), steps = materials(job), job.steps
    network = fresh(job)
    loader = DataLoader(TensorDataset(tensors(images, run)), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    step, began = 0, time.perf_counter()
    while step < steps:
        for (x,) in loader:
            if step == WARM:
                began = time.perf_counter()
            y = x + 25 / 255 * torch.randn_like(x)
            loss = torch.nn.functional.mse_loss(network(y), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == steps:
                break
    return {"rate": BATCH * (steps - WARM) / (time.perf_counter() - began), "psnr": quality(network, images)}


def trainer(job: Job) -> dict[str, float]:
    """The trainer of deepinv with its default metrics, online measurements, and nothing printed."""
    import deepinv
    import torch
    from torch.utils.data import DataLoader

    warnings.simplefilter("ignore")
    (run, images), steps = materials(job), job.steps

    class Reconstructor(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = fresh(job)
            self.step, self.began = 0, 0.0

        def forward(self, y: Any, *_: Any, **__: Any) -> Any:
            if self.training:
                if self.step == WARM:
                    self.began = time.perf_counter()
                self.step += 1
            return self.network(y)

    model = Reconstructor()
    loader = DataLoader(deepinv.datasets.TensorDataset(x=tensors(images, run)), batch_size=BATCH, shuffle=True)
    noise = deepinv.physics.GaussianNoise(25 / 255, rng=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        training = deepinv.Trainer(
            model=model, physics=deepinv.physics.Denoising(noise), train_dataloader=loader,
            optimizer=torch.optim.Adam(model.parameters(), lr=LR), losses=deepinv.loss.SupLoss(),
            epochs=steps * BATCH // IMAGES, online_measurements=True, verbose=False, show_progress_bar=False,
            save_path=folder, device="cpu", plot_images=False,
        )  # fmt: skip
        training.train()
        seconds = time.perf_counter() - model.began
    return {"rate": BATCH * (model.step - WARM) / seconds, "psnr": quality(model.network, images)}


def quality(network: Any, images: Any) -> float:
    """Mean PSNR on the validation images, the same measurements for all."""
    import torch

    from reconscale.imaging import PROBLEMS
    from reconscale.study import DenoisingProblem
    from reconscale.training.evaluate import validate

    problem = PROBLEMS["denoising"](DenoisingProblem(kind="denoising"), torch.device("cpu"), 0)
    return validate(network, problem, images.val, None, torch.device("cpu"))[1]


def floor(threads: int) -> float:
    """The best of twenty matrix products: FLOP/s of one thread, the yardstick of what convolutions can reach."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a = torch.rand(1024, 1024)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    torch.set_num_threads(before)
    return 2 * 1024**3 / best


if __name__ == "__main__":
    main()
