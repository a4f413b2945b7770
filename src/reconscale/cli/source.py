"""What a command analyses: a CSV file, or a study with its results. Opened once; each file is read once."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws import Costs, Finding, Metric, NoiseLevel, Points
    from reconscale.report.mixture import Mixes
    from reconscale.results import Folder, Result
    from reconscale.results.external_results import ExternalFolder
    from reconscale.study import Study
    from reconscale.study.external import ExternalStudy

MANY = 1000
"""From this many results on, looking through them for circles takes a third of a report."""


@dataclass(frozen=True, eq=False)
class CsvSource:
    """Measurements from anywhere. Nothing is known about the runs behind them.

    Attributes:
        path: the file.
        points: the measurements.
    """

    path: Path
    points: Points

    @property
    def name(self) -> str:
        """What to call it."""
        return self.path.stem

    @property
    def mixes(self) -> None:
        """What a page says of several sources: a table of points has one."""
        return

    @property
    def noise(self) -> NoiseLevel | None:
        """The networks at other levels of noise: not known."""
        return None

    @property
    def worthwhile(self) -> float:
        """The smallest gain worth paying for, that of the metric, in its unit."""
        from reconscale.laws import METRICS

        return METRICS[self.points.metric].worthwhile

    def costs(self, per_image: float | None = None, per_hour: float | None = None) -> Costs:
        """Prices; hours are not known.

        Raises:
            UserError: hours are priced.
        """
        from reconscale.laws import Costs
        from reconscale.laws.decisions.costs import hours_unknown

        if per_hour:
            raise UserError("--cost-per-hour", "a CSV does not say how long runs took", "leave it out, or give a study")
        return Costs(hours_unknown, per_hour, per_image)

    def run_findings(self) -> tuple[Finding, ...]:
        """That it is not known whether the runs had converged, unless some were trained for longer, too."""
        from reconscale.laws.findings import finding
        from reconscale.laws.repeated_rows import at_their_most_steps

        known = at_their_most_steps(self.points).trainings is not None
        return () if known else (finding("convergence-unknown"),)


@dataclass(frozen=True, eq=False)
class StudySource:
    """A study and its results.

    Attributes:
        path: the study file, or its folder.
        study: the study.
        folder: its folder of results.
        profile: of the points; none: the study's own.
        test_set: of the points; none: the study's main one.
    """

    path: Path
    study: Study
    folder: Folder
    profile: str | None = None
    test_set: str | None = None

    @property
    def name(self) -> str:
        """What to call it: as its folder."""
        return (self.path.parent if self.path.name == "study.toml" else self.path).resolve().name

    @cached_property
    def results(self) -> Sequence[Result]:
        """The results that are there, in the order of the plan."""
        from reconscale.study import runs_of

        found = self.folder.results(runs_of(self.study))
        if len(found) >= MANY:  # they stay until the end of the command
            gc.freeze()
        return found

    @cached_property
    def judged(self) -> Sequence[Result]:
        """Those that the curve over n is of: all, or where images come from several sources those of one mix."""
        from reconscale.results.judged import judged_results
        from reconscale.study import runs_of

        return judged_results(self.study, self.results, runs_of(self.study))

    @cached_property
    def points(self) -> Points:
        """The measurements.

        Raises:
            UserError: no run is done, or the profile or the test set is not in the results.
        """
        from reconscale.results.measurements import load_points
        from reconscale.results.probes import read_probes, with_probes

        points = load_points(self.study, self.folder, results=self.judged, profile=self.profile, test_set=self.test_set)
        done = [result for result in self.judged if result.status == "done"]
        asked = {"profile": points.profile, "test_set": self.test_set or self.study.images.main_test}
        return with_probes(points, done, read_probes(self.folder, done, **asked), **asked)

    @property
    def noise(self) -> NoiseLevel | None:
        """The networks at the largest n at other levels of noise, on the main test set, or None."""
        from reconscale.results.measurements import noise_levels_from_results

        done = [result for result in self.judged if result.status == "done"]
        profile = self.profile or self.study.analysis.profile
        return noise_levels_from_results(done, profile=profile, test_set=self.study.images.main_test)

    @property
    def worthwhile(self) -> float:
        """The smallest gain worth paying for, the study's own, in the unit of its metric."""
        return self.study.analysis.worthwhile

    def costs(self, per_image: float | None = None, per_hour: float | None = None) -> Costs:
        """Prices, with the measured hours of the runs."""
        from reconscale.report.run_tables import costs_from
        from reconscale.results.results_folder import images_at_hand

        return costs_from(self.judged, per_hour, per_image, images_at_hand(self.folder))

    def run_findings(self) -> tuple[Finding, ...]:
        """Cautions about the runs: how they went, and what they reach without training."""
        from reconscale.report import run_findings

        return run_findings(self.study, self.folder, self.judged, self.points, self.test_set)


@dataclass(frozen=True, eq=False)
class ExternalSource:
    """A study whose networks other code trains, and its results.

    Attributes:
        path: the study file, or its folder.
        study: the study.
        folder: its folder of results.
    """

    path: Path
    study: ExternalStudy
    folder: ExternalFolder

    @property
    def name(self) -> str:
        """What to call it: as its folder."""
        return (self.path.parent if self.path.name == "study.toml" else self.path).resolve().name

    @cached_property
    def points(self) -> Points:
        """The measurements.

        Raises:
            UserError: no run is done.
        """
        from reconscale.results.external_points import points_of_external

        return points_of_external(self.study, self.folder.results(self.study.runs()), self.folder.root.parent)

    @property
    def mixes(self) -> Mixes:
        """What a page says of several sources; nothing where there is one."""
        from reconscale.report.mixture import mixes_of_external

        return mixes_of_external(self.study, self.folder.results(self.study.runs()))

    @property
    def noise(self) -> NoiseLevel | None:
        """The networks at other levels of noise: not known."""
        return None

    @property
    def worthwhile(self) -> float:
        """The smallest gain worth paying for, the study's own, in the unit of its metric."""
        return self.study.worthwhile

    def costs(self, per_image: float | None = None, per_hour: float | None = None) -> Costs:
        """Prices, with the measured hours of the runs."""
        from reconscale.laws import Costs
        from reconscale.laws.decisions.costs import hours_unknown
        from reconscale.report.run_tables import hours_of_external

        known = hours_of_external(self.folder.results(self.study.runs(), images=False))
        return Costs(known or hours_unknown, per_hour, per_image)

    def run_findings(self) -> tuple[Finding, ...]:
        """Cautions about the runs: they are among those of the points."""
        return ()


Source = CsvSource | StudySource | ExternalSource


def is_csv(path: Path) -> bool:
    """Whether the path names a table of text; anything else is a study."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


def open_source(
    path: Path,
    *,
    metric: str | None = None,
    higher: bool | None = None,
    profile: str | None = None,
    test_set: str | None = None,
) -> Source:
    """Open a CSV or a study.

    Args:
        path: a CSV file, a study file, or the folder of one.
        metric: what the numbers of a CSV are; none: as its column is called.
        higher: whether higher values of that metric are better; none: as the metric is known.
        profile: of a study's points; none: its own.
        test_set: of a study's points; none: its main one.

    Raises:
        UserError: the source cannot be read, or an option does not belong to its kind.
    """
    if is_csv(path):
        from reconscale.laws import Points

        if profile or test_set:
            raise UserError(path, "--profile and --test-set are for studies", "leave them out, or give a study file")
        return CsvSource(path, Points.from_csv(path, metric=named_metric(metric, higher)))
    if metric or higher is not None:
        raise UserError(path, "--metric and --higher-is-better are for CSV files", "use --profile, or give a CSV")
    from reconscale.results import Folder
    from reconscale.results.external_results import ExternalFolder
    from reconscale.study.external import ExternalStudy, load_study

    study = load_study(path)
    if isinstance(study, ExternalStudy):
        if profile or test_set:
            raise UserError(path, "--profile and --test-set are for studies of networks of ours", "leave them out")
        return ExternalSource(path, study, ExternalFolder.beside(path))
    return StudySource(path, study, Folder.beside(path), profile, test_set)


def named_metric(name: str | None, higher: bool | None) -> str | Metric | None:
    """The metric of that name, a new one where it is not known and its better side was said.

    Raises:
        UserError: the side is said without a name, or is not that of a known metric.
    """
    import re

    from reconscale.laws.column_names import FURTHER_METRICS, METRIC_COLUMNS
    from reconscale.laws.metrics import METRICS, higher_is_better, lower_is_better

    if higher is None:
        return name
    side = "higher" if higher else "lower"
    if name is None:
        raise UserError(f"--{side}-is-better", "is given without --metric", "name the column by --metric")
    known = METRICS.get((METRIC_COLUMNS | FURTHER_METRICS).get(name.lower(), name.lower()))
    if known is not None:
        if known.better != side:
            raise UserError(
                f"--{side}-is-better", f"found for {name}, of which {known.better} is better", "leave it out"
            )
        return name.lower()
    word = re.sub(r"\W+", "_", name.strip().lower())
    return higher_is_better(word, name) if higher else lower_is_better(word, name)
