"""Three rows of ``benchmarks/broken_studies.py``, with a smaller study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from broken_studies import FAULTS, SOUND, Bench, leak, mixed_budgets, too_few_steps

SMALL: dict[str, Any] = {
    **SOUND,
    "images": {**SOUND["images"], "size": 32, "total": 60, "val": 4, "test": 4},
    "sweep": {"n": [4, 12, 36], "width": [4, 6], "seed": [0]},
    "recipe": {"policy": "fast", "steps": 60, "batch": 4},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("broken"), SMALL)


def test_training_that_ends_too_early_is_not_read_as_data(bench: Bench) -> None:
    told = too_few_steps(bench)
    assert told.alone in ("COLLECT MORE", "TRAIN LARGER", "STOP", "UNDECIDED")
    assert (told.verdict, told.first != "") in (("TRAIN LONGER FIRST", True), ("FIX FIRST", True))


def test_test_images_in_training_are_refused(bench: Bench) -> None:
    told = leak(bench)
    assert told.verdict == "refused" and "is the same as" in told.first


def test_two_budgets_in_a_table_are_seen(bench: Bench) -> None:
    told = mixed_budgets(bench)
    assert told.verdict == "UNDECIDED" and "steps-follow-n" in told.codes
    assert told.first == "Train all n with the same steps, or until they have converged"


def test_there_are_ten_faults_and_one_study_without() -> None:
    assert len(FAULTS) >= 11 and next(iter(FAULTS)) == "none"
