"""What status says before a command that comes next would refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import reconscale as rs
from reconscale.data import write_image

from .calling import call

STUDY = """version = 2
name = "small"
[problem]
kind = "denoising"
[images]
source = "folder"
folders = ["mine"]
patch = 16
val = 2
test = 2
[sweep]
n = [2, 4]
width = [2]
[recipe]
policy = "budget"
steps = 4
batch = 2
precision = "fp32"
"""


def write(path: Path, side: int, seed: int) -> None:
    write_image(path, np.random.default_rng(seed).integers(0, 256, (side, side, 1), np.uint8))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for index in range(9):
        write(tmp_path / "data" / "mine" / f"{index}.png", 32, index)
    (tmp_path / "study.toml").write_text(STUDY)
    code, _, err = call("run", tmp_path, "--data", tmp_path / "data", "--workers", 1, "--keep-going", "--no-probe")
    assert code == 0, err
    return tmp_path


def test_other_images_are_noticed(study: Path) -> None:
    assert "caution" not in call("status", study)[1]
    kept = (study / "data" / "mine" / "3.png").read_bytes()
    write(study / "data" / "mine" / "3.png", 40, 3)
    code, out, _ = call("status", study)
    assert code == 0 and "are not those of the last run (by name and size): restore" in out
    assert "images are not those" in call("run", study, "--data", study / "data")[2]
    (study / "data" / "mine" / "3.png").write_bytes(kept)
    assert "caution" not in call("status", study)[1]
    (study / "data" / "mine" / "3.png").unlink()
    assert "9 then and 8 now" in call("status", study)[1]
    assert "9 then and 8 now" in json.loads(call("status", study, "--json")[1])["cautions"][0]


def test_a_damaged_table_is_noticed(study: Path) -> None:
    table = next(study.glob("runs/*/images.csv"))
    table.write_text(table.read_text().replace("1", "2", 1))
    code, out, _ = call("status", study)
    said = call("decide", study)[2].removeprefix("reconscale: ").strip()
    assert code == 0 and f"caution: {said}" in out


def test_of_other_code_too(tmp_path: Path) -> None:
    rs.measure(lambda job: [30.0 + job.n] * len(job.test), 20, n=[2, 4, 8], val=2, test=4, folder=tmp_path / "mine",
               tell=lambda event: None)  # fmt: skip
    assert "caution" not in call("status", tmp_path / "mine")[1]
    next(tmp_path.glob("mine/runs/*/images.csv")).unlink()
    assert "caution: " in call("status", tmp_path / "mine")[1]
