"""Published curves: what is written down, from where, and what is computed from it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import METRICS, Points
from reconscale.laws import published_curves as module
from reconscale.laws.published_curves import gain_near, published_curves, select_curves, step_gains

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("curve", published_curves().values(), ids=lambda curve: curve.name)
def test_every_curve_says_where_it_is_from(curve):
    assert curve.metric in METRICS and len(curve.n) == len(curve.value) >= 3
    assert list(curve.n) == sorted(set(curve.n))
    assert curve.source and curve.convention and curve.task and curve.network and curve.unit
    assert curve.licence.split()[0] in ("Apache-2.0", "MIT") and "(" in curve.licence
    assert curve.points.metric == curve.metric and len(curve.sha256) == 64


def test_the_files_are_those_that_the_command_writes():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import published_curves as command

    for name, text in command.texts().items():
        written = (command.PLACE / name).read_text(encoding="utf-8")
        assert written == text, f"{name}: run python benchmarks/published_curves.py --write"


def test_numbers_of_the_source():
    """dliplib/graphs/lodopab_200_performance.py of oterobaguer/dip-ct-benchmark prints these."""
    curve = published_curves()["lodopab-200-learnedpd-psnr"]
    assert curve.value == (29.65, 32.48, 33.21, 33.53, 33.64) and curve.n == (3, 35, 358, 3582, 35820)


def test_a_changed_curve_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "published"
    place.mkdir()
    for name in module.FILES:
        text = (ROOT / "src/reconscale/laws/published" / name).read_text(encoding="utf-8")
        (place / name).write_text(text.replace("29.65", "29.66"), encoding="utf-8")
    monkeypatch.setattr(module, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match="the curve 'lodopab-200-learnedpd-psnr' has been changed"):
        published_curves.__wrapped__()


def test_selection():
    assert {curve.group for curve in select_curves(["ct"])} == {"ct"}
    assert {curve.metric for curve in select_curves(metric="ssim")} == {"ssim"}
    with pytest.raises(UserError, match="did you mean 'ct'"):
        select_curves(["cte"])
    with pytest.raises(UserError, match="found none in lpips"):
        select_curves(["ct"], "lpips")


def test_gains_of_a_power_law():
    n = np.array([10.0, 40.0, 320.0])
    error = 2.0 * n**-0.5
    assert np.allclose([gain for *_, gain in step_gains(Points(n, error))], 100 * (1 - 2**-0.5))
    psnr = Points(n, -10 * np.log10(error), metric="psnr")
    assert np.allclose([gain for *_, gain in step_gains(psnr)], 5 * np.log10(2))
    assert np.allclose([gain for *_, gain in step_gains(Points(n, [0.5, 0.6, 0.75], metric="ssim"))], 0.05)


def test_gain_near_a_size():
    points = Points([10, 20, 40, 80], [30.0, 31.0, 31.5, 31.7], metric="psnr")
    assert gain_near(points, 40) == (pytest.approx(0.5), True)
    assert gain_near(points, 41) == (pytest.approx(0.2), True)
    assert gain_near(points, 5) == (pytest.approx(1.0), False)
    assert gain_near(points, 500) == (pytest.approx(0.2), False)
