"""How well one learning rate serves networks of several widths: validation PSNR by family, width and rate.

Every network is trained for this many steps by the default recipe but for its rate, on the photographs of
``benchmarks/quality.py``; nothing is tested. ``gain`` is what the best rate has more than the recipe's own.

    python benchmarks/rates.py --data DATA            # or: --family shrinkage --width 16 --steps 300
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quality_tasks import TASKS, check_data, study_content
from reconscale.errors import UserError

FAMILIES: dict[str, dict[str, Any]] = {
    "shrinkage": {"family": "shrinkage"},
    "resnet": {"family": "resnet"},
    "unet": {"family": "unet", "norm": "none"},
}
WIDTHS, RATES, STEPS = (16, 32, 64), (0.005, 0.01, 0.02, 0.04, 0.08), 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the flags, train, print the table; 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the data folder; without it $RECONSCALE_DATA")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--width", nargs="+", type=int, default=WIDTHS)
    parser.add_argument("--rate", nargs="+", type=float, default=RATES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hold", type=float, help="the share of steps at the full rate, instead of the recipe's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured here")
    flags = parser.parse_args(arguments)
    if flags.steps < 1 or min(flags.rate) <= 0:
        parser.error(f"found --steps {flags.steps} and rates from {min(flags.rate):g}: both must be above 0")
    data = flags.data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)
    try:
        check_data(TASKS["denoising"], data)
        _measure(flags, data)
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


def _measure(flags: argparse.Namespace, data: Path | None) -> None:
    import torch

    torch.set_num_threads(1)
    print(f"{'family':12}{'width':>6}" + "".join(f"{rate:>8g}" for rate in flags.rate) + f"{'gain':>8}{'seconds':>9}")
    rows = []
    for family in flags.family:
        for width in flags.width:
            began = time.process_time()
            found = {rate: validation_psnr(family, width, rate, flags, data) for rate in flags.rate}
            row = {"family": family, "width": width, "steps": flags.steps, "seed": flags.seed, "psnr": found}
            own = found.get(_own_rate())
            row |= {"gain": None if own is None else max(found.values()) - own}
            rows.append(row)
            gain = "" if own is None else f"{row['gain']:.2f}"
            values = "".join(f"{value:8.2f}" for value in found.values())
            print(f"{family:12}{width:6}{values}{gain:>8}{time.process_time() - began:9.0f}", flush=True)
            if flags.json:
                flags.json.write_text(json.dumps(rows, indent=2) + "\n")


def _own_rate() -> float:
    """The rate of the default recipe."""
    from reconscale.study.study_file import parse_study

    study = parse_study(study_content(TASKS["denoising"], TASKS["denoising"].presets[0], {}))
    return study.cell_recipe(1, study.sweep.width[0]).lr


def validation_psnr(family: str, width: int, rate: float, flags: argparse.Namespace, data: Path | None) -> float:
    """Of a network after its last step, in dB; of one that diverged NaN."""
    from quality_training import CPU, material
    from reconscale.training.calibrate import best, tried
    from reconscale.training.loop import Hooks, Training
    from reconscale.training.worker import Placement

    task = TASKS["denoising"]
    content = study_content(task, task.presets[0], {"width": width, "lr": rate})
    content["network"] = FAMILIES[family]
    content["recipe"] |= {} if flags.hold is None else {"hold": flags.hold}
    given = material(task, content, data, flags.seed)
    run = given.run(flags.steps)
    training = Training(run, given.images, CPU, best(tried(run, given.images, Placement()), flags.steps))
    training.carry_on(Hooks())
    return float("nan") if training.diverged_at is not None else training.best_psnr


if __name__ == "__main__":
    sys.exit(main())
