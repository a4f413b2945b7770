"""Training that begins with weights of a file: which, where they are kept, and what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import reconscale as rs
from reconscale.results import Result
from reconscale.study import Run

from ..cli.calling import call, refused
from ..conftest import TINY

SMALL = TINY.replace("n = [2, 4, 8]", "n = [2, 4]").replace("width = [2, 4]", "width = [2]").replace(
    "seed = [0, 1]", "seed = [0]")  # fmt: skip
FLAGS = ("--workers", 1, "--keep-going", "--no-probe")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study that has been run."""
    place = tmp_path_factory.mktemp("pretrained")
    (place / "study.toml").write_text(SMALL.replace("steps = 30", "steps = 60"))
    code, out, err = call("run", place / "study.toml", *FLAGS)
    assert code == 0, out + err
    return place


@pytest.fixture
def tuned(pretrained: Path, tmp_path: Path) -> Path:
    """A study that begins with weights of that one."""
    study = tmp_path / "tuned" / "study.toml"
    study.parent.mkdir()
    shutil.copy(weights(pretrained), study.parent / "weights.safetensors")
    study.write_text(SMALL.replace("batch = 2", 'batch = 2\ninit = "weights.safetensors"'))
    return study


def weights(place: Path) -> Path:
    return next((place / "runs").glob("*-n4-*")) / "weights.safetensors"


def best_at_first(study: Path) -> list[float]:
    """PSNR at the first look of every run."""
    found = [Result.read(path.parent) for path in sorted((study.parent / "runs").glob("*-n*/result.json"))]
    return [result.validation[0].psnr for result in found]


def test_training_begins_there_and_the_record_says_so(pretrained: Path, tuned: Path) -> None:
    code, out, err = call("run", tuned, *FLAGS)
    assert code == 0 and "2 done" in out, out + err
    scratch = best_at_first(pretrained / "study.toml")
    assert min(best_at_first(tuned)) > max(scratch) + 0.3  # dB: it does not begin at the beginning
    (digest,) = {path.stem for path in (tuned.parent / "runs" / "init").glob("*.safetensors")}
    for run in rs.runs_of(rs.load_study(tuned)):
        record = json.loads((tuned.parent / "runs" / run.id / "result.json").read_text())
        assert record["run"]["recipe"]["init_sha256"] == digest and "init" not in record["run"]["recipe"]
    assert call("status", tuned)[1].startswith("2 done")
    assert call("report", tuned)[0] == 0
    page = (tuned.parent / "report" / "report.html").read_text()
    assert f"all runs begin with the weights {digest[:12]} of a file" in page
    assert call("compare", pretrained / "study.toml", tuned)[0] == 0


def test_the_weights_may_go_once_they_are_kept(tuned: Path) -> None:
    assert call("run", tuned, *FLAGS)[0] == 0
    (tuned.parent / "weights.safetensors").unlink()
    tuned.write_text(tuned.read_text().replace("n = [2, 4]", "n = [2, 4, 6]"))
    code, out, err = call("run", tuned, *FLAGS)
    assert code == 0 and "3 done" in out, out + err
    shutil.rmtree(tuned.parent / "runs")
    assert "which is not there" in refused("status", tuned)


def test_changed_weights_are_other_runs(tuned: Path) -> None:
    first = [run.id for run in rs.runs_of(rs.load_study(tuned))]
    path = tuned.parent / "weights.safetensors"
    values = {name: value.clone() for name, value in load_file(path).items()}
    name = next(iter(values))
    save_file(values | {name: values[name] + 1e-3}, path)
    second = [run.id for run in rs.runs_of(rs.load_study(tuned))]
    assert not set(first) & set(second)
    code, out, _ = call("plan", tuned, "--no-calibrate")
    assert code == 0 and "2 runs to do" in out


def test_a_place_is_no_part_of_a_run_and_a_run_is_a_place(tuned: Path, pretrained: Path, content: Any) -> None:
    def ids(init: str) -> list[str]:
        made = content(recipe={"steps": 30, "init": init})
        return [run.id for run in rs.runs_of(rs.parse_study(made, beside=tuned.parent))]

    other = tuned.parent / "same" / "other.safetensors"
    other.parent.mkdir()
    shutil.copy(tuned.parent / "weights.safetensors", other)
    run = weights(pretrained).parent
    assert ids("weights.safetensors") == ids("same/other.safetensors") == ids(str(run))
    assert ids("weights.safetensors") != [r.id for r in rs.runs_of(rs.parse_study(content(recipe={"steps": 30})))]
    first = rs.runs_of(rs.load_study(tuned))[0]
    assert Run.model_validate_json(first.model_dump_json()).id == first.id


def spoil(path: Path, how: str) -> None:
    values = {name: value.clone() for name, value in load_file(path).items()}  # the file itself is mapped
    name = next(name for name, value in values.items() if value.dim() == 4)
    if how == "shape":
        values[name] = torch.zeros(5, *values[name].shape[1:])
    elif how == "missing":
        del values[name]
    elif how == "extra":
        values["extra.weight"] = torch.zeros(3)
    elif how == "nan":
        values[name] = torch.full_like(values[name], float("nan"))
    if how == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "pickle":
        torch.save(values, path)
    else:
        save_file(values, path)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            "shape",
            "is 5 x 4 x 3 x 3 there, and 2 x 4 x 3 x 3 in unet of width 2 and depth 2; keep the width (sweep.width)",
        ),
        ("missing", "which unet of width 2 and depth 2 has; give weights of the same network"),
        ("extra", "has 'extra.weight', which unet of width 2 and depth 2 has not"),
        ("nan", "holds NaN or infinite numbers in 'decoder.0.first"),
        ("damaged", "is damaged, or no .safetensors file"),
        ("pickle", "is damaged, or no .safetensors file"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(tuned: Path, how: str, words: str) -> None:
    spoil(tuned.parent / "weights.safetensors", how)
    for command in (("plan", tuned, "--no-calibrate"), ("run", tuned, *FLAGS)):
        assert words in refused(*command)
    assert not (tuned.parent / "runs").exists()


def test_another_width_is_refused(tuned: Path) -> None:
    tuned.write_text(tuned.read_text().replace("width = [2]", "width = [2, 4]"))
    said = refused("run", tuned, *FLAGS)
    assert "in unet of width 4 and depth 2 (and" in said and "keep the width (sweep.width), depth and channels" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('init = "lost.safetensors"', "recipe.init: found 'lost.safetensors', which is not there"),
        (
            'init = "net.pt"',
            "recipe.init: found 'net.pt', which may run code when it is opened; give a .safetensors file",
        ),
        ("init = 3", "recipe.init: found 3; give a .safetensors file"),
        (f'init = "weights.safetensors"\ninit_sha256 = "{"0" * 64}"', "is not the file that recipe.init_sha256 says"),
    ],
)
def test_bad_keys(tuned: Path, line: str, words: str) -> None:
    tuned.write_text(tuned.read_text().replace('init = "weights.safetensors"', line))
    (tuned.parent / "net.pt").write_bytes(b"pickled")
    assert words in refused("status", tuned)


def test_it_is_for_the_whole_study(tuned: Path) -> None:
    tuned.write_text(tuned.read_text() + '[[override]]\nn = [2, 2]\nrecipe = {init = "weights.safetensors"}\n')
    assert "all runs of a study begin with the same weights; set it in [recipe]" in refused("status", tuned)
