"""Tries an installed wheel the way a reader of the documentation does, in an environment and a folder of its own.

``make release-check`` calls it with the Python of such an environment; only what the wheel asks for is installed there.

Usage: python packaging/release_check.py core | train
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_MB = 300
"""Of the analysis side with everything that it needs."""
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALLER = (
    ("val = 24", "val = 3"), ("test = 48", "test = 4"), ("n = [10, 30, 100, 300, 600]", "n = [4, 8, 16]"),
    ("width = [8, 16, 32]", "width = [4, 8]"), ("seed = [0, 1, 2]", "seed = [0]"), ("steps = 4000", "steps = 150"),
)  # fmt: skip
"""The plan of the first tutorial, in minutes instead of a night."""


def run(*words: str, code: int = 0) -> str:
    """What a command of the environment says; anything but the exit code that is expected ends the check."""
    program = Path(sysconfig.get_path("scripts")) / words[0]
    made = subprocess.run([program, *words[1:]], capture_output=True, text=True, env=environment())
    print(f"$ {' '.join(words)}\n{made.stdout}{made.stderr}"[:1500].rstrip(), flush=True)
    if made.returncode != code:
        sys.exit(f"{words}: exit code {made.returncode}, {code} was expected\n{made.stderr[-2000:]}")
    return made.stdout + made.stderr


def environment() -> dict[str, str]:
    """Without what would lead back to the repository."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def blocks(page: str) -> list[str]:
    """The blocks of code of a page of the documentation."""
    return BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))


def check_size() -> None:
    """Say what the environment weighs, package by package, and refuse too much."""
    place = Path(sysconfig.get_path("purelib"))
    sizes: dict[str, float] = {}
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(place).parts[0].removesuffix(".libs")
            sizes[name] = sizes.get(name, 0.0) + path.stat().st_blocks * 512 / 1e6
    installers = [name for name in sizes if name.startswith(("pip", "setuptools", "pkg_resources"))]
    tools = sum(sizes.pop(name) for name in installers)
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"{size:8.1f} MB {name}")
    total = sum(sizes.values())
    print(f"{total:8.1f} MB in all, beside pip and setuptools ({tools:.0f} MB)")
    if total > MOST_MB:
        sys.exit(f"more than {MOST_MB} MB")


def check_core() -> None:
    """The analysis side alone: no torch, no matplotlib."""
    run("reconscale", "--version")
    rows = next(block for block in blocks("start.md") if block.startswith("n,seed,psnr"))
    Path("points.csv").write_text(rows)
    verdict = run("reconscale", "decide", "points.csv", "--worthwhile", "0.1", "--target", "32")
    if not re.match(r"(COLLECT MORE|TRAIN LARGER|STOP|UNDECIDED)", verdict):
        sys.exit("no verdict")
    run("reconscale", "forecast", "points.csv", "--n", "6000")
    said = run("reconscale", "report", "points.csv", code=2)
    if "pip install 'reconscale[figures]'" not in said:
        sys.exit("what is missing is not said")
    said = run("reconscale", "demo", code=2)
    if "pip install 'reconscale[train]'" not in said:
        sys.exit("what is missing is not said")
    check_size()


def check_train() -> None:
    """The demonstration, the first tutorial and the notebook of own numbers."""
    run("reconscale", "demo")
    check_tutorial()
    check_notebook(ROOT / "docs" / "tutorials" / "own-numbers.ipynb")


def check_tutorial() -> None:
    """The commands of the first tutorial, on small photographs and with a smaller plan."""
    import numpy as np
    from PIL import Image
    from skimage import data

    photograph = data.astronaut()
    Path("photographs").mkdir()
    for index in range(30):
        top, left = 60 * (index // 6), 60 * (index % 6)
        Image.fromarray(np.ascontiguousarray(photograph[top : top + 96, left : left + 96])).save(
            f"photographs/{index}.png"
        )
    plan = next(block for block in blocks("tutorial.md") if block.startswith("version = 2"))
    for before, after in SMALLER:
        if before not in plan:
            sys.exit(f"docs/tutorial.md has no line {before!r}")
        plan = plan.replace(before, after)
    Path("my-study").mkdir()
    Path("my-study/study.toml").write_text(plan)
    for block in blocks("tutorial.md"):
        for line in block.splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["reconscale"] and "reconstruct" not in words:
                run(*words, *(["--keep-going"] if words[1] == "run" else []))
    weights = next(Path("my-study/runs").glob("*/weights.safetensors"))
    run("reconscale", "reconstruct", str(weights.parent), "photographs/0.png", "--out", "clean.png")


def check_notebook(path: Path) -> None:
    """The cells of a notebook, as a kernel runs them, in a process that has left the repository."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    ast.parse(text)
    made = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True,
                          env=environment() | {"MPLBACKEND": "agg"})  # fmt: skip
    print(f"{path.name}: {len(cells)} cells, exit code {made.returncode}", flush=True)
    if made.returncode:
        sys.exit(made.stderr[-2000:])


if __name__ == "__main__":
    checks = {"core": check_core, "train": check_train}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        checks[sys.argv[1]]()
        os.chdir("/")
    print(f"{sys.argv[1]}: all is well with Python {sys.version.split()[0]}")
