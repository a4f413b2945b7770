"""Which tag and which step."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reconscale import UserError
from reconscale.importers import ColumnMapping, MetricSelection, RunLog, SkippedRun, import_logs, parse_take
from reconscale.importers.values import MetricValue, metric_in, read_metric, select_metric

RUN = RunLog("a", {}, {
    "val/psnr": {100: 25.0, 200: 28.0, 300: 27.0},
    "test/psnr": {100: 24.0, 200: 26.0, 300: 26.5},
    "val/lpips": {100: 0.3, 300: 0.2},
    "val/quality": {100: 1.0},
})  # fmt: skip


def read(**asked: object) -> MetricValue | SkippedRun:
    return read_metric(RUN, MetricSelection("psnr", "test/psnr", **asked))  # type: ignore[arg-type]


def test_which_step() -> None:
    assert read() == MetricValue(26.5, 300, pytest.approx(math.nan, nan_ok=True))
    assert read(take=200.0) == MetricValue(26.0, 200, pytest.approx(math.nan, nan_ok=True))
    assert read(choose_by="val/psnr") == MetricValue(26.0, 200, 28.0)
    assert read(choose_by="val/lpips") == MetricValue(26.5, 300, 0.2), "lower is better"
    assert read_metric(RUN, MetricSelection("psnr", "val/psnr", "best")).step == 200  # type: ignore[union-attr]


def test_what_cannot_be_read() -> None:
    assert str(read(take=150.0)) == "skipped a: it has no 'test/psnr' at step 150; the nearest is at 100"
    assert str(read(choose_by="other/psnr")) == "skipped a: it has no finite 'other/psnr'"
    diverged = RunLog("b", {}, {"psnr": {1: math.nan, 2: math.inf}})
    assert str(read_metric(diverged, MetricSelection("psnr", "psnr"))) == "skipped b: its 'psnr' is inf at step 2"
    assert (
        str(read_metric(diverged, MetricSelection("psnr", "psnr", "best"))) == "skipped b: its 'psnr' is never finite"
    )
    with pytest.raises(UserError, match="'val/quality' does not say which side is better"):
        read(choose_by="val/quality")


def test_nan_does_not_win() -> None:
    run = RunLog("a", {}, {"v_psnr": {1: 30.0, 2: math.nan}, "psnr": {1: 29.0, 2: 28.0}})
    assert read_metric(run, MetricSelection("psnr", "psnr", choose_by="v_psnr")) == MetricValue(29.0, 1, 30.0)


def test_which_tag() -> None:
    assert select_metric([RUN], None, "test/psnr", MetricSelection("", "")).metric == "psnr"
    assert select_metric([RUN], "error", "val/lpips", MetricSelection("", "")).metric == "error"
    assert select_metric([RUN], "psnr", "val/quality", MetricSelection("", "")).tag == "val/quality"


@pytest.mark.parametrize(
    "metric, value, part",
    [
        ("psnr", None, r"2 series could be psnr: test/psnr \(1 of 1 runs\), val/psnr .* say which"),
        ("ssim", None, "no series is named after ssim; there are: test/psnr, val/lpips, val/psnr, val/quality"),
        ("pnsr", None, "did you mean 'psnr'"),
        (None, "test/pnsr", "no run has a series 'test/pnsr'"),
        (None, "val/quality", "does not say what it is; add --metric"),
        ("ssim", "val/psnr", "found ssim for 'val/psnr', which is named psnr"),
    ],
)
def test_mistakes_about_tags(metric: str | None, value: str | None, part: str) -> None:
    with pytest.raises(UserError, match=part):
        select_metric([RUN], metric, value, MetricSelection("", ""))


def test_names_of_metrics() -> None:
    assert [metric_in(tag) for tag in ("valPSNR", "Set5/psnr", "ms_ssim", "psnrs", "val-mse_epoch")] == [
        "psnr", "psnr", "ssim", None, "mse"]  # fmt: skip
    assert metric_in("testpsnr") is None


def test_take() -> None:
    assert [parse_take(text) for text in (None, "last", "best", "at 5000", "250")] == [
        "last",
        "last",
        "best",
        5000,
        250,
    ]
    with pytest.raises(UserError, match="say last, best, or a step"):
        parse_take("first")


@pytest.mark.parametrize(
    "tag, value, part",
    [("ssim", 92.3, "SSIM must be below 1"), ("mse", 0.0, "must be above 0"), ("loss", -1.0, "above 0")],
)
def test_values_that_no_law_can_be_fitted_to(tmp_path: Path, tag: str, value: float, part: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(f"Name,n,{tag}\na,10,0.5\nb,20,{value}\n")
    with pytest.raises(UserError, match=f"^b, '{tag}': .*{part}"):
        import_logs(path)


def test_links_to_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    for name in ("logs/n10", "elsewhere/n20"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.csv").write_text("step,psnr\n1,28\n")
    (tmp_path / "logs/n20").symlink_to(tmp_path / "elsewhere/n20")
    (tmp_path / "logs/again").symlink_to(tmp_path / "logs")
    made = import_logs(tmp_path / "logs", labelling=ColumnMapping(pattern="n{n}"))
    assert [row[0] for row in made.rows] == [10, 20]
