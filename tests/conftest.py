"""What all tests share: where outside data may be, and small studies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Two processes of tests with two threads each on two cores wait for each other: one test took 121 s instead of 5.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


LONGEST = ("test_ray.py", "test_sweep.py", "test_distributed.py", "test_mri.py", "test_slurm.py")
"""Files that take minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: two processes take a file at a time, and one would end long after the other."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep prepared images of tests out of the user's cache; one cache for all tests of a session is enough."""
    monkeypatch.setenv("RECONSCALE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("RECONSCALE_DATA", raising=False)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """What a worker does to the signals of its process ends with the test; programs that tests start inherit them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None:  # one that Python did not set
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _own_entries() -> Iterator[None]:
    """Take out what a test registers: which tests share a process differs from machine to machine."""
    from reconscale.laws import METRICS  # not above: numpy must be loaded after the number of its threads is set
    from reconscale.own_parts import REGISTRIES

    registries = [(METRICS, dict(METRICS))]
    for place in REGISTRIES.values():
        module, name = place.split(":")
        if module in sys.modules and isinstance(known := vars(sys.modules[module]).get(name), dict):
            registries.append((known, dict(known)))
    yield
    for known, before in registries:
        if known != before:
            known.clear()
            known.update(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of outside data; tests that need it are skipped where it is not."""
    place = Path(os.environ.get("RECONSCALE_SHARED", ROOT.parent / "shared"))
    if not (place / "data").is_dir():
        pytest.skip("the outside data are not here (set RECONSCALE_SHARED)")
    return place


TINY = """
name = "tiny"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 12
patch = 16
val = 2
test = 2
[sweep]
n = [2, 4, 8]
width = [2, 4]
seed = [0, 1]
[recipe]
steps = 30
batch = 2
"""


@pytest.fixture
def tiny_study(tmp_path: Path) -> Path:
    """A study file whose whole sweep takes seconds."""
    path = tmp_path / "tiny" / "study.toml"
    path.parent.mkdir()
    path.write_text(TINY)
    return path


@pytest.fixture
def content() -> Callable[..., dict[str, Any]]:
    """The content of a small valid study file, with tables replaced by what is given."""

    def make(**tables: Any) -> dict[str, Any]:
        return {
            "name": "small",
            "problem": {"kind": "denoising", "sigma": 25},
            "images": {"source": "bundled", "val": 2, "test": 2},
            "sweep": {"n": [1, 2, 4], "width": [4, 8], "seed": [0, 1]},
        } | tables

    return make
