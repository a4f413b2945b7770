"""Counting a network leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import warnings
warnings.simplefilter("ignore")
from reconscale.networks import given_of, size_of
from reconscale.study.problems import DenoisingProblem
from reconscale.study.run import Network
size_of(Network(family="drunet", width=8), given_of(DenoisingProblem(kind="denoising"), 1))
from deepinv.physics.functional import radon
print(radon.SQRT2.device)
"""


def test_counting_first_leaves_the_operators_whole() -> None:
    """deepinv keeps tensors in its modules: imported while a network is counted they would have no values."""
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["cpu"]
