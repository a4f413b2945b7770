"""The verb noise, as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from reconscale.cli.app import app
from reconscale.data import write_image
from reconscale.study import load_study

from ..data.test_noise_level import noisy, pictures


def say(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["noise", *map(str, words)])
    return done.exit_code, done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index, image in enumerate(pictures(3)):
        (tmp_path / f"scene{index}").mkdir()
        for copy in range(2):
            pixels = np.round(255 * noisy(image, 6, 600, rng)).astype(np.uint8)
            write_image(tmp_path / f"scene{index}" / f"{copy}.png", pixels)
    return tmp_path


def test_copies_give_the_lines_of_a_study_that_opens(folder: Path, tmp_path: Path) -> None:
    code, out = say(folder, "--copies")
    assert code == 0 and "caution" not in out and "3 scenes of up to 2 copies" in out
    lines = out.partition("in a study file:\n")[2]
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "x"\n'
        + lines
        + '\n[images]\nsource = "deadleaves"\nsize = 64\ntotal = 30\npatch = 32\nval = 4\ntest = 4\n'
        '[network]\nfamily = "unet"\n[sweep]\nn = [4, 8]\nwidth = [4]\nseed = [0]\n[recipe]\nsteps = 20\n'
    )
    problem = load_study(study).problem
    assert problem.sigma == pytest.approx(6, abs=0.4) and problem.photons == pytest.approx(600, rel=0.08)


def test_json_and_one_copy(folder: Path) -> None:
    code, out = say(folder, "--json")
    found = json.loads(out)
    assert code == 0 and found["copies"] == 1 and found["images"] == 6 and found["white"] is True
    assert found["sigma"] == pytest.approx(6, abs=0.8) and len(found["means"]) == len(found["deviations"])
    assert "caution: of one copy, fine texture counts as noise" in say(folder)[1]


def test_twelve_bits_in_sixteen_are_asked_about_and_scaled_by_range(tmp_path: Path) -> None:
    rng, stack = np.random.default_rng(0), []
    image = next(pictures(1))[..., 0]
    for _ in range(5):
        stack.append(np.round(64 + 3800 * image + 30 * rng.standard_normal(image.shape)).clip(0, 4095))
    tifffile.imwrite(
        tmp_path / "stack.tif", np.stack(stack).astype(np.uint16), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    assert "give --range" in say(tmp_path, "--copies")[1]
    code, out = say(tmp_path, "--copies", "--range", 64, 4095, "--json")
    assert code == 0 and json.loads(out)["sigma"] == pytest.approx(30 / 4031 * 255, rel=0.03)


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words, part in (
        ((tmp_path / "no",), "is not a folder"),
        ((tmp_path / "empty",), "holds no"),
        ((folder, "--range", 5, 5), "no white above black"),
    ):
        code, out = say(*words)
        assert code == 2 and part in " ".join(out.split()) and "Traceback" not in out
    (folder / "scene0" / "1.png").unlink()
    code, out = say(folder, "--copies")
    assert code == 2 and "holds one image" in " ".join(out.split())
