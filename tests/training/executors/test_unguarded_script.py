"""A script without ``if __name__ == "__main__"`` that calls rs.run: workers do not start it over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import reconscale as rs
from torch import nn

print("began", flush=True)
{parts}
study = rs.parse_study({{
    "version": 2, "name": "x", "problem": {{"kind": "denoising", "sigma": 25}},
    "images": {{"source": "bundled", "channels": "gray", "tile": 64, "counts": "images", "patch": 16, "val": 1,
               "test": 1}},
    "network": {{"family": "{family}"}}, "sweep": {{"n": [2, 4], "width": [4], "seed": [0]}},
    "recipe": {{"steps": 4, "batch": 1, "optimizer": "adam"}}}})
print(len(rs.run(study, "runs", rs.ExecutionConfig(device="cpu", workers=2), probe=False, keep_going=True).done),
      flush=True)
"""
PARTS = 'rs.FAMILIES["mine"] = rs.make_family(lambda channels, width: nn.Conv2d(channels, channels, 3, padding=1))'


def started(folder: Path, **parts: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT.format(**parts))
    command = [sys.executable, "script.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_it_runs_once(tmp_path: Path) -> None:
    done = started(tmp_path, family="linear", parts="")
    assert done.stdout == "began\n2\n", done.stderr


def test_its_own_parts_are_not_known_to_workers(tmp_path: Path) -> None:
    """Importing it would begin the sweep again in each worker; what helps is said."""
    done = started(tmp_path, family="mine", parts=PARTS)
    last = done.stderr.strip().splitlines()[-1]
    assert done.stdout == "began\n" and "found 'mine'" in last and 'call below `if __name__ == "__main__":`' in last
