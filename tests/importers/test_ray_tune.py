"""Folders of Ray Tune's trials, imitated from its loggers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconscale.importers import RunLog, import_logs
from reconscale.importers.ray_tune import read


def trial(folder: Path, values: list[tuple[int, float]], n: int = 100, *, table: bool = False) -> Path:
    folder.mkdir(parents=True)
    config = {"n_train": n, "seed": 0, "model": {"width": 32}}
    if table:
        rows = [f"{step},{value},False,{n},0" for step, value in values]
        text = "\n".join(["training_iteration,psnr,done,config/n_train,config/seed", *rows]) + "\n"
        (folder / "progress.csv").write_text(text)
        return folder
    lines = [
        json.dumps({"training_iteration": step, "eval": {"psnr": value}, "loss": float("nan"), "config": config})
        for step, value in values
    ]
    (folder / "result.json").write_text("\n".join(lines) + "\n")
    (folder / "params.json").write_text(json.dumps(config))
    return folder


def test_trials(tmp_path: Path) -> None:
    for n in (100, 300):
        trial(tmp_path / f"trial_{n}", [(1, 29.0), (2, 30.0 + n / 1000)], n)
    made = import_logs(tmp_path, metric="psnr")
    assert made.title == "Ray Tune trials" and made.header == ("n", "width", "seed", "psnr", "run", "step")
    assert [row[:4] for row in made.rows] == [(100, 32, 0, 30.1), (300, 32, 0, 30.3)]


def test_a_table_alone(tmp_path: Path) -> None:
    trial(tmp_path / "a", [(1, 29.0), (2, 30.0)], table=True)
    assert import_logs(tmp_path).rows == ((100, 0, 30.0, "a", "2"),)


def test_trials_that_failed(tmp_path: Path) -> None:
    trial(tmp_path / "a", [(1, 29.0)])
    (trial(tmp_path / "b", [(1, 29.0)]) / "error.pkl").write_bytes(b"never opened")
    made = import_logs(tmp_path, metric="psnr")
    assert len(made.rows) == 1 and "error.pkl says that the trial failed" in made.skipped[0].reason


@pytest.mark.parametrize("tail", ['{"training_iteration": 3, "ev', ""])
def test_a_trial_that_was_restored(tmp_path: Path, tail: str) -> None:
    path = trial(tmp_path / "a", [(1, 20.0), (2, 21.0), (1, 30.0)]) / "result.json"
    path.write_text(path.read_text() + tail)
    (run,) = read(tmp_path)
    assert isinstance(run, RunLog) and run.series["eval/psnr"] == {1: 30.0} and "step 1 after" in run.restarted
    assert run.cut == ("result.json after 3 results" if tail else "")
