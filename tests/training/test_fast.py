"""The policy ``fast`` in the loop: exact resume with Muon, divergence and its one restart, other runs' checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from reconscale.data import ImageSet
from reconscale.results import Folder, Result
from reconscale.study import Network, Recipe, Run
from reconscale.study.problems import PROBLEMS
from reconscale.training import checkpoint, loop
from reconscale.training.loop import Hooks, Interrupted, Training
from reconscale.training.precision import bf16_is_native
from reconscale.training.worker import Placement, Task, run_task

from .test_loop import CPU, images, make_run, outcome

__all__ = ["images"]

FAST: dict[str, Any] = {
    "policy": "fast",
    "steps": 40,
    "batch": 3,
    "optimizer": "muon",
    "lr": 0.02,
    "weight_decay": 0.01,
}


def fast_run(**changes: Any) -> Run:
    recipe = FAST | {key: value for key, value in changes.items() if key in Recipe.model_fields}
    fields = {key: value for key, value in changes.items() if key not in recipe}
    return make_run(**({"network": Network(width=2, norm="none", head="zero"), "recipe": Recipe(**recipe)} | fields))


def same(one: Training, other: Training) -> bool:
    (weights, curve, best), (again, same_curve, same_best) = outcome(one), outcome(other)
    equal = all(torch.equal(weights[name], again[name]) for name in weights)
    return equal and curve == same_curve and best == same_best and one.restarts == other.restarts


@pytest.mark.parametrize("way", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_resume_is_exact_at_every_step(images: ImageSet, tmp_path: Path, way: str, optimizer: str) -> None:
    """Kept on disk after every step, and continued in a new object each time: bit for bit the same."""
    if way == "bf16" and not bf16_is_native():
        pytest.skip("this processor has no instructions for bf16")
    run = fast_run(steps=12, validate_every=4, optimizer=optimizer)
    whole = Training(run, images, CPU, way)
    whole.carry_on(Hooks())
    for step in range(1, 13):
        torch.manual_seed(step)  # the global generator must not matter
        training = Training(run, images, CPU, way)
        if step > 1:
            state, _ = checkpoint.load(tmp_path, CPU)
            assert state is not None
            training.restore(state)
        hooks = Hooks(keep=lambda state: checkpoint.save(tmp_path, state), stop=lambda: True)
        with pytest.raises(Interrupted):
            training.carry_on(hooks)
    assert training.step == 12 and same(training, whole) and whole.curve[0].step == 0


def test_resume_is_exact_around_a_restart(images: ImageSet) -> None:
    """The guard's memory, the lower rate and the new optimiser are part of a checkpoint."""
    run, told = fast_run(lr=0.4, validate_every=2), list[str]()
    whole = Training(run, images, CPU, "fp32")
    whole.carry_on(Hooks(warn=told.append))
    assert whole.restarts == 1 and whole.diverged_at is None and whole.step == 40
    at = int(told[0].split(";")[0].removeprefix("at step "))
    assert 1 < at < 35  # sooner or later, as the processor rounds
    for cut in (at - 1, at, at + 1):
        first, second = (Training(run, images, CPU, "fp32") for _ in range(2))
        with pytest.raises(Interrupted):
            first.carry_on(Hooks(stop=lambda first=first, cut=cut: first.step == cut))  # type: ignore[misc]
        second.restore(first.state())
        second.carry_on(Hooks())
        assert same(second, whole), cut


def carried_out(run: Run, images: ImageSet, root: Path) -> tuple[str, Result, list[str]]:
    """The status, the result, and the details of what was told of divergence."""
    heard: list[dict[str, Any]] = []
    status = run_task(Task(run, images, Folder(root), Placement()), heard.append)
    faults = [message["fault"] for message in heard if "fault" in message]
    assert all(fault["kind"] == "training diverged" for fault in faults)
    return status, Result.read(root / run.id), [fault["detail"] for fault in faults]


def test_a_run_that_diverges_begins_again_once(images: ImageSet, tmp_path: Path) -> None:
    """From its best weights, at a third of the rate; what comes out is better than what went in."""
    status, result, told = carried_out(fast_run(lr=0.4, validate_every=2), images, tmp_path)
    assert status == "done" and result.restarts == 1 and result.steps == 40 and result.reason == ""
    assert len(told) == 1 and "it continued from " in told[0] and told[0].endswith("at a third of the rate, 0.133")
    assert result.best_step > 0 and result.metrics["val"]["psnr-rgb-clip"] > result.validation[0].psnr
    peak = max(look.lr for look in result.validation)
    assert result.validation[-1].lr == pytest.approx(peak / 3 / (0.7 * 40), rel=0.2)


def test_a_run_that_diverges_again_is_over(images: ImageSet, tmp_path: Path) -> None:
    status, result, told = carried_out(fast_run(lr=1e3), images, tmp_path)
    assert status == result.status == "diverged" and result.restarts == 1 and result.steps < 40
    assert told == [
        f"at step {result.validation[1].step}; it continued from untrained weights at a third of the rate, 333"
    ]
    reason = f"training diverged again, at a third of the rate, at step {result.steps}; lower recipe.lr (it was 1000)"
    assert result.reason == reason
    assert not (tmp_path / result.run.id / "checkpoint.pt").exists()


def test_a_start_that_is_all_but_right_is_no_measure_of_divergence(images: ImageSet, tmp_path: Path) -> None:
    """Noise of a hundredth of a grey level: the first steps make that many times worse, and are healthy."""
    status, result, told = carried_out(
        fast_run(problem=PROBLEMS["denoising"](kind="denoising", sigma=0.01)), images, tmp_path
    )
    errors = [look.mse for look in result.validation]
    assert max(errors) > 100 * errors[0] and status == "done" and told == []


def test_blind_training_may_be_worse_where_there_is_little_noise(images: ImageSet, tmp_path: Path) -> None:
    """Validation has sigma, training a range of levels."""
    problem = PROBLEMS["denoising"](kind="denoising", sigma=0.1, sigma_range=(0.0, 30.0))
    status, result, told = carried_out(fast_run(problem=problem), images, tmp_path)
    assert status == "done" and result.restarts == 0 and told == []


def test_too_close_a_fit_is_no_divergence(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses fall while the error on other images rises to a hundred times its lowest: the best weights count."""
    seen = Training._seen

    def _seen(self: Training, by_loss: bool) -> tuple[float, float, float]:
        mse, psnr, loss = seen(self, by_loss)
        return (100 * mse, psnr - 20, loss) if self.step > 30 else (mse, psnr, loss)

    monkeypatch.setattr(Training, "_seen", _seen)
    status, result, told = carried_out(fast_run(validate_every=10), images, tmp_path)
    assert status == "done" and told == [] and result.best_step == 30 and result.restarts == 0


def test_nan_from_the_first_step(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights stay finite, and the run is over before its end."""
    monkeypatch.setattr(loop.Training, "gradients", lambda self, examples: torch.tensor(float("nan")))
    status, result, told = carried_out(fast_run(), images, tmp_path)
    assert status == "diverged" and len(told) == 1 and result.steps == 20
    assert all(math.isfinite(look.mse) for look in result.validation)


def broken_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Looks at these steps find an error that is not finite."""
    seen = Training._seen

    def _seen(self: Training, by_loss: bool) -> tuple[float, float, float]:
        return (float("nan"),) * 3 if self.step in steps else seen(self, by_loss)

    monkeypatch.setattr(Training, "_seen", _seen)


def test_a_look_that_is_not_finite(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end the best weights so far are the result; before that, training begins again."""
    broken_at(monkeypatch, 40)
    status, result, told = carried_out(fast_run(validate_every=10), images, tmp_path / "end")
    assert status == "done" and told == [] and [look.step for look in result.validation] == [0, 10, 20, 30]
    assert result.best_step in (10, 20, 30) and result.steps == 40
    broken_at(monkeypatch, 20)
    status, result, told = carried_out(fast_run(validate_every=10), images, tmp_path / "middle")
    assert status == "done" and result.restarts == len(told) == 1 and "at step 20; it continued" in told[0]
    broken_at(monkeypatch, 0, 20, 40)
    status, result, told = carried_out(fast_run(validate_every=20), images, tmp_path / "all")
    assert status == "diverged" and result.validation == () and "lower recipe.lr" in result.reason


def test_lost_at_the_last_step(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too late to begin again: the best weights so far are the result, and nothing is told."""
    monkeypatch.setattr(loop.Guard, "lost", lambda self: int(self.counts[0]) == 40)
    status, result, told = carried_out(fast_run(), images, tmp_path)
    assert status == "done" and result.restarts == 0 and told == []


def test_an_untrained_network_gives_back_its_input(images: ImageSet) -> None:
    """A run whose training is of no use is no worse than what it was given."""
    training = Training(fast_run(steps=1, validate_every=1, lr=1e3), images, CPU, "fp32")
    training.carry_on(Hooks())
    assert training.best_step == 0 and training.curve[0].step == 0
    assert training.curve[0].psnr == pytest.approx(20.17, abs=1.0)  # noise of 25 / 255


def test_a_checkpoint_of_another_run(images: ImageSet, tmp_path: Path) -> None:
    """It is told, left alone, and the run begins again: the result is that of a run that met nothing."""
    run, other = fast_run(steps=10), fast_run(steps=10, lr=0.01)
    heard: list[dict[str, Any]] = []
    training = Training(other, images, CPU, "fp32")
    training.advance()
    folders = Folder(tmp_path / "a"), Folder(tmp_path / "b")
    checkpoint.save(folders[0].of(run), training.state())
    for folder in folders:
        assert run_task(Task(run, images, folder, Placement()), heard.append) == "done"
    one, two = (folder.read(run) for folder in folders)
    assert one is not None and two is not None
    assert one.metrics == two.metrics and one.validation == two.validation
    faults = [message["fault"] for message in heard if "fault" in message]
    assert faults == [{"kind": "checkpoint damaged", "detail": "of another run, began again"}]
