"""Calibration, precision, anchors and logging: the parts around the loop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from reconscale.imaging import ImageSet
from reconscale.mistakes import Mistake
from reconscale.study import Folder, Recipe
from reconscale.study.file import parse_study
from reconscale.training import Where
from reconscale.training.anchors import anchors
from reconscale.training.calibrate import key_of, paces, precision_of
from reconscale.training.tracking import TRACKERS

from .test_loop import CPU, images, make_run

__all__ = ["images"]


def test_paces_are_measured_once(images: ImageSet, tmp_path: Path) -> None:
    run, folder = make_run(), Folder(tmp_path)
    first = paces([run], images, folder, CPU)
    assert first[key_of(run)].step > 0 and first[key_of(run)].seconds(run, images) > 12 * first[key_of(run)].step
    assert paces([run], images, folder, CPU) == first


def test_automatic_precision_is_chosen_once(images: ImageSet, tmp_path: Path) -> None:
    run = make_run(recipe=Recipe(steps=4, batch=2, precision="auto"))
    chosen = precision_of([run], images, Folder(tmp_path), CPU)[run.id]
    record = json.loads((tmp_path / "precision.json").read_text())
    assert chosen == record["choice"]
    other = {"fp32": "bf16"}.get(chosen, "fp32")
    (tmp_path / "precision.json").write_text(json.dumps(record | {"choice": other}))
    assert precision_of([run], images, Folder(tmp_path), CPU) == {run.id: other}
    assert precision_of([make_run()], images, Folder(tmp_path), CPU) == {make_run().id: "fp32"}


def test_anchors(images: ImageSet, tmp_path: Path) -> None:
    study = parse_study({
        "name": "a", "problem": {"kind": "denoising"}, "images": make_run().images.model_dump(exclude_defaults=True),
        "sweep": {"n": [1], "width": [2]},
    })  # fmt: skip
    told: list[str] = []
    chosen = anchors(study, images, Folder(tmp_path), lambda label, done, total: told.append(label))
    record = json.loads((tmp_path / "anchors" / "anchors.json").read_text())
    sets = record["sets"]["test"]
    assert sets["classical"]["psnr-rgb-clip"] > sets["input"]["psnr-rgb-clip"] > 15 and told
    for entry, picture in zip(record["pictures"], chosen, strict=True):
        assert entry["image"] == picture.image in images.tests["test"].names
        for kind in ("truth", "input", "classical"):
            with Image.open(tmp_path / "anchors" / entry[kind]) as patch:
                assert patch.size == (32, 32)
    told.clear()
    assert anchors(study, images, Folder(tmp_path), lambda *_: told.append("again")) == chosen and not told


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
            pytest.raises(Mistake, match=f"pip install 'reconscale\\[{name}\\]'"),
            TRACKERS[name](make_run(), tmp_path),
        ):
            pass
    else:
        pytest.skip(f"{name} is installed here")


def test_where() -> None:
    here = Where(workers=3, threads=2, device="cpu").resolved()
    assert here.workers == 3 and here.device == "cpu"
    assert (Where().resolved().workers or 0) >= 1
    if not torch.cuda.is_available():
        with pytest.raises(Mistake, match="torch sees no GPU here"):
            Where(device="cuda").resolved()
