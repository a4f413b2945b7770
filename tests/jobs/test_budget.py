"""Adaptive sweeps: few runs until the verdict is settled, the same ones after an interruption."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reconscale as rs

from ..cli.calling import call

GRID: dict[str, Any] = {"n": [4, 10, 25, 63, 158, 398], "seed": 3, "width": [4, 8, 16], "val": 3, "test": 5}


def train(job: rs.Job) -> dict[str, Any]:
    """Much is gained by more data, nothing by a larger network."""
    noise = np.random.default_rng([job.seed, job.n, job.width or 0]).normal(0, 0.02)
    value = 25 + 3 * math.log10(job.n) - 0.02 * abs(math.log2((job.width or 8) / 8)) + noise
    return {"psnr": value, "validation": value, "p": 100 * (job.width or 1) ** 2}


PAGE = Path(__file__).parents[2] / "docs/how-to/budget.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "COLLECT MORE\n"


def results_of(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in folder.glob("runs/*/result.json")}


def notes(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["event"] == "note"]


def test_a_clear_answer_takes_few_runs(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    points = rs.measure(train, 500, **GRID, folder=tmp_path, budget="decided", tell=said.append)
    assert 8 <= len(points) <= 20
    assert rs.infer(points).decide(worthwhile=0.1).verdict == "COLLECT MORE"
    assert notes(said)[-1] == f"the verdict is settled after {len(points)} of the 54 runs of the grid"
    assert notes(said)[0] == "next: n = 398, width 8, seed 0 (every width once at the largest n)"
    assert call("decide", tmp_path)[1].startswith("COLLECT MORE")
    trace = [json.loads(line) for line in (tmp_path / "runs/choices.jsonl").read_text().splitlines()]
    assert len(trace) == len(points) and trace[-1]["chance_n"] > 0.5
    again: list[dict[str, Any]] = []
    more = rs.measure(train, 500, **GRID, folder=tmp_path, budget="decided", tell=again.append)
    assert len(more) == len(points) and notes(again) == notes(said)[-1:]


def test_a_number_of_runs_is_kept_and_counts_earlier_ones(tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"folder": tmp_path, "tell": lambda event: None}
    assert len(rs.measure(train, 500, **GRID, budget="5runs", **quiet)) == 5
    assert len(rs.measure(train, 500, **GRID, budget="7runs", **quiet)) == 7
    assert len(rs.measure(train, 500, **GRID, budget="6runs", **quiet)) == 7


@pytest.mark.parametrize("stop", [1, 4, 6, 7])
def test_after_an_interruption_the_same_runs_are_chosen(tmp_path: Path, stop: int) -> None:
    whole = rs.measure(train, 500, **GRID, folder=tmp_path / "whole", budget="11runs", tell=lambda event: None)
    calls = 0

    def interrupted(job: rs.Job) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt
        return train(job)

    with pytest.raises(KeyboardInterrupt):
        rs.measure(interrupted, 500, **GRID, folder=tmp_path / "cut", budget="11runs", tell=lambda event: None)
    points = rs.measure(train, 500, **GRID, folder=tmp_path / "cut", budget="11runs", tell=lambda event: None)
    assert set(results_of(tmp_path / "whole")) == set(results_of(tmp_path / "cut"))
    order = np.lexsort((whole.seed, whole.width, whole.n))
    assert (whole.y[order] == points.y[np.lexsort((points.seed, points.width, points.n))]).all()


def test_side_by_side_as_well(tmp_path: Path) -> None:
    points = rs.measure(
        train, 500, **GRID, folder=tmp_path, budget="12runs", on=rs.Local(workers=2), tell=lambda event: None
    )
    assert 8 <= len(points) <= 12
    assert (points.n == 398).sum() >= 3


def test_a_budget_of_time_that_is_spent(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    with pytest.raises(rs.UserError, match="has no run that is done"):
        rs.measure(train, 500, **GRID, folder=tmp_path, budget=rs.Budget(seconds=1e-9), tell=said.append)
    assert notes(said)[-1].startswith("the budget of")


def test_runs_that_fail_are_not_chosen_again(tmp_path: Path) -> None:
    def failing(job: rs.Job) -> dict[str, Any]:
        if job.width == 16:
            raise RuntimeError("too large")
        return train(job)

    points = rs.measure(failing, 500, **GRID, folder=tmp_path, budget="9runs", tell=lambda event: None)
    trace = [json.loads(line) for line in (tmp_path / "runs/choices.jsonl").read_text().splitlines()]
    cells = [(line["n"], line["width"], line["seed"]) for line in trace]
    assert len(cells) == len(set(cells)) == 9 and len(points) < 9


def test_nonsense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(rs.UserError, match="found '2 fortnights'"):
        rs.measure(train, 500, **GRID, folder=tmp_path / "mine", budget="2 fortnights")
    assert not (tmp_path / "mine").exists()
