"""The curve above the bars of a command that trains: read from results as they land, drawn a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.progress import Progress, TaskID
from rich.text import Text

from reconscale.cli.curve_plot import CurveData, curve_line, draw_curve
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws import Metric
    from reconscale.results import Folder, Result
    from reconscale.results.baseline_record import Baselines
    from reconscale.results.external_results import ExternalFolder
    from reconscale.study import Study
    from reconscale.study.external import ExternalStudy

Event = dict[str, Any]
REDRAWN = 4
"""Times a second that bars, and the curve above them, are drawn at most."""
BARS = 4
"""Rows that bars may take below the plot, besides one for each run under way."""


class LiveCurve:
    """What is drawn, and how it looks on a terminal; it is drawn only where something has changed.

    Args:
        look: called with every event; gives what is to be drawn once that has changed, else none.
    """

    def __init__(self, look: Callable[[Event], CurveData | None]) -> None:
        self._look = look
        self._data: CurveData | None = None
        self._drawn: tuple[tuple[CurveData, int, int], list[Text]] | None = None

    def take(self, event: Event) -> None:
        """Look at an event."""
        self._data = self._look(event) or self._data

    def rows(self, console: Console, bars: int = 0) -> list[Text]:
        """The plot, or a line where the terminal is small; nothing before the first result.

        Args:
            console: where it is shown.
            bars: rows that are taken already.
        """
        data = self._data
        if data is None or not data.reached:
            return []
        size = console.size
        key = (data, size.width - 1, size.height - bars - BARS)
        if self._drawn is None or self._drawn[0] != key:
            unicode = console.encoding.lower().startswith("utf")
            rows = draw_curve(data, *key[1:], unicode=unicode)
            self._drawn = key, rows or [Text(curve_line(data), no_wrap=True, overflow="ellipsis")]
        return self._drawn[1]


class Bars(Progress):
    """Bars, with a curve above them, drawn by whoever changes them and a few times a second at most.

    The thread that rich would draw them with races with lines that are printed: on a busy machine one erases the other.
    """

    def __init__(self, *columns: Any, curve: LiveCurve | None, console: Console, **options: Any) -> None:
        self._curve, self._of = curve, console  # rich draws once before it has set its own
        self._drawn_at = float("-inf")
        super().__init__(*columns, console=console, auto_refresh=False, **options)

    def update(self, task_id: TaskID, **changed: Any) -> None:
        """Change a bar; it is drawn where that was not done just now."""
        super().update(task_id, **changed)
        if time.monotonic() - self._drawn_at > 1 / REDRAWN:
            self._drawn_at = time.monotonic()
            self.refresh()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The curve, and the bars."""
        if self._curve is not None:
            yield from self._curve.rows(self._of, len(self.tasks))
        yield from super().get_renderables()


def curve_of_study(study: Study, folder: Folder) -> LiveCurve:
    """The curve of a study of networks of ours."""
    return LiveCurve(_OwnResults(study, folder).look)


def curve_of_external(study: ExternalStudy, folder: ExternalFolder) -> LiveCurve:
    """The curve of a study whose networks other code trains."""
    return LiveCurve(_OtherResults(study, folder).look)


class _Results:
    """Reads each result once: those that are there when runs are planned, and those of runs that end."""

    def __init__(self, folder: Any, runs: Iterable[Any], metric: Metric, name: str, test_set: str) -> None:
        self._folder, self._metric, self._name, self._test_set = folder, metric, name, test_set
        self._runs = {run.id: run for run in runs}
        self._read: set[str] = set()
        self._values: dict[int, dict[int, list[float]]] = {}

    def look(self, event: Event) -> CurveData | None:
        """What is to be drawn, where this event has changed it."""
        if event["event"] == "plan":
            expected = set(self._runs)
        elif event["event"] == "end":
            expected = {event["run"]} & set(self._runs)
        else:
            return None
        new = [result for run in sorted(expected - self._read) if (result := self._result(run)) is not None]
        return self._data() if new else None

    def _result(self, name: str) -> Any:
        """A result that is done; a damaged one is left to the command that analyses, which says what to do."""
        result = None
        with suppress(UserError):
            result = self._folder.read(self._runs[name])
        if result is None or result.status != "done" or self._name not in result.metrics.get(self._test_set, {}):
            return None
        self._read.add(name)
        of_width = self._values.setdefault(self._width(result.run), {})
        of_width.setdefault(result.run.n, []).append(result.metrics[self._test_set][self._name])
        self._note(result)
        return result

    def _width(self, run: Any) -> int:
        return int(run.width or 0)

    def _note(self, result: Any) -> None:
        """Remember more of a result."""

    def _lines(self) -> list[tuple[str, float]]:
        """What needs no training."""
        return []

    def _data(self) -> CurveData:
        values = {width: {n: tuple(some) for n, some in of.items()} for width, of in self._values.items()}
        unit = self._metric.unit
        words = f"{self._name}, {unit}" if unit else self._name
        sizes = sorted({run.n for run in self._runs.values()})
        return CurveData(values, sizes, tuple(self._lines()), words, 2 if unit == "dB" else 4)


class _OwnResults(_Results):
    """Of a study of ours, with its input and the best classical method."""

    def __init__(self, study: Study, folder: Folder) -> None:
        from reconscale.laws import METRICS
        from reconscale.study import PROFILES, runs_of

        profile = study.analysis.profile
        super().__init__(folder, runs_of(study), METRICS[PROFILES[profile].kind], profile, study.images.main_test)
        self._record: Baselines | None = None
        self._largest: Result | None = None

    def _width(self, run: Any) -> int:
        return int(run.network.width)

    def _note(self, result: Result) -> None:
        """Keep one run at the largest n: baselines are compared with it, on the images that both have."""
        if self._largest is None or result.run.n > self._largest.run.n:
            self._largest = result

    def _lines(self) -> list[tuple[str, float]]:
        from reconscale.results.baseline_record import read_baselines

        if self._record is None:
            with suppress(UserError):  # the command that analyses says what is damaged
                self._record = read_baselines(self._folder)
        if self._record is None or self._largest is None:
            return []
        reached = {
            kind: (label, v) for kind, label, v in self._record.lines(self._test_set, self._name, [self._largest])
        }
        others = [line for kind, line in reached.items() if kind != "input"]
        best = sorted(others, key=lambda line: line[1], reverse=self._metric.better == "higher")[:1]
        return [*([reached["input"]] if "input" in reached else []), *best]


class _OtherResults(_Results):
    """Of a study whose networks other code trains."""

    def __init__(self, study: ExternalStudy, folder: ExternalFolder) -> None:
        super().__init__(folder, study.runs(), study.known_metric, study.known_metric.name, "test")
