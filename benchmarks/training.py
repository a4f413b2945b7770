"""Images per second and final quality, family by family: ours, a plain PyTorch loop, and ``deepinv.Trainer``.

All train the same network from the same weights on the same crops, batch and optimiser, with fresh Gaussian noise every
step, and all are measured by the same validation in fp32. ``ours`` is the default (fp32); ``auto`` is what a recipe's
``precision = "auto"`` finds to be the fastest way here: bf16, the layout in memory, or fp32.

* 1 core: one run with one thread: what a step costs;
* all cores: what the machine gets done. ``ours`` and ``auto`` run one run a core side by side, as ``reconscale
  run`` does; the others get what their users do, one process with a thread a core, and are shown side by side as well.

Rounds alternate between the contestants, so that a busy machine treats them alike; ratios are medians over rounds of
ratios within a round. On a busy machine images per second of the CPU say more than images per second. The share of the
floor is that of the rate of a matrix product in fp32, on as many cores.
Where there is a GPU, columns for it follow (never run by us: we had none).

    make bench-training            # or: python benchmarks/training.py --network unet-16 --steps 300 --rounds 5
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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.study import Network

BATCH, IMAGES, LR = 8, 200, 1e-3
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

NETWORKS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "unet-8": (100, 64, {"family": "unet", "width": 8}),
    "unet-16": (75, 64, {"family": "unet", "width": 16}),
    "unet-32": (25, 64, {"family": "unet", "width": 32}),
    "dncnn-32": (50, 64, {"family": "dncnn", "width": 32}),
    "drunet-16": (50, 64, {"family": "drunet", "width": 16, "depth": 1}),
    "edsr-32": (25, 64, {"family": "edsr", "width": 32, "depth": 8}),
    "rfdn-24": (25, 64, {"family": "rfdn", "width": 24}),
    "swinir-24": (25, 32, {"family": "swinir", "width": 24, "depth": 2, "layers": 2, "heads": 2}),
    "restormer-16": (25, 32, {"family": "restormer", "width": 16, "depth": 1}),
}
"""Family and width -> steps of a round, side of the crops, dials."""
DEFAULT = ["unet-16", "dncnn-32", "edsr-32", "swinir-24"]
"""What is measured unless ``--network`` names others."""


@dataclass(frozen=True)
class Job:
    """What is trained, and how long."""

    name: str
    steps: int
    device: str = "cpu"
    way: str = "fp32"

    @property
    def patch(self) -> int:
        """Side of the training crops."""
        return NETWORKS[self.name][1]

    @property
    def network(self) -> Network:
        """As a study names it."""
        from reconscale.study import Network

        return Network(**NETWORKS[self.name][2])


@dataclass(frozen=True)
class Setting:
    """Who trains, and with what."""

    who: str
    processes: int
    threads: int
    device: str = "cpu"

    def __str__(self) -> str:
        """For the table."""
        if self.device != "cpu":
            return f"{self.who}, {self.device}"
        return f"{self.who}, {self.processes} x {self.threads}"


def main() -> None:
    """Parse the flags, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=DEFAULT)
    parser.add_argument("--steps", type=int, help="of a round; the networks have numbers of their own")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--one", help="(internal) run one contestant and print its figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--way", default="fp32")
    flags = parser.parse_args()
    if flags.one:
        job = Job(flags.network[0], flags.steps, flags.device, flags.way)
        print(json.dumps(contest(flags.one, job, flags.threads)))
        return
    record: dict[str, Any] = {"matrix product, FLOP/s": {"fp32": floor("float32"), "bf16": floor("bfloat16")}}
    rates = record["matrix product, FLOP/s"]
    print(f"3 channels, batch {BATCH}, Adam {LR:g}; 1024 x 1024 matrix product, one thread: "
          f"fp32 {rates['fp32'] / 1e9:.0f}, bf16 {rates['bf16'] / 1e9:.0f} GFLOP/s; {CORES} cores\n")  # fmt: skip
    for name in flags.network:
        record[name] = show(name, flags.steps or NETWORKS[name][0], flags.rounds, rates["fp32"])
        if flags.json:
            flags.json.write_text(json.dumps(record, indent=2) + "\n")


@cache
def gpu() -> bool:
    """Whether there is one."""
    import torch

    return torch.cuda.is_available()


def settings() -> list[Setting]:
    """Who is compared; the first of each group of four is what ratios are of."""
    one = [Setting(who, 1, 1) for who in ("trainer", "plain", "ours", "auto")]
    many = [
        Setting("trainer", 1, CORES), Setting("trainer", CORES, 1), Setting("plain", 1, CORES),
        Setting("ours", CORES, 1), Setting("auto", CORES, 1),
    ]  # fmt: skip
    on_gpu = [Setting(who, 1, 1, "cuda") for who in ("trainer", "plain", "ours", "auto")] if gpu() else []
    return one + (many if CORES > 1 else []) + on_gpu


def show(name: str, steps: int, rounds: int, peak: float) -> dict[str, Any]:
    """Run and print the table of one network."""
    from reconscale.networks import InputSpec, size_of

    ways = {device: chosen(name, device) for device in ("cpu", *(["cuda"] if gpu() else []))}
    everyone = settings()
    found: dict[Setting, list[dict[str, float]]] = {setting: [] for setting in everyone}
    for _ in range(rounds):
        for setting in everyone:
            way = ways[setting.device] if setting.who == "auto" else "fp32"
            found[setting].append(together(setting, Job(name, steps, setting.device, way)))
    job = Job(name, steps)
    size = size_of(job.network, InputSpec(3))
    flops = 3 * size.flops * job.patch**2
    print(f"{name}: {size.p:,} parameters, {job.patch} x {job.patch}, {flops / 1e9:.2f} GFLOP an image and step, "
          f"{steps} steps; auto is {ways}")  # fmt: skip
    titles = ("of trainer", "of plain", "of ours", "of floor", "per CPU s", "PSNR/dB")
    print(f"{'':22}{'images/s':>10}" + "".join(f"{title:>11}" for title in titles))
    table: dict[str, Any] = {"auto": ways}
    for setting, rows in found.items():
        alike = [other for other in everyone if (other.device, other.processes * other.threads)
                 == (setting.device, setting.processes * setting.threads)]  # fmt: skip
        ratios = {
            who: ratio(rows, found[next(o for o in alike if o.who == who)]) for who in ("trainer", "plain", "ours")
        }
        rate, cpu = (statistics.median(row[key] for row in rows) for key in ("rate", "per CPU second"))
        share = rate * flops / (peak * setting.processes * setting.threads) if setting.device == "cpu" else float("nan")
        print(f"{setting!s:22}{rate:10.0f}{ratios['trainer']:10.2f}x{ratios['plain']:10.2f}x{ratios['ours']:10.2f}x"
              f"{share:11.0%}{cpu:11.0f}{rows[0]['psnr']:11.3f}", flush=True)  # fmt: skip
        of_floor = share if setting.device == "cpu" else None
        table[str(setting)] = {
            "images/s": rate,
            "images per CPU second": cpu,
            "of": ratios,
            "of floor": of_floor,
            "psnr": rows[0]["psnr"],
        }
    print()
    return table


def ratio(rows: list[dict[str, float]], others: list[dict[str, float]]) -> float:
    """The median over rounds of the ratio within a round."""
    return statistics.median(a["rate"] / b["rate"] for a, b in zip(rows, others, strict=True))


def chosen(name: str, device: str) -> str:
    """The way that ``precision = "auto"`` finds."""
    import torch

    from reconscale.training.calibrate import best, tried
    from reconscale.training.worker import Placement

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run, images = materials(Job(name, 4000))
        return best(tried(run, images, Placement(device=device)), run.recipe.steps)
    finally:
        torch.set_num_threads(before)


def together(setting: Setting, job: Job) -> dict[str, float]:
    """Several processes of one contestant at once: the sum of their rates, the PSNR of the first."""
    flags = {"--one": setting.who, "--network": job.name, "--steps": job.steps, "--threads": setting.threads,
             "--device": job.device, "--way": job.way}  # fmt: skip
    command = [sys.executable, __file__, *(str(word) for pair in flags.items() for word in pair)]
    threads = str(setting.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads}  # a passive wait policy would halve two threads
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(setting.processes)
    ]
    rows = [json.loads(process.communicate()[0].decode().splitlines()[-1]) for process in started]
    return rows[0] | {"rate": sum(row["rate"] for row in rows)}


def contest(who: str, job: Job, threads: int) -> dict[str, float]:
    """Train with one contestant; images per second without start-up, and PSNR on the validation images."""
    import torch

    torch.set_num_threads(threads)
    return {"ours": ours, "auto": ours, "plain": plain, "trainer": trainer}[who](job)


def materials(job: Job) -> tuple[Any, Any]:
    """The run and its images: procedural, so that anyone can repeat this."""
    from reconscale.data import open_images
    from reconscale.study import DenoisingProblem, Images, Recipe, Run

    images = Images(source="deadleaves", size=128, total=IMAGES + 16, patch=job.patch, val=8, test=8, crop="center")
    recipe = Recipe(steps=job.steps, batch=BATCH, lr=LR, warmup=0.0, decay="none", validate_every=10**9)
    run = Run(problem=DenoisingProblem(kind="denoising"), images=images, n=IMAGES, network=job.network, recipe=recipe)
    return run, open_images(images)


def ours(job: Job) -> dict[str, float]:
    """The loop that ``reconscale run`` uses, in the job's way."""
    import torch

    from reconscale.training.loop import Training

    (run, images), steps = materials(job), job.steps
    training = Training(run, images, torch.device(job.device), job.way)
    for _ in range(WARM):
        training.advance()
    began = now(job)
    while training.step < steps:
        training.advance()
    return rates(steps, began, now(job)) | {"psnr": quality(training.network, images)}


def rates(steps: int, began: tuple[float, float], ended: tuple[float, float]) -> dict[str, float]:
    """Images per second, and per second of the CPU."""
    wall, cpu = (b - a for a, b in zip(began, ended, strict=True))
    return {"rate": BATCH * (steps - WARM) / wall, "per CPU second": BATCH * (steps - WARM) / cpu}


def now(job: Job) -> tuple[float, float]:
    """Seconds on the clock and of the CPU, when the device has done all that it was given."""
    import torch

    if job.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


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

    from reconscale.networks import InputSpec, build

    torch.manual_seed(0)
    network = build(job.network, InputSpec(3))
    if job.network.family != "swinir":
        return network
    from deepinv.models import SwinIR

    how = {"embed_dim": job.network.width, "depths": (2, 2), "num_heads": (2, 2), "mlp_ratio": 2, "drop_path_rate": 0.0}
    theirs = SwinIR(img_size=job.patch, in_chans=3, window_size=8, pretrained=None, **how)
    weights = {name: value for name, value in network.state_dict().items() if "attn_mask" not in name}
    theirs.load_state_dict(weights, strict=False)
    return theirs


def plain(job: Job) -> dict[str, float]:
    """What one writes in ten lines: a DataLoader, noise, loss, Adam."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    (run, images), steps = materials(job), job.steps
    network = fresh(job).to(job.device)
    loader = DataLoader(TensorDataset(tensors(images, run)), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    step, began = 0, now(job)
    while step < steps:
        for (batch,) in loader:
            x = batch.to(job.device)
            if step == WARM:
                began = now(job)
            y = x + 25 / 255 * torch.randn_like(x)
            loss = torch.nn.functional.mse_loss(network(y), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == steps:
                break
    return rates(steps, began, now(job)) | {"psnr": quality(network, images)}


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
            self.network = fresh(job).to(job.device)
            self.step, self.began = 0, (0.0, 0.0)

        def forward(self, y: Any, *_: Any, **__: Any) -> Any:
            if self.training:
                if self.step == WARM:
                    self.began = now(job)
                self.step += 1
            return self.network(y)

    model = Reconstructor()
    loader = DataLoader(deepinv.datasets.TensorDataset(x=tensors(images, run)), batch_size=BATCH, shuffle=True)
    noise = deepinv.physics.GaussianNoise(25 / 255, rng=torch.Generator(job.device).manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        training = deepinv.Trainer(
            model=model, physics=deepinv.physics.Denoising(noise), train_dataloader=loader,
            optimizer=torch.optim.Adam(model.parameters(), lr=LR), losses=deepinv.loss.SupLoss(),
            epochs=max(1, steps * BATCH // IMAGES), online_measurements=True, verbose=False, show_progress_bar=False,
            save_path=folder, device=job.device, plot_images=False,
        )  # fmt: skip
        training.train()
        measured = rates(model.step, model.began, now(job))
    return measured | {"psnr": quality(model.network, images)}


def quality(network: Any, images: Any) -> float:
    """Mean PSNR on the validation images, the same measurements for all."""
    import torch

    from reconscale.physics import problem_of
    from reconscale.study import DenoisingProblem
    from reconscale.training.evaluate import validate

    problem = problem_of(DenoisingProblem(kind="denoising"), torch.device("cpu"), 0)
    return validate(network.cpu(), problem, images.val, None, torch.device("cpu"))[1]


def floor(dtype: str) -> float:
    """The best of twenty matrix products: FLOP/s of one thread, the yardstick of what convolutions can reach."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    a = torch.rand(1024, 1024).to(getattr(torch, dtype))
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    torch.set_num_threads(before)
    return 2 * 1024**3 / best


if __name__ == "__main__":
    main()
