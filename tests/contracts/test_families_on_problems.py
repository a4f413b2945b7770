"""Every family with every problem that it is made for: trains, continues exactly, measures odd sizes, is applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reconscale.data import ImageSet, open_images, write_image
from reconscale.data.image_files import read_pixels
from reconscale.errors import UserError
from reconscale.networks import FAMILIES
from reconscale.networks.family import input_spec
from reconscale.results import Folder
from reconscale.study import Images, Recipe, Run
from reconscale.study.problems import PROBLEMS
from reconscale.training.apply import reconstruct
from reconscale.training.loop import Hooks, Training
from reconscale.training.worker import Placement, Task, run_task
from tests import camera
from tests.contracts.test_families import small

CPU = torch.device("cpu")
SIDE = 36
OPTIONS: dict[str, dict[str, Any]] = {
    kind: dict(model.example) | {"denoising": {"photons": 500.0}, "superresolution": {"factor": 3}}.get(kind, {})
    for kind, model in PROBLEMS.items()
}
CASES = [(family, kind) for family, known in FAMILIES.items() for kind in PROBLEMS if known.made_for(kind)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, ImageSet]:
    """Single images, and pairs."""
    place = tmp_path_factory.mktemp("cache")
    camera.write_pairs(place, scenes=6, side=40)
    common: dict[str, Any] = {"patch": SIDE, "val": 1, "val_patch": SIDE, "test": 1}
    single = Images(source="deadleaves", channels="gray", size=40, total=6, **common)
    pairs = Images(source="pairs", inputs="noisy", truths="clean", range=(camera.BLACK, camera.WHITE), **common)
    return {options.paired: open_images(options, data=place, cache=place / "cache") for options in (single, pairs)}


@pytest.fixture
def images(request: pytest.FixtureRequest, both: dict[bool, ImageSet]) -> ImageSet:
    """Those that the problem of a test takes."""
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    return both[kind is not None and PROBLEMS[kind].paired]


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
        black, white = run.images.range or (0.0, 1.0)
        image = black + (white - black) * image
        write_image(tmp_path / "in.tif", image)
        if given.form == "sensed" and "sensed" in FAMILIES[family].build and not run.problem.files_hold_y:
            with pytest.raises(UserError, match="what was measured"):  # a file holds what was filtered
                reconstruct(folder.of(run), tmp_path / "in.tif", tmp_path / "out.tif")
            return
        written = reconstruct(folder.of(run), tmp_path / "in.tif", tmp_path / "out.tif")
        assert read_pixels(written[0]).shape == (25 * given.factor, 33 * given.factor, 1)
