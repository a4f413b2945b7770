"""What a command reads before it answers: modules that are imported, and files that are opened, by kind.

python benchmarks/opened.py                             # this checkout
python benchmarks/opened.py ../old-checkout .           # two, side by side
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from unchanged import KINDS, ROOT, TINY, keep_going, write_points

TRACE = """
import atexit, json, os, sys
opened, imported, path = [], set(), os.environ["OPENED"]
def seen(event, words):
    if event == "open" and isinstance(words[0], str):
        opened.append(words[0])
    if event == "import":
        imported.add(words[0])
sys.addaudithook(seen)
def tell():
    found = [name for name in imported if name in sys.modules]
    with open(f"{path}/{os.getpid()}.json", "w") as file:
        json.dump({"opened": opened, "imported": found}, file)
atexit.register(tell)
"""


def main() -> None:
    """Parse the flags, run the commands, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs="*", default=[ROOT])
    parser.add_argument("--study", default="studies/denoising-photos")
    flags = parser.parse_args()
    for place in flags.checkouts:
        print(f"{place}\n{'':24}{'modules':>9}{'ours':>7}{'files':>7}{'results':>9}{'read twice':>12}")
        for command, row in commands_of(place.resolve(), flags.study).items():
            print(f"{command:24}{row[0]:9}{row[1]:7}{row[2]:7}{row[3]:9}{row[4]:12}")


def commands_of(checkout: Path, study: str) -> dict[str, tuple[int, ...]]:
    """Counts by command: all modules, ours, data files opened, result files opened, files opened more than once."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_points(here)
        tiny = here / "tiny" / "study.toml"
        tiny.parent.mkdir()
        tiny.write_text(TINY.format(kind="denoising", options=KINDS["denoising"], side=40))
        (here / "trace").mkdir()
        (here / "trace" / "sitecustomize.py").write_text(TRACE)
        return {
            "forecast points.csv": counts(checkout, here, "forecast", here / "error.csv"),
            "decide STUDY": counts(checkout, here, "decide", study),
            "report STUDY": counts(checkout, here, "report", study, "--out", here / "report"),
            "run, tiny": counts(checkout, here, "run", tiny, "--workers", 1, "--device", "cpu", *keep_going(checkout)),
        }


def counts(checkout: Path, folder: Path, *words: object) -> tuple[int, ...]:
    """The counts of one command, its worker processes included."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = os.pathsep.join([str(folder / "trace"), str(checkout / "src")])
        more = {"PYTHONPATH": path, "OPENED": made, "RECONSCALE_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "reconscale", *map(str, words)]
        subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, check=True)
        traces = [json.loads(path.read_text()) for path in Path(made).iterdir()]
    modules = {name for trace in traces for name in trace["imported"]}
    prefixes = (sys.prefix, sys.base_prefix, str(checkout / "src"), "/proc", "/sys", "/dev")
    opened = Counter(str(Path(name).absolute()) for trace in traces for name in trace["opened"])
    data = {name: count for name, count in opened.items() if not name.startswith(prefixes)}
    return (
        len(modules),
        sum(name.split(".")[0] == "reconscale" for name in modules),
        sum(data.values()),
        sum(count for name, count in data.items() if name.endswith("result.json")),
        sum(count > 1 for count in data.values()),
    )


if __name__ == "__main__":
    main()
