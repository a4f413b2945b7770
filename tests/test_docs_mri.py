"""The table of conventions in the how-to comes from these images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from reconscale.data.volumes.transforms import root_sum_of_squares
from reconscale.physics.metric_conventions import conventions
from tests import phantoms

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "mri.md"


def test_the_table_of_conventions() -> None:
    kspace = phantoms.kspace(6, 3, (64, 64), seed=4)
    mask = np.zeros(64, bool)
    mask[::3] = mask[28:36] = True
    truth, found = (np.stack([root_sum_of_squares(k * m) for k in kspace]) for m in (np.ones(64, bool), mask))
    values = {row.name: row.value for row in conventions(found, truth)}
    text = PAGE.read_text()
    named = {
        "ssim-fastmri-volume-v1": "ssim-fastmri-volume-v1", "ssim-fastmri-slice-v1": "ssim-fastmri-slice-v1",
        "11x11 Gaussian": "SSIM, Gaussian window", "every slice scaled": "SSIM, slices scaled",
        "psnr-fastmri-volume-v1": "psnr-fastmri-volume-v1", "psnr-fastmri-slice-v1": "psnr-fastmri-slice-v1",
        "PSNR of the foreground": "PSNR, foreground",
    }  # fmt: skip
    for words, name in named.items():
        (shown,) = re.findall(rf"^\| `?{words}[^|]*\| ([0-9.]+)", text, re.MULTILINE)
        assert abs(values[name] - float(shown)) <= 0.6 * 10 ** -len(shown.split(".")[1]), (name, values[name])
