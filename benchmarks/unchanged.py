"""Whether a change of the code changes any number: run ids, answers and tiny runs of two checkouts, value by value.

Recorded for a checkout, always on the studies and files of the one that this script lies in:

- the run ids of all study files under ``studies/``;
- the JSON of ``forecast``, ``decide``, ``fit``, ``plan`` and ``compare``, and the numbers of reports, on every study
  with results, on CSV files of made-up points, and on what ``import`` makes of the logs under ``tests/``;
- the results of a tiny sweep for each kind of problem, with hashes of the weights and of the measures of every image.

Times are left out. Bits depend on the processor, so both checkouts are recorded on one machine in one go:

    python benchmarks/unchanged.py --old ../old-checkout        # all that differs between it and this checkout
    python benchmarks/unchanged.py --record before.json         # or in two steps
    python benchmarks/unchanged.py --against before.json

Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("ids", "answers", "runs")
LEFT_OUT = {"times", "memory", "versions", "result.json"}
"""Keys whose values are not compared; a result holds its own hash, times included, under `result.json`."""

FLAGS = ["--worthwhile", "0.05", "--target", "32", "--cost-per-image", "0.5"]
PAIRS = [
    ("denoising-swinir/unet", "denoising-swinir/swinir"),
    ("superresolution-photos/edsr-2x", "superresolution-photos/swinir-2x"),
    ("mri-brain/unet-4x", "mri-brain/unrolled-4x"),
    ("self-supervised/mse", "self-supervised/neighbor2neighbor"),
]

KINDS = {
    "denoising": "photons = 500.0\ntest_sigma = [10]",
    "mri": 'mask = "random"\ncoils = 2',
    "superresolution": "factor = 2\nsigma = 2",
    "deblurring": "radius = 1.2",
    "inpainting": "keep = 0.7\nsigma = 5.0",
    "tomography": "angles = 8",
    "compressed-sensing": "block = 4",
    "deepinv": 'operator = "Blur"\narguments = {filter = [[0.5, 0.25], [0.25, 0.0]], padding = "reflect"}',
}
"""The tiny sweeps: what their ``[problem]`` says besides its kind."""

TINY = """
name = "tiny"
[problem]
kind = "{kind}"
{options}
[images]
source = "deadleaves"
channels = "gray"
size = 40
total = 8
patch = 32
val = 1
val_patch = {side}
test = 2
test_patch = {side}
[sweep]
n = [2, 4]
width = [4]
seed = [0]
[recipe]
steps = 8
batch = 2
validate_every = 4
"""

IDS = """
import json, sys, reconscale
print(json.dumps({path: [run.id for run in reconscale.runs_of(reconscale.load_study(path))] for path in sys.argv[1:]}))
"""


def main() -> int:
    """Parse the flags, record, compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the values of the checkout into this file")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare the checkout with this record")
    parser.add_argument("--old", type=Path, metavar="CHECKOUT", help="record both, and compare")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="whose code runs; default: this one")
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--most", type=int, default=200, help="differences that are printed")
    flags = parser.parse_args()
    for checkout in (flags.old, flags.checkout):  # without its code this checkout's would run, and nothing would differ
        if checkout is not None and not (checkout / "src" / "reconscale").is_dir():
            parser.error(f"{checkout} holds no src/reconscale: give the top folder of a checkout")
    before = json.loads(flags.against.read_text()) if flags.against else None
    if flags.old:
        before = record(flags.old.resolve(), flags.parts)
    after = record(flags.checkout.resolve(), flags.parts)
    if flags.record:
        flags.record.write_text(json.dumps(after, indent=1))
    if before is None:
        return 0
    found = list(differences({part: before.get(part) for part in flags.parts}, after))
    for path, value in refusals(after):
        print(f"refused: {path}\n    {value}")
    for kind, path, old, new in found[: flags.most]:
        print(f"{kind}: {path}\n    {brief(old)}\n    {brief(new)}")
    counts = {kind: sum(each[0] == kind for each in found) for kind in ("number", "text", "gone", "new")}
    print(f"{count_values(after)} values; differ: " + ", ".join(f"{value} {kind}" for kind, value in counts.items()))
    return int(bool(found))


def record(checkout: Path, parts: list[str]) -> dict[str, Any]:
    """What the code of a checkout makes of everything."""
    makers = {"ids": run_ids, "answers": answers, "runs": tiny_runs}
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for part in parts:
            place = Path(folder, part)
            place.mkdir()
            made[part] = makers[part](checkout, place)
        return made


def python(checkout: Path, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Python with the package of that checkout, one thread, and a cache of its own."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    more = one | {"PYTHONPATH": str(checkout / "src"), "RECONSCALE_CACHE": str(folder / "cache"), "COLUMNS": "200"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True)


def run_ids(checkout: Path, folder: Path) -> Any:
    """The ids of the runs of every study file, in their order."""
    paths = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "studies").rglob("study.toml"))
    made = python(checkout, folder, "-c", IDS, *paths)
    made.check_returncode()
    return json.loads(made.stdout)


def answers(checkout: Path, folder: Path) -> dict[str, Any]:
    """What the verbs of the command line print as JSON, by the command; the text of refusals."""
    studies = sorted(path.parent for path in (ROOT / "studies").rglob("study.toml") if (path.parent / "runs").is_dir())
    sources = [study.relative_to(ROOT) for study in studies]
    files = {path: ["--metric", metric] for path, metric in write_points(folder).items()}
    commands = [[verb, source] for source in sources for verb in ("forecast", "decide", "fit")]
    commands += [["plan", source, "--no-calibrate"] for source in sources]
    commands += [["decide", "studies/denoising-photos", *FLAGS, "--cost-per-hour", "2"]]
    commands += [["compare", f"studies/{a}", f"studies/{b}"] for a, b in PAIRS]
    commands += [[verb, path, *flags] for path, flags in files.items() for verb in ("forecast", "decide", "fit")]
    commands += [["decide", path, *flags, *FLAGS] for path, flags in files.items() if path.stem == "surface"]
    commands += [["compare", folder / "psnr.csv", folder / "surface.csv", "--metric", "psnr"]]
    made = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        every = pool.map(lambda words: python(checkout, folder, "-m", "reconscale", *words, "--json"), commands)
        for words, done in zip(commands, every, strict=True):
            key = " ".join(str(word).replace(f"{folder}/", "") for word in words)
            made[key] = json.loads(done.stdout) if done.returncode == 0 else {"refused": plain(done.stderr, folder)}
    for tool in ("lightning", "basicsr"):
        logs, out = f"tests/importers/written/{tool}", folder / f"{tool}.csv"
        done = python(checkout, folder, "-m", "reconscale", "import", logs, "--out", out)
        made[f"import {tool}"] = out.read_text().splitlines() if out.is_file() else plain(done.stderr, folder)
    for study in ("studies/denoising-photos", "studies/mri-brain/unrolled-8x"):
        out = folder / "report"
        python(checkout, folder, "-m", "reconscale", "report", study, "--out", out)
        made[f"report {study}"] = json.loads((out / "numbers.json").read_text())
    return made


def plain(text: str, folder: Path) -> str:
    """The last line of what went wrong, without the name of the temporary folder."""
    return (text.strip().splitlines() or [""])[-1].replace(f"{folder}/", "")


def write_points(folder: Path) -> dict[Path, str]:
    """CSV files of made-up points, the same every time: by path, their metric."""
    rng = np.random.default_rng(0)
    n = np.repeat([10, 30, 100, 300, 1000, 3000], 3)
    error = (2e-3 * n**-0.4 + 8e-4) * np.exp(0.01 * rng.standard_normal(len(n)))
    seed = np.tile([0, 1, 2], len(n) // 3)
    wide = np.array([(size, p, s) for size in (20, 80, 320, 1280) for p in (3000, 12000, 48000) for s in (0, 1)])
    both = (3e-3 * wide[:, 0] ** -0.5 + 0.1 * wide[:, 1] ** -0.6 + 1e-3) * np.exp(0.01 * rng.standard_normal(len(wide)))
    psnr = np.round(-10 * np.log10(both), 4)
    tables = {
        "error": ({"n": n, "error": error, "seed": seed}, "error"),
        "psnr": ({"n": n, "psnr": np.round(-10 * np.log10(error), 4), "seed": seed}, "psnr"),
        "ssim": ({"n": n[::3], "ssim": np.round(1 - 60 * error[::3], 5)}, "ssim"),
        "surface": ({"n": wide[:, 0], "p": wide[:, 1], "seed": wide[:, 2], "psnr": psnr}, "psnr"),
        "widths": ({"n": wide[:, 0], "width": wide[:, 1] // 1500, "seed": wide[:, 2], "psnr": psnr}, "psnr"),
        "three": ({"n": [10, 40, 160], "error": [3e-3, 2e-3, 1.6e-3]}, "error"),
        "one": ({"n": [10, 10], "error": [3e-3, 2e-3]}, "error"),
    }
    for name, (columns, _) in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return {folder / f"{name}.csv": metric for name, (_, metric) in tables.items()}


def tiny_runs(checkout: Path, folder: Path) -> dict[str, Any]:
    """What a tiny sweep of each kind of problem leaves behind, bit for bit."""
    made: dict[str, Any] = {}
    for kind, options in KINDS.items():
        study = folder / kind / "study.toml"
        study.parent.mkdir()
        side = 32 if kind == "tomography" else 40  # the views of a crop are not those of its image
        study.write_text(TINY.format(kind=kind, options=options, side=side))
        flags = ["--device", "cpu", "--workers", 1, "--threads", 1, "--stack", 1, *keep_going(checkout)]
        done = python(checkout, folder, "-m", "reconscale", "run", study, *flags)
        made[kind] = (
            files_of(study.parent / "runs") if done.returncode == 0 else {"refused": plain(done.stderr, folder)}
        )
    return made


def keep_going(checkout: Path) -> list[str]:
    """The flag that trains all of a tiny sweep, which ends below its input; none in checkouts that never stop."""
    flag = "--keep-going"
    return [flag] if flag in (checkout / "src/reconscale/cli/study.py").read_text(encoding="utf-8") else []


def files_of(runs: Path) -> dict[str, Any]:
    """The content of result files, and hashes of weights and tables, by their path."""
    made: dict[str, Any] = {}
    for path in sorted(runs.rglob("*")):
        name = path.relative_to(runs).as_posix()
        if path.suffix in (".csv", ".safetensors"):
            made[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name in ("result.json", "anchors.json"):
            made[name] = json.loads(path.read_text())
    return made


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """What differs: the kind of difference (number, text, gone, new), where, before, after."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            where = f"{path}{' > ' * bool(path)}{key}"
            if key in LEFT_OUT:
                continue
            if key not in old or key not in new:
                yield ("new", where, None, new[key]) if key in new else ("gone", where, old[key], None)
            else:
                yield from differences(old[key], new[key], where)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif old != new and not (old != old and new != new):
        yield "text" if isinstance(old, str) and isinstance(new, str) else "number", path, old, new


def count_values(value: Any) -> int:
    """Numbers and texts in what was recorded."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inside is None else sum(map(count_values, inside))


def refusals(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The commands that refused, and why: some should, but a tiny run that cannot be run compares nothing."""
    for key, inside in value.items() if isinstance(value, dict) else ():
        if key == "refused":
            yield path, inside
        else:
            yield from refusals(inside, f"{path}{' > ' * bool(path)}{key}")


def brief(value: Any) -> str:
    """A value on one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."


if __name__ == "__main__":
    sys.exit(main())
