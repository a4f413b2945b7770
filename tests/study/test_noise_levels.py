"""Levels of noise that were meant for images in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.errors import UserError
from reconscale.study import load_study, runs_of
from reconscale.study.defaults import written_out
from reconscale.study.study_file import parse_study

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
        (
            'kind = "denoising", sigma = 0.5',
            r'problem.sigma: found 0.5, .* 127.5, or set problem.sigma_unit = "grey le',
        ),
        ('kind = "inpainting", sigma = 0.99', r"problem.sigma: found 0.99, .* write 252.45"),
        ('kind = "denoising", test_sigma = [0.4, 0.5]', r"problem.test_sigma: found 0.4, .* write 102"),
        ('kind = "denoising", sigma_range = [0.3, 0.9]', r"problem.sigma_range: found 0.3, "),
        ('kind = "denoising", sigma_range = [0.1, 50]', r"problem.sigma_range: found 0.1, .* rounding"),
        ('kind = "mri", sigma_unit = "grey levels"', r"problem.sigma_unit: there is no such key"),
        ('kind = "denoising", sigma_unit = "levels"', r"problem.sigma_unit: found 'levels'"),
    ],
)
def test_fractions_are_asked_back(tmp_path: Path, problem: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}\nproblem = {{ {problem} }}\n")
    with pytest.raises(UserError, match=message):
        load_study(path)


@pytest.mark.parametrize(
    "problem",
    [
        'kind = "denoising", sigma = 0.5, sigma_unit = "grey levels"',
        'kind = "inpainting", sigma = 0.05, sigma_unit = "grey levels"',
        'kind = "denoising", sigma_range = [0.5, 50], test_sigma = [0.5, 1]',
        'kind = "denoising", sigma = 1',
        'kind = "superresolution"',
        'kind = "deblurring"',
        'kind = "mri", sigma = 0.005',
    ],
)
def test_small_and_no_noise(tmp_path: Path, problem: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}\nproblem = {{ {problem} }}\n")
    assert load_study(path).problem is not None


def test_the_unit_decides_no_number(tmp_path: Path) -> None:
    """It is in no id; where a study is written out, it is there."""
    path, ids = tmp_path / "study.toml", []
    for unit in ("", ', sigma_unit = "grey levels"'):
        path.write_text(f'{STUDY}\nproblem = {{ kind = "denoising", sigma = 2{unit} }}\n')
        study = load_study(path)
        ids.append([run.id for run in runs_of(study)])
        assert parse_study(written_out(study)) == study
        assert "sigma_unit" not in study.problem.model_dump()
    assert ids[0] == ids[1]


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
