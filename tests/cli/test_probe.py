"""Probes through the command line: a budget that is too small is found, and one that is large enough is not blamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .calling import call

STUDY = """
version = 2
name = "planted"
[problem]
kind = "denoising"
sigma = 25
[images]
source = "deadleaves"
size = 32
total = 40
patch = 16
val = 4
test = 6
[sweep]
n = [2, 8]
width = [4]
[recipe]
precision = "fp32"
"""
SHORT = 'policy = "fast"\nsteps = 10\n'
LONG = 'policy = "converge"\nsteps = 20\ndoublings = 7\ntolerance = 0.3\n[analysis]\nworthwhile = 1.5\n'


def findings(study: Path) -> dict[str, str]:
    code, out, err = call("decide", study, "--json")
    assert code == 0, err
    return {item["code"]: item["text"] for item in json.loads(out)["findings"]}


@pytest.mark.parametrize(
    "recipe, said, silent", [(SHORT, "probe-gains", "probe-silent"), (LONG, "probe-silent", "probe-gains")]
)
def test_a_probe_tells_a_short_budget_from_a_long_one(tmp_path: Path, recipe: str, said: str, silent: str) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY + recipe)
    code, _, err = call("run", study, "--workers", 1, "--no-probe")
    assert code == 0, err
    assert not (tmp_path / "runs" / "probe").exists() and said not in findings(study)
    code, _, err = call("run", study, "--workers", 1, "--probe")
    assert code == 0, err
    assert (
        "2 probes, 4 times as long, to do" in err
        and len(list((tmp_path / "runs" / "probe").glob("*/result.json"))) == 2
    )
    found = findings(study)
    assert said in found and silent not in found
    code, _, err = call("run", study, "--workers", 1, "--probe")
    assert code == 0 and "probes" not in err  # they are not trained again
