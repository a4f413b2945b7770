"""The time left of a sweep, against sweeps whose runs take what is known here."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest

from reconscale.results.time_left import TimeLeft

STEPS = 1000


def simulate(
    taken: dict[str, float], workers: int, planned: float, pace: float, *, checkpoint: dict[str, int] | None = None
) -> list[tuple[float, float]]:
    """Runs that need ``taken`` of their longest steps: (time, estimate of what is left) at each end of one.

    Args:
        taken: run -> part of its steps after which it ends.
        workers: runs side by side.
        planned: seconds of a whole run, as it was estimated.
        pace: how many times as long it really takes.
        checkpoint: run -> steps that it has done before.
    """
    now = 0.0
    left = TimeLeft(dict.fromkeys(taken, planned), workers, clock=lambda: now)
    before = checkpoint or {}
    waiting, running, told = list(taken), list[tuple[float, str, float]](), []
    while waiting or running:
        while waiting and len(running) < workers:
            run = waiting.pop(0)
            left.start(run)
            left.advance(run, before.get(run, 0), STEPS)
            part = taken[run] - before.get(run, 0) / STEPS
            heapq.heappush(running, (now + (0.95 * part + 0.05) * planned * pace, run, now))
        now, run, _ = heapq.heappop(running)
        for _, other, began in running:
            computed = before.get(other, 0) + round((now - began) / (0.95 * planned * pace) * STEPS)
            left.advance(other, min(computed, STEPS - 1), STEPS)
        left.advance(run, round(taken[run] * STEPS), round(taken[run] * STEPS))
        left.end(run, done=True)
        told.append((now, left.seconds))
    return told


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("pace", [0.25, 1.0, 4.0])
def test_runs_of_equal_length(workers: int, pace: float) -> None:
    told = simulate({f"run{i}": 1.0 for i in range(12)}, workers, 10.0, pace)
    end = told[-1][0]
    for now, estimate in told[workers - 1 :: workers]:
        assert estimate == pytest.approx(end - now, rel=0.1, abs=0.2 * pace)


def test_one_long_run_after_many_that_converged_early() -> None:
    """It once said "about 5 s left" with a run of ten minutes under way."""
    told = simulate({"long": 1.0, **{f"short{i}": 0.1 for i in range(6)}}, 2, 600.0, 1.0)
    end = told[-1][0]
    now, estimate = told[-2]  # the last short one is over, the long one at work
    assert end - now > 50 and estimate == pytest.approx(end - now, rel=0.2)
    assert all(estimate >= 0.8 * (end - now) for now, estimate in told)


def test_runs_that_wait_count_as_those_that_are_done() -> None:
    told = simulate({f"run{i}": 0.2 for i in range(10)}, 1, 100.0, 1.0)
    now, estimate = told[4]
    assert estimate == pytest.approx(told[-1][0] - now, rel=0.25)


def test_runs_under_way_count_as_those_that_got_further_than_they_are() -> None:
    """Three runs that all converge at a tenth: the last two count as the first did, and not as ten times as long."""
    times = [0.0]
    left = TimeLeft(dict.fromkeys("abc", 1000.0), 3, clock=clock_of(times))
    for run in "abc":
        left.start(run)
        left.advance(run, 0, STEPS)
    assert left.seconds == pytest.approx(1000) and not left.is_known  # the longest that they may take
    times[0] = 150.0
    left.advance("b", 90, STEPS)
    left.advance("c", 90, STEPS)
    left.advance("a", 100, 100)
    left.end("a", done=True)
    assert left.is_known and left.seconds < 150
    left.advance("b", 200, STEPS)  # further than any: nobody knows where it ends
    assert left.seconds > 800


def test_a_run_from_a_checkpoint_counts_from_there() -> None:
    told = simulate({"a": 1.0, "b": 1.0, "c": 1.0}, 1, 100.0, 1.0, checkpoint={"a": 900})
    now, estimate = told[0]
    assert now == pytest.approx(14.5) and estimate == pytest.approx(200, rel=0.2)


def test_a_run_from_a_trunk_is_planned_from_there() -> None:
    now = 0.0
    left = TimeLeft({"a": 20.0, "b": 100.0}, 1, ("a",), clock=lambda: now)
    left.start("a")
    left.advance("a", 800, 1000)
    assert left.seconds == pytest.approx(120)
    now = 8.0
    left.advance("a", 900, 1000)
    assert left.seconds == pytest.approx(112, rel=0.05)


def clock_of(times: list[float]) -> Callable[[], float]:
    return lambda: times[0]


def test_what_fails_says_nothing_of_the_others() -> None:
    times = [0.0]
    left = TimeLeft({"a": 100.0, "b": 100.0}, 1, clock=clock_of(times))
    left.start("a")
    left.advance("a", 0, 1000)
    times[0] = 10.0
    left.advance("a", 100, 1000)
    left.end("a", done=False)
    assert left.seconds == pytest.approx(100, rel=0.4)


def test_time_without_workers_does_not_count() -> None:
    """Between the death of a worker and the next one, and while a user is asked."""
    times = [0.0]
    left = TimeLeft({"a": 100.0}, 1, clock=clock_of(times))
    left.start("a")
    left.advance("a", 0, 1000)
    times[0] = 50.0
    left.advance("a", 500, 1000)
    left.lost("a")
    times[0] = 5000.0
    left.start("a")
    assert left.seconds == pytest.approx(52, rel=0.15)
    assert TimeLeft({}, 1).seconds == 0


def test_a_limit_of_time_or_of_runs() -> None:
    now = 0.0
    planned = {f"run{i}": 10.0 for i in range(9)}
    for limit, most, expected in ((None, None, 90.0), (25.0, None, 25.0), (None, 4, 40.0), (200.0, 3, 30.0)):
        assert TimeLeft(planned, 1, clock=lambda: now, limit=limit, most=most).seconds == pytest.approx(expected)


def test_a_run_under_way_ends_after_the_limit() -> None:
    now = 0.0
    left = TimeLeft({"a": 100.0, "b": 100.0}, 1, clock=lambda: now, limit=5.0)
    left.start("a")
    left.advance("a", 0, STEPS)
    assert left.seconds == pytest.approx(100.0)
