"""Images per second of several runs trained in one pass (``reconscale run --stack``), all together, by their number.

One process with one thread; seconds are of the processor, so that a busy machine changes little; on a GPU they are on
the clock, and ``benchmarks/gpu.py`` measures the same with larger networks. Rounds alternate between the numbers of
runs; medians over rounds. ``off`` is how far the weights of the first run are from those of the run alone after the
steps of all rounds, relative to their norm.

    python benchmarks/stacked.py            # or: --network unet-16 --counts 1 2 4 8 --way bf16
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from training import NETWORKS, Job, materials

STEPS, ROUNDS = 5, 5
"""Steps of a round, and rounds."""


def main() -> None:
    """Parse the flags, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", choices=NETWORKS, nargs="+", default=["unet-8", "unet-16", "dncnn-32", "swinir-24"]
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--way", default="fp32")
    parser.add_argument("--device", default="cpu")
    flags = parser.parse_args()
    print(f"{'images/s':12}" + "".join(f"{count:>8}" for count in flags.counts) + f"{'off':>10}")
    for name in flags.network:
        rates, off = measured(Job(name, 4000, flags.device, flags.way), flags.counts)
        print(f"{name:12}" + "".join(f"{rate:8.0f}" for rate in rates) + f"{off:10.0e}", flush=True)


def measured(job: Job, counts: list[int]) -> tuple[list[float], float]:
    """Images per second for each number of runs, and how far the first run of the last is from the run alone."""
    import torch

    from reconscale.training.loop import Training
    from reconscale.training.stack import Stack

    torch.set_num_threads(1)
    run, images = materials(job)
    device = torch.device(job.device)
    stacks = []
    for count in counts:
        runs = [run.model_copy(update={"seed": seed}) for seed in range(count)]
        stacks.append(Stack([Training(each, images, device, job.way) for each in runs]))
        stacks[-1].advance()
    seconds: list[list[float]] = [[] for _ in counts]
    for _ in range(ROUNDS):
        for stack, spent in zip(stacks, seconds, strict=True):
            began = clock(job)
            for _ in range(STEPS):
                stack.advance()
            spent.append(clock(job) - began)
    alone, last = (weights(stack.trainings[0]) for stack in (stacks[0], stacks[-1]))
    pairs = zip(counts, map(statistics.median, seconds), strict=True)
    rates = [count * run.recipe.batch * STEPS / spent for count, spent in pairs]
    return rates, float((alone - last).norm() / alone.norm())


def clock(job: Job) -> float:
    """Seconds of the processor; with a GPU on the clock, once it has done all that it was given."""
    import torch

    if job.device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def weights(training: Any) -> Any:
    """All weights of a network as one vector."""
    import torch

    return torch.cat([weight.detach().reshape(-1) for weight in training.network.parameters()])


if __name__ == "__main__":
    main()
