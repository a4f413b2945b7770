"""Whole trainers of others, unmodified, as commands: end to end, killed half-way, on two nodes of Ray.

deepinv is in the development install. The others have environments of their own, which ``make trainers`` makes and
names in ``$RECONSCALE_TRAINERS``; without one a test is skipped. ``pytest -s`` shows the seconds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ..conftest import ROOT
from ..training.executors.cluster import Nodes, two_nodes

EXAMPLES = ROOT / "examples" / "trainers"
TRAINERS = ("deepinv", "lightning", "careamics", "fastmri", "basicsr")
ON_RAY = ("lightning", "careamics")
FIELDS = ("status", "run", "p", "steps", "metrics", "reason")


@cache
def interpreter(package: str) -> str:
    """The Python that has a trainer and reconscale; the test is skipped where there is none."""
    places = [Path(sys.executable)]
    if home := os.environ.get("RECONSCALE_TRAINERS"):
        places += sorted(Path(home).glob("*/bin/python"))
    looks = f"from importlib.util import find_spec as f; raise SystemExit(not (f({package!r}) and f('reconscale')))"
    for place in places:
        if subprocess.run([place, "-c", looks], check=False).returncode == 0:
            return str(place)
    return ""


@pytest.fixture(params=TRAINERS)
def trainer(request: pytest.FixtureRequest) -> str:
    """The name of a trainer that is installed."""
    name: str = request.param
    if not interpreter(name):
        pytest.skip(f"{name} is not installed: make trainers")
    return name


def start(study: Path, *flags: object) -> subprocess.Popen[str]:
    """``reconscale run``, as the leader of a group of processes."""
    command = [interpreter(study.name), "-m", "reconscale", "run", study, "--allow-commands", "--workers", 2, *flags]
    return subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def carried_out(study: Path, *flags: object) -> float:
    """Seconds that ``reconscale run`` took."""
    began = time.monotonic()
    process = start(study, *flags)
    said = process.communicate(timeout=1200)[0]
    assert process.returncode == 0, said
    return time.monotonic() - began


def records(study: Path) -> dict[str, Any]:
    """What every finished run gave, to the last bit."""
    found = {}
    for path in study.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        found[path.parent.name] = {key: record[key] for key in FIELDS}
    return found


def copied(trainer: str, folder: Path) -> Path:
    """The example, and the images that its script makes."""
    study = folder / trainer
    shutil.copytree(EXAMPLES / trainer, study, ignore=shutil.ignore_patterns("runs", "report", "__pycache__"))
    (script,) = study.glob("make_*.py")
    subprocess.run([interpreter(trainer), script], check=True)
    return study


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """trainer -> its study, run on this machine without a break."""

    @cache
    def study_of(trainer: str) -> Path:
        study = copied(trainer, tmp_path_factory.mktemp("unbroken"))
        print(f"\n{trainer}: {carried_out(study):.0f} s for 6 runs, two at a time")
        return study

    return study_of


def test_from_the_study_file_to_the_report(trainer: str, unbroken: Any) -> None:
    study = unbroken(trainer)
    found = records(study)
    assert len(found) == 6 and all(record["status"] == "done" and record["p"] for record in found.values())
    assert len({record["metrics"]["test"]["psnr"] for record in found.values()}) == 6  # n, width change something
    for verb, part in (("decide", "At n = "), ("report", "report.html")):
        command = [interpreter(trainer), "-m", "reconscale", verb, str(study)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and part in done.stdout, done.stdout + done.stderr
    assert (study / "report" / "report.html").is_file()


def killed_and_continued(trainer: str, folder: Path, *flags: object) -> Path:
    """SIGKILL of the driver and its group once a run is done and others are under way; then the same command again."""
    study = copied(trainer, folder)
    whole = (study / "study.toml").read_text()
    fewer = re.sub(r"^n = \[(\d+), (\d+), \d+\]", r"n = [\1, \2]", whole, flags=re.MULTILINE)  # four of the six runs
    assert fewer != whole
    (study / "study.toml").write_text(fewer)
    process = start(study, *flags)
    deadline = time.monotonic() + 600
    while not records(study):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = records(study)
    assert 1 <= len(kept) < 4
    deadline = time.monotonic() + 30
    while under_way(study):
        assert time.monotonic() < deadline, "a trainer outlived the command that started it"
        time.sleep(0.1)
    seconds = carried_out(study, *flags)
    print(f"\n{trainer}: {len(kept)} of 4 runs kept, {seconds:.0f} s for the rest{' on Ray' if flags else ''}")
    found = records(study)
    assert len(found) == 4 and all(found[name] == record for name, record in kept.items())
    return study


def under_way(study: Path) -> list[str]:
    """Processes that work on a study."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "train.py" in words and any(str(study) in word for word in words):
            found.append(" ".join(words))
    return found


def equal_to_the_last_bit(study: Path, unbroken: Path) -> bool:
    """Whether every run of a study gave what it gave in another folder."""
    expected = records(unbroken)
    return all(record == expected[name] for name, record in records(study).items())


def test_killed_half_way_and_continued(trainer: str, unbroken: Any, tmp_path: Path) -> None:
    assert equal_to_the_last_bit(killed_and_continued(trainer, tmp_path), unbroken(trainer))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes of Ray in the environment of the trainers that are tried there."""
    python = next(filter(None, map(interpreter, ON_RAY)), "")
    if not python:
        pytest.skip("neither Lightning nor CAREamics is installed: make trainers")
    with pytest.MonkeyPatch.context() as patch, two_nodes(tmp_path_factory.mktemp("ray"), patch, python) as cluster:
        yield cluster


@pytest.mark.parametrize("trainer", ON_RAY, indirect=True)
def test_killed_on_two_nodes_of_ray(trainer: str, nodes: Nodes, unbroken: Any, tmp_path: Path) -> None:
    study = killed_and_continued(trainer, tmp_path, "--ray", nodes.address)
    assert equal_to_the_last_bit(study, unbroken(trainer))
