"""Repeated experiments with the subspace model, in parallel."""

from __future__ import annotations

import math
import multiprocessing
import signal
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from reconscale.errors import check_int
from reconscale.theory.filters import Converged, Descent, best_descent
from reconscale.theory.path import stable_step
from reconscale.theory.samplers import WIDEST, band_fits, check_side, sample, sample_converged, sample_truncated
from reconscale.theory.subspace import Subspace

Progress = Callable[[int, int], None]
"""Called with (experiments done, experiments)."""

SAME = 1e-9
"""Truncated bands of m and 2 m blocks agree when all risks differ by less than this part."""


@dataclass(frozen=True)
class Experiment:
    """The risks of the estimators learned from one training set.

    Attributes:
        model, n, run: what was drawn; run is the replicate.
        early_stopped: the least risk over 1 to 5,000 steps of gradient descent with the paper's step.
        k: the step at which it is reached.
        converged: the risk of gradient descent without end; NaN where it needs more of the spectrum than can be had.
        pca: the risk of the projection on the leading eigenvectors, scaled.
        how: ``dense``, or ``band of m blocks``.
    """

    model: Subspace
    n: int
    run: int
    early_stopped: float
    k: int
    converged: float
    pca: float
    how: str


def experiment(model: Subspace, n: int, *, run: int = 0, seed: int = 0) -> Experiment:
    """Draw one training set and measure the paper's estimators on it.

    The draw is a function of (model, n, run, seed) alone. Where both n and ``ambient`` are large the band of 8, 16, ..
    blocks is used until nothing changes by more than 1e-9; the converged risk, which needs the whole spectrum, then
    comes from its own small form: an independent training set with the same law.

    Raises:
        UserError: n, run or seed is out of range, or the problem too large to be drawn.
    """
    n, run, seed = check_int("n", n, 1), check_int("run", run, 0), check_int("seed", seed, 0)
    side = min(n, model.ambient)
    if model.sigma > 0 and (side > 1200 or side > max(600, 60 * model.dim)):  # without noise dim is the whole rank
        found = _banded(model, n, run, seed)
        if found is not None:
            return found
    rng = _stream(model, n, run, seed)
    path = sample(model, n, rng)
    best = best_descent(path, stable_step(model.step(n), path.extent[1]))
    assert isinstance(best.filter, Descent)
    return Experiment(model, n, run, best.risk, best.filter.k, path.risk(Converged()), path.pca(rng), "dense")


def _banded(model: Subspace, n: int, run: int, seed: int) -> Experiment | None:
    """The experiment by bands, or none where they do not settle before they are as large as the data."""
    blocks, before = 8, None
    side = min(n, model.ambient, WIDEST)
    while band_fits(model, n, blocks) and (2 * model.dim * blocks <= 0.75 * side or side == WIDEST):
        path = sample_truncated(model, n, blocks, _stream(model, n, run, seed))
        best = best_descent(path, stable_step(model.step(n), path.extent[1]))
        assert isinstance(best.filter, Descent)
        rest = _stream(model, n, run, seed, purpose=1)
        now = (best.risk, path.pca(rest))
        if before is not None and all(abs(a / b - 1) < SAME for a, b in zip(now, before, strict=True)):
            converged = sample_converged(model, n, rest)
            if converged is None and side < WIDEST:
                return None  # between ambient - dim and ambient only the whole spectrum knows it
            converged = math.nan if converged is None else converged
            return Experiment(model, n, run, now[0], best.filter.k, converged, now[1], f"band of {blocks} blocks")
        blocks, before = 2 * blocks, now
    return None


def experiments(
    cases: Iterable[tuple[Subspace, int]],
    *,
    runs: int = 5,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Experiment]:
    """Repeat experiments, the longest first, in processes of one thread each.

    Args:
        cases: (model, n) pairs.
        runs: training sets for each.
        seed: of all draws; results depend neither on ``workers`` nor on the other cases.
        workers: processes; 1 works in this one.
        progress: called after each experiment.

    Returns:
        In the order of ``cases``, run by run.

    Raises:
        UserError: a case is too large to be drawn; before anything is drawn.
    """
    runs, workers = check_int("runs", runs, 1), check_int("workers", workers, 1)
    jobs = [(model, n, run, seed) for model, n in checked(cases) for run in range(runs)]
    order = sorted(range(len(jobs)), key=lambda i: -_side(jobs[i]))
    found: dict[int, Experiment] = {}
    with _mapping(workers) as mapped:
        for i, result in mapped(jobs, order):
            found[i] = result
            if progress is not None:
                progress(len(found), len(jobs))
    return [found[i] for i in range(len(jobs))]


def checked(cases: Iterable[tuple[Subspace, int]]) -> list[tuple[Subspace, int]]:
    """The cases, if all of them can be drawn.

    Raises:
        UserError: n is out of range, or a case too large.
    """
    listed = [(model, check_int("n", n, 1)) for model, n in cases]
    for model, n in listed:
        if model.sigma == 0 or not band_fits(model, n, 16):
            check_side(model, n)
    return listed


Job = tuple[Subspace, int, int, int]


def _side(job: Job) -> int:
    return min(job[0].ambient, job[1])


def _work(job: Job) -> Experiment:
    model, n, run, seed = job
    return experiment(model, n, run=run, seed=seed)


@contextmanager
def _mapping(
    workers: int,
) -> Iterator[Callable[[Sequence[Job], Sequence[int]], Iterator[tuple[int, Experiment]]]]:
    if workers == 1:
        with threadpool_limits(1):
            yield lambda jobs, order: ((i, _work(jobs[i])) for i in order)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)

    def mapped(jobs: Sequence[Job], order: Sequence[int]) -> Iterator[tuple[int, Experiment]]:
        with _uninterrupted():
            futures = {pool.submit(_work, jobs[i]): i for i in order}
        for future in as_completed(futures):
            yield futures[future], future.result()

    try:
        yield mapped
    finally:  # an interrupt must not wait for everything that was submitted
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back for a moment: a worker that was only half started would be waited for without end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


def _begin() -> None:
    """In a worker: one thread, and an interrupt is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)


def _stream(model: Subspace, n: int, run: int, seed: int, purpose: int = 0) -> np.random.Generator:
    """A generator of its own for each experiment, whatever else is run."""
    sigma = int.from_bytes(struct.pack(">d", model.sigma))
    key = (model.dim, model.ambient, sigma, n, run, purpose)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def seconds(model: Subspace, n: int) -> float:
    """About how long one experiment takes on one core of 2020 or later; decompositions rule beyond a side of 100."""
    side = min(n, model.ambient)
    if side > 1200 or side > max(600, 60 * model.dim):
        side = min(side, 48 * model.dim)
    return 0.006 + 4e-10 * side**3
