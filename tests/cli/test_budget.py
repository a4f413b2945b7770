"""``reconscale run --budget``: networks of ours, chosen one by one, with and without a grid in the study file."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from .calling import call

STUDY = """
version = 2
name = "chosen"
[problem]
kind = "denoising"
[images]
source = "bundled"
channels = "gray"
tile = 64
counts = "images"
patch = 32
val = 2
val_patch = 32
test = 2
[network]
family = "dncnn"
depth = 2
[recipe]
steps = 8
precision = "fp32"
"""
GRID = "[sweep]\nn = [4, 8, 16]\nwidth = [4, 8]\nseed = [0, 1]\n"


def results(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        found[path.parent.name] = json.dumps([record["metrics"], record["status"]])
    return found


def test_runs_are_chosen_and_go_on_from_what_is_there(tmp_path: Path) -> None:
    for name in ("at once", "in parts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.toml").write_text(STUDY + GRID)
    flags = ("--workers", 1, "--keep-going", "--no-probe")
    code, out, errors = call("run", tmp_path / "at once", "--budget", "5runs", *flags)
    assert code == 0 and "the budget of 5 runs is spent after 5 of the 12 runs of the grid" in errors, errors
    assert out.splitlines()[-1].startswith("next: reconscale report")
    assert "next: n = 16, width" in errors and "(every width once at the largest n)" in errors
    for budget in ("2runs", "3 runs", "5runs"):
        assert call("run", tmp_path / "in parts", "--budget", budget, *flags)[0] == 0
    assert results(tmp_path / "at once") == results(tmp_path / "in parts") and len(results(tmp_path / "in parts")) == 5
    code, out, _ = call("status", tmp_path / "at once")
    assert code == 0 and out.startswith("5 done, 0 diverged, 0 failed, 0 started, 7 to do")
    code, _, errors = call("run", tmp_path / "at once", "--until", "decided", *flags)
    assert code == 0 and ("all runs of the grid are made" in errors or "the verdict is settled" in errors)


def test_a_study_without_a_grid_gets_one(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    code, _, errors = call("run", tmp_path)
    assert code == 2 and "[sweep]: has no n and no width" in errors and not (tmp_path / "runs").exists()
    code, _, errors = call("run", tmp_path, "--budget", "1run", "--workers", 1, "--keep-going", "--no-probe")
    assert code == 0 and "note: the study names no grid; chosen for it: n = [" in errors, errors
    kept = json.loads((tmp_path / "runs/sweep.json").read_text())
    assert kept["width"] == [8, 16, 32] and len(kept["n"]) >= 3
    assert call("status", tmp_path)[1].startswith("1 done")
    assert call("report", tmp_path, "--no-pictures")[0] == 0
    assert "no larger network" in call("decide", tmp_path)[2] or call("decide", tmp_path)[0] == 2
    code, _, errors = call("run", tmp_path, "--budget", "1run", "--workers", 1)
    assert code == 0 and "names no grid" not in errors


def test_a_plan_without_a_grid_says_what_a_run_would_take(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    code, out, errors = call("plan", tmp_path, "--workers", 1, "--no-calibrate")
    assert code == 0 and "note: the study names no grid; a run with a budget takes: n = [" in errors, errors
    assert "width = [8, 16, 32], seed = [0, 1, 2]" in errors and not (tmp_path / "runs" / "sweep.json").exists()
    again = next(line for line in out.splitlines() if "start with: " in line).partition("start with: reconscale ")[2]
    assert "--budget 2h" in again and "chooses among these runs" in out
    words = shlex.split(again.replace("2h", "1run"))
    assert call(*words, "--keep-going", "--no-probe")[0] == 0
    proposed = json.loads((tmp_path / "runs" / "sweep.json").read_text())
    assert f"n = {proposed['n']}, width" in errors
    assert "a run with a budget" not in call("plan", tmp_path, "--no-calibrate")[2]


def test_auto_says_what_it_has_chosen_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace('"fp32"', '"auto"') + "[sweep]\nn = [4]\nwidth = [4]\nseed = [0]\n")
    flags = ("--workers", 1, "--keep-going", "--no-probe")
    code, _, errors = call("run", tmp_path, *flags)
    kept = tmp_path / "runs" / "precision.json"
    first = json.loads(kept.read_text())["choice"]
    assert code == 0 and f"precision = 'auto' is {first} for all runs of this folder" in errors
    record = json.loads(next(tmp_path.glob("runs/*/result.json")).read_text())
    assert record["provenance"]["precision"] == first
    other = "bf16" if first.startswith("fp32") else "fp32"
    kept.write_text(json.dumps({"choice": first}))
    path.write_text(path.read_text().replace("seed = [0]", "seed = [0, 1]"))
    kept.unlink()  # lost: the results know it
    code, _, errors = call("run", tmp_path, *flags)
    assert code == 0 and f"'auto' is {first}" in errors and other != json.loads(kept.read_text())["choice"]


def test_bad_budgets(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY + GRID)
    for flags in (("--budget", "soon"), ("--until", "tomorrow"), ("--budget", "0h")):
        code, _, errors = call("run", tmp_path, *flags)
        assert code == 2 and errors.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_a_budget_that_no_run_fits_into_says_what_one_takes(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY.replace("steps = 8", "steps = 100000000") + GRID)
    code, _, errors = call("run", tmp_path, "--budget", "2min", "--workers", 1, "--keep-going", "--no-probe")
    assert code == 0 and "the budget of 2 min ends after 0 of the 12 runs of the grid: " in errors, errors
    assert "the shortest run is expected to take" in errors and "is spent" not in errors
    assert not list(tmp_path.glob("runs/*/result.json"))
