"""What a report says of volumes, and of a problem in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.errors import UserError
from reconscale.files import to_json, write_atomic
from reconscale.report.analysis import MetricFormat
from reconscale.report.page_text import problem_words, recipe_words
from reconscale.report.run_tables import sets_grid, training_sets_of, volumes_grid
from reconscale.results import Folder
from reconscale.study import Study, load_study
from reconscale.study.study_file import parse_study

STUDIES = Path(__file__).parents[2] / "studies"


def study(**problem: object) -> Study:
    return parse_study({
        "name": "s", "problem": {"kind": "mri", **problem}, "network": {"family": "unet"},
        "images": {"source": "fastmri", "val": 1, "test": 1}, "sweep": {"n": [1], "width": [2]},
    })  # fmt: skip


def test_problems_in_words() -> None:
    assert problem_words(study()) == "MRI accelerated 4 times: equispaced lines, 8 % in the middle; measured k-space"
    words = problem_words(load_study(STUDIES / "mri-brain" / "multicoil-4x"))
    assert "noise of σ = 0.005 of the maximum" in words and "complex images, 8 coils" in words
    assert "sigma" not in problem_words(load_study(STUDIES / "denoising-photos"))


def test_recipes_in_words() -> None:
    words = recipe_words(load_study(STUDIES / "mri-paper"))
    assert "RMSprop" in words and "clipped to norm 1" in words and "at most 300 epochs" in words and "slices" in words


def test_findings_of_the_study_file() -> None:
    def codes(read: Study) -> list[str]:
        return [finding.code for finding in read.problem.findings(read.images)]

    assert codes(study(masks="volume")) == ["fixed-masks"]
    assert codes(study()) == [] == codes(load_study(STUDIES / "denoising-photos"))


def test_the_metric_follows_the_problem() -> None:
    made = study()
    assert made.analysis.profile == "ssim-fastmri-volume-v1" and made.analysis.worthwhile == 0.01  # type: ignore[attr-defined]


def test_training_sets(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert training_sets_of(folder) is None and sets_grid(None, "slices") is None
    sets = [{"n": 10, "slices": 10.0, "volumes": 2.5, "units": 1.0}]
    write_atomic(tmp_path / "training-sets.json", to_json({"sets": sets, "pixels": 64.0}))
    known = training_sets_of(folder)
    grid = sets_grid(known, "slices")
    assert grid is not None and grid.rows == (("10", "10", "2.5", "1"),)
    write_atomic(tmp_path / "training-sets.json", to_json({"sets": [{"n": "ten"}], "pixels": 64.0}))
    with pytest.raises(UserError, match="is damaged"):
        training_sets_of(folder)


def test_the_volume_that_gains_least_comes_first() -> None:
    from reconscale.report.tables import table

    rows = [("t", "a", 1.0, 0.5, 9.0, 0.9), ("t", "b", 1.0, 0.5, 9.0, 0.6)]
    volumes = table("volumes", "test_set volume n_smallest y_smallest n_largest y_largest", rows)
    ssim, nmse = (MetricFormat(metric, "", "slices") for metric in ("ssim", "error"))
    first = [volumes_grid(volumes, quantity) for quantity in (ssim, nmse)]
    assert [grid.rows[0][1] for grid in first if grid is not None] == ["b", "a"]
