"""The recipes of CONTRIBUTING.md as they stand there: a problem, a family, a source, a metric and a law."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import reconscale as rs
from reconscale.study.study_file import parse_study

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
REGISTRIES = (rs.PROBLEMS, rs.FAMILIES, rs.SOURCES, rs.PROFILES, rs.LAWS)
STUDY = {
    "version": 2,
    "name": "toys",
    "problem": {"kind": "ghost", "sigma": 2.0},
    "images": {"source": "waves", "size": 24, "total": 12, "patch": 16, "val": 2, "test": 2},
    "network": {"family": "two-layers"},
    "sweep": {"n": [2, 4, 8], "width": [4]},
    "recipe": {"steps": 30, "precision": "fp32"},
    "analysis": {"profile": "rmse"},
}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The code of the recipes in a file outside the package, imported."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(REGISTRIES)
    folder = tmp_path_factory.mktemp("toys")
    (folder / "reconscale_toys.py").write_text("\n\n".join(blocks), encoding="utf-8")
    before = [dict(registry) for registry in REGISTRIES]
    sys.path.insert(0, str(folder))  # workers import the file by its name, too
    try:
        import_module("reconscale_toys")
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("reconscale_toys", None)
        for registry, was in zip(REGISTRIES, before, strict=True):
            registry.clear()
            registry.update(was)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(toys: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Study, rs.Folder]:
    """A study of the toys, trained."""
    study = parse_study(STUDY)
    folder = rs.Folder(tmp_path_factory.mktemp("study") / "results")
    status = rs.run(study, folder, keep_going=True)
    assert len(status.done) == 3, status
    return study, folder


def test_recipes_are_short() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert all(sum(bool(line.strip()) for line in block.splitlines()) <= 35 for block in blocks)


def test_a_study_of_the_five(finished: tuple[rs.Study, rs.Folder]) -> None:
    study, folder = finished
    for run in rs.runs_of(study):
        result = folder.read(run)
        assert result is not None and result.run == run and run.id.startswith("ghost-two-layers-w4-")
        assert 0 < result.metrics["test"]["rmse"] < 1


def test_fit_and_forecast(finished: tuple[rs.Study, rs.Folder]) -> None:
    points = rs.load_points(*finished)
    assert points.profile == "rmse" and points.metric == "error"
    assert rs.fit(points, "inverse-log").parameters["b"][0] > 0
    assert np.isfinite(rs.forecast(points, n=[16]).median).all()


def test_the_law_finds_its_parameter(toys: None) -> None:
    n = np.array([10.0, 100.0, 1000.0])
    assert rs.fit(rs.Points(n, 3.0 / np.log(n)), "inverse-log").parameters["b"][0] == pytest.approx(3.0)


def test_the_law_can_be_asked_into_a_forecast(toys: None) -> None:
    n = np.geomspace(10, 1e4, 8)
    points = rs.Points(n, 3.0 / np.log(n) * np.exp(0.002 * np.random.default_rng(0).standard_normal(8)))
    made = rs.forecast(points, n=[1e5], laws=["inverse-log"])
    assert made.weights["inverse-log"] > 0.3
    low, high = made.interval(0.9)
    assert low[0] < 3.0 / np.log(1e5) < high[0]


def test_a_report(finished: tuple[rs.Study, rs.Folder], tmp_path: Path) -> None:
    study, folder = finished
    page = rs.report_study(study, folder, tmp_path / "report").read_text(encoding="utf-8")
    assert "emoval of a mirror image of 30 %, noise of σ = 2 of 255" in page
    assert "root of the mean squared error" in page


def test_mistakes_name_the_toys(toys: None) -> None:
    for table, key, wrong, right in (
        ("problem", "kind", "gost", "ghost"),
        ("images", "source", "wave", "waves"),
        ("analysis", "profile", "rmsee", "rmse"),
    ):
        study = {**STUDY, table: {**STUDY[table], key: wrong}}  # type: ignore[dict-item]
        with pytest.raises(rs.UserError, match=right):
            parse_study(study)
