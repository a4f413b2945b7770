"""What a GPU makes of it, in at most eight minutes: time to quality, the share of the card's peak, and stacked runs.

    python benchmarks/gpu.py --json gpu.json                  # dead leaves, which need nothing from outside
    python benchmarks/gpu.py --data FOLDER --json gpu.json    # photographs: image files, also in folders below
    python benchmarks/gpu.py --dry-run                        # tiny, on the CPU: does every part still work?

* peak: the rate of a matrix product in fp32, TF32 and bf16, which shares are of;
* ways: images per second of training steps of three networks, for each way of computing a step; those with
  torch.compile of the U-Net alone, and only while there is time, as compiling takes a minute;
* stacked: images per second of 1, 2, 4, 8 and 16 runs trained in one pass (``reconscale run --stack``), all together;
* quality: mean PSNR on validation images against wall seconds without validation: ours (the recipe ``fast``, in the
  fastest way that is not compiled) beside ``deepinv.Trainer`` with the same network and batch, in fp32, with Adam at
  1e-3 as its examples have it.

Every part is a process of its own, which is ended when its time is over; what was not measured is said in the table.
No figures of a GPU are in this repository yet: nobody has run this on one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_parts import COUNTS, NETWORKS, PARTS, Job

EAGER = ("fp32", "bf16", "fp32+channels_last", "bf16+channels_last")
COMPILED = ("bf16+compile", "fp32+compile")
NOTHING = "no GPU here: nothing measured (a dry run on the CPU: --dry-run)"
START = 12.0
"""Seconds that a part may need before it measures anything: imports, the device, images."""
IMAGES, PEAK, WAY, STACK, COMPILE = 60.0, 10.0, 5.0, 5.0, 75.0
"""Seconds for all images, for the peak, for a way, for a number of runs, and for a compiled way."""


def main(words: Sequence[str] | None = None) -> int:
    """Parse the flags, measure, print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of photographs; else dead leaves are made")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on the CPU: figures mean nothing")
    parser.add_argument("--minutes", type=float, default=8.0, help="in which all must be done")
    parser.add_argument("--batch", type=int, default=16, help="of every contestant")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    flags = parser.parse_args(words)
    if flags.one:
        job = Job(**json.loads(flags.one))
        print(json.dumps(PARTS[job.part](job)))
        return 0
    if flags.minutes <= 0 or flags.batch < 1:
        parser.error("--minutes and --batch must be above 0")
    if flags.data is not None and not flags.data.is_dir():
        parser.error(f"--data: there is no folder {flags.data}")
    device = "cpu" if flags.dry_run else flags.device
    if not flags.dry_run and not _there(device):
        print(NOTHING)
        return 2
    suite = Suite(device, flags.data, flags.dry_run, flags.batch, time.monotonic() + 60 * flags.minutes)
    record = suite.carry_out()
    if flags.json:
        flags.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0


def _there(device: str) -> bool:
    """Whether there is a GPU; a full measurement on the CPU is none."""
    import torch

    return device == "cuda" and torch.cuda.is_available()


class Suite:
    """All parts, one after the other, and what they gave.

    Args:
        device: where.
        data: a folder of photographs, or none.
        tiny: whether this is a dry run.
        batch: of every contestant.
        deadline: when all must be done (``time.monotonic``).
    """

    def __init__(self, device: str, data: Path | None, tiny: bool, batch: int, deadline: float) -> None:
        self.common = {"device": device, "data": None if data is None else str(data.resolve()), "tiny": tiny,
                       "batch": 2 if tiny else batch}  # fmt: skip
        self.tiny, self.deadline = tiny, deadline

    def carry_out(self) -> dict[str, Any]:
        """Measure and print everything."""
        prepared = self.part("images", IMAGES)
        if "failed" in prepared:
            print(f"images: {prepared['failed']}")
            return {"images": prepared}
        record: dict[str, Any] = {"peak": self.part("peak", PEAK)}
        show_peak(record["peak"], self.tiny)
        ways: dict[str, Any] = {}
        for name in NETWORKS:
            ways[name] = self.part("ways", len(EAGER) * WAY, network=name, ways=EAGER)
        record["ways"] = ways
        allowed = len(COUNTS) * STACK
        record["stacked"] = {
            name: self.part("stacked", 1.5 * allowed, network=name, way=quickest(ways[name]), seconds=allowed)
            for name in ("unet", "unrolled")
        }
        show_stacked(record["stacked"])
        left = self.deadline - time.monotonic() - (0 if self.tiny else COMPILE)
        each = 1.5 if self.tiny else max(5.0, left / (2 * len(NETWORKS)) - START - 5)
        record["quality"] = {}
        for name in NETWORKS:
            rows = {}
            for who in ("ours", "trainer"):
                way = quickest(ways[name]) if who == "ours" else "fp32"
                rows[who] = self.part(who, 1.5 * each + 10, network=name, way=way, seconds=each)
            record["quality"][name] = rows
            show_quality(name, rows)
        if not self.tiny:
            for way in COMPILED:
                found = self.part("ways", COMPILE, network="unet", ways=(way,))
                ways["unet"] = {**ways["unet"], way: found.get(way, found)}
        show_ways(ways, record["peak"])
        return record

    def part(self, part: str, limit: float, **more: Any) -> dict[str, Any]:
        """One part in a process of its own; ``{"failed": why}`` where it gave nothing."""
        limit = 300.0 if self.tiny else min(limit + START, self.deadline - time.monotonic())
        if limit < START:
            return {"failed": "no time left"}
        job = json.dumps({"part": part, **self.common, **more})
        environment = os.environ | ({"OMP_NUM_THREADS": "1"} if self.common["device"] == "cpu" else {})
        try:
            done = subprocess.run([sys.executable, __file__, "--one", job], env=environment, capture_output=True,
                                  text=True, timeout=limit, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {limit:.0f} s"}
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def quickest(rates: Mapping[str, Any]) -> str:
    """The way with the most images per second; fp32 where none was measured."""
    known = {way: row["rate"] for way, row in rates.items() if isinstance(row, dict) and "rate" in row}
    return max(known, key=known.__getitem__) if known else "fp32"


def show_peak(peak: Mapping[str, Any], tiny: bool) -> None:
    """What everything is measured on."""
    if "failed" in peak:
        print(f"peak: {peak['failed']}\n")
        return
    rates = ", ".join(f"{name} {rate / 1e12:.3g}" for name, rate in peak["rates"].items())
    print(f"{peak['device']}, torch {peak['torch']}; matrix product, TFLOP/s: {rates}")
    print("(a dry run on the CPU with tiny sizes: figures mean nothing)\n" if tiny else "")


def show_ways(ways: Mapping[str, Any], peak: Mapping[str, Any]) -> None:
    """Images per second by network and way, and shares of the peak."""
    rates = peak.get("rates", {})
    print(f"training steps{'':16}{'images/s':>12}{'TFLOP/s':>10}" + "".join(f"{'of ' + name:>10}" for name in rates))
    for name, rows in ways.items():
        if "failed" in rows:
            print(f"{name}: {rows['failed']}")
            continue
        for way, row in rows.items():
            if "rate" not in row:
                print(f"{name:9}{way:21}{row.get('failed', 'not measured')}")
                continue
            done = row["rate"] * row["flops"]
            shares = "".join(f"{done / rate:10.1%}" for rate in rates.values())
            print(f"{name:9}{way:21}{row['rate']:12.0f}{done / 1e12:10.3g}{shares}")
    print()


def show_stacked(stacked: Mapping[str, Any]) -> None:
    """Images per second by the number of runs in a pass."""
    print(f"{'runs in one pass':20}" + "".join(f"{count:>12}" for count in COUNTS))
    for name, found in stacked.items():
        if "failed" in found:
            print(f"{name:20}{found['failed']}")
            continue
        cells = [
            f"{found['rates'][str(count)]:12.0f}" if str(count) in found["rates"] else f"{'-':>12}" for count in COUNTS
        ]
        print(f"{name + ', ' + found['way']:20}" + "".join(cells) + "  images/s, all together")
        if found.get("ended"):
            print(f"{'':20}more: {found['ended']}")
    print()


def show_quality(name: str, rows: Mapping[str, Any]) -> None:
    """PSNR on validation images by wall seconds."""
    print(f"{name}: PSNR/dB on validation images after wall seconds of training")
    for who, row in rows.items():
        title = f"ours, {row.get('way', 'fast')}" if who == "ours" else "deepinv.Trainer"
        if "failed" in row:
            print(f"  {title:26}{row['failed']}")
            continue
        curve = "  ".join(f"{seconds:.0f} s {psnr:.2f}" for seconds, psnr in row["curve"])
        print(f"  {title:26}{row['steps']} steps: {curve}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
