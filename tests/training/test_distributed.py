"""One run divided among processes: the numbers of one process, up to the order of sums."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from reconscale.physics.base import Batch, KSpace
from reconscale.training.distributed import ProcessGroup

from ..cli.test_sweep import start, worker_pids
from ..conftest import TINY

STUDY = TINY.replace("[2, 4, 8]", "[4]").replace("width = [2, 4]", "width = [4]").replace("[0, 1]", "[0]")
STUDY = STUDY.replace("batch = 2", "batch = 3").replace("steps = 30", "steps = 60")


def result(folder: Path, *flags: object) -> dict[str, Any]:
    folder.mkdir()
    path = folder / "study.toml"
    path.write_text(STUDY)
    process = start("run", path, "--keep-going", "--workers", 1, *flags)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    (found,) = folder.glob("runs/*/result.json")
    return dict(json.loads(found.read_text()))


def test_two_processes_and_one(tmp_path: Path) -> None:
    """Three images a step, two in one process and one in the other: the same curve within rounding."""
    alone, together = result(tmp_path / "one"), result(tmp_path / "two", "--devices", 2)
    assert together["provenance"]["devices"] == 2 and "devices" not in alone["provenance"]
    assert [look["step"] for look in together["validation"]] == [look["step"] for look in alone["validation"]]
    for name, value in alone["metrics"]["test"].items():
        assert together["metrics"]["test"][name] == pytest.approx(value, rel=2e-3), name
    for one, two in zip(alone["validation"], together["validation"], strict=True):
        assert two["psnr"] == pytest.approx(one["psnr"], abs=0.02)


def test_a_process_of_a_run_is_killed(tmp_path: Path) -> None:
    """The others do not wait for it: the run continues from its checkpoint."""
    path = tmp_path / "hit" / "study.toml"
    path.parent.mkdir()
    path.write_text(STUDY.replace("steps = 60", "steps = 1000"))
    process = start("run", path, "--keep-going", "--workers", 1, "--devices", 2, "--checkpoint-seconds", 0.2)
    deadline = time.monotonic() + 120
    while not list(path.parent.glob("runs/*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(follower_of(worker_pids(process.pid)[0]), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0 and "worker died (exit code 70)" in err, err
    (found,) = path.parent.glob("runs/*/result.json")
    assert json.loads(found.read_text())["steps"] == 1000


def follower_of(worker: int) -> int:
    """The process that a worker has started through its own fork server."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    return next(grandchild for child in children[worker] for grandchild in children.get(child, []))


@pytest.mark.parametrize(
    "study, part",
    [
        (STUDY.replace("batch = 3", 'batch = 3\nloss = "sure"'), "the loss 'sure' is computed on one device"),
        (STUDY.replace("batch = 3", "batch = 1"), "recipe.batch = 1 can be divided among no more"),
    ],
)
def test_what_cannot_be_divided(tmp_path: Path, study: str, part: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(study)
    command = [sys.executable, "-m", "reconscale", "run", str(path), "--keep-going", "--devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 2 and part in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("count, size", [(5, 2), (1, 3), (8, 3)])
def test_shares_are_everything_once(count: int, size: int) -> None:
    x = torch.arange(count * 4.0).reshape(count, 1, 2, 2)
    kspace = KSpace(x.to(torch.complex64), x > 3, (0, 1), (2, 2))
    one = torch.ones(count)
    shares = [
        ProcessGroup(rank, size).of(Batch(kspace, x, one, one, tuple("abcdefgh"[:count]))) for rank in range(size)
    ]
    there = [share for share in shares if share is not None]
    assert torch.equal(torch.cat([share.x for share in there]), x)
    assert "".join("".join(share.names) for share in there) == "abcdefgh"[:count]
    parts = [share.y for share in there if isinstance(share.y, KSpace)]
    assert torch.equal(torch.cat([part.values for part in parts]), kspace.values)
    assert torch.equal(torch.cat([part.mask for part in parts]), kspace.mask)
