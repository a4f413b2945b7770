"""Every command that is printed to be copied runs as it stands, also where paths hold spaces."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .calling import call

STUDY = """
name = "spaced"
[problem]
kind = "denoising"
[images]
source = "folder"
folders = ["two words"]
patch = 16
val = 2
test = 2
[sweep]
n = [1, 2, 4]
width = [2]
[recipe]
steps = 10
batch = 2
"""
PRINTED = re.compile(r"(?:next|continue with|start with|repeat them with|read them again with): (reconscale .*)")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    place = tmp_path / "my data" / "two words"
    place.mkdir(parents=True)
    for index in range(8):
        Image.fromarray((np.random.default_rng(index).random((24, 24)) * 255).astype(np.uint8)).save(
            place / f"{index}.png"
        )
    path = tmp_path / "my study" / "study.toml"
    path.parent.mkdir()
    path.write_text(STUDY)
    return path


def printed(*texts: str) -> list[str]:
    return [found for text in texts for found in PRINTED.findall(text)]


def follow(words: list[str]) -> list[str]:
    """What a command prints as further commands; it must have run."""
    code, out, err = call(*words)
    assert code == 0, (words, err)
    return printed(out, err)


def test_every_printed_command_runs(study: Path, tmp_path: Path) -> None:
    data = tmp_path / "my data"
    waiting = follow(["plan", str(study), "--data", str(data), "--workers", "1", "--no-calibrate"])
    seen: list[str] = []
    while waiting:
        line = waiting.pop()
        if line in seen:
            continue
        seen.append(line)
        waiting += follow(shlex.split(line)[1:])
        waiting += follow(["status", str(study)])
    verbs = [shlex.split(line)[1] for line in seen]
    assert "run" in verbs and "report" in verbs
    assert all(shlex.split(line)[-1] == str(data) for line in seen if " --data " in line and "--workers" not in line)


def test_status_knows_the_data_folder_once_it_was_given(study: Path, tmp_path: Path) -> None:
    assert "--data FOLDER" in follow(["status", str(study)])[0]
    (tmp_path / "my study" / "runs").mkdir()
    from reconscale.cli.next_command import remember_data
    from reconscale.results import Folder
    from reconscale.study import load_study

    remember_data(Folder.beside(study), load_study(study).images, tmp_path / "my data")
    (line,) = follow(["status", str(study)])
    assert shlex.split(line)[2:] == [str(study), "--data", str(tmp_path / "my data")]


def test_the_import_says_a_command_that_runs(tmp_path: Path) -> None:
    home = tmp_path / "my logs"
    for n in (10, 20, 40, 80):
        run = home / f"n{n}"
        run.mkdir(parents=True)
        (run / "metrics.csv").write_text("epoch,step,test/psnr\n" + f"0,10,{25 + np.log(n)}\n")
        (run / "hparams.yaml").write_text(f"n: {n}\n")
    lines = follow(["import", str(home), "--out", str(tmp_path / "my points.csv"), "--n-from", "n", "--value",
                    "test/psnr"])  # fmt: skip
    for line in lines:
        follow(shlex.split(line)[1:])
    assert lines


def test_theory_says_a_command_that_runs() -> None:
    lines = follow(["theory", "curve", "--dim", "4", "--ambient", "20", "--sigma", "0.1", "--n", "2,8"])
    for line in lines:
        follow(shlex.split(line)[1:])
    assert lines
