"""What the tests of foreign logs share: the committed logs, and runs written by TensorBoard's own writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

# These scripts wrote the committed logs; they import tools that are not installed here.
collect_ignore_glob = ["written/*.py"]

WRITTEN = Path(__file__).parent / "written"


def curve(n: int, seed: int = 0) -> float:
    """A learning curve in dB."""
    return 29.5 - 6.0 * n**-0.4 + 0.02 * seed


Write = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """Write an event folder below ``tmp_path / "runs"``: val/psnr and test/psnr rise to ``last``, then dip a little."""

    def write(name: str, last: float, *, hparams: dict[str, object] | None = None, steps: int = 4) -> Path:
        folder = tmp_path / "runs" / name
        with SummaryWriter(str(folder)) as writer:
            for step in range(1, steps + 1):
                rising = last - (steps - 1 - step) ** 2
                writer.add_scalar("val/psnr", rising - 0.5, 100 * step)
                writer.add_scalar("test/psnr", rising, 100 * step)
                writer.add_scalar("train/loss", 1.0 / step, 100 * step)
            if hparams:
                writer.add_hparams(hparams, {"hparam/psnr": last})
        return folder

    return write
