"""Calibration, precision, anchors and logging: the parts around the loop."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reconscale.data import ImageSet
from reconscale.errors import UserError
from reconscale.results import Folder
from reconscale.study import Recipe
from reconscale.study.study_file import parse_study
from reconscale.training import ExecutionConfig
from reconscale.training import evaluate as sets
from reconscale.training import worker_count as packing
from reconscale.training.baselines import measure_baselines
from reconscale.training.calibrate import RunCost, largest_images, measure_costs, precision_of
from reconscale.training.executors.local import LocalExecutor
from reconscale.training.placement import cores
from reconscale.training.tracking import TRACKERS
from reconscale.training.worker import Placement
from reconscale.training.worker_count import choose_workers, free_memory, gpu_memory

from .test_loop import images, make_run

__all__ = ["images"]


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(2, lambda event: None)


def test_paces_are_measured_once(images: ImageSet, tmp_path: Path, executor: LocalExecutor) -> None:
    run, folder = make_run(), Folder(tmp_path)
    first = measure_costs([run], images, folder, executor, Placement())
    pace = first[run.id]
    assert pace.step > 0 and pace.seconds(run, images) > 12 * pace.step and 5e7 < pace.memory < 5e9
    assert measure_costs([run], images, folder, executor, Placement()) == first
    assert len(json.loads((tmp_path / "calibration.json").read_text())) == 1
    measure_costs([run], images, folder, executor, Placement(threads=2))  # that is another measurement
    assert len(json.loads((tmp_path / "calibration.json").read_text())) == 2


@dataclass
class Sized:
    """Images of which only the areas are known."""

    areas: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.areas)

    def area(self, i: int, crop: int | None) -> int:
        return self.areas[i] if crop is None else min(self.areas[i], crop)

    def pick(self, positions: np.ndarray) -> Sized:
        return Sized(tuple(self.areas[i] for i in positions.tolist()))


@pytest.mark.parametrize(
    "together, crop, name, picked",
    [(0, None, "b", (9,)), (12, None, "b", (9,)), (14, None, "b", (9, 5)), (99, None, "b", (9, 5, 1)),
     (6, 3, "a", (4, 3))],
)  # fmt: skip
def test_memory_is_measured_on_the_largest_images(
    together: int, crop: int | None, name: str, picked: tuple[int, ...]
) -> None:
    made = {
        each: sets.EvaluationSet(None, Sized(areas), crop) for each, areas in {"a": (4, 3, 2), "b": (1, 9, 5)}.items()
    }  # type: ignore[arg-type]
    of, largest = largest_images(made, together)
    assert of is made[name] and largest == Sized(picked)


@pytest.mark.parametrize("content", ["[1]", '{"cpu, 1 threads, 2 side by side": {"unet": {"step": "fast"}}}', "7"])
def test_a_calibration_that_is_none(images: ImageSet, tmp_path: Path, executor: LocalExecutor, content: str) -> None:
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match="does not hold paces; delete it"):
        measure_costs([make_run()], images, Folder(tmp_path), executor, Placement())


def test_a_network_that_ends_its_process_has_no_pace(images: ImageSet, tmp_path: Path, executor: LocalExecutor) -> None:
    assert executor.apply(os.abort, copies=2) == [None, None]


def test_automatic_precision_is_chosen_once(images: ImageSet, tmp_path: Path, executor: LocalExecutor) -> None:
    run, here = make_run(recipe=Recipe(steps=4, batch=2, precision="auto")), Placement()
    chosen = precision_of([run], images, Folder(tmp_path), executor, here)[run.id]
    record = json.loads((tmp_path / "precision.json").read_text())
    assert chosen == record["choice"]
    other = {"fp32": "bf16"}.get(chosen, "fp32")
    (tmp_path / "precision.json").write_text(json.dumps(record | {"choice": other}))
    assert precision_of([run], images, Folder(tmp_path), executor, here) == {run.id: other}
    assert precision_of([make_run()], images, Folder(tmp_path), executor, here) == {make_run().id: "fp32"}


@pytest.mark.parametrize("workers, memory, fits", [(None, 3e9, 3), (None, 6e9, 1), (None, 1e9, 4), (5, 3e9, 5)])
def test_as_many_runs_as_memory_allows(
    workers: int | None, memory: float, fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This many shares of nine tenths of the free memory that a run needs; whoever names a number gets it."""
    monkeypatch.setattr(packing, "free_memory", lambda: 10e9)
    local = LocalExecutor(workers or 4, lambda event: None)
    assert choose_workers(local, ExecutionConfig(workers=workers), {"a": RunCost(0.0, 1.0, 0.0, 0.0, memory)}) == 1.0
    assert local.workers == fits


class OfOneGpu(LocalExecutor):
    """An executor whose workers have a GPU of 80 GB, as far as they say: there is none here."""

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        assert not arguments
        assert function is gpu_memory
        return [80e9] * copies


@pytest.mark.parametrize("need, each", [(1e9, 8), (20e9, 3), (70e9, 1), (100e9, 1)])
def test_small_runs_share_a_gpu(need: float, each: int) -> None:
    local = OfOneGpu(1, lambda event: None, device="cuda")
    share = choose_workers(local, ExecutionConfig(device="cuda"), {"a": RunCost(0.0, 1.0, 0.0, 0.0, need)})
    assert local.workers == each and share == pytest.approx(1 / each)


def test_a_run_that_does_not_fit() -> None:
    pace = RunCost(0.0, 1.0, 0.0, 0.0, 1.5 * free_memory())
    with pytest.raises(UserError, match="a run needs .* GB and .* GB are free"):
        choose_workers(LocalExecutor(1, lambda event: None), ExecutionConfig(), {"a": pace})


def test_anchors(images: ImageSet, tmp_path: Path) -> None:
    study = parse_study({
        "name": "a", "problem": {"kind": "denoising"}, "images": make_run().images.model_dump(exclude_defaults=True),
        "sweep": {"n": [1], "width": [2]},
    })  # fmt: skip
    told: list[str] = []
    chosen = measure_baselines(study, images, Folder(tmp_path), lambda label, done, total: told.append(label))
    record = json.loads((tmp_path / "anchors" / "anchors.json").read_text())
    sets = record["sets"]["test"]
    assert sets["classical"]["psnr-rgb-clip"] > sets["input"]["psnr-rgb-clip"] > 15 and told
    for entry, picture in zip(record["pictures"], chosen, strict=True):
        assert entry["image"] == picture.image in images.tests["test"].names
        for kind in ("truth", "input", "classical"):
            with Image.open(tmp_path / "anchors" / entry[kind]) as patch:
                assert patch.size == (32, 32)
    told.clear()
    assert measure_baselines(study, images, Folder(tmp_path), lambda *_: told.append("again")) == chosen and not told


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with TRACKERS["tensorboard"](make_run(), tmp_path) as log:
        log(10, {"psnr": 20.0})
        log(20, {"psnr": 21.0})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("psnr")] == [(10, 20.0), (20, 21.0)]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_loggers_that_are_not_installed(name: str, tmp_path: Path) -> None:
    try:
        __import__(name)
    except ImportError:
        with (
            pytest.raises(UserError, match=f"pip install 'reconscale\\[{name}\\]'"),
            TRACKERS[name](make_run(), tmp_path),
        ):
            pass
    else:
        pytest.skip(f"{name} is installed here")


def test_where() -> None:
    here = ExecutionConfig(workers=3, threads=2, device="cpu").resolved()
    assert here.workers == 3 and here.device == "cpu"
    with ExecutionConfig(threads=2).resolved().executor(lambda event: None) as local:
        assert local.workers == max(1, cores() // 2)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="torch sees no GPU here"):
            ExecutionConfig(device="cuda").resolved()
