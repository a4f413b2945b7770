"""Time to quality: how good a reconstruction is after this many seconds of one core, ours beside the recipes of others.

    python benchmarks/quality.py --task denoising --seconds 10 --seed 5 --json FILE --data DATA
    python benchmarks/quality.py --task denoising --peer deepinv-dncnn --seconds 30 100 300 --data DATA
    make bench-quality DATA=DATA         # everything, two runs at once; a second call continues where the first stopped
    python benchmarks/quality.py --collect [--task denoising] [--figure FILE]

Ours is a run of a study file of version 2, with the settings of ``quality_tasks.py`` for its budget; they were chosen
on validation images. The number of steps is chosen from the pace of steps that are not counted; then data, noise and
optimiser are, by ``time.process_time`` on one thread, and the seconds that it took are reported. A budget is a run of
its own. The test is not counted, and measures every image of the test set.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quality_suite import Job, carry_out, key_of, read_rows
from quality_table import figure, report
from quality_tasks import SETTINGS, TASKS, Task, check_data, study_content, task_named
from reconscale.errors import UserError

OUT = Path(__file__).parents[1] / ".bench-quality"
SEEDS = (201, 202, 203)
"""Of the whole benchmark; nothing was chosen by runs with them."""
QUICK_LINES = ("input", "nlm", "classical")
"""What is measured beside single runs; BM3D takes minutes, and is left to ``--lines``."""
START = 15.0
"""Seconds until a run trains: imports, images, pace."""
TEST = {"denoising": 40.0, "superresolution": 60.0, "mri": 10.0, "tomography": 3.0}
LINES = {"denoising": 200.0, "superresolution": 60.0, "mri": 60.0, "tomography": 20.0}
"""Guesses of seconds, for the time that is left."""


def main(words: Sequence[str] | None = None) -> int:
    """Parse the flags and do what they say; a user's mistake is one sentence and exit code 2."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # before torch is imported
    flags = _parser().parse_args(words)
    try:
        return _do(flags)
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what was measured is kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", metavar="NAME", help=", ".join(TASKS))
    parser.add_argument("--seconds", nargs="+", type=float, help="budgets; of a peer with a schedule: its moments")
    parser.add_argument("--seed", nargs="+", type=int)
    parser.add_argument("--data", type=Path, help="the data folder; without it $RECONSCALE_DATA")
    parser.add_argument("--peer", metavar="NAME", help="run this recipe instead of ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured here")
    parser.add_argument("--list", action="store_true", help="the tasks, their settings and the peers")
    parser.add_argument("--lines", action="store_true", help="measure what needs no training, and nothing else")
    parser.add_argument("--no-lines", action="store_true", help="leave that out")
    parser.add_argument("--all", action="store_true", help="everything that is not yet in the results folder")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of --all: ours, lines, and these peers alone")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2, help="of --all: runs at once")
    parser.add_argument("--out", type=Path, default=OUT, help="of --all and --collect: the results folder")
    parser.add_argument("--collect", action="store_true", help="print the tables of what is in the results folder")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="of --collect: draw PSNR against seconds (PNG, CSV)"
    )
    parser.add_argument("--core", type=int, help="compute on this core alone")
    settings = parser.add_argument_group("settings of ours, instead of those for the budget")
    for name in ("width", "depth", "cascades", "batch", "patch"):
        settings.add_argument(f"--{name}", type=int)
    for name in ("lr", "weight-decay", "warmup", "hold"):
        settings.add_argument(f"--{name}", type=float)
    for name in ("family", "norm", "head", "optimizer", "precision", "loss", "crop"):
        settings.add_argument(f"--{name}")
    settings.add_argument("--augment", action=argparse.BooleanOptionalAction)
    return parser


def _do(flags: argparse.Namespace) -> int:
    tasks = [task_named(name) for name in flags.task or TASKS]
    data = flags.data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)
    if flags.list:
        print(_listed(tasks))
        return 0
    if flags.collect:
        _collect(tasks, flags.out, flags.figure)
        return 0
    for task in tasks:
        check_data(task, data)
    if flags.all:
        jobs = [job for task in tasks for job in _jobs(task, flags)]
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the runs are ended, too
        return min(1, carry_out(jobs, flags.out, data, flags.processes, lambda line: print(line, flush=True)))
    if not flags.task or len(tasks) != 1 or not (flags.seconds or flags.lines):
        raise UserError(
            "quality.py", "found no run to do", "give one --task and --seconds, or --all, --collect or --list"
        )
    if flags.seconds and min(flags.seconds) <= 0:
        raise UserError("--seconds", f"found {min(flags.seconds):g}", "give seconds above 0")
    _runs(tasks[0], flags, data)
    return 0


def _runs(task: Task, flags: argparse.Namespace, data: Path | None) -> None:
    """Run what the flags name, one after the other, and write it after each."""
    import torch

    from quality_training import machine

    torch.set_num_threads(1)
    if flags.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {flags.core})
    begun, rows = machine(), []
    lines = {} if flags.no_lines else _lines(task, data, tuple(task.lines) if flags.lines else QUICK_LINES)
    for name, value in lines.items():
        print(f"{task.lines[name]:28}{value:8.2f} dB", flush=True)
    write = lambda: _write(flags.json, task, rows, lines, begun)  # noqa: E731
    write()
    if flags.lines:
        return
    seeds = flags.seed or [SEEDS[0]]
    for seed in seeds:
        for row in _of_seed(task, flags, data, seed):
            row |= {"task": task.name, "who": flags.peer or "ours", "seed": seed, "machine": machine()}
            rows.append(row)
            print(_said(row), flush=True)
            write()


def _of_seed(task: Task, flags: argparse.Namespace, data: Path | None, seed: int) -> Any:
    """The rows of one seed: of a peer with a schedule of its own one, else one for each budget."""
    from quality_peers import along, peer_named
    from quality_training import material, to_budget

    peer = peer_named(flags.peer, task) if flags.peer else None
    budgets = sorted(flags.seconds)
    if peer is not None and peer.train is not None:
        yield {"seconds": budgets, **along(peer, task, data, seed, tuple(budgets))}
        return
    for seconds in budgets:
        changes = {name: getattr(flags, name) for name in (*SETTINGS, "width") if getattr(flags, name) is not None}
        content = peer.content(task) if peer else study_content(task, task.preset(seconds), changes)
        yield {"seconds": [seconds], **to_budget(material(task, content, data, seed), seconds)}


def _lines(task: Task, data: Path | None, names: Sequence[str]) -> dict[str, float]:
    from quality_training import lines, material

    given = material(task, study_content(task, task.presets[0], {}), data, 0)
    return lines(task, given.images, given.problem, [name for name in names if name in task.lines])


def _write(
    path: Path | None,
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    lines: Mapping[str, float],
    begun: Mapping[str, Any],
) -> None:
    """Everything so far; of a single run, its fields stand at the top as well."""
    if path is None:
        return
    alone = rows[0] if len(rows) == 1 else {}
    found = {
        **alone,
        **lines,
        "task": task.name,
        "profile": task.profile,
        "runs": rows,
        "lines": lines,
        "machine": begun,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def _said(row: Mapping[str, Any]) -> str:
    if row.get("failed"):
        return f"{row['who']}, seed {row['seed']}: {row['failed']}"
    text = f"{row['who']}, seed {row['seed']}: {row['family']}, {row['p']:,} parameters"
    for point in row.get("curve") or [row]:
        text += f"\n{point['core_seconds']:10.1f} s{point['steps']:9,} steps{point['psnr']:9.2f} dB"
    return text


def _jobs(task: Task, flags: argparse.Namespace) -> list[Job]:
    """Everything about a task, in a sensible order: lines, ours, then the peers."""
    from quality_peers import PEERS, PILOT

    def wanted(who: str) -> bool:
        return not flags.only or who in flags.only

    for name in flags.only or ():
        if name not in ("ours", "lines", *PEERS):
            raise UserError("--only", f"found '{name}'", f"known here: ours, lines, {', '.join(PEERS)}")
    test, seeds = TEST[task.name], flags.seed or SEEDS
    jobs = []
    if wanted("lines"):
        jobs.append(Job(task.name, "lines", (), 0, _content(task, "lines", 0), START + LINES[task.name]))
    quiet, budgets = ("--no-lines",), flags.seconds or task.budgets
    for who in ("ours", "version-1"):
        for seed in seeds if wanted(who) else ():
            for seconds in budgets:
                content = _content(task, who, seconds)
                jobs.append(Job(task.name, who, (seconds,), seed, content, START + seconds + test, quiet))
    for who, peer in PEERS.items():
        if peer.train is not None and task.name in peer.tasks and wanted(who):
            at, pilots = tuple(sorted(flags.seconds or peer.moments)), PILOT * len(peer.tried) * (len(peer.tried) > 1)
            expected = START + at[-1] + 1.3 * pilots + len(at) * peer.test
            jobs.append(Job(task.name, who, at, seeds[0], _content(task, who, at[-1]), expected, quiet))
    return jobs


def _content(task: Task, who: str, seconds: float) -> dict[str, Any]:
    """What decides a row besides budget and seed: rows with another content are of other settings."""
    from quality_peers import PEERS

    if who == "lines":
        return {"lines": list(task.lines)}
    if who == "ours":
        return study_content(task, task.preset(seconds), {})
    peer = PEERS[who]
    content = peer.content(task)
    return content if peer.train is None else {"study": content, "n": peer.n, "tried": list(peer.tried)}


def _collect(tasks: Sequence[Task], out: Path, path: Path | None) -> None:
    """Print the table of every task with results, of those that belong to the settings as they are, and draw them."""
    rows = read_rows(out)
    if not rows:
        raise UserError(out, "holds no results", "run benchmarks/quality.py --all first")
    for task in tasks:
        own = [row for row in rows if row["task"] == task.name and not row.get("error")]
        own = [row for row in {row["key"]: row for row in own}.values() if row["key"] == _key_now(task, row)]
        if not own:
            continue
        print(report(task, own))
        machines = {(row["machine"]["processor"], row["machine"]["torch"]) for row in own if "machine" in row}
        print("\n".join(f"{processor}, torch {torch}" for processor, torch in sorted(machines)), "\n")
        if path is not None:
            target = path if len(tasks) == 1 else path.with_stem(f"{path.stem}-{task.name}")
            figure(task, own, target)
            print(f"figure: {target}\n")


def _key_now(task: Task, row: Mapping[str, Any]) -> str:
    seconds = row["seconds"]
    content = _content(task, row["who"], seconds[-1] if seconds else 0)
    return key_of(task.name, row["who"], seconds, row["seed"], content)


def _listed(tasks: Sequence[Task]) -> str:
    from quality_peers import PEERS

    text = []
    for task in tasks:
        text.append(
            f"{task.name}: {task.profile} on {task.main}; budgets {', '.join(f'{s:g}' for s in task.budgets)} s"
        )
        for preset in task.presets:
            said = {**preset.network, "width": preset.width, **preset.recipe, **preset.images}
            text.append(f"  up to {preset.seconds:g} s: " + ", ".join(f"{key} {value}" for key, value in said.items()))
        text += [f"  {name:16}{peer.source}" for name, peer in PEERS.items() if task.name in peer.tasks]
    return "\n".join(text)


if __name__ == "__main__":
    sys.exit(main())
