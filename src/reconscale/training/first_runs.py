"""The first runs of a sweep beside what needs no training: a wrong recipe shows there, before hours are spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.data import ImageSet, Slices
from reconscale.errors import EndedOnPurpose
from reconscale.laws.metrics import METRICS, Metric
from reconscale.results import Folder, Result
from reconscale.results.baseline_record import mean_over, read_baselines
from reconscale.study import PROFILES, Run, Study
from reconscale.training.executors.base import Event, Tell

FIRST = 2
"""Runs that are done and no better than their input, of which this many stop a sweep."""
LEAST_GAIN = 1e-4
"""An error that is smaller by less than this part of it is not better: it may be rounding of an untrained network."""

Ask = Callable[[str], bool]
"""Asks a question; whether to go on."""


@dataclass(frozen=True)
class Yardstick:
    """What reconstructions without training reach, in the metric of the study, on some images of the main test set.

    Attributes:
        profile: the metric.
        test_set: the name of the main test set.
        names, volumes: the images, and of slices the volumes that they are of.
        input: what a network is given reaches.
        best: the label and the value of the best that needs no training; none where there is only the input.
    """

    profile: str
    test_set: str
    names: tuple[str, ...]
    volumes: tuple[str, ...]
    input: float
    best: tuple[str, float] | None

    def value_of(self, result: Result) -> float | None:
        """What a run reaches on the same images; none where it was measured on others."""
        return mean_over(result, self.test_set, self.profile, self.names, self.volumes)

    def is_reached(self, value: float) -> bool:
        """Whether a value is better than that of the input."""
        metric = METRICS[PROFILES[self.profile].kind]
        return _error(metric, value) < (1 - LEAST_GAIN) * _error(metric, self.input)

    def spell(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.2f} dB" if PROFILES[self.profile].kind == "psnr" else f"{value:.4g}"

    @property
    def where(self) -> str:
        """The images in words."""
        return f"{len(self.names)} images of '{self.test_set}'"

    def beside(self, value: float, result: Result | None = None) -> str:
        """A run's value beside the others on the same images, and that on all images where these are some of them."""
        best = f", best classical ({self.best[0]}) {self.spell(self.best[1])}" if self.best else ""
        many = 0 if result is None else len(result.images.get(self.test_set, {}))
        whole = ""
        if result is not None and many > len(self.names):
            whole = f" ({self.spell(result.metrics[self.test_set][self.profile])} on all {many})"
        return f"{self.profile} on {self.where} {self.spell(value)}{whole}, input {self.spell(self.input)}{best}"


def yardstick_of(study: Study, images: ImageSet, folder: Folder) -> Yardstick | None:
    """What the runs of a study can be compared with, from the baselines in its results folder.

    None, and runs are then compared with nothing, where a problem (of a plug-in) offers no baseline called ``input``,
    where the baselines were not measured in the study's metric, or where the input has no error at all. A loss without
    the truth changes nothing: what is compared are reconstructions of the test set. Where nobody has the truth, both
    are estimates by the same formula.

    Args:
        study: the study.
        images: its images.
        folder: its results folder, baselines measured.

    Raises:
        UserError: the record of the baselines is damaged.
    """
    record, main, profile = read_baselines(folder), study.images.main_test, study.analysis.profile
    metric = METRICS.get(PROFILES[profile].kind)
    if record is None or metric is None:
        return None
    reached = {kind: value for kind, _, value in record.lines(main, profile) if math.isfinite(value)}
    if "input" not in reached or not _error(metric, reached["input"]) > 0:
        return None
    pixels, on = images.tests[main], record.images.get(main)
    names, volumes = ((), ()) if on is None else (on.images, on.volumes)
    if not names:  # measured on all of them
        names = tuple(pixels.names)
        volumes = tuple(dict.fromkeys(pixels.volume_names)) if isinstance(pixels, Slices) else ()
    others = {kind: value for kind, value in reached.items() if kind != "input"}
    best = min(others, key=lambda kind: _error(metric, others[kind]), default=None)
    found = None if best is None else (record.labels[best], others[best])
    return Yardstick(profile, main, names, volumes, reached["input"], found)


def _error(metric: Metric, value: float) -> float:
    """A value of a metric as an error."""
    return float(metric.to_error(np.array(value)))


class FirstRuns:
    """Compares the first runs of a sweep with their input, and ends the sweep where none of them is better.

    Runs count that are done, those of earlier commands included: of every n but the smallest, whose images may be too
    few, which is an answer and no mistake (where there is one n alone, it counts). A run that diverged or failed says
    nothing here. Once a run is better than its input, nothing is looked at any more.

    Args:
        runs: of the study.
        folder: of their results.
        tell: takes the events; the ``end`` of the first run that is done gets ``beside``: what else was reached.
        keep_going: compare, but never end it; or what is asked whether to go on.
    """

    def __init__(self, runs: Sequence[Run], folder: Folder, tell: Tell, keep_going: bool | Ask = False) -> None:
        self.runs, self.folder = {run.id: run for run in runs}, folder
        self._ask = None if isinstance(keep_going, bool) else keep_going
        self._tell = tell
        smallest, several = min(run.n for run in runs), len({run.n for run in runs}) > 1
        self._counted = [run.id for run in runs if not several or run.n > smallest]
        self._yardstick: Yardstick | None = None
        self._told = False
        self._watching = keep_going is not True
        self._below: dict[str, float] = {}

    def begin(self, yardstick: Yardstick | None, *, check: bool) -> None:
        """Say what runs are compared with, and look at those that are over.

        Args:
            yardstick: none: they are compared with nothing.
            check: end the sweep already where these are no better than their input.

        Raises:
            EndedOnPurpose: that is so.
        """
        self._yardstick = yardstick
        for name in self._counted if yardstick is not None else ():
            if self._watching and self.folder.is_over(self.runs[name]):
                self._take(name)
        if check:
            self._end_if_below()

    def tell(self, event: Event) -> None:
        """Pass an event on, and look at the run that is over, if that is what it says.

        Raises:
            EndedOnPurpose: the first runs are no better than their input, and nobody says to go on.
        """
        seen = self._yardstick is None or (self._told and not self._watching)
        if event["event"] != "end" or event["run"] not in self.runs or seen:
            self._tell(event)
            return
        value = self._take(event["run"])
        if value is not None and not self._told and self._yardstick is not None:
            self._told = True
            result = self.folder.read(self.runs[event["run"]])
            event = {**event, "beside": self._yardstick.beside(value, result)}
        self._tell(event)
        self._end_if_below()

    def _take(self, name: str) -> float | None:
        """The value of a run that is over; none where it is not done, or cannot be compared."""
        result = self.folder.read(self.runs[name])
        if result is None or result.status != "done" or self._yardstick is None:
            return None
        value = self._yardstick.value_of(result)
        if value is not None and name in self._counted:
            if self._yardstick.is_reached(value):
                self._watching = False
            else:
                self._below[name] = value
        return value

    def _end_if_below(self) -> None:
        if not (self._watching and self._yardstick) or len(self._below) < min(FIRST, len(self._counted)):
            return
        self._watching = False  # what ends while the others are stopped is not asked about again
        found = _found(self._below, self._yardstick)
        if all(self.folder.is_over(run) for run in self.runs.values()):  # nothing is left to be spared
            self._tell({"event": "note", "text": f"no curve to believe yet: the runs {found}"})
            return
        if self._ask is not None and self._ask(f"The first runs: {found}. Go on?"):
            return
        remedy = "check recipe.lr, recipe.steps and the images; the results are kept, and --keep-going trains the rest"
        raise EndedOnPurpose("the first runs", found, remedy)


def _found(below: Mapping[str, float], yardstick: Yardstick) -> str:
    """What was found, in words."""
    values = [yardstick.spell(value) for value in below.values()]
    said = values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
    at = f"{yardstick.profile} on {yardstick.where}"
    return f"reach {said} ({at}), no better than their input with {yardstick.spell(yardstick.input)}"
