"""Curves that others have published."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points, backtest, decide, fit, forecast

SHARED = Path(os.environ.get("RECONSCALE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FILE = SHARED / "data" / "learning_curves" / "published_reconstruction_points.csv"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the published curves are not here")


def published():
    groups = defaultdict(list)
    with FILE.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            metric = next((name for name in ("psnr", "ssim") if name in row["metric"].lower()), None)
            if metric and row["N_images"]:
                pool = row["pool"].removesuffix(f"_{row['pool'].rsplit('_', 1)[-1]}")
                key = (row["source"], row["task"], row["model"], pool, row["split"], metric)
                groups[key].append((float(row["N_images"]), float(row["value"])))
    return {key: sorted(rows) for key, rows in groups.items() if len({n for n, _ in rows}) >= 3}


def test_every_published_curve_gets_a_forecast_and_an_answer():
    curves = published()
    assert curves
    for key, rows in curves.items():
        n, y = np.array(rows).T
        points = Points(n, y, metric=key[-1])
        made = forecast(points, 2 * n.max())
        low, high = made.interval()
        assert low < made.median < high
        assert "no-seeds" in {item.code for item in made.findings}
        assert fit(points).evaluate(n) == pytest.approx(y, rel=0.05)
        assert decide(points, worthwhile=0.1 if key[-1] == "psnr" else 0.001).sentence
        backtest(points)
