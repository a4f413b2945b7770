"""BasicSR's logs, written by its own training pipeline (``written/make_basicsr.py``)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconscale.importers import RunLog, SkippedRun, import_logs
from reconscale.importers.basicsr import read

from .conftest import WRITTEN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WRITTEN / "basicsr", tmp_path / "experiments"))


def test_options_and_validations(folder: Path) -> None:
    run = read(folder)[0]
    assert isinstance(run, RunLog) and run.name == "edsr_n2_s0"
    assert run.settings["manual_seed"] == "0" and run.settings["network_g.num_feat"] == "4"
    assert run.settings["datasets.val_2.name"] == "Out" and run.settings["val.metrics.psnr.crop_border"] == "2"
    assert run.settings["number_of_train_images"] == 2 and run.settings["parameters"] == 1259
    assert set(run.series) == {"Held/psnr", "Held/ssim", "Out/psnr", "Out/ssim"}


def test_the_iteration_of_a_validation(folder: Path) -> None:
    """Validations were at 10, 20, 30 and, after the end, 32, between messages every 4 iterations."""
    for run in read(folder):
        assert isinstance(run, RunLog)
        for values in run.series.values():
            assert set(values) <= {10, 20, 30, 31, 32} and {10, 20, 30} <= set(values)


def test_rows(folder: Path) -> None:
    made = import_logs(folder, value="Out/psnr", choose_by="Held/psnr")
    assert made.header == ("n", "p", "width", "seed", "psnr", "validation", "run", "step")
    assert [row[:4] for row in made.rows] == [(2, 1259, 4, 0), (4, 1259, 4, 0), (8, 1259, 4, 1)]
    assert made.rows[2][4:6] == (26.4926, 26.3188)
    assert made.origins["n"] == "setting 'number_of_train_images'" and not made.findings


def test_the_best_of_the_reported_set_is_said_to_be_chosen_on_it(folder: Path) -> None:
    for asked in ({"take": "best"}, {"choose_by": "Out/psnr"}):
        made = import_logs(folder, value="Out/psnr", **asked)  # type: ignore[arg-type]
        assert [item.code for item in made.findings] == ["selected-on-test"]
        assert "validation" not in made.header


def test_one_experiment_and_one_file(folder: Path) -> None:
    (log,) = (folder / "edsr_n8_s1").iterdir()
    for source in (log.parent, log):
        (run,) = read(source)
        assert run.name == "edsr_n8_s1"


def test_logs_copied_into_one_folder(folder: Path, tmp_path: Path) -> None:
    for log in folder.rglob("*.log"):
        shutil.copy(log, tmp_path / log.name)
    shutil.rmtree(folder)
    assert {run.name for run in read(tmp_path)} == {"edsr_n2_s0", "edsr_n4_s0", "edsr_n8_s1"}


def test_a_training_continued_in_a_second_log(folder: Path) -> None:
    (log,) = (folder / "edsr_n8_s1").iterdir()
    later = log.with_name("train_edsr_n8_s1_20991231_235959.log")
    later.write_text(log.read_text().replace("# psnr: 26.3188\tBest: 26.3188", "# psnr: 27.0000\tBest: 27.0000"))
    run = read(folder)[2]
    assert isinstance(run, RunLog) and 27.0 in run.series["Held/psnr"].values()
    assert 26.3188 not in run.series["Held/psnr"].values()


def test_a_broken_off_log(folder: Path) -> None:
    """Half a log is a shorter training: the step says so, and the finding that steps differ."""
    (log,) = (folder / "edsr_n8_s1").iterdir()
    text = log.read_text()
    log.write_text(text[: text.index("iter:      24")])
    made = import_logs(folder, value="Out/psnr")
    assert made.rows[2][-1] == "20" and [item.code for item in made.findings] == ["steps-differ"]
    made = import_logs(folder, value="Out/psnr", take=20)
    assert [row[-1] for row in made.rows] == ["20", "20", "20"] and not made.findings


def test_not_utf8(folder: Path) -> None:
    (log,) = (folder / "edsr_n2_s0").iterdir()
    log.write_bytes(log.read_bytes() + b"\xff")
    run = read(folder)[0]
    assert isinstance(run, SkippedRun) and "is not UTF-8" in run.reason


def test_a_training_without_one_iteration(tmp_path: Path) -> None:
    """Fewer images than a batch, which BasicSR drops: it measures the network as it was drawn, and says nothing."""
    log = tmp_path / "train_sr_20260101_000000.log"
    end = "2026-01-01 00:00:00,000 INFO: End of training. Time consumed: 0:00:00\n"
    measured = "2026-01-01 00:00:00,000 INFO: Validation val\n\t # psnr: 19.3\tBest: 19.3 @ {} iter\n"
    log.write_text(end + measured.format(0))
    (run,) = read(tmp_path)
    assert isinstance(run, SkippedRun) and "without one iteration" in run.reason
    log.write_text(end + measured.format(8))
    assert isinstance(read(tmp_path)[0], RunLog)
