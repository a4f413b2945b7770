"""Counting a network leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import warnings
warnings.simplefilter("ignore")
from reconscale.networks import InputSpec, size_of
from reconscale.study.run import Network
size_of(Network(family="{family}", width=8), InputSpec(1, "{kind}"))
from deepinv.physics.functional import radon
print(radon.SQRT2.device)
"""


@pytest.mark.parametrize("family, kind", [("drunet", "denoising"), ("unrolled-resnet", "mri")])
def test_counting_first_leaves_the_operators_whole(family: str, kind: str) -> None:
    """deepinv keeps tensors in its modules: imported while a network is counted they would have no values."""
    code = CODE.format(family=family, kind=kind)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["cpu"]
