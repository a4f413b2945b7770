"""Run by another Python, one that has ``simple-scaling-laws`` (3.12 or later): curves in, quantiles out, as JSON lines.

Reads on standard input one curve a line, {"n": [...], "y": [...], "ahead": [...]}, and writes for each
{"quantiles": [[...], ...], "seconds": s}, or {"error": "..."} where the package refuses the curve.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import polars as pl
from simple_scaling_laws import fit

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        curve = json.loads(line)
        began = time.perf_counter()
        runs = pl.DataFrame(
            {
                "training_run_id": [f"r{i}" for i in range(len(curve["n"]))],
                "dataset_size__n": curve["n"],
                "test_loss__err": curve["y"],
            }
        )
        try:
            model = fit(runs, law="separable-power", n_draws=200, seed=0)
            told = model.predict(pl.DataFrame({"dataset_size__n": curve["ahead"]}), quantiles=LEVELS)
        except Exception as error:  # a peer's refusal is a result of the comparison, and is counted
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}), flush=True)
            continue
        names = [name for name in told.columns if name.startswith("test_loss__err__")]
        rows = [[float(value) for value in told[name]] for name in names]
        print(json.dumps({"quantiles": rows, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
