"""What other code has trained, read again later: by another process, without the function or the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import reconscale as rs

from ..cli.calling import call
from .test_command import write_study
from .test_measure import GRID, QUIET, quality, train

IMAGES = {"source": "bundled", "val": 2, "test": 2}
LATER = """
import sys
import reconscale as rs
points = rs.load_points(sys.argv[1])
study = rs.load_study(sys.argv[1])
print(len(points), points.unit, rs.infer(points).decide(worthwhile=0.1).verdict)
print(study)
print(rs.report_study(study, out=sys.argv[2]))
assert "train" not in dir(sys.modules["__main__"]) and "torch" not in sys.modules
"""


def later(*words: object) -> list[str]:
    """What a fresh process prints."""
    outcome = subprocess.run([sys.executable, "-c", LATER, *map(str, words)], capture_output=True, text=True,
                             timeout=200, env=os.environ | {"MPLBACKEND": "agg"})  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.splitlines()


def test_a_fresh_process_without_the_function(tmp_path: Path) -> None:
    points = rs.measure(train, 40, **GRID, folder=tmp_path / "mine", unit="scans", **QUIET)
    found = later(tmp_path / "mine", tmp_path / "page")
    assert found[0] == "12 scans COLLECT MORE" and found[1].startswith("Study(mine: trained by the function train, 12")
    page = (tmp_path / "page" / "report.html").read_text()
    assert found[2] == str(tmp_path / "page" / "report.html") and "COLLECT MORE" in page and "mine" in page
    again = rs.load_points(tmp_path / "mine" / "study.toml")
    assert (again.y == points.y).all() and again.images is not None
    np.testing.assert_array_equal(again.images, points.images)


def test_a_study_of_a_command(tmp_path: Path) -> None:
    path = write_study(tmp_path / "mine") / "study.toml"
    assert rs.load_study(path.parent).results_folder == path.parent / "runs"
    assert "command" in repr(rs.load_study(path)) and "s command" not in rs.load_study(path)._repr_html_()
    with pytest.raises(rs.UserError, match="has no run that is done"):
        rs.load_points(path)
    assert call("run", path, "--allow-commands")[0] == 0
    assert len(rs.load_points(path)) == len(rs.load_study(path).runs())
    assert rs.report_study(path.parent).is_file()


def test_its_figure_shows_what_is_done(tmp_path: Path) -> None:
    rs.measure(train, 40, **GRID, budget="7runs", folder=tmp_path / "mine", **QUIET)
    study = rs.load_study(tmp_path / "mine")
    assert "7 of 12 runs" in study._repr_html_()
    figure = study.figure()
    assert "7 of them done" in figure.alt and "not done" in figure.html
    figure.save(tmp_path / "runs.png")
    ax = study.plot(plt.subplots()[1])
    assert ax.get_xlabel().startswith("training set size n")
    plt.close("all")
    dots = [mark for mark in figure.shown.marks if mark.colour == figure.shown.marks[-1].colour]
    assert sum(len(mark.x) * int(mark.key[0]) for mark in dots) == 7


def test_without_widths_it_shows_seeds(tmp_path: Path) -> None:
    rs.measure(quality, 40, n=[2, 4, 8], seed=3, val=3, test=5, folder=tmp_path / "mine", **QUIET)
    figure = rs.load_study(tmp_path / "mine").figure()
    assert figure.shown.axes.y_title == "seed" and "9 of them done" in figure.alt


def test_a_study_of_ours_says_what_is_done_and_is_equal_wherever_it_lies(tmp_path: Path) -> None:
    text = """version = 2
name = "small"
[problem]
kind = "denoising"
[images]
source = "bundled"
val = 2
test = 2
[sweep]
n = [2, 4]
width = [4]
"""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.toml").write_text(text)
    a, b = (rs.load_study(tmp_path / name) for name in ("a", "b"))
    assert a == b and a.results_folder != b.results_folder
    assert "done" not in a.figure().alt
    (tmp_path / "a" / "runs").mkdir()
    assert "0 of them done" in a.figure().alt and "0 of 2 runs" in a._repr_html_()


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    rs.measure(quality, 40, **GRID, folder=tmp_path / "mine", **QUIET)
    study = rs.load_study(tmp_path / "mine")
    with pytest.raises(rs.UserError, match="is trained by the function quality; call rs.measure again"):
        rs.run(study, tmp_path / "mine")
    with pytest.raises(rs.UserError, match="trained by"):
        rs.list_split(study)
    with pytest.raises(rs.UserError, match="leave 'ssim' out"):
        rs.load_points(study, profile="ssim")
    with pytest.raises(rs.UserError, match="was not read from a file"):
        rs.load_points(
            rs.parse_study(
                {"name": "x", "problem": {"kind": "denoising"}, "images": IMAGES, "sweep": {"n": [2], "width": [4]}}
            )
        )
    assert len(rs.load_points(study, tmp_path / "mine")) == len(
        rs.load_points(study, rs.Folder(tmp_path / "mine/runs"))
    )
    with pytest.raises(rs.UserError, match="cannot be read|is missing|does not exist|not there"):
        rs.load_points(tmp_path / "none")


MY_PARTS = """
import reconscale as rs
rs.METRICS["noodles"] = rs.Metric("noodles", "lower", "bowls")
"""


def in_a_fresh_process(*words: object) -> tuple[int, str]:
    """Exit code and all output of a command."""
    command = [sys.executable, "-m", "reconscale", *map(str, words)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=200)
    return outcome.returncode, outcome.stdout + outcome.stderr


def test_a_command_remembers_the_metric_of_a_plugin(tmp_path: Path) -> None:
    path, plugin = write_study(tmp_path / "mine") / "study.toml", tmp_path / "my_parts.py"
    plugin.write_text(MY_PARTS)
    script = path.parent / "train.py"
    script.write_text(
        script.read_text()
        .replace('"psnr": each', '"noodles": 1 / base')
        .replace('"validation": base', '"validation": 1 / base')
    )
    few = path.read_text().replace("width = [4, 8]", "width = [4]").replace("seed = [0, 1]", "seed = [0]")
    path.write_text(few + '[analysis]\nmetric = "noodles"\n')
    assert "pass --plugin" in in_a_fresh_process("status", path)[1]
    code, said = in_a_fresh_process("run", path, "--allow-commands", "--plugin", plugin)
    assert code == 0, said
    code, said = in_a_fresh_process("decide", path)
    assert code == 0 and "noodles" not in said.lower().split("\n")[0], said
    assert in_a_fresh_process("report", path)[0] == 0
    assert "noodles" in (path.parent / "report" / "report.html").read_text()
    next(path.parent.glob("runs/n2-*/result.json")).unlink()
    again = in_a_fresh_process("status", path)[1].splitlines()[-1].removeprefix("continue with: reconscale ")
    assert f"--plugin {plugin}" in again
    assert in_a_fresh_process("run", path, "--allow-commands")[0] == 0  # what is remembered is enough
    assert in_a_fresh_process("status", path)[1].startswith("3 done")
