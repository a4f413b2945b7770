"""The examples drive real trainers, and are what the pages show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..cli.calling import call
from ..conftest import ROOT

EXAMPLES = ROOT / "examples"


def run(script: Path, folder: Path, *words: object) -> str:
    command = [sys.executable, str(script), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_a_module_and_a_data_set_to_a_verdict_in_25_lines(tmp_path: Path) -> None:
    script = EXAMPLES / "functions" / "own_module.py"
    assert len(script.read_text().splitlines()) <= 25
    assert script.read_text().rstrip() in (ROOT / "docs" / "how-to" / "bring-your-own-training.md").read_text()
    first = run(script, tmp_path)
    assert first.splitlines()[0].startswith(("COLLECT MORE", "STOP", "UNDECIDED")) and "At n = 64 items" in first
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("my-study/runs/*/result.json")}
    assert len(kept) == 8 and run(script, tmp_path) == first
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())


def test_the_trainer_of_deepinv(tmp_path: Path) -> None:
    said = run(EXAMPLES / "functions" / "deepinv_trainer.py", tmp_path, tmp_path / "study")
    assert "At n = 24 items and p = 373 we measure" in said
    assert call("status", tmp_path / "study")[1].startswith("3 done")


@pytest.mark.skipif(find_spec("lightning") is None, reason="Lightning is not installed")
def test_a_module_of_lightning(tmp_path: Path) -> None:
    assert "At n = 24 items" in run(EXAMPLES / "functions" / "lightning_module.py", tmp_path, tmp_path / "study")


def test_a_plain_script_as_a_command(tmp_path: Path) -> None:
    place = tmp_path / "torch_script"
    shutil.copytree(EXAMPLES / "torch_script", place, ignore=shutil.ignore_patterns("images", "runs", "report"))
    shown = (ROOT / "docs" / "how-to" / "bring-your-own-command.md").read_text()
    assert (place / "study.toml").read_text().rstrip() in shown
    run(place / "make_images.py", place)
    code, out, errors = call("run", place, "--allow-commands", "--workers", 2)
    assert code == 0 and "6 done" in out, out + errors
    assert "At n = 24 images and p = 153 we measure" in call("decide", place)[1]


def test_two_sources_through_one_call(tmp_path: Path) -> None:
    script = EXAMPLES / "mixtures" / "two_sources.py"
    page = (ROOT / "docs" / "how-to" / "mixtures.md").read_text()
    (shown,) = re.findall(r"^```python\n(sources = \{.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown.rstrip() in script.read_text()
    first = run(script, tmp_path, "--quick")
    assert first.count(" dB (seed ") == 8 and " of photos is worth " in first
    assert "collect " in first and "few-mixes" in first
    assert run(script, tmp_path, "--quick") == first  # nothing is trained again
