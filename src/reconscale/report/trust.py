"""Whether a verdict can be trusted: four questions that a careful reader asks first, each with a light."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reconscale.format import amount, times
from reconscale.laws import BacktestRow
from reconscale.report.analysis import Analysis

YES, PARTLY, NO, UNKNOWN = "yes", "partly", "no", "not known"
SIGNS = {YES: "✓", PARTLY: "~", NO: "✕", UNKNOWN: "?"}

LENGTH = {
    NO: {
        "untrained-runs": "Some runs never improved on the untrained network.",
        "broke-off": "In some runs training broke off before it had converged.",
        "unseen-images": "Training ended before every image was seen once.",
        "not-converged": "In some runs twice the steps still brought a gain that counts.",
        "longer-gains": "Twice the steps are likely to gain what is worthwhile.",
        "probe-gains": "Trained 4 times as long, a network still gains.",
        "budget-too-small": "Validation still rose at the end of training.",
        "rate-of-adam": "The rate was far too small.",
    },
    PARTLY: {
        "nearly-converged": "Some runs would still gain a little, less than is worthwhile.",
        "few-untrained-runs": "A few runs never improved on the untrained network; the decision does not rest on them.",
        "longer-is-worse": "At more than half of the sizes the longest trainings are worse than shorter ones.",
        "steps-differ": "Runs ended after different numbers of steps; some may have been broken off.",
        "steps-follow-n": "Larger training sets were trained longer, so data and steps cannot be told apart.",
    },
    UNKNOWN: {
        "not-probed": "Whether more steps would change the curve was not measured.",
        "convergence-unknown": "Nothing says whether these networks had converged.",
    },
    YES: {
        "trained-out": "All runs ended when twice the steps no longer gained anything.",
        "probe-silent": "Trained 4 times as long, no network gained anything worthwhile.",
    },
}
"""Light -> code of a finding -> what it says of the length of training; the first that is there counts."""
CLASSICAL = {
    NO: {
        "below-classical": "With the most training images the networks do not reach what needs no training.",
        "classical-is-better": "With the most training images the networks do not reach what needs no training.",
    },
    PARTLY: {"near-classical": "With the most training images the networks are no better than what needs no training."},
    UNKNOWN: {"baselines-unknown": "What needs no training was not measured on the same images."},
}
TEST = {
    NO: {"few-test-units": "Too few patients, scenes or images were tested to say how others would differ."},
    PARTLY: {
        "test-set-too-small": "The test set cannot tell apart a gain as small as is called worthwhile.",
        "patients-unknown": "It is not known which test images are of one patient.",
        "selected-on-test": "Values were selected on the test set, which flatters them.",
    },
}
LENGTH_QUESTION = "Was training long enough?"
CLASSICAL_QUESTION = "Are the networks better than what needs no training?"
TEST_QUESTION = "Can the test set tell?"
FORECAST_QUESTION = "Would earlier forecasts have come true?"


@dataclass(frozen=True)
class TrustLight:
    """One question and its answer.

    Attributes:
        question: as a reader asks it.
        answer: ``yes``, ``partly``, ``no`` or ``not known``.
        sentence: why.
    """

    question: str
    answer: str
    sentence: str

    @property
    def sign(self) -> str:
        """A mark that is read without its colour."""
        return SIGNS[self.answer]

    @property
    def look(self) -> str:
        """The class of the answer on the page."""
        return self.answer.replace(" ", "-")


def find_trust(answer: Analysis, codes: Collection[str], *, classical: bool) -> tuple[TrustLight, ...]:
    """The four lights of a page; none where there is no curve yet.

    Args:
        answer: the analysis.
        codes: of all findings on the page.
        classical: whether what needs no training was measured.
    """
    if not answer.has_curve:
        return ()
    return (
        _light(LENGTH_QUESTION, LENGTH, codes, (UNKNOWN, "Nothing says whether these networks had converged.")),
        _light(CLASSICAL_QUESTION, CLASSICAL, codes, _classical(classical)),
        _test_light(answer, codes),
        judge_backtest(answer.backtest),
    )


def _light(
    question: str, answers: Mapping[str, Mapping[str, str]], codes: Collection[str], else_: tuple[str, str]
) -> TrustLight:
    """The first answer, in the order of ``answers``, for which there is a finding."""
    for answer, sentences in answers.items():
        for code, sentence in sentences.items():
            if code in codes:
                return TrustLight(question, answer, sentence)
    return TrustLight(question, *else_)


def _classical(measured: bool) -> tuple[str, str]:
    if measured:
        return (
            YES,
            "With the most training images they are above their input and every classical method measured.",
        )
    return UNKNOWN, "No classical method was measured on these test images."


def _test_light(answer: Analysis, codes: Collection[str]) -> TrustLight:
    units = answer.points.per_unit
    if units is not None and len(units.names) == 1:
        noun = units.noun.removesuffix("s")
        return TrustLight(TEST_QUESTION, NO, f"It is one {noun}: nothing says how another {noun} would differ.")
    return _light(TEST_QUESTION, TEST, codes, _test_images(answer))


def _test_images(answer: Analysis) -> tuple[str, str]:
    units = answer.points.per_unit
    count = 0 if answer.points.images is None else answer.points.images.shape[1]
    if units is None and not count:
        return UNKNOWN, "The values of single test images are not known."
    said = times(len(units.names), units.noun.removesuffix("s")) if units is not None else times(count, "image")
    return YES, f"Its {said} are enough to tell a worthwhile gain apart."


def judge_backtest(rows: Sequence[BacktestRow]) -> TrustLight:
    """How forecasts of the largest sizes from the smaller ones fared: inside their 90 % intervals or not."""
    if not rows:
        return TrustLight(FORECAST_QUESTION, UNKNOWN, "There are too few sizes to hold any back.")
    inside = [row.low <= row.measured <= row.high for row in rows]
    sizes = ", ".join(amount(n) for n in sorted({row.n for row in rows}))
    many = times(len(rows), "forecast")
    said = f"{sum(inside)} of {many} of sizes held back (n = {sizes}) lay inside their 90 % interval."
    answer = YES if all(inside) else NO if sum(inside) < len(inside) / 2 else PARTLY
    return TrustLight(FORECAST_QUESTION, answer, said)
