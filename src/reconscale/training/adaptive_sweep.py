"""Choose the runs of a sweep one by one, until the verdict is settled or the budget is spent.

What is chosen is a function of the results that are there: a sweep that was killed goes on as if it had not been. With
hundreds of results, or dozens of workers, the curve is not inferred again for each of them, but for a part of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reconscale.format import amount, duration, format_chance, times
from reconscale.laws import Decision, Points, infer
from reconscale.laws.decisions.adaptive import Cell, Choice, choose_cells, find_unsettled, is_settled
from reconscale.results import Folder
from reconscale.results.choices import ChosenRun, append_choice
from reconscale.results.external_points import points_of_external
from reconscale.results.external_results import ExternalFolder
from reconscale.results.measurements import points_from_results
from reconscale.results.result import Shared
from reconscale.results.results_folder import CHECKPOINTS, AnyFolder
from reconscale.study import Run, Study, runs_of
from reconscale.study.budget import Budget
from reconscale.study.external import ExternalRun, ExternalStudy
from reconscale.training.executors.base import AnyTask, Executor, Tell

RENEWED = 0.02
"""The curve is inferred again once there is this part more of results, ..."""
AT_ONCE = 8
"""... and at least as many new ones as this part of the workers: they end about at the same time."""
AHEAD = 4
"""Runs for each worker that are put in order at a time."""


@dataclass(frozen=True)
class AdaptiveStudy:
    """A grid of which some runs are made, whoever trains them.

    Attributes:
        runs: cell -> run, of the whole grid.
        folder: of the results; the caller holds it.
        points_of: results that are done -> their points.
        worthwhile: the smallest gain worth paying for, in the metric's unit; None: that of the metric.
        seconds: what a run is expected to take; 0 where that is not known: then the longest run so far says it.
    """

    runs: Mapping[Cell, Any]
    folder: AnyFolder[Any, Any]
    points_of: Callable[[Sequence[Any]], Points]
    worthwhile: float | None
    seconds: Callable[[Any], float]


def adaptive_study(study: Study, folder: Folder, seconds: Callable[[Run], float]) -> AdaptiveStudy:
    """The grid of a study of ours.

    Args:
        study: the study.
        folder: of its results.
        seconds: what a run is expected to take, 0 where that is not known.
    """
    profile, test_set = study.analysis.profile, study.images.main_test
    return AdaptiveStudy(
        {Cell(run.n, run.network.width, run.seed): run for run in runs_of(study)},
        folder,
        lambda results: points_from_results(results, profile=profile, test_set=test_set),
        study.analysis.worthwhile,
        seconds,
    )


def adaptive_external(study: ExternalStudy, runs: Sequence[ExternalRun], folder: ExternalFolder) -> AdaptiveStudy:
    """The grid of a study whose networks other code trains; nothing is known of what a run takes.

    Args:
        study: the study.
        runs: of the grid.
        folder: of its results.
    """
    return AdaptiveStudy(
        {Cell(run.n, run.width or 0, run.seed): run for run in runs},
        folder,
        lambda results: points_of_external(study, results, folder.root.parent),
        study.analysis.worthwhile,
        lambda _: 0.0,
    )


def choose_and_train(
    study: AdaptiveStudy,
    budget: Budget,
    task_of: Callable[[Any], AnyTask],
    executor: Executor,
    tell: Tell,
    began: float | None = None,
) -> None:
    """Train runs that are chosen one by one, and say in the end why no more were.

    Args:
        study: the grid.
        budget: what may be spent.
        task_of: run -> what a worker gets.
        executor: trains.
        tell: takes notes.
        began: when the command did, by ``time.monotonic``; none: now.

    Raises:
        KeyboardInterrupt, UserError: see :meth:`~reconscale.training.executors.base.Executor.carry_out`.
    """
    since = time.monotonic() if began is None else began
    chooser = RunChooser(study, budget, task_of, executor.workers, tell, began=since)
    begun = [task for _ in range(executor.workers) if (task := chooser()) is not None]
    executor.carry_out(begun, chooser)
    made = sum(study.folder.is_over(run) for run in study.runs.values())
    text = f"{chooser.ended} after {made} of the {times(len(study.runs), 'run')} of the grid{chooser.too_long}"
    tell({"event": "note", "text": text})


def what_is_left(study: AdaptiveStudy, budget: Budget, workers: int, began: float) -> dict[str, Any]:
    """What progress is told of a budget: seconds (``limit``) and runs (``most``) that are left; None: no limit.

    Args:
        study: the grid.
        budget: what may be spent, with what earlier calls did.
        workers: runs side by side.
        began: when this command did, by ``time.monotonic``.
    """
    over = sum(study.folder.is_over(run) for run in study.runs.values())
    most = None if budget.runs is None else max(0, budget.runs - over)
    limit = None
    if budget.seconds is not None:
        spent = _spent(study.folder.results(study.runs.values()), workers) + time.monotonic() - began
        limit = max(0.0, budget.seconds - spent)
    return {"chosen": True, "limit": limit, "most": most}


def _spent(results: Sequence[Any], workers: int) -> float:
    """Seconds that earlier calls took."""
    return float(sum(result.seconds for result in results)) / workers


@dataclass
class RunChooser:
    """Gives the next task whenever a worker is free: see :data:`~reconscale.training.executors.base.More`.

    Attributes:
        study: the grid.
        budget: what may be spent.
        task_of: run -> what a worker gets.
        workers: runs side by side.
        tell: takes a note for each choice.
        began: when the command did, by ``time.monotonic``.
        ended: why no more runs were chosen; empty while some are.
        decision: what is known, or None while there are too few runs for a curve.
    """

    study: AdaptiveStudy
    budget: Budget
    task_of: Callable[[Any], AnyTask]
    workers: int
    tell: Tell
    began: float = field(default_factory=time.monotonic)
    ended: str = ""
    too_long: str = ""
    decision: Decision | None = None
    _given: dict[str, Cell] = field(default_factory=dict)
    _results: dict[str, Any] | None = None
    _known: int = 0
    _points: Points | None = None
    _settled: bool = False
    _before: float = 0.0
    _longest: float = 0.0
    _under_way: set[str] = field(default_factory=set)
    _failed: set[Cell] = field(default_factory=set)
    _interrupted: list[Cell] = field(default_factory=list)
    _order: list[Choice] = field(default_factory=list)
    _all_taken: bool = False
    _shared: Shared = field(default_factory=Shared)

    def __call__(self) -> AnyTask | None:
        """The next task, or None: the verdict is settled, the budget is spent, or all of the grid was begun."""
        self._look()
        choice = self._next()
        if choice is None:
            return None
        run = self.study.runs[choice.cell]
        self._given[run.id] = choice.cell
        self._under_way.add(run.id)
        self._note(choice)
        return self.task_of(run)

    @cached_property
    def _widths(self) -> int:
        return len({cell.width for cell in self.study.runs})

    def _look(self) -> None:
        """Read the results that are new."""
        folder, runs = self.study.folder, self.study.runs
        if self._results is None:
            found = folder.results(runs.values())
            self._before = _spent(found, self.workers)
            self._results = {}
            self._add(found, {run.id: cell for cell, run in runs.items()})
            open_ones = (cell for cell, run in runs.items() if run.id not in (self._results or ()))
            self._interrupted = sorted(cell for cell in open_ones if self._is_begun(runs[cell]))
            self._infer(self._results)
            return
        over = [name for name in self._under_way if folder.is_over(runs[self._given[name]])]
        if over:
            new = (folder.read(runs[self._given[name]], shared=self._shared) for name in over)
            self._add([result for result in new if result is not None], self._given)
            new_ones = len(self._results) - self._known
            if new_ones >= max(1, self.workers // AT_ONCE, int(RENEWED * self._known)):
                self._infer(self._results)

    def _add(self, results: Sequence[Any], cells: Mapping[str, Cell]) -> None:
        """Take results that are new."""
        assert self._results is not None
        for result in results:
            self._results[result.run.id] = result
            self._under_way.discard(result.run.id)
            self._longest = max(self._longest, result.seconds)
            if result.status != "done":
                self._failed.add(cells[result.run.id])

    def _infer(self, results: Mapping[str, Any]) -> None:
        """Find out what the results say."""
        every = (results.get(run.id) for run in self.study.runs.values())
        done = [result for result in every if result is not None and result.status == "done"]
        self._known, self._order = len(results), []
        self._points = self.study.points_of(done) if done else None
        self.decision, self._settled = None, False
        if self._points is not None and len(self._points.sizes) > 1:
            self.decision = infer(self._points).decide(worthwhile=self.study.worthwhile)
            self._settled = is_settled(self.decision, self._points, self.study.runs)

    def _next(self) -> Choice | None:
        """The next run, or None and why there is none."""
        if self._settled:
            self.ended = "the verdict is settled"
            return None
        if self.budget.runs is not None and len(self._results or ()) + len(self._under_way) >= self.budget.runs:
            self.ended = f"the budget of {times(self.budget.runs, 'run')} is spent"
            return None
        found = self._begun() or self._chosen()
        if found is None:
            self.ended = "all runs of the grid are made"
            return None
        if self._affords(self.study.runs[found.cell]):
            return found
        if (smaller := self._smaller()) is not None:
            return smaller
        self._explain_time()
        return None

    def _explain_time(self) -> None:
        """Say that time is spent; or, where not a single run fitted into it, what the shortest one would need."""
        whole = f"the budget of {duration(self.budget.seconds or 0.0)}"
        self.ended = f"{whole} is spent"
        left = self._time_left()
        expected = [self.study.seconds(run) for cell, run in self.study.runs.items() if not self._is_taken(cell)]
        if self._given or self._results or left <= 0 or not all(expected):
            return
        self.ended = f"{whole} ends"
        self.too_long = (
            f": {duration(left)} of it are left after the preparations, and the shortest run is expected to take "
            f"{duration(min(expected))}; give more time, a smaller recipe.steps, or smaller widths in sweep.width"
        )

    def _smaller(self) -> Choice | None:
        """The first run in order that still fits into the time that is left."""
        unsettled = find_unsettled(self.decision, self._widths)
        runs = self.study.runs
        taken = {cell for cell in runs if self._is_taken(cell)}
        chosen = choose_cells(runs, self._points, taken, count=len(runs), unsettled=unsettled)
        return next((each for each in chosen if self._affords(runs[each.cell])), None)

    def _begun(self) -> Choice | None:
        """A run that was interrupted: its state is kept, and the rest of it costs less than a new one."""
        while self._interrupted and self._is_taken(self._interrupted[0]):
            self._interrupted.pop(0)
        return Choice(self._interrupted[0], "it was begun before") if self._interrupted else None

    def _is_begun(self, run: Any) -> bool:
        return any((self.study.folder.of(run) / name).is_file() for name in CHECKPOINTS)

    def _is_taken(self, cell: Cell) -> bool:
        """Whether a run was begun by this command, or is over."""
        name = self.study.runs[cell].id
        return name in self._given or name in (self._results or ())

    def _chosen(self) -> Choice | None:
        """The first run in order that is not made yet. The order holds until the curve is inferred again."""
        while self._order and self._is_taken(self._order[-1].cell):
            self._order.pop()
        if not self._order and not self._all_taken:
            taken = {cell for cell in self.study.runs if self._is_taken(cell)}
            unsettled, many = find_unsettled(self.decision, self._widths), AHEAD * self.workers
            chosen = choose_cells(self.study.runs, self._points, taken, count=many, unsettled=unsettled)
            self._order, self._all_taken = list(reversed(chosen)), not chosen
        return self._order[-1] if self._order else None

    def _time_left(self) -> float:
        """Seconds of the budget that are neither spent nor past."""
        return (self.budget.seconds or 0.0) - self._before - (time.monotonic() - self.began)

    def _affords(self, run: Any) -> bool:
        """Whether the run fits into the time that is left."""
        if self.budget.seconds is None:
            return True
        left = self._time_left()
        return left > 0 and (self.study.seconds(run) or self._longest) <= left

    def _note(self, choice: Choice) -> None:
        """Say what comes next and why, and keep it in the trace."""
        cell, known = choice.cell, self.decision
        network = f", width {cell.width}" if self._widths > 1 else ""
        words = f"next: n = {amount(cell.n)}{network}, seed {cell.seed} ({choice.why})"
        self.tell({"event": "note", "text": words if known is None else f"{words}; so far: {_known(known)}"})
        made = {
            "n": cell.n,
            "width": cell.width,
            "seed": cell.seed,
            "why": choice.why,
            "results": len(self._results or ()),
        }
        if known is not None:
            made |= {"verdict": known.verdict, "chance_n": known.gain_n.probability}
            made |= {} if known.gain_p is None else {"chance_p": known.gain_p.probability}
        append_choice(self.study.folder.root, ChosenRun.model_validate(made))


def _known(decision: Decision) -> str:
    """The verdict and the chances behind it."""
    said = f"{decision.verdict}, chance that twice n is worth it {format_chance(decision.gain_n.probability)}"
    more = "" if decision.gain_p is None else f", twice p {format_chance(decision.gain_p.probability)}"
    return said + more
