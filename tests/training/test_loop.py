"""The training loop: exact resume at any step, divergence, the subset order, weights on disk."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.data import ImageSet, open_images
from reconscale.results import Folder, Result
from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run
from reconscale.training import checkpoint
from reconscale.training.batches import ShuffledSampler
from reconscale.training.loop import Hooks, Interrupted, Training
from reconscale.training.worker import Placement, Task, run_task

CPU = torch.device("cpu")


def make_run(**changes: Any) -> Run:
    images = Images(source="deadleaves", size=32, total=10, patch=16, val=2, test=2)
    fields = {
        "problem": DenoisingProblem(kind="denoising"),
        "images": images,
        "n": 4,
        "network": Network(width=2),
        "recipe": Recipe(steps=12, batch=3, lr=1e-3),
    }
    return Run(**(fields | changes))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(make_run().images, cache=tmp_path_factory.mktemp("cache"))


def outcome(training: Training) -> tuple[Any, ...]:
    weights = {name: value.clone() for name, value in training.best.items()}
    return weights, training.curve, training.best_step


@pytest.mark.parametrize("policy", ["budget", "plateau", "paper"])
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_resume_is_exact(images: ImageSet, tmp_path: Path, policy: str, cut: int) -> None:
    """Stopped after any step, kept on disk, and continued in a new object: bit for bit the same."""
    run = make_run(recipe=Recipe(policy=policy, steps=12, batch=3, lr=1e-3, validate_every=2))  # type: ignore[arg-type]
    whole = Training(run, images, CPU, "fp32")
    whole.carry_on(Hooks())
    first = Training(run, images, CPU, "fp32")
    hooks = Hooks(keep=lambda state: checkpoint.save(tmp_path, state), stop=lambda: first.step == cut)
    with pytest.raises(Interrupted):
        first.carry_on(hooks)
    torch.manual_seed(99)  # the global generator must not matter
    second = Training(run, images, CPU, "fp32")
    state, damaged = checkpoint.load(tmp_path, CPU)
    assert state is not None and not damaged
    second.restore(state)
    second.carry_on(Hooks())
    weights, curve, best_step = outcome(whole)
    again, same_curve, same_step = outcome(second)
    assert curve == same_curve and best_step == same_step
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("harm", ["a bit", "the end", "all"])
def test_a_damaged_checkpoint_is_set_aside(tmp_path: Path, harm: str) -> None:
    """The run continues from the one before it; without one, from the start."""
    for step in (3, 4):
        checkpoint.save(tmp_path, {"position": [step], "weights": torch.arange(5000.0)})
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    middle = len(content) // 2
    harmed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"a bit": harmed, "the end": content[:-1], "all": b""}[harm])
    state, damaged = checkpoint.load(tmp_path, CPU)
    assert damaged and state is not None and state["position"] == [3]
    assert (tmp_path / "checkpoint.damaged").exists() and not path.exists()
    (tmp_path / "checkpoint.before.pt").unlink()
    assert checkpoint.load(tmp_path, CPU) == (None, False)


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a checkpoint was unpickled",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"run": Bomb()}, stream)
    digest = hashlib.sha256(stream.getvalue()).digest()  # whole, so that it is looked into
    (tmp_path / "checkpoint.pt").write_bytes(stream.getvalue() + digest)
    assert checkpoint.load(tmp_path, CPU) == (None, True)


def test_divergence_is_a_result(images: ImageSet, tmp_path: Path) -> None:
    run = make_run(recipe=Recipe(steps=40, batch=3, lr=1e30, warmup=0.0))
    task = Task(run, images, Folder(tmp_path), Placement())
    assert run_task(task, lambda message: None) == "diverged"
    result = Result.read(tmp_path / run.id)
    assert result.status == "diverged" and "lower recipe.lr" in result.reason and result.p > 0


def test_a_failure_is_a_result(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(self: Training) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(Training, "advance", no_memory)
    run = make_run()
    assert run_task(Task(run, images, Folder(tmp_path), Placement()), lambda message: None) == "failed"
    assert "lower recipe.batch" in Result.read(tmp_path / run.id).reason


def test_bf16_trains(images: ImageSet) -> None:
    training = Training(make_run(), images, CPU, "bf16")
    training.advance()
    assert training.step == 1 and all(p.dtype is torch.float32 for p in training.network.parameters())


def test_seeds_differ_and_repeat(images: ImageSet) -> None:
    def first_weights(seed: int) -> torch.Tensor:
        return next(Training(make_run(seed=seed), images, CPU, "fp32").network.parameters()).detach()

    assert torch.equal(first_weights(1), first_weights(1))
    assert not torch.equal(first_weights(1), first_weights(2))


def test_smaller_sets_are_part_of_larger_ones(images: ImageSet) -> None:
    for seed in range(3):
        small, large = images.training(2, seed), images.training(5, seed)
        assert set(small.names) < set(large.names)
    assert images.training(3, 0).names != images.training(3, 1).names


@given(st.integers(1, 20), st.lists(st.integers(1, 50), min_size=1, max_size=10), st.integers(0, 5))
@settings(max_examples=50, derandomize=True)
def test_order_gives_every_image_equally_often(images_count: int, takes: list[int], seed: int) -> None:
    order = ShuffledSampler(images_count, torch.Generator().manual_seed(seed))
    taken = [index for count in takes for index in order.take(count)]
    counts = [taken.count(index) for index in range(images_count)]
    assert len(taken) == sum(takes) and max(counts) - min(counts) <= 1
