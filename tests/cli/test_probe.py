"""Probes through the command line: a budget that is too small is found, and one that is large enough is not blamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconscale.results import Folder, Result
from reconscale.results.probes import longer_run, probes_folder
from reconscale.study import load_study, runs_of

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
    code, _, err = call("run", study, "--keep-going", "--workers", 1, "--no-probe")
    assert code == 0, err
    assert not (tmp_path / "runs" / "probe").exists() and said not in findings(study)
    code, _, err = call("run", study, "--keep-going", "--workers", 1, "--probe")
    assert code == 0, err
    assert (
        "2 probes, 4 times as long, to do" in err
        and len(list((tmp_path / "runs" / "probe").glob("*/result.json"))) == 2
    )
    found = findings(study)
    assert said in found and silent not in found
    code, _, err = call("run", study, "--keep-going", "--workers", 1, "--probe")
    assert code == 0 and "probes" not in err  # they are not trained again


def test_what_is_said_to_continue_with_asks_for_probes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY + SHORT)
    monkeypatch.setattr("reconscale.cli.study._run_study", interrupt)
    for word in ("--probe", "--no-probe"):
        code, _, err = call("run", study, word)
        assert code == 130 and err.rstrip().endswith(f"continue with: reconscale run {study} {word}")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_probe_that_failed_is_repeated_when_asked(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY.replace("n = [2, 8]", "n = [2]") + SHORT)
    code, _, err = call("run", study, "--keep-going", "--workers", 1, "--no-probe")
    assert code == 0, err
    folder = Folder.beside(study)
    (done,) = folder.results(runs_of(load_study(study)))
    run = longer_run(done)
    failed = Result(status="failed", run=run, p=done.p, reason="there was no room")
    failed.write(probes_folder(folder).of(run))
    for words, status in ((), "failed"), (("--retry-failed",), "done"):
        code, _, err = call("run", study, "--keep-going", "--workers", 1, "--probe", *words)
        after = probes_folder(folder).read(run)
        assert code == 0 and after is not None and after.status == status, err
