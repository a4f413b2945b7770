"""A function's runs on Ray and in the queue of Slurm give what they give here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import reconscale as rs
from reconscale.results.external_results import ExternalFolder
from reconscale.study.external import load_external
from reconscale.training.executors.slurm_job import JobStore

from .test_measure import GRID, QUIET, results_of, train

RAY = """
import sys
import reconscale as rs
offset = 25.0

def train(job):
    return {"psnr": [offset + job.n + item for item in job.test], "p": 100 * job.width}

where = rs.Ray(workers=2) if sys.argv[2] == "ray" else None
points = rs.measure(train, 40, n=[2, 4], seed=1, width=[4, 8], val=3, test=5, folder=sys.argv[1], on=where)
print(len(points))
"""


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_on_ray(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(RAY)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment["RAY_ADDRESS"] = "local"  # and not the cluster of another test
    environment["RAY_worker_niceness"] = "0"  # a busy machine would starve its workers
    for where in ("ray", "here"):
        command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / where), where]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=600)
        assert done.stdout == "4\n", done.stderr
    assert results_of(tmp_path / "ray") == results_of(tmp_path / "here")


JOB = """
import sys
from pathlib import Path
from reconscale.training.executors.slurm_job import SlurmJob
SlurmJob(Path(sys.argv[1]), tuple(sys.argv[3:]), 1, Path(sys.argv[2]))()
"""

FAKES = {
    "sbatch": 'echo "Submitted batch job 101"',
    "squeue": 'cat "$0.says" 2>/dev/null || true',
    "scontrol": 'echo "MaxArraySize = 6"',
    "srun": "exit 1",
}


@pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")
def test_in_the_queue_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs of an array, begun here as the queue would begin them, in another directory."""
    queue = tmp_path / "bin"
    queue.mkdir()
    for name, text in FAKES.items():
        (queue / name).write_text(f"#!/bin/sh\n{text}\n")
        (queue / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{queue}:{os.environ['PATH']}")
    folder = tmp_path / "slurm"
    with pytest.raises(rs.UserError, match="has no run that is done"):
        rs.measure(train, 40, **GRID, folder=folder, on=rs.Slurm("wait=no,runs=4"), **QUIET)
    ledger = JobStore.beside(folder / "runs")
    jobs = list(ledger.jobs())
    assert [len(job.runs) for job in jobs] == [4, 4, 4]
    with pytest.raises(rs.UserError, match="jobs of Slurm may be working in this folder"):
        rs.measure(train, 40, **GRID, folder=folder, **QUIET)
    for job in jobs:
        place = [str(ledger.tasks(job.token)), str(ledger.state(job.token, job.index)), *job.runs]
        subprocess.run([sys.executable, "-c", JOB, *place], cwd="/", check=True, timeout=200)
    points = rs.measure(train, 40, **GRID, folder=folder, on=rs.Slurm("poll=0.02"), **QUIET)
    assert len(points) == 12
    rs.measure(train, 40, **GRID, folder=tmp_path / "here", **QUIET)
    assert results_of(folder) == results_of(tmp_path / "here")
    assert json.loads((folder / "runs" / "items.json").read_text())["count"] == 40
    assert len(ExternalFolder(folder / "runs").results(load_external(folder).runs())) == 12
