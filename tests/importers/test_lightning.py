"""CSVLogger folders, written by Lightning's Trainer (``written/make_lightning.py``)."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from reconscale import UserError
from reconscale.importers import RunLog, SkippedRun, import_logs
from reconscale.importers.lightning import read
from reconscale.importers.log import read_yaml

from .conftest import WRITTEN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WRITTEN / "lightning", tmp_path / "logs"))


def test_series_and_hyperparameters(folder: Path) -> None:
    run = read(folder)[0]
    assert isinstance(run, RunLog) and run.name == "lightning_logs/version_0"
    assert run.settings == {"train_size": 8, "seed": 0, "width": 16, "data.val_size": 4, "more.depth": 2}
    assert set(run.series) == {"train_loss", "val_mse", "val/psnr", "test_mse", "test/psnr"}
    assert list(run.series["val/psnr"]) == [0, 1, 2] and list(run.series["test/psnr"]) == [3]


def test_a_test_value_measured_once_is_taken_as_it_is(folder: Path) -> None:
    made = import_logs(folder, value="test_mse", choose_by="val_mse")
    assert made.header == ("n", "width", "seed", "mse", "validation", "run", "step")
    assert [row[0] for row in made.rows] == [8, 16, 32]
    assert made.rows[0][3] == 2.523350238800049 and made.rows[0][4] == 2.523350238800049
    assert not made.findings


def test_several_candidates_are_listed(folder: Path) -> None:
    with pytest.raises(UserError, match=r"2 series could be psnr: test/psnr \(3 of 3 runs\), val/psnr"):
        import_logs(folder, metric="psnr")
    with pytest.raises(UserError, match="no series is named after ssim; there are: test/psnr, test_mse, train_loss"):
        import_logs(folder, metric="ssim")


def test_last_values_of_runs_of_different_length(folder: Path) -> None:
    codes = {item.code: item.text for item in import_logs(folder, value="val/psnr").findings}
    assert codes.keys() == {"steps-differ"} and "from steps 2 to 11" in codes["steps-differ"]


def test_a_folder_without_hyperparameters(folder: Path) -> None:
    (folder / "lightning_logs/version_1/hparams.yaml").unlink()
    made = import_logs(folder, value="test/psnr")
    assert [str(run) for run in made.skipped] == ["skipped lightning_logs/version_1: its n is not known"]
    assert len(made.rows) == 2


def test_a_nan_is_named_and_skipped(folder: Path) -> None:
    path = folder / "lightning_logs/version_2/metrics.csv"
    lines = path.read_text().splitlines()
    lines[-1] = lines[-1].replace("6.3256144523620605", "nan")
    path.write_text("\n".join(lines))
    made = import_logs(folder, value="test/psnr")
    assert [str(run) for run in made.skipped] == ["skipped lightning_logs/version_2: its 'test/psnr' is nan at step 12"]


@pytest.mark.parametrize(
    "content, part",
    [(b"epoch,step\n\xff\xfe,1\n", "not UTF-8"), (b"", "empty"), (b"step,psnr\n1,2,3\n", "3 cells"),
     (b'step,psnr\n1,"2\n', "not CSV"), (b"psnr\n1\n", "no column 'step'")],
)  # fmt: skip
def test_damaged_metrics(folder: Path, content: bytes, part: str) -> None:
    (folder / "lightning_logs/version_0/metrics.csv").write_bytes(content)
    run = read(folder)[0]
    assert isinstance(run, SkippedRun) and part in run.reason and run.reason.startswith("metrics.csv")


ATTACKS = {
    "a call": "x: !!python/object/apply:os.system ['touch owned']\ntrain_size: 5\n",
    "an object": "x: !!python/object/new:subprocess.Popen [[touch, owned]]\ntrain_size: 5\n",
    "a module": "x: !!python/module:antigravity\ntrain_size: 5\n",
    "an unknown tag": "x: !mine {a: 1}\ntrain_size: 5\n",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_nothing_in_yaml_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hparams.yaml").write_text(text)
    assert read_yaml(tmp_path / "hparams.yaml")["train_size"] == 5
    assert not (tmp_path / "owned").exists() and "antigravity" not in sys.modules


BOMB = "a0: &a0 {x: 1, y: 2}\n" + "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "text, part",
    [("a: [1", "not YAML"), ("- 1\n- 2\n", "not a YAML mapping"), ("a: 2024-13-45\n", "not YAML"),
     (BOMB, "more than 10000 settings"), ("a: &a\n  b: *a\n", "settings"), ("a: {[1]: 2}\n", "not YAML")],
)  # fmt: skip
def test_damaged_hyperparameters(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "hparams.yaml").write_text(text)
    with pytest.raises(UserError, match=part):
        read_yaml(tmp_path / "hparams.yaml")


def test_empty_hyperparameters(tmp_path: Path) -> None:
    (tmp_path / "hparams.yaml").write_text("{}\n")
    assert read_yaml(tmp_path / "hparams.yaml") == {}


def test_yaml_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UserError, match=r"pip install 'reconscale\[import\]'"):
        import_logs(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_listed(folder: Path) -> None:
    closed = folder / "lightning_logs/version_0"
    closed.chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be listed"):
            import_logs(folder)
    finally:
        closed.chmod(0o700)
