"""The complete analysis of a study: that of its points, and what is known of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reconscale.format import times
from reconscale.laws import Finding, Points, select_width
from reconscale.laws.findings import finding, unique_findings
from reconscale.report.analysis import Analysis, MetricFormat, analyse
from reconscale.report.convergence import convergence_findings
from reconscale.report.explanation import Explanation, explanation_of
from reconscale.report.mixture import StudyMixture, study_mixture
from reconscale.report.next_steps import next_steps, step_lines
from reconscale.report.run_tables import baseline_findings, costs_from, hours_from, training_findings, training_sets_of
from reconscale.report.sentences import finding_lines, joined, lines_of, verdict_line
from reconscale.report.tables import Table, baselines_table
from reconscale.report.training_budget import hours_of_step
from reconscale.results import Folder, Result
from reconscale.results.baseline_record import Baselines, read_baselines
from reconscale.results.choices import read_choices
from reconscale.results.judged import judged_findings, judged_results
from reconscale.results.measurements import noise_levels_from_results, points_from_results
from reconscale.results.probes import Probe, read_probes, with_probes
from reconscale.results.results_folder import image_cautions, images_at_hand
from reconscale.study import Run, Study, runs_of


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """A study and what came out.

    Attributes:
        study: the study.
        folder: its results folder.
        runs: every run of the plan.
        results: those that are over.
        answer: what the laws say; none where no run is done.
        anchors: what was measured without a network, or None.
        lines: kind, label and value of the anchors, in the metric of the curve.
        steps: what to run next.
        findings: all cautions, of the laws and of the runs.
        explanation: the linear estimator that was computed for the study, or None.
        sets: how many slices, volumes and patients n means, where images are slices, or None.
        probes: runs that were trained four times as long.
        mixture: what is said of several sources, or None where there is one. The answer is then of one of their mixes.
    """

    study: Study
    folder: Folder
    runs: Sequence[Run]
    results: Sequence[Result]
    answer: Analysis | None
    anchors: Baselines | None
    lines: Sequence[tuple[str, str, float]]
    steps: Table
    findings: tuple[Finding, ...]
    explanation: Explanation | None = None
    sets: Table | None = None
    probes: tuple[Probe, ...] = ()
    mixture: StudyMixture | None = None

    @property
    def done(self) -> list[Result]:
        """The results of runs that are done; of several sources those of the mix that the answer is of."""
        judged = judged_results(self.study, self.results, self.runs)
        return [result for result in judged if result.status == "done"]

    @property
    def baselines(self) -> Table:
        """What needs no training: at the level of all test images, and over how many images each mean is."""
        main, profile = self.study.images.main_test, self.study.analysis.profile
        if self.anchors is None or not self.lines:
            return baselines_table(self.lines)
        every = max((len(result.images.get(main, {})) for result in self.done), default=0)
        on = self.anchors.images.get(main)  # records of older versions: measured on all
        counts = (on.used, on.of) if on is not None else (every, every) if every else None
        return baselines_table(self.lines, self.anchors.means(main, profile), counts)

    @property
    def quantity(self) -> MetricFormat:
        """How values are spelt."""
        if self.answer is not None:
            return self.answer.quantity
        return MetricFormat("psnr", self.study.analysis.profile, self.study.images.noun)

    @property
    def verdict(self) -> str:
        """One of COLLECT MORE, TRAIN LARGER, STOP, UNDECIDED, TRAIN LONGER FIRST and FIX FIRST."""
        return "UNDECIDED" if self.answer is None else self.answer.verdict

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.answer is not None:
            of = "" if self.mixture is None else f"Trained on {self.mixture.judged}: "
            return of + self.answer.sentence
        lost = times(len(self.results), "run")
        over = f"; {lost} failed or diverged, see their reasons below" if self.results else ""
        remedy = "Train them with `reconscale run`, then write the report again"
        return f"No run is done yet of {len(self.runs)}{over}. {remedy}."


def analyse_study(
    study: Study,
    folder: Folder,
    *,
    results: Sequence[Result] | None = None,
    target: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> StudyAnalysis:
    """Read the results of a study and ask the laws what they say.

    Args:
        study: the study.
        folder: its results folder.
        results: those that are over; none: they are read from the folder.
        target: a value of the metric whose n is asked for.
        progress: called with what is being done.

    Raises:
        UserError: a result is damaged, results were measured on different images, or the target is out of range.
    """
    say = progress or (lambda _: None)
    runs = runs_of(study)
    if results is None:
        say("reading results")
        results = folder.results(runs)
    judged = judged_results(study, results, runs)
    done = [result for result in judged if result.status == "done"]
    how = (*judged_findings(study, runs), *run_findings(study, folder, judged))
    answer = _analyse_done(study, folder, done, target, how) if done else None
    if answer is not None:
        answer.complete(say)
    anchors = read_baselines(folder)
    quantity = MetricFormat("psnr", study.analysis.profile, "") if answer is None else answer.quantity
    best = None if answer is None else answer.best
    lines = _baseline_lines(anchors, study.images.main_test, quantity, _last_results(done, best))
    findings = unique_findings(() if answer is None else answer.findings, how)
    steps = next_steps(answer, runs, results, hours_from(done, "width"), chosen=bool(read_choices(folder.root)))
    made, sets = explanation_of(folder), training_sets_of(folder)
    found = StudyAnalysis(study, folder, runs, results, answer, anchors, lines, steps, findings, made, sets)
    say("weighing sources" if study.images.sources else "reading probes")
    seen = sources_findings(study, folder, results, runs) if study.images.sources else ()
    mixture = study_mixture(study, folder, runs, results, seen)
    if mixture is not None:
        found = replace(found, mixture=mixture, findings=unique_findings(findings, mixture.findings))
    return replace(found, probes=tuple(_probes(study, folder, done)))


def _probes(study: Study, folder: Folder, done: Sequence[Result]) -> list[Probe]:
    return read_probes(folder, done, profile=study.analysis.profile, test_set=study.images.main_test)


def _analyse_done(
    study: Study, folder: Folder, done: Sequence[Result], target: float | None, how: tuple[Finding, ...]
) -> Analysis:
    """The analysis of the points of runs that are done."""
    profile, main = study.analysis.profile, study.images.main_test
    points = points_from_results(done, profile=profile, test_set=main, folder=folder)
    points = with_probes(points, done, _probes(study, folder, done), profile=profile, test_set=main)
    answer = analyse(
        replace(points, findings=unique_findings(points.findings, how)),
        worthwhile=study.analysis.worthwhile,
        requested_n=study.analysis.forecast,
        target=target,
        costs=costs_from(done, have=images_at_hand(folder)),
        noise=noise_levels_from_results(done, profile=profile, test_set=main),
    )
    return replace(answer, pace=hours_of_step(done))


BESIDE_BASELINES = ("below-input", "below-classical", "near-classical", "classical-is-better")
"""Codes of what networks reach beside what needs no training."""


def sources_findings(
    study: Study, folder: Folder, results: Sequence[Result], runs: Sequence[Run]
) -> tuple[Finding, ...]:
    """Cautions about all runs of a study of several sources: how they went, and what the largest mix reaches.

    Args:
        study: the study.
        folder: its results folder.
        results: those that are over, of all mixes.
        runs: of its plan.
    """
    done = [result for result in results if result.status == "done"]
    target = study.images.source_names[0]
    most = max(((r.run.n, r.run.mix.get(target, 0)) for r in done), default=(0, 0))
    largest = [r for r in done if (r.run.n, r.run.mix.get(target, 0)) == most]
    judged = run_findings(study, folder, judged_results(study, results, runs))
    beside = [item for item in run_findings(study, folder, largest) if item.code in BESIDE_BASELINES]
    others = [item for item in judged if item.code not in BESIDE_BASELINES]
    return unique_findings(training_findings(study, results), tuple(beside), tuple(others))


def run_findings(
    study: Study,
    folder: Folder,
    results: Sequence[Result],
    points: Points | None = None,
    test_set: str | None = None,
) -> tuple[Finding, ...]:
    """Cautions about the runs behind a study: how they went, and what they reach without training.

    Args:
        study: the study.
        folder: its results folder.
        results: those that are over.
        points: their measurements; none: those of the study's own profile.
        test_set: where they were taken; none: the study's main one.

    Raises:
        UserError: the record of what was measured without a network is damaged, or the result of a probe.
    """
    done = [result for result in results if result.status == "done"]
    main = test_set or study.images.main_test
    if points is None and done:
        points = points_from_results(done, profile=study.analysis.profile, test_set=main)
    noticed = image_cautions(folder)
    about = (finding("images", what="; ".join(noticed)),) if noticed else ()
    best = None if points is None else select_width(points)
    trained = training_findings(study, results, best, training_sets_of(folder))
    how = (*about, *study.problem.findings(study.images), *trained, *_mixed_precision(done))
    if points is None:
        return unique_findings(how)
    anchors = read_baselines(folder)
    quantity = MetricFormat(points.metric, points.profile, points.unit)
    last = _last_results(done, best)
    lines, converged = _baseline_lines(anchors, main, quantity, last), all(result.converged for result in last)
    missing = anchors is not None and main in anchors.sets and not lines
    alone = (finding("baselines-unknown"),) if missing else ()
    longer = convergence_findings(study, folder, done, points, _probes(study, folder, done))
    return unique_findings(how, longer, alone, baseline_findings(best, lines, converged=converged and bool(last)))


def _mixed_precision(done: Sequence[Result]) -> tuple[Finding, ...]:
    """That some runs were computed in bf16 and others in fp32."""
    kinds = [
        str(result.provenance["precision"]).partition("+")[0] for result in done if "precision" in result.provenance
    ]
    counts = Counter(kinds).most_common()
    if len(counts) < 2:
        return ()
    (most, _), (other, count) = counts[:2]
    return (finding("mixed-precision", count=count, runs=len(kinds), other=other, most=most),)


def _last_results(done: Sequence[Result], best: Points | None) -> list[Result]:
    """The runs of the selected width at the largest n: what needs no training is compared with these."""
    if best is None or best.width is None:
        return []
    largest = best.n.max()
    widths = set(best.width[best.n == largest].tolist())
    return [result for result in done if result.run.n == largest and result.run.network.width in widths]


def _baseline_lines(
    anchors: Baselines | None, test_set: str, quantity: MetricFormat, networks: Sequence[Result]
) -> list[tuple[str, str, float]]:
    """Kind, label and value of what needs no training, on the scale of the curve."""
    return [] if anchors is None else anchors.lines(test_set, quantity.profile, networks)


def study_lines(known: StudyAnalysis) -> list[str]:
    """The verdict and all that stands behind it as lines without markup, with the cautions about the runs."""
    sources = []
    if known.mixture is not None:
        sources = [[*known.mixture.sentences], [f"The curve over n, of networks trained on {known.mixture.judged}:"]]
    if known.answer is not None:
        return joined([*sources, lines_of(known.answer, known.steps, known.findings)])
    head = [verdict_line(known.verdict, ""), known.sentence]
    return joined([*sources, head, step_lines(known.steps), finding_lines(known.findings)])
