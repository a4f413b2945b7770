"""Coverage-guided fuzzing of every reader: a file gives a value or a ``UserError``; no other exception, no hang.

    python fuzz/campaign.py --hours 1                 # every reader in turn, again and again
    python fuzz/campaign.py --hours 0.1 tiff dicom    # some of them

What is found lies in ``.fuzz/found`` (the file, and the traceback beside it), what was learned in ``.fuzz/corpus``, and
``.fuzz/log.jsonl`` counts: a line for each turn of a reader. Needs the package atheris (Linux, CPython 3.11 or 3.12).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".fuzz"
FOUND, CORPUS, LOG = HOME / "found", HOME / "corpus", HOME / "log.jsonl"
INSTRUMENTED = [
    "reconscale",
    "tomllib",
    "tifffile",
    "pydicom",
    "nibabel",
    "zarr",
    "ismrmrd",
    "PIL",
    "yaml",
]
LARGEST, SLOWEST, MEMORY = 65_536, 10, 8 << 30
"""Bytes of an input, seconds for one, and bytes of address space for all."""


def main() -> int:
    """Fuzz in turns until the time is over; 1 where something was found."""
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="in all [default: 1]")
    parser.add_argument("--turn", type=int, default=60, help="seconds of a turn [default: 60]")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("readers", nargs="*", help="their names [default: all]")
    asked = parser.parse_args()
    if asked.one:
        fuzz(asked.one, asked.place, asked.turn)
        return 0
    from tests.security.readers import READERS

    unknown = set(asked.readers) - set(READERS)
    if unknown:
        parser.error(f"no reader is called {min(unknown)}; known: {', '.join(READERS)}")
    end = time.monotonic() + 3600 * asked.hours
    for name in itertools.cycle(asked.readers or READERS):
        left = int(end - time.monotonic())
        if left < 5:
            break
        turn(name, min(left, asked.turn))
    found = sorted(path.name for path in FOUND.glob("*") if path.suffix != ".txt")
    print(f"{len(found)} files in {FOUND}", *found, sep="\n  ")
    return int(bool(found))


def turn(name: str, seconds: int) -> None:
    """One turn of one reader, in a process of its own: a crash of a library ends that process alone."""
    FOUND.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        words = [sys.executable, __file__, "--one", name, "--place", place, "--turn", str(seconds)]
        ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    counted = re.search(r"number_of_executed_units: *(\d+)", ended.stderr) or re.search(
        r"#(\d+)\s[^\n]*\n*\Z", ended.stderr
    )
    line = {
        "reader": name,
        "seconds": round(time.monotonic() - began, 1),
        "executions": int(counted[1]) if counted else 0,
        "code": ended.returncode,
    }
    if ended.returncode:
        (FOUND / f"{name}-{int(time.time())}.txt").write_text(ended.stderr[-20_000:])
    with LOG.open("a") as stream:
        stream.write(json.dumps(line) + "\n")
    print(line, flush=True)


def fuzz(name: str, place: Path, seconds: int) -> None:
    """Fuzz one reader in this process."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from tests.security import readers

        from reconscale.errors import UserError

        numbers = itertools.count()

        def once(data: bytes) -> None:
            folder = place / str(next(numbers))
            folder.mkdir()
            try:
                readers.read(name, data, folder)
            except UserError:
                pass
            except Exception as error:  # what the campaign is for
                keep(name, data, error)
            finally:
                shutil.rmtree(folder)

        corpus = CORPUS / name
        corpus.mkdir(parents=True, exist_ok=True)
        for data in readers.READERS[name].valid():
            (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
            once(data)
    run(atheris, once, name, seconds, corpus)


def run(atheris: object, once: Callable[[bytes], None], name: str, seconds: int, corpus: Path) -> None:
    """Hand over to libFuzzer; it does not come back."""
    options = {
        "max_total_time": seconds,
        "max_len": LARGEST,
        "timeout": SLOWEST,
        "rss_limit_mb": 4096,
        "print_final_stats": 1,
        "artifact_prefix": f"{FOUND}/{name}-",
    }
    atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], once)  # type: ignore[attr-defined]
    atheris.Fuzz()  # type: ignore[attr-defined]


def keep(name: str, data: bytes, error: Exception) -> None:
    """Keep the shortest file for each place that an exception comes from, and go on."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/fuzz/" not in frame.filename]
    ours = [frame for frame in frames if "/src/reconscale/" in frame.filename] or frames
    told = f"{type(error).__name__} {ours[-1].filename} {ours[-1].lineno}"
    path = FOUND / f"{name}-{hashlib.sha1(told.encode()).hexdigest()[:8]}"
    if not path.is_file() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    sys.exit(main())
