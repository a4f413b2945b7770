"""Everything that can go wrong, on purpose: faults are injected into a sweep, and its results compared.

A study of 16 runs is run undisturbed, and then under faults: processes are killed, files damaged, cut short and
taken away, the disk filled, memory withheld, clocks set wrong. After each fault that ends the command, what its message
advises is done, and it is started again. At the end every result must be that of the undisturbed sweep to the last bit.

    python benchmarks/faults.py                  # 200 faults, about half an hour on two cores
    python benchmarks/faults.py --faults 13 --steps 300 --runs 4      # one of each kind

Linux only: it looks into /proc. The disk is filled for real where a small file system can be mounted (as root), else
files are limited in size.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STUDY = """
name = "faults"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 48
total = 40
patch = 32
val = 4
test = 4
[sweep]
n = {n}
width = [2, 4]
seed = {seeds}
[recipe]
steps = {steps}
batch = 2
[[override]]
n = [2, 2]
width = [2, 2]
recipe = {{ lr = 1e30, warmup = 0.0, decay = "none" }}
"""
"""One cell of the grid diverges: that the loss is not finite is a result like any other."""

SHARES = {
    "worker killed": 60, "checkpoint damaged": 30, "checkpoint cut short": 10, "driver killed": 24,
    "driver asked to stop": 10, "fork server killed": 8, "result damaged": 10, "images damaged": 8,
    "images taken away": 8, "disk full": 10, "memory exhausted": 8, "clock wrong": 8, "raylet killed": 6,
}  # fmt: skip
"""Faults of each kind among 200."""


@dataclass
class Hit:
    """What has been done to a sweep.

    Attributes:
        study: its file.
        cache: of the packed images.
        chance: decides what, where and when.
        flags: of the command.
        process: the command while it runs.
        said: last lines of commands that ended with an error.
    """

    study: Path
    cache: Path
    chance: random.Random
    flags: tuple[str, ...] = ("--workers", "2")
    process: subprocess.Popen[bytes] | None = None
    said: list[str] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        """The results folder."""
        return self.study.parent / "runs"

    def start(self, *more: str, limit: int | None = None) -> None:
        """Start the command, or start it again; files may have at most ``limit`` bytes."""
        limited = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
        command = [
            sys.executable,
            "-m",
            "reconscale",
            "run",
            str(self.study),
            "--keep-going",
            "--checkpoint-seconds",
            "0.3",
        ]
        with (self.study.parent / "command.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.flags, *more], env=environment(self.cache), stdout=log, stderr=log,
                start_new_session=True, preexec_fn=limited,
            )  # fmt: skip

    def wait(self) -> int:
        """Wait for the command to end."""
        assert self.process
        code = self.process.wait()
        self.process = None
        return code

    def last_words(self) -> str:
        """The last line that the command wrote."""
        lines = (self.study.parent / "command.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self, sign: int = signal.SIGKILL) -> None:
        """Send a signal to the command's process group and wait for its end, and that of its workers."""
        assert self.process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sign)
        self.wait()
        until(lambda: not workers_of(self.cache), 60)


def environment(cache: Path) -> dict[str, str]:
    """Of all commands: a cache of their own, by which their processes are also known."""
    return os.environ | {"RECONSCALE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def workers_of(cache: Path, name: bytes = b"multiprocessing") -> list[int]:
    """Worker processes of these commands: leaders of a session below a fork server."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            session = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
            ours = str(cache).encode() in (entry / "environ").read_bytes()
            if ours and name in line and session == int(entry.name):
                found.append(int(entry.name))
    return found


def processes_of(cache: Path, name: bytes) -> list[int]:
    """Processes of these commands whose command line holds a word."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            named = entry.name.isdigit() and name in (entry / "cmdline").read_bytes()
            if named and str(cache).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def until(true: Callable[[], object], seconds: float) -> bool:
    """Wait for something; whether it came."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def shoot(pid: int) -> None:
    """End a process at once, where it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# The faults: each does its harm; where the command has ended, ``mended`` starts it again.


def worker_killed(hit: Hit) -> None:
    """A worker process."""
    if pids := workers_of(hit.cache):
        shoot(hit.chance.choice(pids))


def checkpoint_damaged(hit: Hit) -> None:
    """One bit of a checkpoint, and its worker must begin from it."""
    _harm_a_checkpoint(hit, lambda content, at: content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :])


def checkpoint_cut_short(hit: Hit) -> None:
    """A checkpoint of which only a part is there."""
    _harm_a_checkpoint(hit, lambda content, at: content[:at])


def _harm_a_checkpoint(hit: Hit, harm: Callable[[bytes, int], bytes]) -> None:
    for pid in workers_of(hit.cache):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)  # or it would be replaced by the next one before it is read
    with contextlib.suppress(OSError):
        if paths := sorted(hit.runs.glob("*/checkpoint.pt")):
            path = hit.chance.choice(paths)
            content = path.read_bytes()
            path.write_bytes(harm(content, hit.chance.randrange(len(content))))
    for pid in workers_of(hit.cache):
        shoot(pid)


def driver_killed(hit: Hit) -> None:
    """The command itself, with no chance to say anything."""
    hit.kill()


def driver_asked_to_stop(hit: Hit) -> None:
    """The command gets SIGTERM."""
    hit.kill(signal.SIGTERM)


def fork_server_killed(hit: Hit) -> None:
    """The process that workers are forked from: they seem to have ended, and have not."""
    for pid in set(processes_of(hit.cache, b"forkserver")) - set(workers_of(hit.cache)):
        shoot(pid)


def result_damaged(hit: Hit) -> None:
    """A digit of a result, while the command is not running: it is refused, and deleted as the message says."""
    hit.kill()
    paths = [p for p in sorted(hit.runs.glob("*/result.json")) if '"status": "done"' in p.read_text()]
    if not paths:
        return
    path = hit.chance.choice(paths)
    text = path.read_text()
    harmed = text
    while values(harmed) == values(text):  # the last of 17 digits may change nothing
        at = hit.chance.choice([i for i, letter in enumerate(text) if letter.isdigit()])
        harmed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
    path.write_text(harmed)
    hit.start()
    assert hit.wait() == 2, "a damaged result was not refused"
    assert "delete that folder" in hit.last_words(), hit.last_words()
    shutil.rmtree(path.parent)


def values(text: str) -> Any:
    """What a JSON text says; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def images_damaged(hit: Hit) -> None:
    """One byte of the packed images, under the eyes of those who read them."""
    path = hit.chance.choice(packed(hit.cache))
    with path.open("r+b") as stream:
        stream.seek(hit.chance.randrange(path.stat().st_size))
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 255]))
    _expect_refusal(hit)
    call(hit, "data", str(hit.study), "--verify")


def images_taken_away(hit: Hit) -> None:
    """The folder of the packed images."""
    (hit.cache / "images").rename(hit.cache / "elsewhere")
    _expect_refusal(hit)
    shutil.rmtree(hit.cache / "images", ignore_errors=True)
    (hit.cache / "elsewhere").rename(hit.cache / "images")


def _expect_refusal(hit: Hit) -> None:
    """The command must end by itself, with one sentence."""
    assert hit.process
    if not until(lambda: hit.process and hit.process.poll() is not None, 60):
        hit.kill()
        return
    code = hit.wait()
    assert code in (0, 1, 2), f"exit code {code}: {hit.last_words()}"
    until(lambda: not workers_of(hit.cache), 60)


def packed(cache: Path) -> list[Path]:
    """The files of the packed pixels and their indices; thumbnails have no part in a run."""
    files = (path for path in (cache / "images").rglob("*") if path.suffix in (".bin", ".npy", ".npz"))
    return sorted(path for path in files if "thumbs" not in path.name)


def disk_full(hit: Hit) -> None:
    """No byte can be written any more, until room is made."""
    mounted = os.path.ismount(hit.study.parent)
    if mounted:
        filler = hit.study.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(bytes(65536))
        _expect_refusal(hit)
        filler.unlink()
    else:
        hit.kill()
        hit.start(limit=20_000)
        _expect_refusal(hit)


def memory_exhausted(hit: Hit) -> None:
    """A worker gets no more memory: its run fails, and is run again on demand."""
    for pid in workers_of(hit.cache)[:1]:
        with contextlib.suppress(OSError, ProcessLookupError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            resource.prlimit(pid, resource.RLIMIT_AS, (pages * 4096, pages * 4096))


def clock_wrong(hit: Hit) -> None:
    """Files that are days in the future or in the past."""
    shift = hit.chance.choice([-10, 10]) * 86400
    for path in [*hit.runs.glob("*/checkpoint*.pt"), *hit.runs.glob(".*")]:
        with contextlib.suppress(OSError):
            os.utime(path, (time.time() + shift,) * 2)
    worker_killed(hit)


def raylet_killed(hit: Hit) -> None:
    """The sweep continues with Ray, whose own process then dies."""
    hit.kill()
    before, hit.flags = hit.flags, ("--ray", "auto", "--workers", "2")
    hit.start()
    kept = newest(hit.runs)
    until(lambda: newest(hit.runs) > kept or hit.process is None or hit.process.poll() is not None, 120)
    for pid in processes_of(hit.cache, b"raylet/raylet"):
        shoot(pid)
    if hit.process and not until(lambda: hit.process and hit.process.poll() is not None, 120):
        hit.kill()
    hit.process = None
    for pid in (*processes_of(hit.cache, b"ray"), *processes_of(hit.cache, b"gcs_server")):
        shoot(pid)
    until(lambda: not workers_of(hit.cache), 60)
    hit.flags = before


def newest(runs: Path) -> float:
    """When the last checkpoint was kept."""
    times = []
    for path in runs.glob("*/checkpoint.pt"):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


FAULTS: dict[str, Callable[[Hit], None]] = {
    "worker killed": worker_killed, "checkpoint damaged": checkpoint_damaged,
    "checkpoint cut short": checkpoint_cut_short, "driver killed": driver_killed,
    "driver asked to stop": driver_asked_to_stop, "fork server killed": fork_server_killed,
    "result damaged": result_damaged, "images damaged": images_damaged, "images taken away": images_taken_away,
    "disk full": disk_full, "memory exhausted": memory_exhausted, "clock wrong": clock_wrong,
    "raylet killed": raylet_killed,
}  # fmt: skip


def call(hit: Hit, *words: str) -> str:
    """Another command, and what it said."""
    command = [sys.executable, "-m", "reconscale", *words]
    done = subprocess.run(command, env=environment(hit.cache), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def records(study: Path) -> dict[str, Any]:
    """Every result but for its times, with its tables and its weights."""
    found = {}
    for path in sorted((study.parent / "runs").glob("*/result.json")):
        record = json.loads(path.read_text())
        for key in ("times", "memory", "sha256"):
            record.pop(key, None)
        files = [path.with_name(name) for name in ("images.csv", "volumes.csv", "weights.safetensors")]
        found[path.parent.name] = (record, [each.read_bytes() for each in files if each.is_file()])
    return found


def drawn(count: int, chance: random.Random) -> list[str]:
    """Which faults, in which order: each kind by its share, one at least of each where there are enough."""
    total = sum(SHARES.values())
    bag = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * count / total)))]
    chance.shuffle(bag)
    rare = [kind for kind in SHARES if kind not in bag[:count]]
    kinds = bag[:count]
    for kind in rare:  # one of each, in the place of the most frequent
        if (most := Counter(kinds).most_common(1)) and most[0][1] > 1:
            kinds[kinds.index(most[0][0])] = kind
    return kinds


def main() -> None:
    """Parse the flags, run both sweeps, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--runs", type=int, default=16, help="a multiple of 4")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as home:
        found = attempt(Path(home), flags)
    show(found)
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=2) + "\n")
    raise SystemExit(1 if found["lost"] or found["wrong"] or found["tracebacks"] else 0)


def attempt(home: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Both sweeps, and what came out."""
    n = [2, 4, 8, 16][: 4 if flags.runs >= 16 else 2]
    seeds = list(range(max(1, flags.runs // (2 * len(n)))))
    text = STUDY.format(n=n, seeds=seeds, steps=flags.steps)
    calm = Hit(written(home / "calm", text), home / "cache", random.Random(0))
    began = time.monotonic()
    calm.start()
    code = calm.wait()
    assert code == 1, f"the undisturbed sweep ended with {code}: {calm.last_words()}"  # one cell diverges
    undisturbed = time.monotonic() - began
    kinds, found = drawn(flags.faults, random.Random(flags.seed)), dict[str, Any]()
    while kinds:  # a sweep that is over before all faults are used up is run once more
        hit = Hit(home / f"hit-{len(kinds)}" / "study.toml", home / "cache", random.Random(flags.seed + len(kinds)))
        with mounted(hit.study.parent):
            written(hit.study.parent, text)
            found = added(found, disturbed(calm, hit, kinds, undisturbed))
    return found


@contextlib.contextmanager
def mounted(place: Path) -> Iterator[None]:
    """A folder on a small file system of its own, where that can be had."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    own = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if own:
            subprocess.run(["umount", "-l", str(place)], check=True)


def added(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The figures of several sweeps."""
    if not before:
        return found
    noted = {
        kind: [a + b for a, b in zip(before["noted"].get(kind, (0, 0)), found["noted"].get(kind, (0, 0)), strict=True)]
        for kind in {**before["noted"], **found["noted"]}
    }
    return {
        "injected": dict(Counter(before["injected"]) + Counter(found["injected"])),
        "runs": before["runs"] + found["runs"], "lost": before["lost"] + found["lost"],
        "wrong": before["wrong"] + found["wrong"], "noted": noted,
        "tracebacks": before["tracebacks"] + found["tracebacks"],
        "undisturbed": before["undisturbed"] + found["undisturbed"], "took": before["took"] + found["took"],
    }  # fmt: skip


def written(place: Path, text: str) -> Path:
    """The study file in a folder of its own."""
    place.mkdir(exist_ok=True)
    (place / "study.toml").write_text(text)
    return place / "study.toml"


def disturbed(calm: Hit, hit: Hit, kinds: list[str], undisturbed: float) -> dict[str, Any]:
    """Inject faults until they are used up, or the sweep is over; those that are left stay in ``kinds``."""
    wanted, began = len(records(calm.study)), time.monotonic()
    injected: Counter[str] = Counter()
    hit.start()
    while kinds and len(list(hit.runs.glob("*/result.json"))) < wanted:
        kind = kinds.pop()
        kept = newest(hit.runs)
        until(lambda kept=kept: newest(hit.runs) != kept or not (hit.process and hit.process.poll() is None), 60)
        time.sleep(hit.chance.uniform(0.0, 0.8))
        if hit.process is None or hit.process.poll() is not None:
            hit.start("--retry-failed")
            until(lambda: workers_of(hit.cache), 60)
        FAULTS[kind](hit)
        injected[kind] += 1
        if sum(injected.values()) % 20 == 0:
            over = len(list(hit.runs.glob("*/result.json")))
            print(f"{sum(injected.values())} faults, {over} runs over, {time.monotonic() - began:.0f} s", flush=True)
        if hit.process is None:
            hit.start("--retry-failed")
    for _ in range(10):
        if hit.process is not None:
            hit.wait()
        found = json.loads(call(hit, "status", str(hit.study), "--json") or "{}")
        if not found["failed"] and not found["started"] and not found["todo"]:
            break
        hit.start("--retry-failed")
    return judged(calm, hit, injected, undisturbed, time.monotonic() - began)


def judged(calm: Hit, hit: Hit, injected: Counter[str], undisturbed: float, took: float) -> dict[str, Any]:
    """Compare the two sweeps."""
    right, there = records(calm.study), records(hit.study)
    status = json.loads(call(hit, "status", str(hit.study), "--json"))
    said = (hit.study.parent / "command.log").read_text(errors="replace").splitlines()
    return {
        "injected": dict(injected), "runs": len(right), "lost": sorted(set(right) - set(there)),
        "wrong": sorted(name for name in there if there[name] != right.get(name)),
        "tracebacks": sum(line.startswith("Traceback") for line in said),
        "noted": status["faults"], "undisturbed": undisturbed, "took": took,
    }  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    print(f"\n{'fault':24}{'injected':>10}")
    for kind, count in sorted(found["injected"].items(), key=lambda pair: -pair[1]):
        print(f"{kind:24}{count:10}")
    total = sum(found["injected"].values())
    print(f"{'in all':24}{total:10}\n")
    print(f"{'noted by status':24}{'times':>10}{'minutes of work done again':>30}")
    for kind, (count, lost) in found["noted"].items():
        print(f"{kind:24}{count:10}{lost / 60:30.1f}")
    print(f"\n{found['runs']} runs: {len(found['lost'])} lost, {len(found['wrong'])} with another result than "
          f"undisturbed; {found['tracebacks']} tracebacks")  # fmt: skip
    print(f"{found['undisturbed'] / 60:.1f} minutes undisturbed, {found['took'] / 60:.1f} under faults: "
          f"{(found['took'] - found['undisturbed']) / max(1, total):.1f} s a fault")  # fmt: skip


if __name__ == "__main__":
    main()
