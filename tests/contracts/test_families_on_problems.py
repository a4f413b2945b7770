"""Every family with every problem that it is made for: trains, continues exactly, measures odd sizes, is applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reconscale.data import ImageSet, open_images, read_image, write_image
from reconscale.errors import UserError
from reconscale.networks import FAMILIES
from reconscale.networks.family import input_spec
from reconscale.study import Folder, Images, Recipe, Run
from reconscale.study.problems import PROBLEMS
from reconscale.training.apply import reconstruct
from reconscale.training.loop import Hooks, Training
from reconscale.training.worker import Placement, Task, run_task
from tests.contracts.test_families import small

CPU = torch.device("cpu")
SIDE = 36
OPTIONS: dict[str, dict[str, Any]] = {
    kind: dict(model.example) | {"denoising": {"photons": 500.0}, "superresolution": {"factor": 3}}.get(kind, {})
    for kind, model in PROBLEMS.items()
}
CASES = [(family, kind) for family, known in FAMILIES.items() for kind in PROBLEMS if known.made_for(kind)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    options = Images(source="deadleaves", channels="gray", size=40, total=6, patch=SIDE, val=1, val_patch=SIDE, test=1)
    return open_images(options, cache=tmp_path_factory.mktemp("cache"))


def run_of(family: str, kind: str, images: ImageSet) -> Run:
    problem = PROBLEMS[kind](kind=kind, **OPTIONS[kind])
    side = 39  # odd; compressed sensing cuts it to whole blocks
    options = images.images.model_copy(update={"val_patch": side, "test_patch": side})
    recipe = Recipe(steps=20, batch=2, validate_every=10, lr=1e-3)
    return Run(problem=problem, images=options, n=3, network=small(family, 4), recipe=recipe)


def trained(run: Run, images: ImageSet, cut: int | None) -> dict[str, torch.Tensor]:
    """The weights after training, in one go or with a break after some steps."""
    training = Training(run, images, CPU, "fp32")
    if cut is not None:
        for _ in range(cut):
            training.advance()
            if training.step == 10:
                training.look()
        state = training.state()
        torch.manual_seed(99)  # what others draw in between
        training = Training(run, images, CPU, "fp32")
        training.restore(state)
    training.carry_on(Hooks())
    return training.best


@pytest.mark.parametrize("family, kind", CASES)
def test_from_training_to_a_file(family: str, kind: str, images: ImageSet, tmp_path: Path) -> None:
    run = run_of(family, kind, images)
    folder = Folder(tmp_path)
    assert run_task(Task(run, images, folder, Placement()), lambda message: None) == "done"
    whole = load_file(folder.of(run) / "weights.safetensors")
    assert all(value.isfinite().all() for value in whole.values())
    resumed = trained(run, images, cut=13)
    assert set(resumed) == set(whole) and all(torch.equal(resumed[name], whole[name]) for name in whole)
    result = folder.read(run)
    assert result is not None
    assert np.isfinite(list(result.metrics["test"].values())).all()
    if not run.problem.volumes:  # volumes have tests of their own
        given = input_spec(run.problem, 1)
        image = np.random.default_rng(0).random((25, 33, 1)).astype(np.float32)
        write_image(tmp_path / "in.tif", image)
        if given.form == "sensed" and "sensed" in FAMILIES[family].build and not run.problem.files_hold_y:
            with pytest.raises(UserError, match="what was measured"):  # a file holds what was filtered
                reconstruct(folder.of(run), tmp_path / "in.tif", tmp_path / "out.tif")
            return
        written = reconstruct(folder.of(run), tmp_path / "in.tif", tmp_path / "out.tif")
        assert read_image(written[0]).shape == (25 * given.factor, 33 * given.factor, 1)
