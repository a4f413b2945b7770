"""``benchmarks/gpu.py`` as far as it goes without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import gpu
from gpu_parts import NETWORKS, PARTS, Job


def job(part: str, **more: Any) -> dict[str, Any]:
    """What a part gives, with tiny sizes, as it would pass from its process."""
    found = PARTS[part](Job(part, "cpu", None, True, 2, **more))
    back: dict[str, Any] = json.loads(json.dumps(found))
    return back


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2 == gpu.main(["--device", "cpu"])
    assert capsys.readouterr().out.splitlines() == [gpu.NOTHING] * 2


@pytest.mark.parametrize("words", [["--minutes", "0"], ["--batch", "0"], ["--data", "nowhere"], ["--device", "tpu"]])
def test_flags_that_cannot_be(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(words)
    assert ended.value.code == 2


@pytest.mark.parametrize("network", NETWORKS)
def test_contestants_begin_with_the_same_network(network: str) -> None:
    """And learn: the curves begin at the same PSNR."""
    ours, theirs = (job(who, network=network, seconds=0.3) for who in ("ours", "trainer"))
    assert ours["curve"][0][1] == pytest.approx(theirs["curve"][0][1], abs=0.01)
    for curve in (ours["curve"], theirs["curve"]):
        assert curve[-1][1] > curve[0][1] and [at for at, _ in curve] == sorted(at for at, _ in curve)


def test_ways_and_stacks_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    ways = {"unet": job("ways", ways=("fp32", "bf16")), "swinir": {"failed": "no time left"}}
    assert gpu.quickest(ways["unet"]) in ("fp32", "bf16") and gpu.quickest(ways["swinir"]) == "fp32"
    stacked = {"unet": job("stacked"), "unrolled": {"failed": "not done after 30 s"}}
    assert set(stacked["unet"]["rates"]) == {"1", "2", "4"}
    gpu.show_peak(peak := job("peak"), tiny=True)
    gpu.show_ways(ways, peak)
    gpu.show_stacked(stacked)
    gpu.show_quality("unet", {"ours": {"failed": "out of memory"}, "trainer": {"steps": 3, "curve": [[0.0, 20.0]]}})
    out = capsys.readouterr().out
    for part in ("figures mean nothing", "no time left", "not done after 30 s", "out of memory", "3 steps: 0 s 20.00"):
        assert part in out


def test_without_deepinv_its_column_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepinv", None)
    assert job("trainer") == {"failed": "deepinv is not installed"}


def test_a_part_that_fails_or_hangs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = gpu.Suite("cpu", None, True, 2, time.monotonic() + 100)
    found = suite.part("ways", 1.0, network="unheard-of", ways=["fp32"])
    assert "unheard-of" in found["failed"]

    def hangs(*_: object, **more: Any) -> None:
        raise subprocess.TimeoutExpired("python", more["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    assert suite.part("peak", 1.0) == {"failed": "not done after 300 s"}
    late = gpu.Suite("cuda", None, False, 2, time.monotonic())
    assert late.part("peak", 1.0) == {"failed": "no time left"}
