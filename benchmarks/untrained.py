"""Quality of untrained networks of every family and problem against their input, with random heads and heads of zeros.

    python benchmarks/untrained.py      # less than a minute on one core

Mean PSNR in dB of two bundled photographs, cut to their middle; weights of seed 0. Study files of version 2 have heads
of zeros by themselves.
"""

from __future__ import annotations

from typing import Any

import torch

from reconscale.data import ImageSet, open_images
from reconscale.networks import FAMILIES, build, input_spec
from reconscale.physics import InverseProblem, problem_of
from reconscale.study import Images, Network
from reconscale.study.problems import PROBLEMS
from reconscale.training.evaluate import reconstructed

SIDE, WIDTH = 96, 12
"""Of images in pixels; of networks."""
FEW: dict[str, dict[str, int]] = {
    "swinir": {"depth": 2, "layers": 2},
    "restormer": {"depth": 1},
    "drunet": {"depth": 1},
    "edsr": {"depth": 4},
    "varnet": {"cascades": 4},
}
"""Dials of families that would take long; the others have their own."""


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    images = open_images(Images(source="bundled", channels="gray", val=2, test=1, patch=SIDE))
    print("| problem | input, dB | family | head random | head zero |")
    print("|---|---|---|---|---|")
    for kind, model in PROBLEMS.items():
        options = model(kind=kind, **model.example)
        problem = problem_of(options, torch.device("cpu"), 0)
        start = quality(problem.anchors(images.val)["input"].reconstruct, problem, images)
        for family, known in FAMILIES.items():
            if known.made_for(kind):
                heads = (untrained(family, head, options, problem, images) for head in ("random", "zero"))
                print(f"| {kind} | {start:.2f} | {family} | {' | '.join(f'{dB:.2f}' for dB in heads)} |", flush=True)


def untrained(family: str, head: str, options: Any, problem: InverseProblem, images: ImageSet) -> float:
    """Mean PSNR in dB of a network before training."""
    torch.manual_seed(0)
    network = Network.model_validate({"family": family, "width": WIDTH, "head": head, **FEW.get(family, {})})
    return quality(build(network, input_spec(options, images.channels)).eval(), problem, images)


def quality(reconstruct: Any, problem: InverseProblem, images: ImageSet) -> float:
    """Mean PSNR in dB on the validation images."""
    with torch.inference_mode():
        found = [problem.quick(x_hat, of) for of, x_hat in reconstructed(reconstruct, problem, images.val, SIDE, 0)]
    return float(torch.stack(found)[:, 1].mean())


if __name__ == "__main__":
    main()
