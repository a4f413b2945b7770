"""The first runs of a sweep beside their input: a wrong recipe stops it, a healthy study goes on."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reconscale as rs
from reconscale.errors import EndedOnPurpose
from reconscale.training import prepare
from reconscale.training.first_runs import FirstRuns, Yardstick, yardstick_of

from ..cli.calling import call

BELOW = """
name = "below"
[problem]
kind = "denoising"
{problem}
[images]
source = "deadleaves"
size = 32
total = 16
patch = 16
val = 2
test = 3
[network]
head = "{head}"
[sweep]
n = [2, 4, 8]
width = [2]
seed = [0, 1]
[recipe]
steps = {steps}
batch = 2
{recipe}
[analysis]
{analysis}
"""


def study_file(
    folder: Path, head: str = "random", steps: int = 2, *, problem: str = "", recipe: str = "", analysis: str = ""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(BELOW.format(head=head, steps=steps, problem=problem, recipe=recipe, analysis=analysis))
    return path


def over(path: Path) -> int:
    return len(list(path.parent.glob("runs/*/result.json")))


def test_too_few_steps_stop_a_sweep_and_resuming_asks_again(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    code, _, err = call("run", path, "--workers", 1)
    assert code == 2 and over(path) == 3  # that of the smallest n does not count
    first, last = [line for line in err.splitlines() if line.startswith(("[1/", "reconscale:"))]
    assert "psnr-rgb-clip on 3 images of 'test'" in first and "best classical (block DCT with Wiener filter)" in first
    assert "the first runs: reach" in last and f"with: reconscale run {path} --workers 1 --keep-going" in last
    sentence = refused_after_plan("run", path)
    assert "no better than their input" in sentence and over(path) == 3
    assert call("run", path, "--workers", 2, "--keep-going", "--no-probe")[0] == 0 and over(path) == 6
    assert call("run", path, "--no-probe")[0] == 0  # nothing is left to stop


def refused_after_plan(*words: object) -> str:
    """The last line of a command that is refused after it has said its plan."""
    code, _, err = call(*words)
    assert code == 2, err
    return err.splitlines()[-1]


@pytest.mark.parametrize(
    ("problem", "recipe", "analysis"),
    [
        ("", "", 'profile = "mse"'),
        ("", "", 'profile = "ssim-uniform7"'),
        ("", 'loss = "noise2noise"', ""),
    ],
    ids=["an error", "SSIM", "a blind loss"],
)
def test_every_metric_and_loss(problem: str, recipe: str, analysis: str, tmp_path: Path) -> None:
    path = study_file(tmp_path, problem=problem, recipe=recipe, analysis=analysis)
    assert "no better than their input" in refused_after_plan("run", path, "--workers", 1)


def test_without_a_truth(tmp_path: Path) -> None:
    """The quality of both is estimated, by the same formula."""
    rng = np.random.default_rng(0)
    clean = 0.5 + 0.2 * np.sin(np.arange(32) / 5 + rng.uniform(0, 6, (16, 32, 1)))
    noisy = (clean + 3 * 25 / 255 * rng.standard_normal((16, 32, 32))).astype(np.float32)
    np.save(tmp_path / "noisy.npy", noisy)
    path = study_file(tmp_path / "study", problem='truth = "noisy"', recipe='loss = "neighbor2neighbor"')
    text = path.read_text().replace('source = "deadleaves"', 'source = "array"\nfolders = ["noisy.npy"]')
    path.write_text(text.replace("size = 32\n", "range = [-1, 2]\n").replace("total = 16\n", ""))
    assert "psnr-from-noisy" in refused_after_plan("run", path, "--data", tmp_path, "--workers", 1)


def test_networks_that_learn_nothing_are_no_better(tmp_path: Path) -> None:
    """With a head of zeros the untrained network gives back its input; that it equals it is not enough."""
    path = study_file(tmp_path, "zero", 10, recipe='policy = "fast"\nlr = 1e-12')
    assert "no better than their input" in refused_after_plan("run", path, "--workers", 1)


def test_a_healthy_study_goes_on(tmp_path: Path) -> None:
    path = study_file(tmp_path, "zero", 60)
    code, _, err = call("run", path, "--workers", 2, "--no-probe")
    assert code == 0 and over(path) == 6, err
    assert err.count("best classical") == 1 and "[1/6]" in next(x for x in err.splitlines() if "classical" in x)


def test_diverged_runs_alone_stop_nothing(tmp_path: Path) -> None:
    path = study_file(tmp_path, steps=40, recipe="lr = 1e30")
    code, _, err = call("run", path, "--workers", 1, "--no-probe")
    assert code == 1 and over(path) == 6 and "6 diverged" in call("status", path)[1], err


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    for answer, done in (("y\n", 6), ("\n", 3)):
        path = study_file(tmp_path / f"answer-{done}")
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "reconscale", "run", str(path), "--workers", "1", "--no-probe"]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        said, sent = "", False
        while True:
            try:
                said += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the other side has closed it
                break
            if "Go on?" in said and not sent:
                sent = os.write(ours, answer.encode()) > 0
        assert process.wait(60) == (0 if done == 6 else 2), said
        assert sent and over(path) == done
        os.close(ours)


def sweep(path: Path, **how: Any) -> rs.Folder:
    folder = rs.Folder.beside(path)
    rs.run(rs.load_study(path), folder, rs.ExecutionConfig(device="cpu", workers=1), probe=False, **how)
    return folder


def test_from_python(tmp_path: Path) -> None:
    asked = []
    path = study_file(tmp_path)
    with pytest.raises(EndedOnPurpose, match="--keep-going"):
        sweep(path, keep_going=lambda question: bool(asked.append(question)))
    assert len(asked) == 1 and asked[0].endswith("Go on?")
    events: list[dict[str, Any]] = []
    folder = sweep(path, keep_going=True, tell=events.append)
    assert len(folder.status(rs.runs_of(rs.load_study(path))).done) == 6
    assert sum("beside" in event for event in events) == 1


def test_the_same_images_are_compared(tmp_path: Path) -> None:
    """Baselines of two of three test images: the run's mean is over the same two."""
    path = study_file(tmp_path, "zero", 60, analysis="baseline_images = 2")
    folder, study = sweep(path), rs.load_study(path)
    images = prepare(study, rs.ExecutionConfig(device="cpu").resolved())
    yardstick = yardstick_of(study, images, folder)
    assert yardstick is not None and len(yardstick.names) == 2
    result = folder.results(rs.runs_of(study))[0]
    each = [result.images["test"][name]["psnr-rgb-clip"] for name in yardstick.names]
    assert yardstick.value_of(result) == pytest.approx(sum(each) / 2)
    assert yardstick.value_of(result) != pytest.approx(result.metrics["test"]["psnr-rgb-clip"])
    assert yardstick.value_of(result.model_copy(update={"images": {"test": {}}})) is None


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    """Without an `input` among the baselines, or without the study's metric, runs are compared with nothing."""
    path = study_file(tmp_path)
    folder, study = sweep(path, keep_going=True), rs.load_study(path)
    images = prepare(study, rs.ExecutionConfig(device="cpu").resolved())
    anchors = folder.root / "anchors" / "anchors.json"
    record = json.loads(anchors.read_text())
    del record["sets"]["test"]["input"]["psnr-rgb-clip"]
    anchors.write_text(json.dumps(record))
    assert yardstick_of(study, images, folder) is None
    events: list[dict[str, Any]] = []
    first = FirstRuns(rs.runs_of(study), folder, events.append)
    first.begin(None, check=True)
    first.tell({"event": "end", "run": rs.runs_of(study)[0].id, "status": "done"})
    assert events == [{"event": "end", "run": rs.runs_of(study)[0].id, "status": "done"}]


def test_one_better_run_is_enough(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    folder, runs = sweep(path, keep_going=True), rs.runs_of(rs.load_study(path))
    images = prepare(rs.load_study(path), rs.ExecutionConfig(device="cpu").resolved())
    found = yardstick_of(rs.load_study(path), images, folder)
    assert found is not None
    (folder.of(runs[-1]) / "result.json").unlink()  # one is left to do

    def begin(yardstick: Yardstick) -> None:
        FirstRuns(runs, folder, lambda event: None).begin(yardstick, check=True)

    with pytest.raises(EndedOnPurpose):
        begin(found)
    values = [found.value_of(result) or 0.0 for result in folder.results(runs) if result.run.n > 2]
    begin(replace(found, input=max(values) - 0.01))
    with pytest.raises(EndedOnPurpose):
        begin(replace(found, input=max(values)))


def test_a_single_n_counts(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    path.write_text(path.read_text().replace("n = [2, 4, 8]", "n = [4]").replace("seed = [0, 1]", "seed = [0, 1, 2]"))
    assert "no better than their input" in refused_after_plan("run", path, "--workers", 1) and over(path) == 2


def test_a_sweep_that_ends_below_its_input_says_so(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    path.write_text(path.read_text().replace("seed = [0, 1]", "seed = [0]"))
    code, _, err = call("run", path, "--workers", 1, "--no-probe")
    assert code == 0 and over(path) == 3
    assert "no curve to believe yet: the runs reach" in err and "no better than their input" in err
