"""Probes: which runs are trained for longer, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconscale.results import Folder, Result
from reconscale.results.probes import longer_run, probes_folder, read_probes, results_to_probe
from reconscale.results.result import Branch
from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run
from reconscale.study.run import MOST_DOUBLINGS

PROFILE = "psnr-rgb-clip"


def result(n: int, width: int, seed: int, psnr: float, **recipe: Any) -> Result:
    images = Images(source="bundled", val=1, test=1)
    run = Run(problem=DenoisingProblem(kind="denoising"), images=images, n=n, network=Network(width=width),
              recipe=Recipe(**recipe), seed=seed)  # fmt: skip
    values = {PROFILE: psnr, "mse": 10 ** (-psnr / 10)}
    of_images = {"test": {"a": values, "b": values}}
    return Result(status="done", run=run, p=width * width, steps=recipe.get("steps", 1), images=of_images,
                  metrics={"test": values, "val": values})  # fmt: skip


def test_the_smallest_and_the_largest_n_at_the_selected_width() -> None:
    """The width is the one selected at the largest n; of the seeds the lowest."""
    values = {(2, 4): 25.0, (2, 8): 24.0, (9, 4): 26.0, (9, 8): 27.0, (40, 4): 27.0, (40, 8): 28.0}
    results = [result(n, width, seed, psnr + seed / 9) for (n, width), psnr in values.items() for seed in (1, 0)]
    chosen = results_to_probe(results, profile=PROFILE, test_set="test")
    assert [(r.run.n, r.run.network.width, r.run.seed) for r in chosen] == [(2, 8, 0), (40, 8, 0)]
    assert results_to_probe([], profile=PROFILE, test_set="test") == []
    (only,) = results_to_probe(results[:2], profile=PROFILE, test_set="test")
    assert only.run.n == 2


@pytest.mark.parametrize("recipe, changed", [
    ({"steps": 100}, {"steps": 400}),
    ({"policy": "fast", "steps": 100}, {"steps": 400}),
    ({"policy": "plateau", "patience": 3, "epochs": 5, "steps": 70}, {"patience": 12, "epochs": 20, "steps": 280}),
    ({"policy": "paper"}, {"patience": 40, "steps": 16000}),
    ({"policy": "converge", "steps": 9}, {"doublings": 3, "tolerance": 1e-9}),
])  # fmt: skip
def test_four_times_as_long(recipe: dict[str, Any], changed: dict[str, Any]) -> None:
    before = result(2, 4, 0, 25.0, **recipe)
    run = longer_run(before)
    then, now = run.recipe, before.run.recipe
    differences = {name for name in Recipe.model_fields if getattr(then, name) != getattr(now, name)}
    assert differences == set(changed) and all(getattr(then, name) == value for name, value in changed.items())
    assert run.id != before.run.id


def test_probes_are_read_beside_their_runs(tmp_path: Path) -> None:
    folder, before = Folder(tmp_path), [result(n, 4, 0, 25.0 + n, steps=10) for n in (9, 2)]
    read = lambda results: read_probes(folder, results, profile=PROFILE, test_set="test")  # noqa: E731
    assert read(before) == []
    for each in before:
        run = longer_run(each)
        after = each.model_copy(update={"run": run, "metrics": {"test": {PROFILE: 40.0}}})
        after.write(probes_folder(folder).of(run))
    probes = read(before)
    assert [probe.before.run.n for probe in probes] == [2, 9]
    assert probes[0].values(PROFILE, "test") == (27.0, 40.0)
    assert folder.others([each.run for each in before]) == 0  # they are no results of another plan


def test_probes_of_an_earlier_plan_are_left_out(tmp_path: Path) -> None:
    """A study that has grown is probed at its largest n now, or not at all."""
    folder, before = Folder(tmp_path), [result(n, 4, 0, 25.0 + n, steps=10) for n in (2, 9)]
    for each in before:
        run = longer_run(each)
        each.model_copy(update={"run": run}).write(probes_folder(folder).of(run))
    grown = [*before, result(40, 4, 0, 70.0, steps=10)]
    probes = read_probes(folder, grown, profile=PROFILE, test_set="test")
    assert [probe.before.run.n for probe in probes] == [2]


def test_a_probe_doubles_no_more_often_than_a_run_may() -> None:
    before = result(2, 4, 0, 25.0, policy="converge", steps=4, doublings=MOST_DOUBLINGS)
    branches = [Branch(trunk=4 * 2**k, steps=5 * 2**k, best_step=4, psnr=20.0 + k) for k in range(MOST_DOUBLINGS + 1)]
    run = longer_run(before.model_copy(update={"branches": tuple(branches)}))
    assert run.recipe.doublings == MOST_DOUBLINGS
