"""How long a sweep will still take, from what runs were estimated to take and how they go."""

from __future__ import annotations

import bisect
import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from reconscale.study.plan import makespan

STEPS = 0.95
"""Of a run that its steps are counted as; the rest is its test."""


@dataclass
class _Progress:
    """How far a run is, as parts of the longest that it may take.

    Attributes:
        first: where it was when it was first heard of, from a checkpoint or a trunk.
        now: where it is.
        steps: at most.
    """

    first: float
    now: float
    steps: int


class TimeLeft:
    """Estimates the time left of a sweep.

    Runs that are done may have converged early. Runs that wait count as these turned out; runs under way as those of
    them that got further than they are, and to the end of the longest that they may take where none did. The pace is
    that of this sweep so far: work done for the time that workers had something to do.

    Args:
        seconds: run id -> estimated seconds, 0 where not known.
        workers: runs side by side.
        continuing: ids of runs whose seconds are already those from where an earlier run ended.
        clock: seconds of a clock that never goes back.
        limit: seconds after which no run begins any more; None: no limit.
        most: runs that are made at most; None: all.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        workers: int,
        continuing: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
        limit: float | None = None,
        most: int | None = None,
    ) -> None:
        self._ends, self.most = None if limit is None else clock() + limit, most
        self.planned, self.workers, self.continuing, self.clock = dict(seconds), max(1, workers), continuing, clock
        self._known: dict[str, _Progress] = {}
        self._running: set[str] = set()
        self._ended: dict[str, bool] = {}
        self._busy, self._looked = 0.0, clock()

    def start(self, run: str) -> None:
        """A run has begun, or has begun again elsewhere."""
        self._look()
        self._running.add(run)

    def lost(self, run: str) -> None:
        """A run is no longer under way, and will begin again."""
        self._look()
        self._running.discard(run)

    def advance(self, run: str, step: int, steps: int) -> None:
        """A run has computed this many of its steps; at its end ``steps`` may be fewer than before."""
        self._look()
        known = self._known.get(run)
        if known is None:
            part = STEPS * step / max(1, steps)
            self._known[run] = _Progress(0.0 if step >= steps else part, part, steps)
        else:
            known.steps = max(known.steps, steps)
            known.now = STEPS * step / max(1, known.steps)

    def end(self, run: str, *, done: bool) -> None:
        """A run is over.

        Args:
            run: its id.
            done: whether it gave a result, and says how long others may take.
        """
        self._look()
        self._running.discard(run)
        known = self._known.setdefault(run, _Progress(0.0, STEPS, 0))
        known.now = min(1.0, known.now + 1 - STEPS)
        self._ended[run] = done

    @property
    def seconds(self) -> float:
        """Seconds that are left; 0 where nothing is known."""
        self._look()
        finished = sum(self._done(run) for run in self._known)
        pace = self._busy / finished if finished > 0 and self._busy > 0 else 1.0
        over = self._over
        whole = sum(self._whole(run) for run in over)
        usual = sum(self._done(run) for run in over) / whole if whole else 1.0
        ends = sorted(self._done(run) / self._whole(run) for run in over)
        sums = [0.0, *itertools.accumulate(ends)]
        under_way = [self._whole(run) * self._end(run, ends, sums) - self._done(run) for run in self._running]
        begun = {*self._ended, *self._running}
        waiting = [usual * planned for run, planned in self.planned.items() if run not in begun]
        if self.most is not None:
            waiting = waiting[: max(0, self.most - len(begun))]
        seconds = pace * makespan([*under_way, *waiting], self.workers)
        if self._ends is None:
            return seconds
        return min(seconds, max(self._ends - self.clock(), pace * max(under_way, default=0.0)))

    @property
    def is_known(self) -> bool:
        """Whether a run is done, so that it is seen how long they take; until then the longest counts."""
        return bool(self._over)

    @property
    def _over(self) -> list[str]:
        return [run for run, done in self._ended.items() if done and self._whole(run) > 0]

    def _end(self, run: str, ends: Sequence[float], sums: Sequence[float]) -> float:
        """The part of its longest at which a run under way is expected to end.

        Args:
            run: its id.
            ends: where others did, ascending.
            sums: of the first 0, 1, 2, ... of them.
        """
        whole = self._whole(run)
        now = self._done(run) / whole if whole else 0.0
        first = bisect.bisect_right(ends, now)
        return (sums[-1] - sums[first]) / (len(ends) - first) if first < len(ends) else 1.0

    def _whole(self, run: str) -> float:
        """Planned seconds of a run from where it was first heard of."""
        known, planned = self._known.get(run), self.planned.get(run, 0.0)
        return planned if known is None or run in self.continuing else planned * (1 - known.first)

    def _done(self, run: str) -> float:
        """Planned seconds that a run is through with, of these."""
        known = self._known.get(run)
        if known is None or known.first >= 1:
            return 0.0
        return self._whole(run) * max(0.0, known.now - known.first) / (1 - known.first)

    def _look(self) -> None:
        now = self.clock()
        self._busy += (now - self._looked) * min(self.workers, len(self._running))
        self._looked = now
