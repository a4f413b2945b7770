"""Trainings that were begun again: the later attempt counts, and is said to."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.importers import Imported, RunLog, SkippedRun, import_logs
from reconscale.importers.basicsr import read as read_basicsr
from reconscale.importers.lightning import read as read_lightning
from reconscale.importers.log import merge_attempts


def codes(made: Imported) -> list[str]:
    return [item.code for item in made.findings]


def test_merging() -> None:
    assert merge_attempts([("a", {"t": {1: 1.0, 3: 3.0}}), ("b", {"t": {2: 9.0}})]) == (
        {"t": {1: 1.0, 2: 9.0}}, "b begins at step 2 after others had reached 3")  # fmt: skip
    assert merge_attempts([("a", {"t": {1: 1.0}}), ("b", {"t": {2: 2.0}, "u": {1: 0.0}})])[1] == ""


def version(folder: Path, number: int, steps: range, *, settings: str = "n_train: 10\n", base: float = 30.0) -> None:
    place = folder / f"version_{number}"
    place.mkdir(parents=True)
    (place / "hparams.yaml").write_text(settings)
    rows = [f"{step},{base + step / 1000}" for step in steps]
    (place / "metrics.csv").write_text("\n".join(["step,psnr", *rows]) + "\n")


@pytest.mark.parametrize(
    "steps, seed, kept",
    [
        ((range(1, 4), range(4, 9)), "", 1),  # continued
        ((range(1, 4), range(1, 9)), "", 1),  # broken off, and begun again
        ((range(1, 9), range(1, 9)), "", 2),  # perhaps two seeds
        ((range(1, 9), range(1, 4)), "seed: 1\n", 1),  # the same seed is the same training
    ],
)
def test_versions_in_one_folder(tmp_path: Path, steps: tuple[range, range], seed: str, kept: int) -> None:
    for number, part in enumerate(steps):
        version(tmp_path / "n10", number, part, settings=f"n_train: 10\n{seed}")
    made = import_logs(tmp_path)
    assert len(made.rows) == kept and "same-labels" in codes(made)
    assert [run.name for run in made.skipped] == ["n10/version_0"][: 2 - kept]


def test_versions_with_other_settings_are_other_runs(tmp_path: Path) -> None:
    for number in (0, 1):
        version(tmp_path, number, range(1, 4), settings=f"n_train: 10\nlr: {number}\n")
    made = import_logs(tmp_path)
    assert len(made.rows) == 2 and codes(made) == ["mixed-recipes", "same-labels"]
    version(tmp_path, 2, range(1, 4), settings="n_train: 20\nlr: 1\n")
    assert len(import_logs(tmp_path).rows) == 3


def test_settings_that_change_along_n_are_a_caution(tmp_path: Path) -> None:
    table = "Name,State,n_train,ema,lr,test_psnr\na,finished,100,0,1e-3,30\nb,finished,300,0.999,1e-3,31\n"
    (tmp_path / "wandb.csv").write_text(table)
    made = import_logs(tmp_path / "wandb.csv")
    (said,) = [item.text for item in made.findings if item.code == "recipe-follows-n"]
    assert said.startswith("'ema' changes from one n to another (0 at n = 100, 0.999 at n = 300)")


def test_steps_that_go_back_in_one_file(tmp_path: Path) -> None:
    version(tmp_path, 0, range(1, 9))
    path = tmp_path / "version_0/metrics.csv"
    path.write_text(path.read_text() + "1,20\n2,21\n")
    (run,) = read_lightning(tmp_path)
    assert isinstance(run, RunLog) and run.series["psnr"] == {1: 20, 2: 21} and "step 1 after others" in run.restarted


HEAD = """2024-01-01 10:00:00,000 INFO:
  name: denoise
  manual_seed: 0
  val:[
    val_freq: 500
  ]
2024-01-01 10:00:01,000 INFO: Training statistics:
\tNumber of train images: {n}
2024-01-01 10:00:02,000 INFO: Network: UNet, with parameters: 1,000
"""
ITERATION = "2024-01-01 10:00:03,000 INFO: [denoi..][epoch:  3, iter: {step:7,d}, lr:(1.000e-04,)] [eta: 1:00:00] \n"


def basicsr(path: Path, values: dict[int, float], *, n: int = 100, line: str = "\t # psnr: {value:.4f}") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = HEAD.format(n=n)
    for step, value in values.items():
        text += ITERATION.format(step=step) + "2024-01-01 10:00:04,000 INFO: Validation Set5"
        text += ("\n" if line.startswith("\t #") else "") + line.format(value=value) + "\n"
    path.write_text(text)


def test_two_logs_of_one_training(tmp_path: Path) -> None:
    basicsr(tmp_path / "n100/train_denoise_20240101_100000.log", {500: 20.0, 1000: 21.0, 5000: 22.0})
    basicsr(tmp_path / "n100/train_denoise_20240102_100000.log", {500: 30.0, 1000: 31.0})
    made = import_logs(tmp_path)
    assert [row[3:] for row in made.rows] == [(31.0, "n100/denoise", "1000")] and codes(made) == ["restarts"]


def test_archived_attempts_and_other_trainings(tmp_path: Path) -> None:
    basicsr(tmp_path / "denoise/train_denoise_20240102_100000.log", {500: 30.0})
    basicsr(tmp_path / "denoise_archived_20240102_095959/train_denoise_20240101_100000.log", {500: 20.0})
    made = import_logs(tmp_path)
    assert len(made.rows) == 1 and "earlier attempt at 'denoise'" in made.skipped[0].reason
    basicsr(tmp_path / "denoise/train_denoise_20240103_100000.log", {500: 31.0}, n=300)
    run = read_basicsr(tmp_path)[0]
    assert isinstance(run, SkippedRun) and "number_of_train_images 300 where an earlier log" in run.reason


def test_measured_values_in_one_line(tmp_path: Path) -> None:
    """As Restormer and NAFNet write them."""
    line = ",\t\t # psnr: {value:.4f}\t # ssim: 0.8510"
    basicsr(tmp_path / "train_a.log", {500: 30.0, 1000: 31.0}, line=line)
    text = (tmp_path / "train_a.log").read_text()
    text += "2024-01-01 10:00:04,000 INFO: Validation Other,\t\t # psnr: 28.1234\t # m_ssim: 0.7000\n"
    (tmp_path / "train_a.log").write_text(text)
    (run,) = read_basicsr(tmp_path)
    assert isinstance(run, RunLog) and run.series == {
        "Set5/psnr": {500: 30, 1000: 31}, "Set5/ssim": {500: 0.851, 1000: 0.851},
        "Other/psnr": {1000: 28.1234}, "Other/m_ssim": {1000: 0.7}}  # fmt: skip


def test_a_log_that_ends_within_a_number(tmp_path: Path) -> None:
    path = tmp_path / "train_a.log"
    basicsr(path, {500: 30.1234, 1000: 31.1234})
    path.write_text(path.read_text()[:-3])
    made = import_logs(tmp_path)
    assert made.rows[0][3] == 30.1234 and codes(made) == ["logs-cut"]
