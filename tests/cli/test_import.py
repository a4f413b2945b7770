"""``reconscale import``: from logs to points to forecasts, and what it refuses."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from .calling import call, refused
from .test_analysis import WITHOUT_TORCH


def curve(n: int, seed: int) -> float:
    return 29.5 - 6.0 * n**-0.4 + 0.02 * seed


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Ten event folders by torch's SummaryWriter: val and test PSNR at three steps, the second is the best."""
    for n in (10, 30, 100, 300, 600):
        for seed in (0, 1):
            with SummaryWriter(str(tmp_path / "runs" / f"unet_n{n}_s{seed}")) as writer:
                for step, dip in ((100, 1.0), (200, 0.0), (300, 0.1)):
                    writer.add_scalar("val/psnr", curve(n, seed) - 0.3 - dip, step)
                    writer.add_scalar("test/psnr", curve(n, seed) - dip, step)
    return tmp_path / "runs"


def test_import_fit_and_forecast_without_torch(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "points.csv"
    words = ["import", runs, "--value", "test/psnr", "--choose-by", "val/psnr", "--pattern", "n{n}_s{seed}"]
    for command in ([*words, "--out", out], ["fit", out], ["forecast", out, "--n", "1200"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, command)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and done.stderr == "", done.stderr
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["n", "seed", "psnr", "validation", "run", "step"] and len(rows) == 10
    assert {row["step"] for row in rows} == {"200"}
    code, text, _ = call("forecast", out, "--n", 1200, "--json")
    assert code == 0 and json.loads(text)["forecast"][0]["median"] == pytest.approx(curve(1200, 0), abs=0.3)


def test_what_is_said(runs: Path, tmp_path: Path) -> None:
    with SummaryWriter(str(runs / "unet_n900_s0")) as writer:
        writer.add_scalar("val/psnr", 29.0, 100)
    out = tmp_path / "deep" / "points.csv"
    code, text, err = call("import", runs, "--value", "test/psnr", "--pattern", "n{n}_s{seed}", "--out", out)
    assert code == 0 and err == ""
    assert text.splitlines() == [
        "TensorBoard event files: psnr is 'test/psnr', the last value",
        "n from pattern; seed from pattern; no p and no width",
        "skipped unet_n900_s0: it has no 'test/psnr'",
        f"points: {out} (10 runs, 1 skipped)",
        f"next: reconscale forecast {out}",
    ]


def test_best_of_the_reported_values_is_warned_about(runs: Path, tmp_path: Path) -> None:
    words = ("--value", "test/psnr", "--take", "best", "--pattern", "n{n}_s{seed}", "--out", tmp_path / "p.csv")
    code, text, _ = call("import", runs, *words)
    assert code == 0 and "warning [selected-on-test]" in text


def test_equal_labels_are_kept_and_told(runs: Path, tmp_path: Path) -> None:
    words = ("--value", "test/psnr", "--pattern", "n{n}_s{seed}", "--out", tmp_path / "p.csv")
    (runs / "unet_n10_s0").rename(runs / "again_n10_s1")
    code, text, _ = call("import", runs, *words)
    assert code == 0 and "caution [same-labels]: 2 runs have n = 10, seed = 1: again_n10_s1, unet_n10_s1" in text
    assert "(10 runs, 0 skipped)" in text


SAID = ("--value", "test/psnr", "--pattern", "n{n}_s{seed}")


@pytest.mark.parametrize(
    "words, part",
    [
        ((), "2 series could be a metric: test/psnr (10 of 10 runs), val/psnr (10 of 10 runs); say which"),
        (("--metric", "ssim"), "no series is named after ssim; there are: test/psnr, val/psnr"),
        (("--value", "test/psnr"), "give a --pattern such as 'n{n}_s{seed}' for names like 'unet_n100_s0'"),
        (("--value", "test/psnr", "--n-from", "size"), "there is no setting 'size'"),
        ((*SAID, "--seed-from", "torch_seed"), "--seed-from: no run has a setting 'torch_seed'"),
        (("--value", "test/psnr", "--pattern", "size{n}"), "'size{n}' does not fit names such as 'unet_n100_s0'"),
        ((*SAID, "--take", "first"), "say last, best, or a step"),
        ((*SAID, "--take", "at 250"), "it has no 'test/psnr' at step 250; the nearest is at 200"),
        ((*SAID, "--take", "best", "--choose-by", "val/psnr"), "leave one of the two out"),
        ((*SAID, "--choose-by", "valid/psnr"), "no run has a series 'valid/psnr'"),
        ((*SAID, "--kind", "tensorbord"), "did you mean 'tensorboard'?"),
        ((*SAID, "--kind", "basicsr"), "holds no BasicSR logs; it looks like tensorboard"),
        ((*SAID, "--out", "points.txt"), "does not end in .csv"),
    ],
)
def test_refused(
    runs: Path, tmp_path: Path, words: tuple[str, ...], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in refused("import", runs, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"], "nothing is written"


def test_sources_that_are_none(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "p.csv")
    assert "is not there" in refused("import", tmp_path / "nowhere", *out)
    assert "holds no logs that are known here" in refused("import", tmp_path, *out)
    (tmp_path / "a.csv").mkdir()
    assert "holds no W&B exports" in refused("import", tmp_path, "--kind", "wandb", *out)


def test_several_tools_in_one_folder(runs: Path, tmp_path: Path) -> None:
    (runs / "metrics.csv").write_text("step,test/psnr\n1,28\n")
    assert "holds logs of several tools (tensorboard, lightning)" in refused("import", runs)
    code, *_ = call("import", runs, *SAID, "--kind", "tensorboard", "--out", tmp_path / "p.csv")
    assert code == 0


def test_out(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    out.write_text("precious")
    assert "already exists; overwrite it with --force" in refused("import", runs, *SAID, "--out", out)
    assert out.read_text() == "precious"
    code, *_ = call("import", runs, *SAID, "--out", out, "--force")
    assert code == 0 and out.read_text().startswith("n,seed,psnr,run,step\n")
    assert "is the source itself" in refused("import", out, "--out", out, "--force")
    assert "is a folder" in refused("import", runs, *SAID, "--out", tmp_path)
    assert "cannot be written" in refused("import", runs, *SAID, "--out", out / "below.csv")


def test_a_label_that_only_some_runs_have(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text('"Name","n","seed","psnr"\n"a","10","1","28"\n"b","20","","29"\n')
    out = tmp_path / "p.csv"
    assert "seed is known for 1 of 2 runs, but not for 'b'" in refused("import", path, "--out", out)
    code, text, _ = call("import", path, "--out", out, "--seed-from", "none")
    assert code == 0 and "no p and no width and no seed" in text


def test_help_does_not_load_what_only_imports_need() -> None:
    code = "import sys, reconscale.cli; print([m for m in ('tensorboard', 'yaml', 'numpy', 'google.protobuf') if m in sys.modules])"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
