"""Training on slices: exact resume with batches of several shapes, the official recipe, volumes in results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from reconscale.data import ImageSet, Slices, open_images
from reconscale.errors import UserError
from reconscale.physics import Batch
from reconscale.results import Folder, Result
from reconscale.study import Images, MRIProblem, Network, Recipe, Run, profiles_of
from reconscale.training import checkpoint, reconstruct
from reconscale.training.batches import Prefetcher, ShuffledSampler
from reconscale.training.loop import Hooks, Interrupted, Training
from reconscale.training.schedule import Action, Schedule, most_steps
from reconscale.training.worker import Placement, Task, run_task
from tests import phantoms

CPU = torch.device("cpu")
SHAPES = [(3, (32, 40)), (2, (32, 40)), (3, (36, 48)), (3, (32, 40)), (4, (33, 41))]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five volumes of several sizes and coils."""
    root = tmp_path_factory.mktemp("data")
    for index, (coils, size) in enumerate(SHAPES):
        values = phantoms.kspace(3, coils, size, seed=20 * index)
        phantoms.write_fastmri(root / f"file{index}.h5", values)
    return root


def make_run(**changes: Any) -> Run:
    fields = {
        "problem": MRIProblem(kind="mri", mask="random", acceleration=2, center_fraction=0.2, sigma=0.01),
        "images": Images(source="fastmri", counts="images", val=1, test=1),
        "n": 9,
        "network": Network(family="unrolled", width=2, depth=2, cascades=2),
        "recipe": Recipe(steps=12, batch=3, lr=1e-3, validate_every=2, loss="ssim"),
    }
    return Run(**(fields | changes))


@pytest.fixture(scope="module")
def images(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(make_run().images, data=data, cache=tmp_path_factory.mktemp("cache"))


PAPER = Recipe(policy="paper-mri", epochs=4, steps=10**6, batch=3, optimizer="rmsprop", clip=1.0, loss="ssim",
               select="loss", patience=1, lr_min=1e-6)  # fmt: skip


@pytest.mark.parametrize("recipe", [make_run().recipe, PAPER], ids=["budget", "paper-mri"])
@pytest.mark.parametrize("cut", [1, 7])
@pytest.mark.parametrize("family", ["unet", "unrolled", "varnet"])
def test_resume_is_exact(images: ImageSet, tmp_path: Path, recipe: Recipe, cut: int, family: str) -> None:
    network = Network(family=family, width=2, depth=2, cascades=None if family == "unet" else 1)
    run = make_run(recipe=recipe, network=network)
    whole = Training(run, images, CPU, "fp32")
    whole.carry_on(Hooks())
    assert whole.step == whole.steps == 12
    first = Training(run, images, CPU, "fp32")
    hooks = Hooks(keep=lambda state: checkpoint.save(tmp_path, state), stop=lambda: first.step == cut)
    with pytest.raises(Interrupted):
        first.carry_on(hooks)
    second = Training(run, images, CPU, "fp32")
    state, damaged = checkpoint.load(tmp_path, CPU)
    assert state is not None and not damaged
    second.restore(state)
    second.carry_on(Hooks())
    assert whole.curve == second.curve and whole.best_step == second.best_step
    assert all(torch.equal(value, second.best[name]) for name, value in whole.best.items())


def test_the_official_schedule() -> None:
    """A tenth of the rate when the loss has not fallen by 1e-4 for ``patience`` looks; nine looks below 2 lr_min."""
    run = make_run(recipe=PAPER.model_copy(update={"lr": 1e-3, "patience": 2}))
    schedule, rates, action = Schedule.of(run), [], Action.CONTINUE
    for look in range(40):
        loss = 0.5 - 0.1 * min(look, 3) - 5e-5 * (look > 3)  # falls by less than the threshold from then on
        schedule, action = schedule.observe(-loss)
        rates.append(schedule.rate)
        if action is Action.STOP:
            break
    assert rates[5] == 1e-3 and rates[6] == pytest.approx(1e-4) and rates[9] == pytest.approx(1e-5)
    assert rates[12] == pytest.approx(1e-6) and action is Action.STOP and len(rates) == 12 + 9
    assert most_steps(PAPER, 10) == 16 and most_steps(make_run().recipe, 10) == 12


@pytest.mark.parametrize("masks", ["fresh", "volume"])
def test_masks_of_training(images: ImageSet, masks: str) -> None:
    """Fresh ones differ each time; the official ones are the volume's, and those of its test."""
    run = make_run(problem=MRIProblem(kind="mri", mask="random", acceleration=2, center_fraction=0.2, masks=masks))  # type: ignore[arg-type]
    training = Training(run, images, CPU, "fp32")
    assert isinstance(images.train, Slices)
    drawn = [training.problem.examples([[images.train.slice(0)]])[0].y.mask for _ in range(4)]
    same = [torch.equal(drawn[0], other) for other in drawn[1:]]
    assert all(same) if masks == "volume" else not any(same)
    if masks == "volume":
        assert torch.equal(drawn[0], training.problem.fixed(images.train, 0).y.mask)
        assert torch.equal(drawn[0], training.problem.fixed(images.train, 2).y.mask)


def test_a_batch_of_several_shapes_is_the_mean_of_its_parts(images: ImageSet) -> None:
    """The gradient of a mixed batch is that of the mean loss over its slices."""
    run = make_run(recipe=Recipe(steps=2, batch=9, lr=1e-3, loss="l1"), problem=MRIProblem(kind="mri", masks="volume"))
    training = Training(run, images, CPU, "fp32")
    raw = training.problem.read(training.pixels, list(range(9)), 0, None)
    assert len(raw) > 1 and sum(len(group) for group in raw) == 9
    alone = [training.problem.examples([[one]])[0] for group in raw for one in group]

    def loss(example: Batch) -> float:
        with torch.no_grad():
            return float(training.objective(training.network, example))

    total = sum(loss(example) * len(example) / 9 for example in training.problem.examples(raw))
    assert total == pytest.approx(np.mean([loss(example) for example in alone]), rel=1e-4)


class TestReader:
    @pytest.mark.parametrize("ahead", [False, True])
    def test_it_reads_what_the_order_says(self, ahead: bool) -> None:
        plain, order = (ShuffledSampler(5, torch.Generator().manual_seed(0)) for _ in range(2))
        reader = Prefetcher(order, 3, lambda indices: list(indices), ahead=ahead)
        for _ in range(9):
            assert reader.take() == plain.take(3)

    def test_what_was_read_ahead_is_still_to_come(self) -> None:
        order = ShuffledSampler(5, torch.Generator().manual_seed(0))
        reader = Prefetcher(order, 2, lambda indices: list(indices), ahead=True)
        reader.take()
        kept, state = list(order.left), order.generator.get_state()
        expected = [reader.take() for _ in range(6)]
        again = ShuffledSampler(5, torch.Generator())
        again.left, other = kept, Prefetcher(again, 2, lambda indices: list(indices), ahead=True)
        again.generator.set_state(state)
        assert [other.take() for _ in range(6)] == expected

    def test_what_goes_wrong_in_the_thread_is_raised(self) -> None:
        def fail(indices: object) -> None:
            raise UserError("a volume", "has gone", "bring it back")

        with pytest.raises(UserError, match="has gone"):
            Prefetcher(ShuffledSampler(5, torch.Generator()), 2, fail, ahead=True).take()


@pytest.fixture(scope="module")
def done(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Folder(tmp_path_factory.mktemp("runs"))
    assert run_task(Task(make_run(), images, folder, Placement()), lambda message: None) == "done"
    return folder.of(make_run())


def test_results_have_volumes(done: Path, images: ImageSet) -> None:
    result = Result.read(done)
    assert set(profiles_of("mri")) == set(result.metrics["test"]) == set(result.metrics["val"])
    ((name, values),) = result.volumes["test"].items()
    assert isinstance(images.tests["test"], Slices) and name == images.tests["test"].volume_names[0]
    slices = result.images["test"]
    assert values["psnr-fastmri-volume-v1"] == pytest.approx(
        -10 * np.log10(np.mean([one["mse"] for one in slices.values()])), abs=1e-9
    )
    assert result.metrics["test"]["ssim-fastmri-volume-v1"] == pytest.approx(values["ssim-fastmri-volume-v1"])


class TestReconstruct:
    def test_a_volume_in_fastmris_format(self, done: Path, data: Path, tmp_path: Path) -> None:
        (written,) = reconstruct(done, data / "file2.h5", tmp_path / "out.h5")
        with h5py.File(written) as file, h5py.File(data / "file2.h5") as truth:
            assert file["reconstruction"].shape == truth["reconstruction_rss"].shape
            found, expected = file["reconstruction"][()], truth["reconstruction_rss"][()]
        assert np.linalg.norm(found - expected) < 0.5 * np.linalg.norm(expected)

    def test_undersampled_k_space_is_taken_as_it_is(self, done: Path, tmp_path: Path) -> None:
        values = phantoms.kspace(2, 3, seed=3)
        keep = np.zeros(40, bool)
        keep[::2] = keep[16:24] = True
        np.save(tmp_path / "k.npy", values * keep)
        (written,) = reconstruct(done, tmp_path / "k.npy", tmp_path / "out.npy")
        found = np.load(written)
        assert found.shape == (2, 32, 40) and np.isfinite(found).all()
        keep[16:24] = False
        np.save(tmp_path / "k.npy", values * keep)
        with pytest.raises(UserError, match="mask that has no centre"):
            reconstruct(done, tmp_path / "k.npy", tmp_path / "out2.npy")
        assert not (tmp_path / "out2.npy").exists()

    @pytest.mark.parametrize(
        "source, out, sentence",
        [
            ("file2.h5", "out.png", "volumes are written as .h5 or .npy"),
            ("file2.h5", "file2.h5", "is the volume that is given"),
            ("missing.h5", "out.h5", "does not exist"),
            ("image.png", "out.png", "is no k-space, and this run reconstructs MRI"),
        ],
    )
    def test_mistakes(self, done: Path, data: Path, tmp_path: Path, source: str, out: str, sentence: str) -> None:
        target = data / out if out == source else tmp_path / out
        with pytest.raises(UserError, match=sentence):
            reconstruct(done, data / source, target)
        assert out == source or not target.exists()


def test_a_volume_that_goes_missing_is_a_failed_run_with_its_name(images: ImageSet, tmp_path: Path, data: Path) -> None:
    moved = data / "file0.h5"
    away = moved.rename(tmp_path / "away.h5")
    try:
        training = Training(make_run(n=9), images, CPU, "fp32")
        with pytest.raises(UserError, match="file0.h5: cannot be read at slice"):
            for _ in range(12):
                training.advance()
            training.look()
            training.problem.fixed(images.tests["test"], 0)
    finally:
        away.rename(moved)
