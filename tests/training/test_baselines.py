"""Baselines: on how many images, what an interruption costs, and records of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import ImageSet, Slices, open_images
from reconscale.files import to_json
from reconscale.report.page_text import facts
from reconscale.report.pictures import load_baselines
from reconscale.study import Folder, Study
from reconscale.study.study_file import parse_study
from reconscale.training import ExecutionConfig, baselines
from reconscale.training.baselines import LEAST_VOLUMES, are_measured, measure_baselines, spread_rows
from reconscale.training.sweep import plan


def study_of(**analysis: Any) -> Study:
    return parse_study({
        "name": "a", "problem": {"kind": "denoising"},
        "images": {"source": "deadleaves", "size": 24, "total": 12, "patch": 16, "val": 2, "test": 8},
        "sweep": {"n": [1], "width": [2]}, "analysis": analysis,
    })  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(study_of().images, cache=tmp_path_factory.mktemp("cache"))


def record_of(folder: Folder) -> Any:
    return json.loads((folder.root / "anchors" / "anchors.json").read_text())


def silent(label: str, done: int, total: int) -> None:
    pass


def test_they_are_measured_on_some_images_spread_evenly(images: ImageSet, tmp_path: Path) -> None:
    folder, few = Folder(tmp_path), study_of(baseline_images=3)
    assert spread_rows(images.tests["test"], 3).tolist() == [0, 4, 7]
    assert spread_rows(images.tests["test"], 8).tolist() == list(range(8))
    chosen = measure_baselines(few, images, folder, silent)
    assert record_of(folder)["counts"] == {"test": {"used": 3, "of": 8}}
    assert {picture.image for picture in chosen} <= {images.tests["test"].names[row] for row in (0, 4, 7)}
    said = dict(facts(few, None, (), load_baselines(folder)))
    assert said["Without training"] == "measured on 3 of 8 images of test, spread evenly; networks on all"
    measure_baselines(study_of(), images, folder, silent)  # more are asked for
    assert record_of(folder)["counts"] == {"test": {"used": 8, "of": 8}}
    assert "Without training" not in dict(facts(few, None, (), load_baselines(folder)))


def test_of_volumes_whole_ones_are_chosen() -> None:
    class Many(Slices):
        names = property(lambda self: tuple(f"v{i // 10:02d}/{i % 10:03d}" for i in range(100)))
        volume_names = property(lambda self: tuple(f"v{i // 10:02d}" for i in range(100)))

    rows = spread_rows(Many((), np.zeros((100, 2), np.int64)), 32)
    volumes, counts = np.unique(rows // 10, return_counts=True)
    assert len(volumes) == LEAST_VOLUMES and set(counts.tolist()) == {10} and {0, 9} <= set(volumes.tolist())


def test_an_interruption_loses_nothing(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = Folder(tmp_path / "whole"), Folder(tmp_path / "cut")
    labels: list[str] = []
    measure_baselines(study_of(), images, whole, lambda label, done, total: labels.append(label))
    assert "baselines, in seconds" in labels and len(set(labels)) > 3
    plain, counted = baselines._scored, [0]

    def stopping(item: Any, row: int) -> dict[str, float]:
        if counted[0] == 11:
            raise KeyboardInterrupt
        counted[0] += 1
        return plain(item, row)

    monkeypatch.setattr(baselines, "_scored", stopping)
    with pytest.raises(KeyboardInterrupt):
        measure_baselines(study_of(), images, cut, silent)
    with (cut.root / "anchors" / "scores.jsonl").open("a") as stream:
        stream.write('{"set": "test", "kin')  # a line that a killed command left
    counted[0] = -1000
    measure_baselines(study_of(), images, cut, silent)
    kinds = len(record_of(whole)["sets"]["test"])
    assert counted[0] + 1000 == 8 * kinds - 11
    assert record_of(cut) == record_of(whole) and not (cut.root / "anchors" / "scores.jsonl").exists()


def test_records_of_older_versions_stay(images: ImageSet, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    measure_baselines(study_of(), images, folder, silent)
    old = record_of(folder)
    del old["most"], old["counts"]
    (folder.root / "anchors" / "anchors.json").write_text(to_json(old))
    assert are_measured(study_of(baseline_images=500), images, folder)
    measure_baselines(study_of(baseline_images=500), images, folder, lambda *_: pytest.fail("measured again"))
    assert record_of(folder) == old and load_baselines(folder) is not None


def test_plan_counts_them(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, where = Folder(tmp_path), ExecutionConfig(workers=1)
    before = plan(study_of(), folder, where)
    assert before.baselines > 0 and before.start > 0 and before.seconds is not None
    assert before.seconds > before.baselines + before.start
    measure_baselines(study_of(), images, folder, silent)
    after = plan(study_of(), folder, where)
    assert after.baselines == 0
