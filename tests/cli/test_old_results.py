"""Results that earlier versions wrote are read by this one: `tests/study/results_of` has what these commits left.

| folder | commit | what was different |
|---|---|---|
| 2026-11-24-first | d3abd34 | no sums, no version of the study file, baselines by kind without counts |
| 2026-11-28-explained | 0ea96ab | with the linear explanation |
| 2026-11-29-version-2 | 0ec5770 | version 2 of the study file, sums, restarts, memory |
| 2026-11-29-own-code | f8255a3 | trained by a Python function |

Pictures and weights are left out; the path of the script of the last one is shortened.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ..conftest import ROOT
from .calling import call

FOLDERS = sorted((ROOT / "tests" / "study" / "results_of").iterdir())
VERDICTS = {
    "2026-11-24-first": "FIX FIRST",
    "2026-11-28-explained": "FIX FIRST",
    "2026-11-29-version-2": "TRAIN LONGER FIRST",
    "2026-11-29-own-code": "COLLECT MORE",
}
"""Measured values decide these: a verdict that changes is a change of what is read, or of the rules: look."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_command_that_reads(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(folder, study)
    results = [json.loads(path.read_text()) for path in sorted(study.glob("runs/*/result.json"))]
    code, out, err = call("status", study, "--json")
    known = json.loads(out)
    assert code == 0, err
    assert sorted(known["done"]) == [result["id"] for result in results] and not known["others"] and not known["todo"]

    code, out, err = call("decide", study)
    assert code == 0 and out.splitlines()[0].startswith(VERDICTS[folder.name]), out + err

    code, _, err = call("report", study, "--out", tmp_path / "report")
    numbers = json.loads((tmp_path / "report" / "numbers.json").read_text())
    profile = numbers["profile"] or numbers["metric"]
    read = sorted(row[numbers["metric"]] for row in numbers["tables"]["points"])
    assert code == 0 and read == pytest.approx(sorted(r["metrics"]["test"][profile] for r in results), abs=1e-9), err
    assert "</html>" in (tmp_path / "report" / "report.html").read_text()


def test_all_are_looked_at() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(VERDICTS)
