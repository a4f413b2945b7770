"""Metrics and masks of a user's own: known to every command, refused where wrong, remembered without their code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import reconscale as rs
from reconscale import own_parts
from reconscale.errors import UserError
from reconscale.laws import METRICS
from reconscale.physics.metrics import measure_image
from reconscale.physics.mri import Masks
from reconscale.results import Result
from reconscale.study import MRIProblem
from reconscale.study.mri import MASKS, Sampling
from tests import phantoms

from .cli.calling import call, refused
from .own_parts import put_back

METRIC = """
import reconscale as rs

def sharpness(x_hat, x):
    return 10 - 100 * (x_hat.double() - x.double()).abs().flatten(1).mean(1)

rs.METRICS["sharp"] = rs.Metric("sharp", "higher", "points", worthwhile=0.01, most=10.0, label="Sharpness")
rs.PROFILES["sharp-10"] = rs.Profile(
    "sharp-10", "sharp", function=sharpness, description="sharpness in points, 10 for the truth itself, range 1"
)
"""
STUDY = """
name = "own"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 16
patch = 16
val = 2
test = 4
[sweep]
n = [2, 4, 8]
width = [2]
seed = [0, 1]
[recipe]
steps = 20
batch = 2
precision = "fp32"
[analysis]
profile = "sharp-10"
"""
MASK = """
import numpy as np
import reconscale as rs

def halves(rows, columns, acceleration, center, rng):
    mask = np.zeros(columns)
    middle = columns // 2 - center // 2
    mask[middle : middle + center] = 1
    wanted = round(columns / acceleration) - center
    mask[rng.choice(np.flatnonzero(mask == 0), wanted, replace=False)] = 1
    return mask

rs.MASKS["halves"] = rs.MaskKind("lines of either half", halves)
"""
MRI = """
name = "own"
[problem]
kind = "mri"
mask = ["halves", "random"]
acceleration = 2
center_fraction = 0.2
[images]
source = "fastmri"
val = 1
test = 1
[network]
family = "unet"
depth = 2
[sweep]
n = [2]
width = [2]
seed = [0]
[recipe]
steps = 4
batch = 2
precision = "fp32"
"""
FLAGS = ("--keep-going", "--no-probe", "--workers", 1)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with put_back():
        yield


def written(folder: Path, text: str, name: str = "my_parts.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def forget() -> None:
    """As a later process, which has no plugin."""
    for registry, name in [entry for plugin in own_parts.loaded_plugins() for entry in plugin.entries]:
        own_parts._registries()[registry].pop(name)
    own_parts._LOADED.clear()


def test_a_metric_with_its_own_direction_and_unit(tmp_path: Path) -> None:
    study, plugin = written(tmp_path, STUDY, "study.toml"), written(tmp_path, METRIC)
    assert "did you mean" in refused("plan", study) or "sharp-10" in refused("plan", study)
    code, out, err = call("run", study, *FLAGS, "--plugin", plugin)
    assert code == 0 and "6 done" in out, out + err
    results = [Result.read(path.parent) for path in (tmp_path / "runs").glob("*-n*/result.json")]
    for result in results:
        values = [values["sharp-10"] for values in result.images["test"].values()]
        assert result.metrics["test"]["sharp-10"] == pytest.approx(np.mean(values)) and max(values) < 10
    forget()
    assert "sharp" not in METRICS
    code, out, err = call("report", study)
    assert code == 0, out + err
    page = (tmp_path / "report" / "report.html").read_text()
    assert "sharpness in points, 10 for the truth itself" in page and "Sharpness" in page
    known = METRICS["sharp"]
    assert (known.better, known.unit, known.most, known.worthwhile) == ("higher", "points", 10.0, 0.01)
    points = rs.load_points(rs.load_study(study), tmp_path / "runs")
    assert points.metric == "sharp" and set(points.y) == {r.metrics["test"]["sharp-10"] for r in results}
    assert "points" in call("decide", study)[1]
    study.write_text(STUDY.replace("[2, 4, 8]", "[2, 4, 8, 10]"))
    assert f"which is not loaded; pass --plugin {plugin}" in refused("run", study, *FLAGS)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"sharp-10", "sharp", f', '"other", "sharp", f', "PROFILES['sharp-10']: has the name 'other'"),
        ('"sharp-10", "sharp", f', '"sharp-10", "shrp", f', "is of the kind 'shrp'; did you mean 'sharp'?"),
        ('rs.Metric("sharp"', 'rs.Metric("shrp"', "METRICS['sharp']: has the name 'shrp'"),
        ('rs.METRICS["sharp"] = ', 'rs.METRICS["sharp"] = 3 or ', "METRICS['sharp']: is a int; give rs.Metric('sharp'"),
        ("function=sharpness, ", "", "PROFILES['sharp-10']: has no function"),
        ('rs.METRICS["sharp"]', 'rs.METRICS["psnr"]', "takes the name 'psnr' of METRICS, which reconscale itself has"),
        ('rs.PROFILES["sharp-10"]', 'rs.PROFILES["psnr-y"]', "takes the name 'psnr-y' of PROFILES"),
        (
            'label="Sharpness"',
            "to_error=lambda v: 10 - v, from_error=lambda v: 10 - v",
            "has transforms of its own, which a study file cannot hold",
        ),
        ('rs.METRICS["sharp"]', 'rs.MASKS["x"] = rs.MaskKind("x")\nrs.METRICS["sharp"]', "MASKS['x']: has no function"),
        ('rs.METRICS["sharp"]', 'rs.MASKS["x"] = print\nrs.METRICS["sharp"]', "give rs.MaskKind('in words', function)"),
        ('rs.METRICS["sharp"]', 'rs.MASKS["poisson"] = 3\nrs.METRICS["sharp"]', "takes the name 'poisson' of MASKS"),
    ],
)
def test_entries_that_cannot_be(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in METRIC
    before = {key: dict(registry) for key, registry in own_parts._registries().items()}
    message = refused("status", tmp_path, "--plugin", written(tmp_path, METRIC.replace(old, new)))
    assert says in message and "my_parts.py" in message
    assert before == own_parts._registries()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("99 + x.flatten(1).mean(1)", "and METRICS['sharp'] says that it is 10 at most"),
        ("x.flatten(1).mean(1) / 0", "gives inf, inf for two random images"),
    ],
)
def test_values_beyond_its_bounds_are_refused_before_training(tmp_path: Path, value: str, says: str) -> None:
    start = METRIC.index("10 - 100")
    text = METRIC[:start] + value + METRIC[METRIC.index("\n", start) :]
    message = refused("run", written(tmp_path, STUDY, "study.toml"), *FLAGS, "--plugin", written(tmp_path, text))
    assert "metric 'sharp-10' of my_parts.py: gives" in message and says in message
    assert not (tmp_path / "runs").exists()


def test_values_that_go_wrong_on_an_image_fail_that_run_alone(tmp_path: Path) -> None:
    """A trial with random images cannot find them all."""
    bad = METRIC.replace("return 10", "return float('nan') if x_hat.shape[0] == 1 and x.mean() < 2 else 10")
    bad = bad.replace("float('nan')", "x.flatten(1).mean(1) * float('nan')")
    rs.load_plugin(written(tmp_path, bad))
    with pytest.raises(UserError, match="metric 'sharp-10': gives nan for an image; mend it"):
        measure_image(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
    study = written(tmp_path, STUDY.replace("[2, 4, 8]", "[2]").replace("[0, 1]", "[0]"), "study.toml")
    call("run", study, *FLAGS, "--plugin", tmp_path / "my_parts.py")
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*-n*/result.json")]
    assert not [record for record in found if record["status"] == "done"]
    failed = torch.full((1, 1, 16, 16), float("nan"))  # then it is the network that failed
    assert np.isnan(measure_image(failed, torch.rand(1, 1, 16, 16))["sharp-10"])


def test_a_mask_is_measured_with_and_remembered(tmp_path: Path) -> None:
    for index in range(4):
        phantoms.write_fastmri(tmp_path / "data" / f"file{index}.h5", phantoms.kspace(2, seed=20 * index))
    study, plugin = written(tmp_path, MRI, "study.toml"), written(tmp_path, MASK)
    assert "found 'halves'" in refused("plan", study) or "'halves'" in refused("plan", study)
    flags = (*FLAGS, "--data", tmp_path / "data")
    code, out, err = call("run", study, *flags, "--plugin", plugin)
    assert code == 0 and "1 done" in out, out + err
    (path,) = (tmp_path / "runs").glob("*-n*/result.json")
    assert {"test with halves masks", "test with random masks"} <= set(Result.read(path.parent).metrics)
    forget()
    assert call("report", study)[0] == 0
    assert "lines of either half or random lines" in (tmp_path / "report" / "report.html").read_text()
    study.write_text(MRI.replace("seed = [0]", "seed = [0, 1]"))
    assert "my_parts.py" in refused("run", study, *flags)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return mask", "return mask[:-1]", "gives float64 of shape (39,); return zeros and ones, (40,) or (32, 40)"),
        ("return mask", "return 2 * mask", "gives values that are not all 0 or 1"),
        ("return mask", "return 1 - mask", "does not measure the middle of k-space"),
        ("return mask", "return 0 * mask + 1", "measures all of k-space"),
        ("return mask", "return None", "gives object of shape ()"),
        (
            "return mask",
            "raise ZeroDivisionError('why')",
            "fails on 32 x 40 points of k-space (ZeroDivisionError: why)",
        ),
        ("rng.choice", "np.random.default_rng().choice", "gives another mask from the same numbers"),
        ("- center\n", "- center + 6\n", "measures 65 % of k-space, and acceleration 2 is 50 %"),
    ],
)
def test_masks_that_cannot_be(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in MASK
    for index in range(4):
        phantoms.write_fastmri(tmp_path / "data" / f"file{index}.h5", phantoms.kspace(1, seed=20 * index))
    study, plugin = written(tmp_path, MRI, "study.toml"), written(tmp_path, MASK.replace(old, new))
    assert says in refused("run", study, *FLAGS, "--data", tmp_path / "data", "--plugin", plugin)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", MASKS)
def test_masks_go_on_from_where_their_stream_was(name: str) -> None:
    problem = MRIProblem(kind="mri", mask=name, acceleration=3, center_fraction=0.1)
    generator = torch.Generator().manual_seed(3)
    masks = Masks(problem, generator)
    masks.draw(32, 40)
    state = generator.get_state()
    first = [masks.draw(32, 40)[0] for _ in range(3)]
    again = Masks(problem, torch.Generator().manual_seed(9))
    again.generator.set_state(state)
    assert all(torch.equal(one, again.draw(32, 40)[0]) for one in first)
    assert isinstance(problem.samplings[0], Sampling)
