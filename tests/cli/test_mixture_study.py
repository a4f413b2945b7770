"""A study of several sources on the command line: planned, killed, continued, listed, decided, reported, weighed."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import reconscale as rs
from reconscale.results import Folder, Result
from reconscale.results.mixture_points import load_mixture
from reconscale.study import load_study, runs_of

from .calling import call, refused
from .test_sweep import records, start

STUDY = """
version = 2
name = "mixed"
[problem]
kind = "denoising"
[images]
channels = "gray"
counts = "images"
patch = 32
val = 2
val_patch = 32
test = 2
[images.sources.photographs]
source = "bundled"
tile = 64
[images.sources.leaves]
source = "deadleaves"
size = 32
total = 20
[network]
family = "dncnn"
depth = 2
[sweep]
n = [3, 6, 12]
width = [4]
mix = [{photographs = 1.0}, {photographs = 0.34, leaves = 0.66}, {leaves = 1.0}]
[recipe]
steps = 8
precision = "fp32"
"""
FLAGS = ("--workers", 1, "--keep-going", "--no-probe")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run without being stopped."""
    folder = tmp_path_factory.mktemp("mixed") / "whole"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    code, out, err = call("run", folder, *FLAGS)
    assert code == 0 and out.startswith("9 done, 0 diverged, 0 failed"), err
    return folder


def simulated(folder: Path, trained: Path, rate: float = 8.0) -> Path:
    """The same study with values of a law in which ``rate`` images of leaves are worth one photograph."""
    shutil.copytree(trained, folder)
    (folder / "study.toml").write_text(STUDY.replace("[4]", "[4]\nseed = [0, 1]"))
    study = load_study(folder)
    done = {result.run.n: result for result in Folder.beside(folder).results(runs_of(load_study(trained)))}
    for run in runs_of(study):
        like: Result = done[run.n]
        data = run.mix.get("photographs", 0) + run.mix.get("leaves", 0) / rate
        for name, own in (("test", data), ("leaves", run.mix.get("leaves", 0) + 1.0), ("val", data)):
            like.metrics[name]["psnr-rgb-clip"] = 30 + 3 * own**0.2 + 0.003 * run.seed
        like.model_copy(update={"run": run}).write(folder / "runs" / run.id)
    return folder


def test_killed_and_continued_it_is_the_same(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    process = start("run", tmp_path, *FLAGS)
    while not list(tmp_path.glob("runs/*/result.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, out, err = call("run", tmp_path, *FLAGS)
    assert code == 0 and out.startswith("9 done"), err
    assert records(tmp_path / "study.toml") == records(trained / "study.toml")


def test_plan_status_and_listing_name_the_mixes(trained: Path) -> None:
    code, out, _ = call("plan", trained, "--no-calibrate", "--json")
    cells: list[dict[str, Any]] = json.loads(out)["cells"]
    assert code == 0 and [cell["mix"] for cell in cells[:2]] == ["3 photographs", "1 photographs + 2 leaves"]
    assert all(cell["done"] == 1 for cell in cells) and len(cells) == 9
    assert call("status", trained)[1].startswith("9 done")
    code, out, _ = call("data", trained, "--split")
    assert code == 0 and out.startswith("set,place,unit,image,source") and "\ntrain,1,leaves/" in out
    assert "several sources" in refused("data", trained, "--split", "--n", 3)


def test_every_source_is_tested(trained: Path) -> None:
    study = load_study(trained)
    for result in Folder.beside(trained).results(runs_of(study)):
        assert set(result.metrics) == {"val", "test", "leaves"} and len(result.images["leaves"]) == 2


def test_the_study_is_weighed_as_its_table_would_be(trained: Path, tmp_path: Path) -> None:
    folder = simulated(tmp_path / "law", trained)
    study = load_study(folder)
    points = load_mixture(study, Folder.beside(folder))
    assert points.sources == ("photographs", "leaves") and len(points) == 18
    code, out, _ = call("mixture", folder, "--json", "--cost", "photographs=12", "--budget", 200)
    told = json.loads(out)
    curve = rs.infer_mixture(points)
    assert code == 0 and told["target"] == "photographs" and told["metric"] == "psnr"
    assert told["exchange_rates"][0]["sentence"] == str(curve.exchange_rates()[0])
    low, high = (told["exchange_rates"][0]["rate"][end] for end in ("low", "high"))
    assert low < 8 < high
    assert told["best_mix"]["sentence"] == str(curve.best_mix({"photographs": 12}, 200, worthwhile=0.1))
    code, out, _ = call("mixture", folder, "--test-set", "leaves", "--json")
    assert json.loads(out)["target"] == "leaves"


def test_the_verdict_is_of_the_target_alone(trained: Path, tmp_path: Path) -> None:
    folder = simulated(tmp_path / "law", trained)
    study = load_study(folder)
    points = rs.load_points(study, folder / "runs")
    assert sorted(points.n.tolist()) == [3, 3, 6, 6, 12, 12]
    assert "one-mix" in {item.code for item in points.findings}
    code, out, _ = call("decide", folder)
    assert code == 0 and "photographs alone: 6 of the study's 18 runs" in out


def test_the_page_has_a_section_on_sources(trained: Path, tmp_path: Path) -> None:
    folder = simulated(tmp_path / "law", trained)
    code, out, _ = call("report", folder, "--no-pictures")
    assert code == 0 and "One image of photographs is worth" in out, out
    assert "of networks trained on photographs alone:" in out
    page = (folder / "report" / "report.html").read_text()
    assert "Images of several sources" in page and "<td>1 photographs + 2 leaves</td>" in page.replace(
        ' data-label="mix"', ""
    )
    assert (
        "Trained on photographs alone: " in page
        and "on photographs" in page
        and "on leaves" in page
        and 'id="plot-mixture"' in page
    )
    rows = (folder / "report" / "mixes.csv").read_text().splitlines()
    assert rows[0] == "n_photographs,n_leaves,n,width,runs,y_test,se_test,y_leaves,se_leaves" and len(rows) == 10
    assert (folder / "report" / "mixture.png").is_file()


def test_too_few_mixes_are_told(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "few")
    text = STUDY.replace("n = [3, 6, 12]", "n = [3]").replace(", {leaves = 1.0}", "")
    (tmp_path / "few" / "study.toml").write_text(text)
    code, out, _ = call("report", tmp_path / "few", "--no-pictures")
    assert code == 0 and "What images of each source are worth is not known yet: " in out
    assert "at least 3 are needed" in refused("mixture", tmp_path / "few")


def test_what_does_not_go_with_sources_is_refused(trained: Path, tmp_path: Path) -> None:
    assert "choose runs of one source" in refused("run", trained, "--budget", "2runs")
    assert "several sources" in refused("theory", "from-images", trained)
    assert "--metric and --higher-is-better are for CSV files" in refused("mixture", trained, "--metric", "psnr")
    assert "has no test set 'others'" in refused("mixture", trained, "--test-set", "others")
    assert "there is no source 'leafs'" in refused("mixture", trained, "--target", "leafs")
    (tmp_path / "study.toml").write_text(STUDY.replace("total = 20", "total = 9"))
    assert "found 12 of leaves; it allows at most 7 images" in refused("plan", tmp_path, "--no-calibrate")
    one = STUDY[: STUDY.index("[images.sources.photographs]")] + 'source = "bundled"\n[sweep]\nn = [3]\nwidth = [4]\n'
    (tmp_path / "study.toml").write_text(one)
    assert "has images of one source" in refused("mixture", tmp_path)
