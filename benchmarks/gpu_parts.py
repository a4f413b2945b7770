"""The parts of ``benchmarks/gpu.py``, each of which runs in a process of its own."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from reconscale.data import ImageSet
    from reconscale.study import Run

COUNTS = (1, 2, 4, 8, 16)
"""Runs in one pass."""
NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"kind": "denoising", "patch": 128, "network": {"family": "unet"}, "width": 32},
    "swinir": {"kind": "denoising", "patch": 64, "width": 60,
               "network": {"family": "swinir", "depth": 4, "layers": 6, "heads": 6}},
    "unrolled": {"kind": "mri", "patch": 128, "network": {"family": "unrolled", "cascades": 5}, "width": 32},
}  # fmt: skip
"""Of a study file; ``swinir`` is the light one of its paper."""
TINY: dict[str, dict[str, Any]] = {
    "unet": {"patch": 32, "width": 4},
    "swinir": {"patch": 16, "width": 4, "network": {"family": "swinir", "depth": 1, "layers": 2, "heads": 2}},
    "unrolled": {"patch": 32, "width": 4, "network": {"family": "unrolled", "cascades": 2, "depth": 3}},
}
"""What a dry run changes."""
LOOKS = 8
"""Looks at the validation set in the time of a contestant."""
MANY = 10**6
"""Steps of a run whose number of steps is still open."""


@dataclass(frozen=True)
class Job:
    """What a part is asked to do.

    Attributes:
        part: a name in ``PARTS``.
        device: where.
        data: a folder of photographs, or none.
        tiny: whether this is a dry run.
        batch: images in a step.
        network: a name in ``NETWORKS``.
        way, ways: names in ``reconscale.training.precision.COMPUTE_MODES``.
        seconds: of training, on the wall.
    """

    part: str
    device: str
    data: str | None
    tiny: bool
    batch: int
    network: str = "unet"
    way: str = "fp32"
    ways: tuple[str, ...] = ()
    seconds: float = 30.0

    @property
    def facts(self) -> dict[str, Any]:
        """The network and what it is trained on."""
        return NETWORKS[self.network] | (TINY[self.network] if self.tiny else {})

    def materials(self, steps: int = MANY) -> tuple[Run, ImageSet]:
        """The run, as a study file of version 2 has it, and its images."""
        from reconscale.data import open_images
        from reconscale.study import Run
        from reconscale.study.study_file import parse_study

        facts, few = self.facts, 2 if self.tiny else 8
        images: dict[str, Any] = {"patch": facts["patch"], "val": few, "test": few, "val_patch": 2 * facts["patch"]}
        if self.data is None:
            images |= {"source": "deadleaves", "size": 2 * facts["patch"], "total": 8 if self.tiny else 272}
        else:
            images |= {"source": "folder", "small": "skip", "unreadable": "skip", "duplicates": "skip"}
        channels = "gray" if facts["kind"] == "mri" else "rgb"
        mask = {"mask": "random", "acceleration": 2, "center_fraction": 0.2} if self.tiny else {"acceleration": 4}
        problem = {"kind": "mri", "coils": 4, **mask} if facts["kind"] == "mri" else {"kind": "denoising", "sigma": 25}
        content = {
            "version": 2, "name": "gpu", "problem": problem, "images": images | {"channels": channels},
            "network": facts["network"], "recipe": {"batch": self.batch},
            "sweep": {"n": [1], "width": [facts["width"]], "seed": [0]},
        }  # fmt: skip
        study = parse_study(content)
        opened = open_images(study.images, data=None if self.data is None else Path(self.data))
        recipe = study.cell_recipe(1, facts["width"])
        assert recipe is not None
        recipe = recipe.model_copy(update={"steps": steps, "validate_every": max(1, steps // LOOKS)})
        run = Run(problem=study.problem, images=study.images, n=opened.available,
                  network=study.cell_network(facts["width"]), recipe=recipe)  # fmt: skip
        return run, opened


def synchronized(device: str) -> float:
    """Seconds on the clock, once the device has done all that it was given."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def images(job: Job) -> dict[str, Any]:
    """Prepare the images of all networks, so that no other part has to wait for that."""
    return {name: len(replace(job, network=name).materials()[1].val) for name in NETWORKS}


def peak(job: Job) -> dict[str, Any]:
    """FLOP/s of a product of large matrices: the best of several rounds."""
    import torch

    side, cuda = (256 if job.tiny else 8192), job.device == "cuda"
    kinds = {"fp32": (torch.float32, False), "tf32": (torch.float32, True), "bf16": (torch.bfloat16, False)}
    rates = {}
    for name, (dtype, tf32) in kinds.items():
        if name == "tf32" and not cuda:
            continue
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a = torch.rand(side, side, device=job.device).to(dtype)
        a @ a
        seconds = []
        for _ in range(5):
            began = synchronized(job.device)
            for _ in range(4):
                a @ a
            seconds.append(synchronized(job.device) - began)
        rates[name] = 4 * 2 * side**3 / min(seconds)
    device = torch.cuda.get_device_name() if cuda else "CPU"
    return {"rates": rates, "device": device, "torch": torch.__version__}


def ways(job: Job) -> dict[str, Any]:
    """Images per second of training steps in every way, and the operations of an image."""
    from reconscale.networks import input_spec, size_of

    run, images = job.materials()
    flops = 3 * size_of(run.network, input_spec(run.problem, images.channels)).flops * job.facts["patch"] ** 2
    found: dict[str, Any] = {}
    for way in job.ways:
        try:
            found[way] = {"rate": run.recipe.batch / pace(job, run, images, way), "flops": flops}
        except RuntimeError as error:  # no memory, no compiler
            found[way] = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:100]}"}
    return found


def pace(job: Job, run: Run, images: ImageSet, way: str) -> float:
    """Seconds of a step, once the first ones are done."""
    import torch

    from reconscale.training.loop import Training

    training = Training(run, images, torch.device(job.device), way)
    for _ in range(5):
        training.advance()
    steps, began = 0, synchronized(job.device)
    while (spent := synchronized(job.device) - began) < (0.2 if job.tiny else 1.5):
        for _ in range(5):
            training.advance()
        steps += 5
    return spent / steps


def stacked(job: Job) -> dict[str, Any]:
    """Images per second of several runs in one pass, until memory says stop."""
    import torch

    from reconscale.training.stack_size import rate, tried_together
    from reconscale.training.worker import Placement

    run, images = job.materials()
    placement = Placement(device=job.device, precision=job.way)
    known = tried_together(run, images, placement)
    if known.failed is not None:
        return {"failed": known.failed}
    rates: dict[str, float] = {}
    began = time.perf_counter()
    for count in COUNTS[:3] if job.tiny else COUNTS:
        if time.perf_counter() - began > job.seconds:
            return {"way": job.way, "rates": rates, "ended": "time ran out"}
        try:
            rates[str(count)] = rate(run, images, placement, count)
        except torch.OutOfMemoryError:
            return {"way": job.way, "rates": rates, "ended": "memory ran out"}
    return {"way": job.way, "rates": rates}


class Stopwatch:
    """Seconds of training on the wall, and what was seen in between, which is not counted."""

    def __init__(self, job: Job, look: Callable[[], float]) -> None:
        self.job, self.look = job, look
        self.curve: list[tuple[float, float]] = []
        self.seconds, self.since = 0.0, synchronized(job.device)

    def stop_and_look(self) -> None:
        """Note the seconds so far and the PSNR now."""
        self.seconds += synchronized(self.job.device) - self.since
        self.curve.append((round(self.seconds, 2), round(self.look(), 3)))
        self.since = synchronized(self.job.device)

    def now(self) -> float:
        """Seconds of training so far, without waiting for the device."""
        return self.seconds + time.perf_counter() - self.since


def ours(job: Job) -> dict[str, Any]:
    """The recipe ``fast`` with as many steps as there is time for."""
    import torch

    from reconscale.training.hooks import Hooks
    from reconscale.training.loop import Training

    run, images = job.materials()
    steps = max(LOOKS, round(job.seconds / pace(job, run, images, job.way)))
    run, images = job.materials(steps)

    class Timed(Training):
        def look(self) -> dict[str, float]:
            seen: dict[str, float] = {}

            def psnr() -> float:
                seen.update(super(Timed, self).look())
                return seen.get("psnr", float("nan"))

            self.watch.look = psnr
            self.watch.stop_and_look()
            return seen

    training = Timed(run, images, torch.device(job.device), job.way)
    training.watch = Stopwatch(job, lambda: 0.0)
    training.carry_on(Hooks())
    return {"way": job.way, "steps": training.step, "restarts": training.restarts, "curve": training.watch.curve}


class Enough(Exception):
    """The time of a contestant is over."""


def trainer(job: Job) -> dict[str, Any]:
    """``deepinv.Trainer`` with the same network and batch, the losses of its examples, and nothing printed."""
    try:
        import deepinv
    except ModuleNotFoundError:
        return {"failed": "deepinv is not installed"}
    import torch
    from torch.utils.data import DataLoader

    from reconscale.networks import build, input_spec
    from reconscale.physics import problem_of
    from reconscale.training.evaluate import validate

    warnings.simplefilter("ignore")
    (run, images), device = job.materials(), torch.device(job.device)
    torch.manual_seed(0)
    network = build(run.network, input_spec(run.problem, images.channels)).to(device)
    problem = problem_of(run.problem, device, 0)
    physics, model = _measured(deepinv, run, network, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-8)
    watch = Stopwatch(job, lambda: validate(network, problem, images.val, run.images.val_patch, device)[1])
    steps = 0

    def after_step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if watch.now() >= job.seconds * len(watch.curve) / LOOKS:
            watch.stop_and_look()
        if watch.seconds >= job.seconds:
            raise Enough

    optimizer.register_step_post_hook(after_step)
    loader = DataLoader(_Crops(run, images), batch_size=job.batch, shuffle=True, drop_last=True)
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        watch.stop_and_look()
        deepinv.Trainer(
            model=model, physics=physics, train_dataloader=loader, optimizer=optimizer, epochs=MANY,
            losses=deepinv.loss.SupLoss(metric=deepinv.metric.MSE()), online_measurements=True, device=device,
            verbose=False, show_progress_bar=False, plot_images=False, save_path=folder,
        ).train()  # fmt: skip
    return {"steps": steps, "curve": watch.curve}


class _Crops:
    """Random crops of the training images, which lie in memory."""

    def __init__(self, run: Run, images: ImageSet) -> None:
        import torch

        self.pixels, self.patch = images.training(run.n, 0), run.images.patch
        self.generator, self.cpu = torch.Generator().manual_seed(0), torch.device("cpu")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        crop = self.pixels.crops([index], self.patch, generator=self.generator, turns=None)
        return self.pixels.to_unit(crop, self.cpu)[0]


def _measured(deepinv: Any, run: Run, network: Any, device: torch.device) -> tuple[Any, Any]:
    """What the trainer calls to measure images, and to reconstruct them."""
    import torch

    if run.problem.kind == "denoising":
        noise = deepinv.physics.GaussianNoise(run.problem.sigma / 255, rng=torch.Generator(device).manual_seed(0))
        return deepinv.physics.Denoising(noise), _reconstructor(network, lambda y, _: y)
    return _physics(deepinv, run, device), _reconstructor(network, lambda _, physics: physics.given)


def _physics(deepinv: Any, run: Run, device: torch.device) -> Any:
    """Simulated multi-coil MRI as ours, with a fresh mask for every image."""
    import torch

    from reconscale.physics import KSpace
    from reconscale.physics.mri import Masks
    from reconscale.physics.mri_coils import simulated_maps, to_kspace

    masks = Masks(run.problem, torch.Generator().manual_seed(0))
    maps = simulated_maps(run.problem.coils, run.images.patch, run.images.patch).to(device)

    class Measured(deepinv.physics.Physics):
        def forward(self, x: torch.Tensor, **_: Any) -> torch.Tensor:
            size = (int(x.shape[-2]), int(x.shape[-1]))
            drawn = [masks.draw(*size) for _ in range(len(x))]
            mask = torch.stack([mask for mask, _ in drawn]).to(device)
            values = to_kspace(maps * x) * mask
            self.given = KSpace(values, mask, drawn[0][1], size, maps.expand(len(x), -1, -1, -1))
            return torch.view_as_real(values)

    return Measured()


def _reconstructor(network: Any, given: Callable[[Any, Any], Any]) -> Any:
    """A module that the trainer calls with what its physics gave, from a network and what that is to be given."""
    import torch

    class Reconstructor(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, y: Any, physics: Any, **_: Any) -> Any:
            return self.network(given(y, physics))

    return Reconstructor()


PARTS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "images": images,
    "peak": peak,
    "ways": ways,
    "stacked": stacked,
    "ours": ours,
    "trainer": trainer,
}
"""By name."""
