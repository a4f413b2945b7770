"""Noise in the numbers of a camera's data sheet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reconscale.errors import UserError
from reconscale.physics import problem_of
from reconscale.study.defaults import written_out
from reconscale.study.plan import runs_of
from reconscale.study.study_file import parse_study


def study(problem: dict[str, Any], **images: Any) -> Any:
    content = {
        "name": "a", "version": 2, "problem": {"kind": "denoising", **problem}, "sweep": {"n": [1], "width": [4]},
        "images": {"source": "folder", "val": 1, "test": 1, **images},
    }  # fmt: skip
    return parse_study(content)


def test_a_camera_is_sigma_and_photons() -> None:
    """Runs have the same names, whichever way the noise is said."""
    given = study({"camera": {"gain": 0.5, "read_noise": 2.0, "black": 100}}, range=[100, 4100])
    plain = study({"sigma": 255 * 2 / 2000, "photons": 2000.0, "sigma_unit": "grey levels"}, range=[100, 4100])
    assert [run.id for run in runs_of(given)] == [run.id for run in runs_of(plain)]
    assert parse_study(written_out(given)).problem == plain.problem
    short = study({"camera": {"electrons": 50, "read_noise": 2.0}})
    assert short.problem.photons == 50 and short.problem.sigma == pytest.approx(255 * 2 / 50)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_the_variance_in_the_values_of_the_file(level: float) -> None:
    """EMVA 1288: in electrons it is that of the signal and of the read noise."""
    gain, read_noise, black, white = 0.5, 8.0, 100.0, 1100.0
    problem = study({"camera": {"gain": gain, "read_noise": read_noise}}, range=[black, white]).problem
    x = torch.full((1, 1, 400, 400), level)
    y = black + (white - black) * problem_of(problem, torch.device("cpu"), 0).measure(x).double().numpy()
    signal = level * (white - black)
    assert y.mean() == pytest.approx(black + signal, abs=0.5)
    assert np.var(y) == pytest.approx((gain * signal + read_noise**2) / gain**2, rel=0.02)


@pytest.mark.parametrize(
    ("problem", "images", "message"),
    [
        ({"camera": {"read_noise": 2.0}}, {}, "problem.camera: found neither gain nor electrons"),
        ({"camera": {"gain": 1.0, "electrons": 9.0}}, {}, "problem.camera: found both"),
        ({"camera": {"gain": 1.0}}, {}, r"problem.camera.gain: needs the values of black and white"),
        ({"camera": {"gain": 1.0, "black": 90}}, {"range": [100, 200]}, r"found 90 and images.range\[0\] = 100"),
        ({"camera": {"electrons": 9.0, "black": 90}}, {}, r"found 90 and no images.range"),
        ({"camera": {"electrons": 9.0}, "sigma": 2.0}, {}, "problem.sigma: a camera says it"),
        ({"camera": {"electrons": 9.0, "read_noise": 20}}, {}, "counts 9 electrons at white, and has read noise of 20"),
        ({"camera": {"gain": -1.0}}, {"range": [0, 1]}, "problem.camera.gain: found -1.0, .*greater than 0"),
        ({"camera": {"gian": 1.0}}, {"range": [0, 1]}, "problem.camera.gian: there is no such key, did you mean .gain"),
        ({"camera": 3}, {}, "camera"),
        ({"camera": {"gain": 1.0}}, {"range": "all"}, "camera.gain|range"),
    ],
)
def test_what_is_refused(problem: dict[str, Any], images: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        study(problem, **images)
    assert "\n" not in str(caught.value)
