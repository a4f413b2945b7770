"""Baselines: on how many images, what an interruption costs, and records of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import ImageSet, Slices, open_images
from reconscale.files import to_json
from reconscale.format import number
from reconscale.report.page_text import facts
from reconscale.report.study_analysis import analyse_study
from reconscale.results import Folder, Result
from reconscale.results.baseline_record import read_baselines
from reconscale.study import Study, runs_of
from reconscale.study.study_file import parse_study
from reconscale.training import ExecutionConfig, baselines
from reconscale.training.baselines import LEAST_VOLUMES, are_measured, measure_baselines, spread_rows
from reconscale.training.sweep import plan, run


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
    picked = [images.tests["test"].names[row] for row in (0, 4, 7)]
    assert record_of(folder)["counts"] == {"test": {"used": 3, "of": 8, "images": picked}}
    assert {picture.image for picture in chosen} <= {images.tests["test"].names[row] for row in (0, 4, 7)}
    said = dict(facts(few, None, (), read_baselines(folder)))
    means = record_of(folder)["sets"]["test"]
    assert said["Without training"].startswith("measured on 3 of 8 images of test (")
    assert f"{means['classical']['psnr-rgb-clip']:.2f} dB), spread evenly; networks are" in said["Without training"]
    measure_baselines(study_of(), images, folder, silent)  # more are asked for
    assert record_of(folder)["counts"] == {"test": {"used": 8, "of": 8}}
    assert "Without training" not in dict(facts(few, None, (), read_baselines(folder)))


def test_of_volumes_whole_ones_are_chosen() -> None:
    class Many(Slices):
        names = property(lambda self: tuple(f"v{i // 10:02d}/{i % 10:03d}" for i in range(100)))
        volume_names = property(lambda self: tuple(f"v{i // 10:02d}" for i in range(100)))

    rows = spread_rows(Many((), np.zeros((100, 2), np.int64)), 32)
    volumes, counts = np.unique(rows // 10, return_counts=True)
    assert len(volumes) == 3 > LEAST_VOLUMES and set(counts.tolist()) == {10} and {0, 9} <= set(volumes.tolist())


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
    assert record_of(folder) == old and read_baselines(folder) is not None


def test_plan_counts_them(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, where = Folder(tmp_path), ExecutionConfig(workers=1)
    before = plan(study_of(), folder, where)
    assert before.baselines > 0 and before.start > 0 and before.seconds is not None
    assert before.seconds > before.baselines + before.start
    measure_baselines(study_of(), images, folder, silent)
    after = plan(study_of(), folder, where)
    assert after.baselines == 0


def few_and_networks(images: ImageSet, folder: Folder) -> tuple[Study, Result]:
    """Baselines on 3 of 8 images, and a result that is 1 dB better than the best of them on each."""
    few = study_of(baseline_images=3)
    measure_baselines(study_of(), images, folder, silent)
    (folder.root / "anchors" / "anchors.json").unlink()
    every = {row: _values(images, row) for row in range(8)}
    measure_baselines(few, images, folder, silent)
    names = images.tests["test"].names
    table = {names[row]: {"psnr-rgb-clip": value + 1} for row, value in every.items()}
    mean = sum(v["psnr-rgb-clip"] for v in table.values()) / len(table)
    run = runs_of(few)[0]
    return few, Result.model_construct(status="done", run=run, p=1, metrics={"test": {"psnr-rgb-clip": mean}},
                                       images={"test": table}, volumes={})  # fmt: skip


def _values(images: ImageSet, row: int) -> float:
    work, _ = baselines._work_of(study_of(), images, 8)
    item = next(item for item in work if item.kind == "classical")
    return float(baselines._scored(item, row)["psnr-rgb-clip"])


def test_networks_are_compared_on_the_images_that_both_have(images: ImageSet, tmp_path: Path) -> None:
    """1 dB better on every image is 1 dB better, however easy the images are that the baselines were measured on."""
    folder = Folder(tmp_path)
    _, result = few_and_networks(images, folder)
    record = read_baselines(folder)
    assert record is not None and not record.images["test"].is_all and record.images["test"].is_known
    of_record = record.sets["test"]["classical"]["psnr-rgb-clip"]
    mean = result.metrics["test"]["psnr-rgb-clip"]
    (line,) = [value for kind, _, value in record.lines("test", "psnr-rgb-clip", [result]) if kind == "classical"]
    assert mean - line == pytest.approx(1, abs=1e-9) and abs(mean - of_record - 1) > 0.02
    lacking = result.model_copy(update={"images": {"test": dict(list(result.images["test"].items())[1:])}})
    assert record.lines("test", "psnr-rgb-clip", [lacking]) == []
    assert [value for *_, value in record.lines("test", "psnr-rgb-clip")][-1] == of_record  # nothing to compare with


def test_a_record_that_does_not_say_which_images_is_measured_again(images: ImageSet, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    few, result = few_and_networks(images, folder)
    assert are_measured(few, images, folder)
    old = record_of(folder)
    del old["counts"]["test"]["images"]
    (folder.root / "anchors" / "anchors.json").write_text(to_json(old))
    record = read_baselines(folder)
    assert record is not None and record.lines("test", "psnr-rgb-clip", [result]) == []
    assert "did not write down which" in dict(facts(few, None, (), record))["Without training"]
    assert not are_measured(few, images, folder)
    measure_baselines(few, images, folder, silent)
    assert are_measured(few, images, folder) and record_of(folder)["pictures"] == old["pictures"]


def test_more_images_of_a_finished_study_are_measured_and_its_pictures_stay(tmp_path: Path) -> None:
    made = study_of(baseline_images=2).model_dump(exclude_defaults=True)
    study = parse_study({**made, "recipe": {"steps": 2, "batch": 1}})
    folder = Folder(tmp_path / "runs")
    run(study, folder, ExecutionConfig(workers=1), keep_going=True)
    before = record_of(folder)
    wider = parse_study({**made, "recipe": {"steps": 2, "batch": 1}, "analysis": {"baseline_images": 8}})
    run(wider, folder, ExecutionConfig(workers=1), keep_going=True)
    after = record_of(folder)
    assert (before["counts"]["test"]["used"], after["counts"]["test"]) == (2, {"used": 8, "of": 8})
    assert [p["image"] for p in after["pictures"]] == [p["image"] for p in before["pictures"]]
    told: list[Any] = []
    run(study, folder, ExecutionConfig(workers=1), keep_going=True, tell=told.append)
    (kept,) = [event["text"] for event in told if "baseline_images" in event.get("text", "")]
    assert "is 2 now, but what needs no training was measured on 8 of 8 images of test before" in kept
    assert record_of(folder) == after
    run(wider, folder, ExecutionConfig(workers=1), keep_going=True, tell=told.append)
    assert sum("baseline_images" in event.get("text", "") for event in told) == 1


def test_over_how_many_images_a_mean_is_stands_in_the_table_of_the_report(tmp_path: Path) -> None:
    made = study_of(baseline_images=3).model_dump(exclude_defaults=True)
    study, folder = parse_study({**made, "recipe": {"steps": 2, "batch": 1}}), Folder(tmp_path)
    told: list[Any] = []
    run(study, folder, ExecutionConfig(workers=1), keep_going=True, tell=told.append)
    known, means = analyse_study(study, folder), record_of(folder)["sets"]["test"]
    rows = known.baselines.records()
    assert {row["kind"] for row in rows} == set(means) and {(row["images"], row["of"]) for row in rows} == {(3, 8)}
    assert all(row["measured"] == means[str(row["kind"])]["psnr-rgb-clip"] for row in rows)
    (shift,) = {round(number(row["value"]) - number(row["measured"]), 9) for row in rows}
    assert shift != 0  # lines are at the level of all images
    (beside,) = [event["beside"] for event in told if "beside" in event]
    mean = known.done[0].metrics["test"]["psnr-rgb-clip"]
    assert "3 images of 'test'" in beside and f" ({mean:.2f} dB on all 8), input" in beside
