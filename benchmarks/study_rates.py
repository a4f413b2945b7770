"""Whether a study's learning rate suits its widths: each width at its largest n is trained at other rates, too.

    python benchmarks/study_rates.py studies/superresolution-photos/edsr-2x --data DATA
    python benchmarks/study_rates.py studies/mri-brain/unet-4x --data DATA --n 75 --factor 0.5 1 2

Every run is one of the study, of its first seed, but for the rate (and n, where ``--n`` says so); ``converge`` decides
when it ends, as in the study. The table has the best score on validation images; nothing is tested. ``gain`` is what
the best rate has more than the study's own. Finished runs are kept in ``--folder`` and not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reconscale.errors import UserError

FACTORS = (0.5, 1.0, 2.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the flags, train, print the table; 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="the folder of a study.toml")
    parser.add_argument("--data", type=Path, help="the data folder; without it $RECONSCALE_DATA")
    parser.add_argument("--factor", nargs="+", type=float, default=FACTORS, help="multiples of the study's rate")
    parser.add_argument("--width", nargs="+", type=int, help="the study's, without it")
    parser.add_argument("--n", type=int, help="the study's largest, without it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs are kept; a temporary one, without it")
    flags = parser.parse_args(arguments)
    if min(flags.factor) <= 0:
        parser.error(f"found --factor {min(flags.factor):g}: rates are above 0")
    data = flags.data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)
    try:
        with tempfile.TemporaryDirectory() as spare:
            print_rates(flags, data, flags.folder or Path(spare))
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


def print_rates(flags: argparse.Namespace, data: Path | None, folder: Path) -> None:
    """Train each width at each rate, and print its best score on validation images."""
    content = tomllib.loads((flags.study / "study.toml").read_text(encoding="utf-8"))
    widths = flags.width or content["sweep"]["width"]
    many = flags.n or max(content["sweep"]["n"])
    own = {width: own_rate(content, many, width) for width in widths}
    print(f"{flags.study}: n = {many}, best on validation images (dB)")
    print(f"{'width':>6}{'rate':>10}" + "".join(f"{f'x {factor:g}':>9}" for factor in flags.factor) + f"{'gain':>8}")
    rates = [(width, own[width] * factor) for width in widths for factor in flags.factor]
    asked = [(content, many, width, rate, data, folder) for width, rate in rates]
    with ProcessPoolExecutor(flags.workers, get_context("spawn")) as pool:
        found = dict(zip(rates, pool.map(best_validation, *zip(*asked, strict=True)), strict=True))
    for width in widths:
        row = [found[width, own[width] * factor] for factor in flags.factor]
        gain = f"{max(row) - found[width, own[width]]:8.2f}" if (width, own[width]) in found else ""
        print(f"{width:6}{own[width]:10.4g}" + "".join(f"{value:9.2f}" for value in row) + gain, flush=True)


def own_rate(content: dict[str, Any], n: int, width: int) -> float:
    """The study's learning rate at a width."""
    from reconscale.study.study_file import parse_study

    return parse_study(content).cell_recipe(n, width).lr


def best_validation(content: dict[str, Any], n: int, width: int, rate: float, data: Path | None, folder: Path) -> float:
    """The best PSNR on validation images, in dB, of one run at a rate; NaN of one that diverged."""
    from reconscale.results import Folder
    from reconscale.study import runs_of
    from reconscale.study.study_file import parse_study
    from reconscale.training import ExecutionConfig, run

    changed = {key: value for key, value in content.items() if key != "override"}
    changed["analysis"] = {"baseline_images": 1}
    changed["sweep"] = {"n": [n], "width": [width], "seed": content["sweep"]["seed"][:1]}
    changed["recipe"] = recipe_of(content, n, width) | {"lr": rate}
    study = parse_study(changed)
    kept = Folder(folder / f"{study.name}-n{n}-w{width}-lr{rate:g}")
    run(study, kept, ExecutionConfig(data=data, workers=1), probe=False, keep_going=True)
    (done,) = kept.results(runs_of(study))
    return float("nan") if done.status != "done" else max(each.psnr for each in done.validation)


def recipe_of(content: dict[str, Any], n: int, width: int) -> dict[str, Any]:
    """The recipe as the file has it for a cell, overrides included, without the rate's own rules."""
    recipe = dict(content.get("recipe", {}))
    for each in content.get("override", []):
        low, high = each.get("n", [n, n])
        narrow, wide = each.get("width", [width, width])
        if low <= n <= high and narrow <= width <= wide:
            recipe |= each.get("recipe", {})
    return {key: value for key, value in recipe.items() if key != "lr_width"}


if __name__ == "__main__":
    sys.exit(main())
