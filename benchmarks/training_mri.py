"""MRI: slices per second, waiting for data and memory: our loop, and a plain one that reads HDF5 as the official code.

A synthetic set in fastMRI's format is written to a temporary folder and deleted in the end. Both train the paper's
network (U-Net, 1 channel, 4 levels) with its loss, optimiser and batch of 1, on zero-filled multi-coil slices:

* ours: the loop that ``reconscale run`` uses: slices are read where they lie, one ahead, masked afresh;
* plain: a ``DataLoader`` whose items open the volume's file with h5py, read the slice, mask it by the file's name and
  compute the zero-filled image (as fastMRI's ``SliceDataset`` with ``UnetDataTransform``); 0 or 2 workers.

Rounds alternate; ratios are of medians over rounds. Memory is the peak of the process (and its workers) over what it
held once everything was imported and the network was built.

    make bench-training            # or: python benchmarks/training_mri.py --slices 2000 --steps 200
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM = 3
"""Steps before the clock starts."""
CONTESTANTS = {"ours": 0, "plain, 0 workers": 0, "plain, 2 workers": 2}


def main() -> None:
    """Parse the flags, make the set, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--coils", type=int, default=4)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help="(internal) run one contestant and print its figures as JSON")
    parser.add_argument("--data", type=Path, help="(internal) the set")
    flags = parser.parse_args()
    if flags.one:
        print(json.dumps(contest(flags)))
        return
    with tempfile.TemporaryDirectory(prefix="fastmri-") as folder:
        rounds(flags, Path(folder))


def rounds(flags: argparse.Namespace, folder: Path) -> None:
    """Make the set, let the contestants alternate, print what was found."""
    from fastmri_set import make_set

    began = time.perf_counter()
    make_set(folder / "data" / "volumes", flags.slices, flags.coils, flags.side)
    size = sum(path.stat().st_size for path in (folder / "data").rglob("*.h5")) / 1e9
    made = time.perf_counter() - began
    print(
        f"{flags.slices} slices, {flags.coils} coils, {flags.side} x {flags.side}: {size:.2f} GB, made in {made:.0f} s"
    )
    print(f"U-Net of width {flags.width}, 4 levels, batch 1, {flags.steps} steps, one thread")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(flags.rounds):
        for name, results in found.items():
            results.append(alone(name, flags, folder))
    opening = [row["open"] for row in found["ours"]]
    print(f"ours opens the set in {opening[0]:.1f} s the first time, when every slice is read, checked and hashed")
    if len(opening) > 1:
        print(f"and in {statistics.median(opening[1:]):.2f} s from then on")
    print()
    print(f"{'':20}{'slices/s':>10}{'of plain':>11}{'data wait':>12}{'memory beyond the model':>26}")
    for name, rows in found.items():
        rate = statistics.median(row["rate"] for row in rows)
        base = found["plain, 0 workers"]
        ratio = statistics.median(a["rate"] / b["rate"] for a, b in zip(rows, base, strict=True))
        wait, memory = (statistics.median(row[key] for row in rows) for key in ("wait", "memory"))
        print(f"{name:20}{rate:10.2f}{ratio:10.2f}x{wait:11.1%}{memory:21.2f} GB")


def alone(name: str, flags: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One contestant in a process of its own."""
    options = {key: getattr(flags, key) for key in ("slices", "coils", "side", "width", "steps")}
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    command = [sys.executable, __file__, "--one", name, "--data", str(folder), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RECONSCALE_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout.decode().splitlines()[-1])
    return result


def contest(flags: argparse.Namespace) -> dict[str, float]:
    """Train with one contestant."""
    import torch

    torch.set_num_threads(1)
    if flags.one == "ours":
        return ours(flags)
    return plain(flags, CONTESTANTS[flags.one])


def ours(flags: argparse.Namespace) -> dict[str, float]:
    """The loop that ``reconscale run`` uses."""
    import deepinv.physics  # noqa: F401 - imported now, so that it does not count as memory of the data
    import torch

    from reconscale.data import open_images
    from reconscale.study import Images, MRIProblem, Network, Recipe, Run
    from reconscale.training.loop import Training

    network(flags.width)
    before, began = held(), time.perf_counter()
    options = Images(source="fastmri", folders=("volumes",), counts="images", val=2, test=1)
    images = open_images(options, data=flags.data / "data")
    opened = time.perf_counter() - began
    recipe = Recipe(steps=flags.steps, batch=1, lr=1e-3, optimizer="rmsprop", clip=1.0, loss="ssim", warmup=0.0,
                    decay="none", validate_every=10**9)  # fmt: skip
    run = Run(problem=MRIProblem(kind="mri"), images=options, n=images.available,
              network=Network(family="unet", width=flags.width), recipe=recipe)  # fmt: skip
    training = Training(run, images, torch.device("cpu"), "fp32")
    for _ in range(WARM):
        training.advance()
    training.clock.spent = {"train": 0.0, "data": 0.0}
    began = time.perf_counter()
    while training.step < flags.steps:
        training.advance()
    seconds = time.perf_counter() - began
    return figures(flags.steps, seconds, training.clock.spent["data"], before) | {"open": opened}


def plain(flags: argparse.Namespace, workers: int) -> dict[str, float]:
    """What one writes after the official code: a Dataset that opens a file for every slice."""
    import h5py
    import torch
    from torch.utils.data import DataLoader, Dataset

    from reconscale.physics import KSpace
    from reconscale.physics.mri import Masks, seed_of
    from reconscale.study import MRIProblem
    from reconscale.training.losses import ssim_loss

    class SliceDataset(Dataset[Any]):
        def __init__(self) -> None:
            self.items: list[tuple[Path, int]] = []
            for path in sorted((flags.data / "data" / "volumes").iterdir())[:-3]:
                with h5py.File(path) as file:
                    self.items += [(path, number) for number in range(len(file["kspace"]))]

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, index: int) -> Any:
            path, number = self.items[index]
            with h5py.File(path) as file:
                kspace, truth = torch.from_numpy(file["kspace"][number]), torch.from_numpy(
                    file["reconstruction_rss"][number])  # fmt: skip
                largest = float(file.attrs["max"])
            generator = torch.Generator().manual_seed(seed_of(path.name, 0))
            mask, (first, count) = Masks(MRIProblem(kind="mri"), generator).draw(*kspace.shape[-2:])
            return kspace * mask, mask, first, count, truth[None], largest

    module = network(flags.width).train()
    optimizer = torch.optim.RMSprop(module.parameters(), lr=1e-3)
    before = held()
    loader = DataLoader(SliceDataset(), batch_size=1, shuffle=True, num_workers=workers)
    step, waited, began, asked = 0, 0.0, time.perf_counter(), time.perf_counter()
    while step < flags.steps:
        for kspace, mask, first, count, truth, largest in loader:
            waited += time.perf_counter() - asked
            if step == WARM:
                began, waited = time.perf_counter(), 0.0
            x_hat = module(KSpace(kspace, mask, (int(first), int(count)), tuple(truth.shape[-2:])))
            loss = ssim_loss(x_hat, truth, largest.float())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            step += 1
            asked = time.perf_counter()
            if step == flags.steps:
                break
    return figures(flags.steps, time.perf_counter() - began, waited, before)


def network(width: int) -> Any:
    """The paper's network, after one step: what a loop holds before it has seen any data."""
    import torch

    from reconscale.networks import InputSpec, build
    from reconscale.study import Network

    torch.manual_seed(0)
    return build(Network(family="unet", width=width), InputSpec(1, "mri"))


def held() -> float:
    """GB that the process holds at its peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def figures(steps: int, seconds: float, waited: float, before: float) -> dict[str, float]:
    """Rate, share of time without data, and memory."""
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {"rate": (steps - WARM) / seconds, "wait": waited / seconds, "memory": held() - before + workers}


if __name__ == "__main__":
    main()
