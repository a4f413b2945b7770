"""The official MRI campaign as a study file: its cells, runs and sizes."""

from __future__ import annotations

from pathlib import Path

from reconscale.networks import InputSpec, size_of
from reconscale.study import load_study, runs_of

WIDTHS = {
    50: [16, 32, 48, 64, 96, 128, 160],
    100: [32, 48, 96, 128, 160, 192],
    250: [16, 32, 48, 64, 96, 112, 128, 144, 160, 176, 192],
    500: [16, 32, 48, 64, 96, 128, 160, 192, 208, 224, 256],
    1000: [16, 32, 48, 64, 96, 128, 160, 192, 208, 224, 256],
    2500: [128, 160, 192, 208, 256],
    5000: [64, 96, 128, 160, 192, 224, 256],
    10000: [256],
    25000: [256],
    50000: [64, 96, 128, 160, 192, 224, 256],
}
SIZES = {16: 1.939, 32: 7.756, 48: 17.451, 64: 31.024, 96: 69.803, 128: 124.094, 192: 279.210, 256: 496.372}


def test_the_campaign() -> None:
    study = load_study(Path(__file__).parents[2] / "studies" / "mri-paper")
    runs = runs_of(study)
    found: dict[int, list[int]] = {}
    for run in runs:
        if run.network.width not in found.setdefault(run.n, []):
            found[run.n].append(run.network.width)
    assert found == WIDTHS and sum(map(len, found.values())) == 67 and len(runs) == 183
    assert {run.n for run in runs if run.recipe.lr_min == 1e-7} == {25000, 50000}
    assert {run.seed for run in runs if run.n >= 10000} == {42}
    for width, millions in SIZES.items():
        assert round(size_of(study.cell_network(width), InputSpec(1, "mri")).p / 1e6, 3) == millions
