"""The demo study on two nodes of Ray on one machine, one of which is killed half-way, beside the same without Ray.

    python benchmarks/cluster.py                 # the demo, about ten minutes on two cores
    python benchmarks/cluster.py --problem mri

Every result must be that of the local executor: all numbers, tables and weights, to the last bit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from faults import records

NODES = Path(__file__).resolve().parent.parent / "tests" / "training" / "executors" / "two_nodes.py"


def main() -> None:
    """Parse the flags, run the study three times, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=("denoising", "mri"), default="denoising")
    flags = parser.parse_args()
    name = "demo.toml" if flags.problem == "denoising" else f"demo-{flags.problem}.toml"
    text = files("reconscale.cli").joinpath(name).read_text()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="cluster-") as home:
        studies = {label: Path(home) / label / "study.toml" for label in ("local", "two nodes", "one killed")}
        for path in studies.values():
            path.parent.mkdir()
            path.write_text(text)
        seconds = {"local": carried_out(studies["local"])}
        expected = records(studies["local"])
        print(f"{'':12}{'runs':>6}{'minutes':>9}{'other results':>15}")
        print(f"{'local':12}{len(expected):6}{seconds['local'] / 60:9.1f}", flush=True)
        for label in ("two nodes", "one killed"):
            with two_nodes() as (address, nodes):
                kill = nodes if label == "one killed" else None
                seconds[label] = carried_out(studies[label], "--ray", address, kill=kill)
            found = records(studies[label])
            other = [run for run in expected if found.get(run) != expected[run]]
            print(f"{label:12}{len(found):6}{seconds[label] / 60:9.1f}{len(other):15}", flush=True)
            if other or len(found) != len(expected):
                raise SystemExit(1)
        noted = (studies["one killed"].parent / "runs" / "faults.jsonl").read_text()
        print(f"noted: {noted.count('node lost')} x node lost")


@contextlib.contextmanager
def two_nodes() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A cluster of two nodes of one core each, and its process."""
    process = subprocess.Popen([sys.executable, NODES], text=True, start_new_session=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert process.stdin and process.stdout
    try:
        yield process.stdout.readline().strip(), process
        process.stdin.close()
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def carried_out(path: Path, *more: str, kill: subprocess.Popen[str] | None = None) -> float:
    """Seconds of ``run``; a node of a cluster is killed once half of the results are there."""
    began = time.monotonic()
    with (path.parent / "command.log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, "-m", "reconscale", "run", str(path), "--keep-going", *more], stdout=log, stderr=log
        )
        while kill is not None and run.poll() is None:
            if len(list(path.parent.glob("runs/*/result.json"))) >= len(planned(path)) / 2:
                assert kill.stdin and kill.stdout
                kill.stdin.write("kill\n")
                kill.stdin.flush()
                assert kill.stdout.readline() == "killed\n"
                kill = None
            time.sleep(0.2)
        if run.wait() != 0:
            raise SystemExit((path.parent / "command.log").read_text(errors="replace"))
    return time.monotonic() - began


def planned(path: Path) -> list[Any]:
    """The runs of a study."""
    from reconscale.study import load_study, runs_of

    return list(runs_of(load_study(path)))


if __name__ == "__main__":
    main()
