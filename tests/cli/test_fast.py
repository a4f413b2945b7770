"""Study files of version 2 through the command line: the same bits however they are run; divergence is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from reconscale.results.results_folder import read_incidents

from .calling import call as inside
from .calling import refused
from .test_sweep import call, copy_of, records, start

STUDY = """
version = 2
name = "fast"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 10
patch = 16
val = 2
test = 2
[network]
family = "{family}"
{network}
[sweep]
n = [{n}]
width = [{width}]
[recipe]
steps = {steps}
precision = "{precision}"
{recipe}
"""


def write(
    folder: Path, *, steps: int = 40, n: str = "2, 4, 6", family: str = "unet", width: str = "2", network: str = "",
    precision: str = "fp32", recipe: str = "",
) -> Path:  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(STUDY.format(
        steps=steps, n=n, family=family, width=width, network=network, precision=precision, recipe=recipe
    ))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run without interruption by one worker."""
    path = write(tmp_path_factory.mktemp("fast") / "study", steps=150, n="2, 4")
    code, _, err = call("run", path, "--keep-going", "--workers", 1)
    assert code == 0, err
    assert len(records(path)) == 2
    return path


def test_killed_and_continued_by_two_workers(finished: Path, tmp_path: Path) -> None:
    """kill -9 to all processes once a checkpoint is there: the results are those of the run without interruption."""
    study = copy_of(finished, tmp_path / "killed")
    process = start("run", study, "--keep-going", "--workers", 2, "--checkpoint-seconds", 0.05)
    deadline = time.monotonic() + 120
    while not list((study.parent / "runs").glob("*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1.0)  # workers notice that their driver is gone
    assert len(records(study)) < 2
    code, _, err = call("run", study, "--keep-going", "--workers", 2)
    assert code == 0, err
    assert records(study) == records(finished)


def test_what_diverges_is_told_everywhere(tmp_path: Path) -> None:
    """One run begins again more slowly, or is over; on screen, in faults.jsonl, in status and in the report."""
    path = write(tmp_path / "slower", n="4, 6", recipe="lr = 0.3\nvalidate_every = 7")
    code, _, err = inside("run", path, "--keep-going", "--workers", 1)
    assert code == 0, err
    assert ": training diverged (at step " in err and "at a third of the rate, 0.1)" in err
    faults = read_incidents(path.parent / "runs")
    assert {fault.kind for fault in faults} == {"training diverged"} and all(fault.run for fault in faults)
    out = inside("status", path)[1]
    times = {1: "1 time", 2: "2 times"}[len(faults)]
    assert "2 done" in out and f"  training diverged: {times}\n" in out
    code, _, err = inside("report", path, "--out", tmp_path / "report")
    assert code == 0, err
    page = (tmp_path / "report" / "report.html").read_text()
    assert "training diverged and continued from earlier weights at a third of the rate" in page
    assert "Muon for matrices of weights" in page and "weight decay" in page and "without normalisation" in page
    assert "their results are those of uninterrupted runs" not in page
    assert "restarted-runs" in (tmp_path / "report" / "numbers.json").read_text()


def test_what_diverges_twice_is_over(tmp_path: Path) -> None:
    path = write(tmp_path / "lost", n="4", recipe="lr = 1000")
    code, out, err = inside("run", path, "--keep-going", "--workers", 1)
    assert code == 1 and ": training diverged (at step " in err
    assert "1 diverged" in out and "training diverged again, at a third of the rate, at step" in out
    assert "lower recipe.lr (it was 1000)" in out and "--retry-failed" in out
    (result,) = (json.loads(p.read_text()) for p in path.parent.glob("runs/*/result.json"))
    assert result["status"] == "diverged" and result["restarts"] == 1


def test_results_of_another_plan_are_left_alone(finished: Path, tmp_path: Path) -> None:
    """A file that gets another version means other runs; the results of the old ones stay, and are counted."""
    shutil.copytree(finished.parent, tmp_path / "other")
    path = tmp_path / "other" / "study.toml"
    before = {p.parent.name: p.read_bytes() for p in path.parent.glob("runs/*/result.json")}
    assert "another plan" not in inside("status", path)[1]
    path.write_text(path.read_text().replace("version = 2", "version = 1").replace("steps = 150", "steps = 4"))
    code, out, err = inside("run", path, "--keep-going", "--workers", 1)
    assert code == 0, err
    sentence = "2 results in this folder belong to another plan and are left alone"
    assert "2 done" in out and sentence in out and sentence in inside("status", path)[1]
    assert json.loads(inside("status", path, "--json")[1])["others"] == 2
    code, _, err = inside("report", path, "--out", tmp_path / "report")
    assert code == 0, err
    assert f"2 runs: 2 done; {sentence}" in (tmp_path / "report" / "report.html").read_text()
    after = {p.parent.name: p.read_bytes() for p in path.parent.glob("runs/*/result.json")}
    assert len(after) == 4 and before.items() <= after.items()


BAD = {
    "Muon without matrices": (
        {"family": "linear", "width": "3", "network": 'head = "random"', "recipe": ""},
        "recipe.optimizer: found 'muon', and the network has no matrices of weights; set it to 'adam'",
    ),
    "decay that there is not": (
        {"recipe": 'optimizer = "rmsprop"\nweight_decay = 0.1'},
        "recipe.weight_decay: rmsprop has none; set it to 0, or choose muon or adam",
    ),
    "a warm-up beyond the fall": (
        {"recipe": "warmup = 0.5\nhold = 0.2"},
        "recipe.warmup: found 0.5, beyond hold = 0.2, where the rate begins to fall",
    ),
    "a norm that there is not": (
        {"family": "dncnn", "network": 'norm = "none"'},
        "network.norm: found 'none', which 'dncnn' has not; leave the key out",
    ),
    "residual where there is no choice": (
        {"family": "dncnn", "network": "residual = true"},
        "network.residual: 'dncnn' has no choice of it; leave the key out",
    ),
    "an image of zeros": (
        {"network": "residual = false"},
        "network.residual: found false, and a head of zeros then gives an image of zeros; set network.head to 'random'",
    ),
    "a width that there is not": (
        {"family": "swinir", "width": "10"},
        "sweep.width: found 10, which 6 attention heads do not divide; give a multiple, like 12, or set network.heads",
    ),
    "an odd width": ({"family": "restormer", "width": "5"}, "sweep.width: found 5: "),
    "an unknown version": ({"network": "depth = 1"}, "version: found 3; known here: 1 and 2"),
}


@pytest.mark.parametrize("tables, sentence", BAD.values(), ids=BAD)
def test_what_cannot_be_trained(tmp_path: Path, tables: dict[str, str], sentence: str) -> None:
    """One sentence and exit code 2, before anything is trained."""
    path = write(tmp_path / "bad", **tables)  # type: ignore[arg-type]
    if "version" in sentence:
        path.write_text(path.read_text().replace("version = 2", "version = 3"))
    if tables.get("family") == "linear":
        path.write_text(path.read_text().replace('source = "deadleaves"', 'source = "deadleaves"\nchannels = "gray"'))
    for verb in ("plan", "run"):
        assert sentence.removesuffix(": ") in refused(verb, path)
    assert not list(path.parent.glob("runs/*/result.json"))


def test_bf16_without_its_instructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused where runs are trained, here in this process; ``auto`` tries what there is, and other ways continue."""
    from reconscale.errors import UserError
    from reconscale.study import load_study, runs_of
    from reconscale.training import precision as ways

    run = runs_of(load_study(write(tmp_path / "study", precision="bf16")))[0]
    monkeypatch.setattr(ways.torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    with pytest.raises(
        UserError, match="recipe.precision: found 'bf16', and this processor has no instructions for it; set"
    ):
        ways.refuse_slow_bf16(run, "cpu")
    ways.refuse_slow_bf16(run, "cuda")
    for precision in ("auto", "fp32"):
        recipe = run.recipe.model_copy(update={"precision": precision})
        ways.refuse_slow_bf16(run.model_copy(update={"recipe": recipe}), "cpu")
    monkeypatch.setattr(ways.torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    ways.refuse_slow_bf16(run, "cpu")
