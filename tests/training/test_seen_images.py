"""Training that ends before it has seen every image."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from reconscale.data import open_images
from reconscale.report.run_tables import training_findings
from reconscale.report.tables import table
from reconscale.study import runs_of
from reconscale.study.study_file import parse_study
from reconscale.training.seen_images import unseen_cautions

from ..report.synthetic import result_of

IMAGES = {"source": "deadleaves", "size": 32, "total": 20, "patch": 16, "val": 2, "test": 2}
SWEEP = {"n": [4, 16], "width": [4]}


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"steps": 4, "batch": 4}, ""),
        ({"steps": 3, "batch": 4}, "at n = 16 training sees 12 of 16 images at most"),
        ({"steps": 1, "batch": 2}, "at n = 4 training sees 2 of 4 images at most"),
        ({"policy": "plateau", "steps": 1000, "epochs": 1, "batch": 3}, ""),
        ({"policy": "converge", "steps": 4, "doublings": 1, "batch": 1}, "12? of 16|raise recipe.doublings"),
    ],
)
def test_before_training(content: Callable[..., dict[str, Any]], recipe: dict[str, Any], said: str) -> None:
    study = parse_study(content(images=IMAGES, sweep=SWEEP, recipe=recipe))
    found = unseen_cautions(study, open_images(study.images))
    assert len(found) == bool(said)
    assert not said or re.search(said, found[0])


def test_in_the_report(content: Callable[..., dict[str, Any]]) -> None:
    study = parse_study(content(images=IMAGES, sweep=SWEEP, recipe={"steps": 40, "batch": 4}))
    results = [result_of(run).model_copy(update={"steps": 3, "samples": 12}) for run in runs_of(study)]
    (found,) = [each for each in training_findings(study, results) if each.code == "unseen-images"]
    assert found.severity == "warning"
    assert "in 1 of 2 runs (n = 16)" in found.text and "(12 of 16 at n = 16)" in found.text
    assert "raise recipe.steps or recipe.batch" in found.text
    enough = [each.model_copy(update={"samples": 16}) for each in results]
    assert not any(each.code == "unseen-images" for each in training_findings(study, enough))
    sets = table(
        "training_sets", "n slices volumes units pixels", [(4, 40.0, 4.0, 4.0, 1.0), (16, 160.0, 9.0, 9.0, 1.0)]
    )
    (slices,) = [each for each in training_findings(study, enough, sets=sets) if each.code == "unseen-images"]
    assert "in 2 of 2 runs (n = 4, 16)" in slices.text and "(16 of 160 at n = 16)" in slices.text
