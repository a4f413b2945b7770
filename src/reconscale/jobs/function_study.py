"""Measure with a Python function: a study whose networks the function trains."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconscale.errors import UserError, suggest
from reconscale.files import write_atomic
from reconscale.jobs.pickled import pickled_by_value
from reconscale.jobs.run_jobs import Items, Jobs, check_place, forget_failed, pin_items, printer, tell_unused
from reconscale.jobs.task import Train, Trainer
from reconscale.laws.metrics import METRICS, USUAL_METRICS, Metric, register
from reconscale.laws.points import Points
from reconscale.results.external_points import points_of_external
from reconscale.results.external_results import ExternalFolder, ExternalResult
from reconscale.results.results_folder import Status
from reconscale.study import external
from reconscale.study.budget import Budget, parse_budget
from reconscale.study.external import ExternalRun, ExternalStudy, Grid
from reconscale.study.items import HeldOut
from reconscale.study.own_metric import OwnMetric
from reconscale.study.subsets import Subsets, seeds_of, sizes_of, subsets
from reconscale.study.toml_text import write_toml
from reconscale.training.adaptive_sweep import adaptive_external
from reconscale.training.executors.base import Tell
from reconscale.training.placement import ExecutionConfig
from reconscale.training.progress import in_notebook, runs_bar

COMMENT = "Written by reconscale.measure. To go on, run the script that calls it again."
RETRY = "repeat them with retry_failed=True"


def measure(  # noqa: PLR0913 - keywords
    train: Train,
    items: Any,
    *,
    n: int | Iterable[int],
    seed: int | Iterable[int] = 3,
    width: int | Iterable[int] | None = None,
    groups: Sequence[Any] | None = None,
    val: HeldOut,
    test: HeldOut,
    metric: str | Metric = "psnr",
    folder: str | Path,
    on: ExecutionConfig | None = None,
    unit: str = "items",
    worthwhile: float | None = None,
    retry_failed: bool = False,
    budget: str | Budget | None = None,
    tell: Tell | None = None,
) -> Points:
    """Train networks with a function of your own, and measure them: one run for each n, width and seed.

    The function gets a :class:`~reconscale.jobs.Job` and gives back the metric of the test items: a number, or a
    mapping with the metric's name (a number, or one for each test item) and, where known, ``validation`` (the same
    metric on the validation items, by which widths are chosen), ``p`` (parameters) and ``steps``. All runs are tested
    on the same items; the training items of a run are the first n of its seed's order.

    What is there already is not trained again: after Ctrl-C, a crash or a power cut the same call does what is missing,
    and a call with more n, widths or seeds adds them. Runs that fail are kept with their reason, and the others go on.

    With one worker, or without ``on``, the function is called in this process: a crash of its native code then ends
    the call, and the next call goes on. With more, every run has a process of its own, which gets the function and
    what it uses; the script is not imported there, so that it needs no ``if __name__ == "__main__"``.

    Args:
        train: the function.
        items: paths, ids, or a number N for the indices 0, ..., N - 1.
        n: training set sizes, in items.
        seed: a number k for the seeds 0, ..., k - 1, or a list.
        width: settings that make the network larger; none: there is no such setting.
        groups: a label for each item (patient, scene, ...): groups lie on one side of the line between training,
            validation and test.
        val: items for validation, the same for all runs: how many, or which (a list of items; of indices where
            ``items`` is a number). The others are for training; what is in no set is to be left out of ``items``.
        test: items for test, likewise.
        metric: a key of ``METRICS``, or ``rs.Metric(name, "lower" or "higher")``.
        folder: of the study: ``reconscale status``, ``report`` and ``decide`` take it.
        on: ``rs.Local(workers=2)``, ``rs.Ray(...)`` or ``rs.Slurm(...)``.
        unit: what an item is, in one word: what n counts in texts.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: the metric's own.
        retry_failed: train runs that failed or diverged again.
        budget: ``"2h"``, ``"40runs"`` or ``"decided"``: runs of the grid are chosen one by one, until the verdict is
            settled or this is spent; none: all are trained. With widths, return ``p``: without it a larger network
            cannot be judged, and the verdict is never settled.
        tell: takes the events of the runs; none: a line is printed for each, and a notebook shows a bar.

    Returns:
        The points of this call's runs that are done, for ``rs.infer``.

    Raises:
        UserError: something that cannot be, other items than this folder began with, or no run is done.
        KeyboardInterrupt: asked to stop; nothing that is done is lost.
    """
    check_function(train)
    known = known_metric(metric)
    divided = subsets(items, n, seeds_of(seed), groups, val, test)
    grid = Grid(n=divided.n, width=() if width is None else sizes_of(width, "width"), seed=divided.seeds)
    allowed = parse_budget(budget, "budget") if isinstance(budget, str) else budget
    asked = Asked(train, folder, known, unit, worthwhile, on, retry_failed, allowed, tell)
    return points_of_external(*train_missing(divided, grid, asked))


@dataclass(frozen=True)
class Asked:
    """What a call says besides items and sizes.

    Attributes:
        train, folder, metric, unit, worthwhile, on, retry_failed, budget, tell: as of :func:`measure`, checked.
    """

    train: Train
    folder: str | Path
    metric: Metric
    unit: str
    worthwhile: float | None
    on: ExecutionConfig | None
    retry_failed: bool
    budget: Budget | None
    tell: Tell | None


def train_missing(items: Items, grid: Grid, asked: Asked) -> tuple[ExternalStudy, list[ExternalResult], Path]:
    """Write the study of a folder with a call's runs added, and train those that are missing.

    Returns:
        The study, the results of the call's runs that are over, and the folder.

    Raises:
        UserError, KeyboardInterrupt: see :func:`measure`.
    """
    where = check_place(asked.on)
    root = Path(asked.folder).absolute()  # the function may change the directory
    results = ExternalFolder(root / "runs")
    with results.held():
        study = _study(root, items, grid, asked)
        pin_items(results, items)
        runs = study.runs([grid])
        if asked.retry_failed:
            forget_failed(results, runs)
        left = [run for run in runs if not results.is_over(run)]
        trainer = _trainer(asked.train, asked.metric, pickled=where is not None)
        with _shown(asked.tell, runs, asked.metric.name) as told:
            tell_unused(items, 0, told)
            if left:
                budget = asked.budget
                adaptive = None if budget is None else (adaptive_external(study, runs, results), budget)
                Jobs(results, items, trainer, where, asked.on, told).train(left, adaptive)
            if asked.budget is None and (lost := lost_sentence(results.status(runs), RETRY)):
                told({"event": "note", "text": lost})
    return study, results.results(runs), root


@contextmanager
def _shown(tell: Tell | None, runs: Sequence[ExternalRun], metric: str) -> Iterator[Tell]:
    """What takes the events: what is given, else a bar in a notebook, else lines."""
    if tell is not None or not in_notebook():
        yield tell or printer(runs, metric, lambda line: print(f"reconscale: {line}", file=sys.stderr, flush=True))
        return
    with runs_bar() as (print_line, advance):
        words = printer(runs, metric, print_line)
        yield lambda event: (words(event), advance(event))[0]


def lost_sentence(found: Status, remedy: str) -> str:
    """That runs failed or diverged, or are not over; empty where all are done."""
    lost, known = [*found.failed, *found.diverged], len(found.done) + len(found.failed) + len(found.diverged)
    if lost:
        first = lost[0]
        first = f"{first} ({found.reasons[first]})"
        return f"{len(lost)} of {known + found.open} runs failed or diverged, the first: {first}; {remedy}"
    return f"{found.open} of {known + found.open} runs are not over" if found.open else ""


def check_function(train: Any) -> None:
    """Refuse what cannot be called with one job.

    Raises:
        UserError: as said.
    """
    remedy = "give a function of one argument: def train(job): ... return {...}"
    if not callable(train):
        raise UserError("train", f"found a {type(train).__name__}", remedy)
    try:
        inspect.signature(train).bind(None)
    except TypeError as error:
        raise UserError("train", f"cannot be called with one argument ({error})", remedy) from error
    except ValueError:  # built-in functions do not say what they take
        return
    if inspect.iscoroutinefunction(train) or inspect.isgeneratorfunction(train):
        raise UserError("train", "is a coroutine or a generator, which a call does not run", remedy)


def known_metric(metric: str | Metric) -> Metric:
    """The metric, which is entered into ``METRICS`` where it is a new one."""
    if not isinstance(metric, str | Metric):
        raise UserError("metric", f"found a {type(metric).__name__}", f"give a name, such as {', '.join(METRICS)}")
    if isinstance(metric, str) and metric not in METRICS:
        raise UserError("metric", f"found '{metric}'", f"{suggest(metric, METRICS)}; or give rs.Metric('{metric}', "
                        "'lower' or 'higher')")  # fmt: skip
    if isinstance(metric, Metric) and metric.name not in METRICS:
        OwnMetric.of(metric)
    return METRICS[register(metric)]


def _study(root: Path, items: Items, grid: Grid, asked: Asked) -> ExternalStudy:
    """The study of a folder with this call's runs added, written down.

    Raises:
        UserError: the folder holds another study, or one of another metric or other items.
    """
    path, metric = root / "study.toml", asked.metric
    before = None
    if path.is_file():
        if not external.is_external(path):
            raise UserError(root, "holds a study of another kind", "measure in another folder")
        before = external.load_external(path)
        if before.callable is None:
            raise UserError(root, "holds a study with [command]", "measure in another folder")
        if before.analysis.metric != metric.name:
            raise UserError(root, f"was measured in {before.analysis.metric}, and now metric is '{metric.name}'",
                            "measure in another folder")  # fmt: skip
        if before.images.digest != items.digest:
            raise UserError(root, "began with other items, groups, val or test",
                            "restore them, or measure in another folder")  # fmt: skip
    worthwhile = asked.worthwhile
    table = {"val": len(items.val_names), "test": len(items.test_names), "unit": asked.unit, "count": items.count,
             "digest": items.digest, **_sources(items)}  # fmt: skip
    own = OwnMetric.of(metric).model_dump() if metric.name not in USUAL_METRICS else None
    content: dict[str, Any] = {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._")[:80] or "study",
        "callable": {
            "name": getattr(asked.train, "__qualname__", type(asked.train).__name__),
            **_script(asked.train),
            "directory": None if Path(asked.folder).is_absolute() else str(Path.cwd()),
        },
        "images": table,
        "sweep": [
            one.model_dump(exclude=set() if one.mix else {"mix"})
            for one in _merged(() if before is None else before.sweep, grid)
        ],
        "analysis": {"metric": metric.name, "worthwhile": worthwhile},
        **({"metric": own} if own else {}),
    }
    if worthwhile is not None:
        metric.check_worthwhile(worthwhile, float("nan"))
    study = external.parse_external({key: _without_none(value) for key, value in content.items()}, "measure")
    text = write_toml(content, COMMENT)
    if before is None or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text)
    return study


def _sources(items: Items) -> dict[str, Any]:
    """What ``[images]`` says of several sources; nothing of one."""
    if isinstance(items, Subsets):
        return {}
    counts = {name: {"count": part.count} for name, part in items.parts.items()}
    return {"target": items.source_names[0], "sources": counts}


def _without_none(value: Any) -> Any:
    return {key: entry for key, entry in value.items() if entry is not None} if isinstance(value, dict) else value


def _merged(before: Sequence[Grid], grid: Grid) -> list[Grid]:
    """Grids that hold all runs of those before and of this one."""
    if any(_within(grid, other) for other in before):
        return list(before)
    return [*(other for other in before if not _within(other, grid)), grid]


def _within(inner: Grid, outer: Grid) -> bool:
    mixes = ([(n, sorted(mix.items())) for n in one.n for mix in one.mixes[n]] for one in (inner, outer))
    few, many = mixes
    if not all(mix in many for mix in few):
        return False
    pairs = ((inner.width or (0,), outer.width or (0,)), (inner.seed, outer.seed))
    return all(set(few) <= set(many) for few, many in pairs)


def _script(train: Any) -> dict[str, Any]:
    """The file that calls, and whether it was given arguments; where none calls, as in a notebook, the function's."""
    package, frame = str(Path(__file__).parents[1]), inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    if frame is not None and Path(frame.f_code.co_filename).is_file() and not in_notebook():
        is_main = frame.f_globals.get("__name__") == "__main__"
        given = {"arguments": True} if is_main and len(sys.argv) > 1 else {}
        return {"script": str(Path(frame.f_code.co_filename).absolute()), **given}
    try:
        return {"script": str(inspect.getsourcefile(train) or "")}
    except TypeError:
        return {"script": ""}


def _trainer(train: Train, metric: Metric, *, pickled: bool) -> Trainer:
    """What travels to the workers.

    Raises:
        UserError: the function, or something that it uses, cannot be sent to another process.
    """
    code = code_digest(train)
    if not pickled:
        return Trainer((train, metric), code=code)
    return Trainer(pickled_by_value(train, metric), tuple(place or str(Path.cwd()) for place in sys.path), code)


def code_digest(train: Callable[..., Any]) -> str:
    """A hash of the text of a function, or of its class; of its compiled code where there is no text."""
    while isinstance(train, functools.partial):
        train = train.func
    target = train if inspect.isfunction(train) or inspect.ismethod(train) else type(train)
    try:
        text = inspect.getsource(target).encode(errors="backslashreplace")
    except (OSError, TypeError):
        code = getattr(train, "__code__", None)
        text = b"" if code is None else code.co_code + repr(code.co_names).encode()
    return hashlib.sha256(text).hexdigest()[:12]
