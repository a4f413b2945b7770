"""Ways of computing: chosen once, obeyed on resume, safe in bf16; no step waits; evaluation in batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from reconscale.data import ImageSet, open_images
from reconscale.errors import UserError
from reconscale.networks import build, input_spec
from reconscale.physics import problem_of
from reconscale.results import Folder, Result
from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run
from reconscale.study.problems import SuperresolutionProblem
from reconscale.training import calibrate as acceleration
from reconscale.training import checkpoint
from reconscale.training.calibrate import Trial, best, choice
from reconscale.training.evaluate import score
from reconscale.training.executors.local import LocalExecutor
from reconscale.training.loop import Hooks, Interrupted, Training
from reconscale.training.precision import COMPUTE_MODES
from reconscale.training.worker import Placement, Task, run_task

from .test_loop import CPU, images, make_run

__all__ = ["images"]

EAGER = [name for name, way in COMPUTE_MODES.items() if not way.compiled]


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(1, lambda event: None)


def test_the_quickest_way_is_written_down_and_obeyed(images: ImageSet, tmp_path: Path, executor: LocalExecutor) -> None:
    path, run = tmp_path / "precision.json", make_run(recipe=Recipe(steps=4, batch=2, precision="auto"))
    chosen = choice(path, run, images, executor, Placement())
    record = json.loads(path.read_text())
    assert chosen == record["choice"] and set(record["seconds"]) == set(EAGER) and record["device"] == "cpu"
    for name in COMPUTE_MODES:  # also one that is not tried here: of another node, or chosen by hand
        path.write_text(json.dumps({"choice": name}))
        assert choice(path, run, images, executor, Placement()) == name
    for content in ({"choice": "fp8"}, ["fp8"], {"choice": ["fp8"]}, {}):
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="'choice' is .* known here: fp32"):
            choice(path, run, images, executor, Placement())


def test_where_nothing_can_be_measured_it_is_fp32(images: ImageSet, tmp_path: Path) -> None:
    path, run = tmp_path / "precision.json", make_run(recipe=Recipe(steps=4, batch=2, precision="auto"))
    queue = LocalExecutor(1, lambda event: None)
    queue.measures = False  # as Slurm's
    assert choice(path, run, images, queue, Placement()) == "fp32"
    record = json.loads(path.read_text())
    assert record["choice"] == "fp32" and "submitted" in record["reason"]
    path.write_text(json.dumps({"choice": "bf16"}))  # of a run elsewhere
    assert choice(path, run, images, queue, Placement()) == "bf16"


def test_best_counts_the_first_step_and_wants_a_gain() -> None:
    trials = {"fp32": Trial(1.0, 1.0), "bf16": Trial(1.0, 0.9), "bf16+compile": Trial(60.0, 0.1)}
    assert best(trials, 10) == "fp32"  # a tenth is not worth other digits
    assert best(trials, 1000) == "bf16+compile"
    assert best({"fp32": Trial(1.0, 1.0), "bf16": Trial(failed="no"), "fp32+compile": Trial(1.0)}, 1000) == "fp32"


def test_what_cannot_be_used_is_told(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = acceleration._timed

    def without_bf16(training: Training, device: torch.device) -> float:
        if training.way.bf16:
            raise RuntimeError("bf16 is not for this device")
        return timed(training, device)

    monkeypatch.setattr(acceleration, "_timed", without_bf16)
    found = acceleration.tried(make_run(), images, Placement())
    assert "bf16 is not" in str(found["bf16"].record()["failed"]) and (found["fp32"].step or 0) > 0


@pytest.mark.parametrize("way", EAGER)
def test_a_run_goes_on_in_the_way_that_it_began(images: ImageSet, tmp_path: Path, way: str) -> None:
    """Even where another one was asked for; bit for bit as without a stop; and the result says which."""
    run = make_run(recipe=Recipe(steps=6, batch=3, lr=1e-3, validate_every=3))
    whole = Training(run, images, CPU, way)
    whole.carry_on(Hooks())
    task = Task(run, images, Folder(tmp_path), Placement(precision="fp32"))
    first = Training(run, images, CPU, way)
    keep = lambda state: checkpoint.save(task.folder.of(run), state)  # noqa: E731
    with pytest.raises(Interrupted):
        first.carry_on(Hooks(keep=keep, stop=lambda: first.step == 4))
    assert run_task(task, lambda message: None) == "done"
    result = Result.read(task.folder.of(run))
    assert result.provenance["precision"] == way and list(result.validation) == whole.curve


@pytest.mark.parametrize("family", ["unet", "dncnn", "edsr"])
def test_layout_is_kept_through_the_network(images: ImageSet, family: str) -> None:
    """Every way trains to nearly the same loss, and weights stay float32."""
    run = make_run(network=Network(family=family, width=4, depth=2), recipe=Recipe(steps=8, batch=3, lr=1e-3))
    ends = {}
    for way in EAGER:
        training = Training(run, images, CPU, way)
        for _ in range(8):
            training.advance()
        ends[way] = training.look()["mse"]
        assert all(p.dtype is torch.float32 for p in training.network.parameters())
    assert ends == pytest.approx(dict.fromkeys(EAGER, ends["fp32"]), rel=0.02)


class Watch(TorchDispatchMode):
    """Notes what would make the host wait for a device: reading a value, shapes that depend on values, copies back."""

    WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal", "aten.is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func).startswith(self.WAITS):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_watch_sees() -> None:
    with Watch() as watch:
        torch.ones(()).item()
        bool(torch.ones(2).sum() > 1)
    assert len(watch.found) == 2


PROBLEMS = {
    "denoising": DenoisingProblem(kind="denoising"),
    "range": DenoisingProblem(kind="denoising", sigma_range=(5, 50)),
    "superresolution": SuperresolutionProblem(kind="superresolution", factor=2),
}


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("loss", ["mse", "l1", "ssim", "noise2noise"])
@pytest.mark.parametrize("kind", PROBLEMS)
def test_no_step_waits_for_the_device(images: ImageSet, kind: str, loss: str, clip: float | None) -> None:
    """Reading a batch happens on the host and is left out; ``neighbor2neighbor`` and ``sure`` draw a seed on the host.

    Of all that follows nothing reads a value back, so that a GPU's queue never runs empty.
    """
    if loss == "noise2noise" and kind != "denoising":
        return
    recipe = Recipe(steps=9, batch=3, loss=loss, clip=clip)  # type: ignore[arg-type]
    training = Training(make_run(problem=PROBLEMS[kind], recipe=recipe), images, CPU, "bf16")
    training.advance()
    raw = training.reader.take()
    training.reader.take = lambda: raw  # type: ignore[method-assign]
    with Watch() as watch:
        training.advance()
    assert watch.found == []


@pytest.mark.parametrize("family, channels_last", [("unet", False), ("unet", True), ("dncnn", False), ("edsr", True)])
def test_values_do_not_depend_on_how_many_are_evaluated_at_once(
    tmp_path: Path, family: str, channels_last: bool
) -> None:
    options = Images(source="deadleaves", size=24, total=9, patch=16, val=7, test=1)
    pixels = open_images(options, cache=tmp_path).val
    problem = problem_of(DenoisingProblem(kind="denoising"), CPU, 0)
    torch.manual_seed(1)
    given = input_spec(DenoisingProblem(kind="denoising"), 3)
    network = build(Network(family=family, width=6, depth=2), given).eval()
    COMPUTE_MODES["fp32+channels_last" if channels_last else "fp32"].arrange(network)
    sizes: list[int] = []

    def counted(y: Tensor) -> Tensor:
        sizes.append(len(y))
        out: Tensor = network(y)
        return out

    one = score(counted, problem, pixels)
    assert sizes == [1] * 7
    three = score(counted, problem, pixels, together=3 * 24 * 24)
    assert sizes[7:] == [3, 3, 1] and list(one) == list(three)
    for name, values in one.items():
        assert three[name] == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize("size", [(16, 16), (13, 18)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_normalisation_in_bf16_is_as_exact_as_its_rounding(size: tuple[int, int], channels_last: bool) -> None:
    """Against float64: bf16 rounds by 0.2 % (root mean square); sums in bf16 would be far off."""
    from reconscale.networks.unet import SLOPE, _normalised

    x = (torch.randn(3, 5, *size, generator=torch.Generator().manual_seed(0)) + 1).bfloat16()
    x = x.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format).requires_grad_()
    exact = x.detach().double().requires_grad_()
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    known = functional.leaky_relu(functional.instance_norm(exact), SLOPE)
    known.backward(grad.bfloat16().double())
    got = _normalised(x)
    got.backward(grad.bfloat16())
    assert got.dtype is torch.bfloat16 and x.grad is not None and exact.grad is not None
    for one, other in ((got.double(), known), (x.grad.double(), exact.grad)):
        assert (one - other).norm() < 0.01 * other.norm()


@pytest.mark.parametrize("size", [(16, 16), (13, 18), (9, 7)])
def test_default_layers_of_the_unet_are_those_of_torch(size: tuple[int, int]) -> None:
    """Bit for bit, forward and backward: results of before stay what they were."""
    from reconscale.networks.unet import SLOPE, _halved, _normalised

    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 3, *size, generator=generator).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    a = _halved(_normalised(ours))
    b = functional.avg_pool2d(functional.leaky_relu(functional.instance_norm(theirs), SLOPE, inplace=True), 2)
    grad = torch.randn(a.shape, generator=generator)
    a.backward(grad)
    b.backward(grad)
    assert torch.equal(a, b) and ours.grad is not None and theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_run_ids_are_untouched() -> None:
    assert make_run(recipe=Recipe(precision="fp32")).id == make_run(recipe=Recipe()).id
    assert isinstance(make_run(), Run)
