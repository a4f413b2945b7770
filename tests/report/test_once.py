"""A command opens its source once, and infers each curve once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reconscale.cli import app
from reconscale.laws import curve_posterior
from reconscale.laws.curve import ensemble
from reconscale.laws.grouping import SizeMeans
from reconscale.results import Result
from reconscale.study import load_study, study_file

from .synthetic import write_results

STUDY = """
name = "photos"
[problem]
kind = "denoising"
[images]
source = "folder"
val = 24
test = 48
[network]
family = "unet"
depth = 2
[sweep]
n = [10, 30, 100, 300, 600]
width = [8, 16, 32]
seed = [0, 1]
[recipe]
steps = 4000
"""
RUNS = 5 * 3 * 2


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("once") / "study.toml"
    path.write_text(STUDY)
    write_results(load_study(path), path.parent / "runs")
    return path


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the curve of so many sizes and a surface are inferred, and how often each file is read."""
    seen: Counter[str] = Counter()
    infer, infer_surface = ensemble.infer_posterior, curve_posterior.infer_surface
    read, read_limited = Result.read.__func__, study_file.read_limited  # type: ignore[attr-defined]

    def counted(level: SizeMeans, *args: Any, **named: Any) -> Any:
        seen[f"curve of {len(level.x)} sizes"] += 1
        return infer(level, *args, **named)

    def counted_surface(*args: Any) -> Any:
        seen["surface"] += 1
        return infer_surface(*args)

    def counted_read(cls: type[Result], place: Path, **named: Any) -> Any:
        seen[f"result {place.name}"] += 1
        return read(cls, place, **named)

    def counted_study(*args: Any) -> bytes:
        seen["study file"] += 1
        return read_limited(*args)

    monkeypatch.setattr(ensemble, "infer_posterior", counted)
    monkeypatch.setattr(curve_posterior, "infer_surface", counted_surface)
    monkeypatch.setattr(Result, "read", classmethod(counted_read))
    monkeypatch.setattr(study_file, "read_limited", counted_study)
    return seen


def call(*words: object) -> str:
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def files_read(counts: Counter[str]) -> dict[str, int]:
    """How many results were read, how often at most, and how often the study file was."""
    results = [count for name, count in counts.items() if name.startswith("result ")]
    return {"results": len(results), "each": max(results), "study file": counts["study file"]}


def inferred(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if "curve" in name or "surface" in name}


ONCE = {"results": RUNS, "each": 1, "study file": 1}


def test_decide(study: Path, counts: Counter[str]) -> None:
    made = json.loads(call("decide", study, "--target", 31, "--cost-per-image", 2, "--json"))
    assert made["decision"]["gain_p"] and made["target"] and made["next"]
    assert files_read(counts) == ONCE and inferred(counts) == {"curve of 5 sizes": 1, "surface": 1}


def test_forecast(study: Path, counts: Counter[str]) -> None:
    call("forecast", study)
    assert files_read(counts) == ONCE and inferred(counts) == {"curve of 5 sizes": 1, "surface": 1}


def test_report(study: Path, tmp_path: Path, counts: Counter[str]) -> None:
    call("report", study, "--out", tmp_path, "--no-pictures", "--target", 31)
    assert files_read(counts) == ONCE
    backtests = {"curve of 4 sizes": 1, "curve of 3 sizes": 1}
    assert inferred(counts) == {"curve of 5 sizes": 1, "surface": 1 + len(backtests), **backtests}


def test_compare(study: Path, tmp_path: Path, counts: Counter[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("n,psnr,seed\n" + "".join(f"{n},{31 - 9 * n**-0.4},0\n" for n in (10, 30, 100, 300, 600)))
    call("compare", study, other, "--out", tmp_path / "page")
    assert files_read(counts) == ONCE and inferred(counts) == {"curve of 5 sizes": 2, "surface": 1}
