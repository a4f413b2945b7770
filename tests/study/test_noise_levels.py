"""Levels of noise that were meant for images in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.errors import UserError
from reconscale.study import load_study

STUDY = """
version = 2
name = "a"
images = { source = "bundled", val = 1, test = 1 }
sweep = { n = [1, 2], width = [8], seed = [0] }
"""


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ('kind = "denoising", sigma = 0.1', r"problem.sigma: found 0.1, in grey levels .* write 25.5"),
        ('kind = "denoising", test_sigma = [0.05]', r"problem.test_sigma: found 0.05, .* write 12.75"),
        ('kind = "deblurring", sigma = 0.01', r"problem.sigma: found 0.01, .* write 2.55"),
    ],
)
def test_fractions_are_asked_back(tmp_path: Path, problem: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}\nproblem = {{ {problem} }}\n")
    with pytest.raises(UserError, match=message):
        load_study(path)


@pytest.mark.parametrize(
    "problem", ['kind = "denoising", sigma = 0.5', 'kind = "superresolution"', 'kind = "deblurring"']
)
def test_small_and_no_noise(tmp_path: Path, problem: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}\nproblem = {{ {problem} }}\n")
    assert load_study(path).problem is not None


@pytest.mark.parametrize(
    ("analysis", "worthwhile", "message"),
    [
        ('profile = "mse"', 2.0, ""),
        ('profile = "ssim-uniform7"', 0.01, ""),
        ("worthwhile = 0.2", 0.2, ""),
        ('profile = "mse"\nworthwhile = 0.1', 0.0, r"in per cent of the error: write 10 for 10 %, 2.3 for what 0.1 dB"),
        ('profile = "ssim-uniform7"\nworthwhile = 2', 0.0, "differences of values below 1"),
    ],
)
def test_what_is_worthwhile_is_in_the_unit_of_the_metric(
    tmp_path: Path, analysis: str, worthwhile: float, message: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'{STUDY}\nproblem = {{ kind = "denoising" }}\n[analysis]\n{analysis}\n')
    if message:
        with pytest.raises(UserError, match=message):
            load_study(path)
    else:
        assert load_study(path).analysis.worthwhile == worthwhile
