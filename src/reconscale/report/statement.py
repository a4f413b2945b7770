"""The paragraph on sample size of a methods section, from what was measured and from nothing else."""

from __future__ import annotations

from importlib.metadata import version

from reconscale.errors import UserError
from reconscale.format import amount, format_chance, number, plain, short, signed, times
from reconscale.laws import METRICS, Finding
from reconscale.laws.decisions.gate import OBSTACLES
from reconscale.laws.decisions.resolution import compare_sizes
from reconscale.laws.unit_values import count_units
from reconscale.report.analysis import Analysis
from reconscale.report.page_text import problem_words, sentence_case
from reconscale.report.study_analysis import StudyAnalysis
from reconscale.report.tables import Table
from reconscale.results.results_folder import images_at_hand
from reconscale.study import Study

CLAIM = (
    "Tejani AS, Klontzas ME, Gatti AA, Mongan JT, Moy L, Park SH, Kahn CE. Checklist for Artificial Intelligence in "
    "Medical Imaging (CLAIM): 2024 update. Radiology: Artificial Intelligence 2024;6(4):e240300"
)
KLUG = "Klug T, Heckel R. Scaling laws for deep learning based image reconstruction. ICLR 2023"
TO_SAY = (
    "Not known from these numbers, and to be added by the authors: how training, validation and test images were "
    "parted and at which level (patient, study, image), what the networks are, and how the sizes were drawn."
)


def study_statement(known: StudyAnalysis) -> list[str]:
    """The paragraphs for a study.

    Raises:
        UserError: no run is done, or at one size alone.
    """
    answer = known.answer
    if answer is None or not answer.has_curve:
        raise UserError(known.study.name, "has no curve yet", "run two sizes or more: the statement rests on them")
    study = known.study
    return [
        " ".join([*_training(study, answer, known), *_partitions(study)]),
        " ".join([*_expected(answer), *_tested(answer, study)]),
        *_cautions(answer, known.findings),
        _references(partitions=True),
    ]


def points_statement(answer: Analysis) -> list[str]:
    """The paragraphs for measurements that anybody took; what they do not say is left to the authors.

    Raises:
        UserError: there is one size alone.
    """
    if not answer.has_curve:
        raise UserError("points", "found one size", "measure two sizes or more: the statement rests on them")
    points, sizes = answer.points, ", ".join(amount(float(n)) for n in answer.points.sizes)
    first = (
        f"The size of the training set was studied rather than assumed: {times(len(points), 'network')} were trained "
        f"with n = {sizes} {points.unit}{_networks(answer)}. {TO_SAY}"
    )
    return [first, " ".join([*_expected(answer), *_tested(answer, None)]), *_cautions(answer, answer.findings),
            _references(partitions=False, tested=_knows_test(answer))]  # fmt: skip


def _training(study: Study, answer: Analysis, known: StudyAnalysis) -> list[str]:
    points, images = answer.points, study.images
    sizes = ", ".join(amount(float(n)) for n in points.sizes)
    lost = len(known.results) - len(known.done)
    missing = f" ({times(lost, 'run')} failed or diverged)" if lost else ""
    said = [
        f"{sentence_case(problem_words(study))}. The size of the training set was studied rather than assumed: "
        f"{times(len(known.done), 'network')} of the family {study.network.family}{missing} were trained with "
        f"n = {sizes} {images.noun}{_networks(answer)}, on nested sets (the smaller being a part of the larger)."
    ]
    have = images_at_hand(known.folder)
    if have is not None:
        largest = float(points.n.max())
        what = "all that were there" if largest >= have else f"{amount(float(have))} were there"
        said.append(f"The largest n is {amount(largest)}; {what}.")
    return [*said, *_patients(known.sets, float(points.n.max()), images.split_noun)]


def _patients(sets: Table | None, largest: float, noun: str) -> list[str]:
    """How many slices, volumes and patients the largest n means; nothing where nobody wrote it down."""
    row = None if sets is None or not len(sets) else sets.records()[-1]
    if row is None:
        return []
    slices, volumes, units = (amount(round(number(row[name]))) for name in ("slices", "volumes", "units"))
    parts = f"{slices} slices of {volumes} volumes" + ("" if noun == "volumes" else f" of {units} {noun}")
    return [f"n = {amount(largest)} means {parts}."]


def _networks(answer: Analysis) -> str:
    points = answer.points
    said = ""
    if points.p is not None:
        low, high = short(float(points.p.min())), short(float(points.p.max()))
        said += f", p = {low}{'' if low == high else f' to {high}'} parameters"
    if points.seed is not None:
        seeds = len(set(points.seed.tolist()))
        said += ", one seed each" if seeds == 1 else f", up to {seeds} seeds each"
    return said


def _partitions(study: Study) -> list[str]:
    """How images were parted, and at which level."""
    images = study.images
    noun = images.split_noun
    own = [] if images.split is None else list(images.split.named)
    held = [f"{count_units(images.val, noun)} for validation" if "val" not in own else "validation as listed"]
    if images.test:
        held.append(f"{count_units(images.test, noun)} for test" if "test" not in own else "test as listed")
    level = f"Partitions are disjoint at the level of {noun}; held out of training: {' and '.join(held)}."
    if images.test_sets:
        named = ", ".join(f"'{name}'" for name in images.test_sets)
        several = "sets {} are of files of their own" if len(images.test_sets) > 1 else "set {} is of files of its own"
        level += f" The test {several.format(named)}."
    if len(images.test_sets) + bool(images.test) > 1:
        level += f" The curve is that on '{images.main_test}'."
    if images.sources:
        level += f" Images come from several sources; the curve is of one mix of them, tested on {images.target}."
    if images.volumes and noun == "volumes":
        level += " Which volumes are of one patient was not known."
    chosen = "The weights" if len(study.sweep.width) == 1 else "The weights and the width for each n"
    return [level, f"{chosen} were chosen on validation, never on test; means over seeds are reported."]


def _expected(answer: Analysis) -> list[str]:
    decision, quantity = answer.decision, answer.quantity
    metric, gain = quantity.known, decision.gain_n
    bar = (
        ""
        if decision.error_bar is None
        else f" ± {plain(decision.error_bar, metric.digits)} (standard error over seeds)"
    )
    profile = f" ({quantity.profile})" if quantity.profile else ""
    low, high = (plain(end, metric.digits) for end in (gain.low, gain.high))
    said = [
        f"At n = {amount(decision.n)} the networks reach {quantity.say(decision.measured)}{bar}{profile}. "
        f"{metric.tell('Doubling n', gain.median)} (90 % interval {low} to {high}); the chance that it gains more than "
        f"{metric.spell(decision.worthwhile)}, which was called worthwhile, is {format_chance(gain.probability)}."
    ]
    if decision.gain_p is not None:
        low, high = (plain(end, metric.digits) for end in (decision.gain_p.low, decision.gain_p.high))
        said.append(f"{metric.tell('Doubling p', decision.gain_p.median)} (90 % interval {low} to {high}).")
    return said


def _knows_test(answer: Analysis) -> bool:
    """Whether the values of single test images, or of units of them, are known."""
    return answer.best.per_unit is not None or answer.best.images is not None


def _tested(answer: Analysis, study: Study | None) -> list[str]:
    """The size of the test set, and what it can tell."""
    best, metric = answer.best, METRICS[answer.points.metric]
    if not _knows_test(answer):
        return ["The size of the test set, and what it can tell, are not known from these numbers."]
    pair = compare_sizes(best, *best.sizes[-2:].tolist())
    units = pair.units
    name = "" if study is None else f" '{study.images.main_test}'"
    head = f"The test set{name} has {units.counted}"
    try:
        made = pair.size(answer.points.metric, answer.worthwhile or metric.worthwhile)
    except UserError as mistake:
        return [f"{head}; what it can tell apart is not known ({mistake.found}: {mistake.remedy})."]
    resolves, sd = plain(made.resolves, metric.digits + 1), plain(made.sd, metric.digits + 1)
    far = any(item.code == "far-pair" for item in made.findings)
    more = "; smaller differences vary less from one to the other" if far else ""
    said = [
        f"{head}, the unit of the analysis. Differences between the networks of {pair.first} and {pair.second} "
        f"({signed(made.measured, metric.digits)} {made.unit} on average) have a standard deviation of "
        f"{sd} {made.unit} over them, so that a paired t-test on this test set has {100 * made.power:.0f} % power "
        f"(two-sided, {100 * made.significance:.0f} %) for a difference of {resolves} {made.unit}{more}."
    ]
    return [*said, *([f"{sentence_case(units.unsure)}."] if units.unsure else [])]


def _cautions(answer: Analysis, findings: tuple[Finding, ...]) -> list[str]:
    """What stands against the numbers: warnings, and what the verdict is not to be acted on for."""
    against = [item.text for item in findings if item.severity == "warning" or item.code in OBSTACLES]
    against += [item.text for item in findings if item.code == "test-set-too-small"]
    first = answer.decision.first_step
    said = [f"Limitations: {'; '.join(dict.fromkeys(against))}."] if against else []
    return [" ".join([*said, f"Before the gains are relied on: {first}."])] if first else said


def _references(*, partitions: bool, tested: bool = True) -> str:
    """What the paragraph answers, and what it rests on."""
    items = (
        "items 19 to 21 of CLAIM 2024 [1] (how data were assigned to partitions, the level at which these are "
        "disjoint, and the size of the test set and how it was determined)"
    )
    if not partitions:
        items = "item 21 of CLAIM 2024 [1] (the size of the test set and how it was determined)"
    chosen = "how the size of the training set was chosen, by learning curves [2]"
    answered = f"This paragraph answers {items}, and {chosen}."
    if not tested:
        answered = f"This paragraph answers {chosen}. What {items} asks for is to be added by the authors."
    return f"{answered} [1] {CLAIM}. [2] {KLUG}. Computed with reconscale {version('reconscale')}."
