"""Cautions that have a code and travel with the numbers they are about."""

from __future__ import annotations

from dataclasses import dataclass

CODES: dict[str, tuple[str, str]] = {
    "width-at-edge": (
        "warning",
        "at n = {n:g} the best {what} is the {side} one tried ({value:g}); "
        "a {direction} one may be better, and the curve may be flattened by the grid",
    ),
    "selected-on-test": (
        "warning",
        "there are no validation values, so the {what} was chosen on the reported values themselves; "
        "this flatters the result",
    ),
    "few-sizes": (
        "caution",
        "only {sizes} training sizes; four or more are needed to see whether the curve bends",
    ),
    "short-range": (
        "caution",
        "n spans a factor of {factor:.3g}; with less than a factor of 10 the exponent is hardly identified",
    ),
    "misfit": (
        "caution",
        "the points scatter about {law} by {residual:.2g} % where seeds explain {seed:.2g} %; "
        "the law is too simple, or one run is off",
    ),
    "unequal-seeds": (
        "note",
        "between {low} and {high} runs a size; means are used, never the best run, but the precision differs",
    ),
    "no-seeds": (
        "caution",
        "no size was run twice, so the noise between seeds is guessed from the scatter about the curve",
    ),
    "floor-unidentified": (
        "caution",
        "the points do not say where the error stops falling; the floor may be anything from none "
        "to {share:.0%} of the error at the largest n",
    ),
    "exponent-unidentified": (
        "note",
        "the points do not say how steep the falling part of the error is: its exponent may be {low:.2g} to "
        "{high:.2g}, about what was believed before any measurement",
    ),
    "outside-calibration": (
        "caution",
        "the width of intervals was calibrated on other curves than this one: {what}",
    ),
    "too-far": (
        "warning",
        "{count} of the sizes asked for lie too far beyond the largest measured n = {n:g}: {why}",
    ),
    "laws-disagree": (
        "caution",
        "at n = {n:g} the last value and the straight line through the last sizes differ by {spread:.2g} dB; the "
        "answer rests on how the curve goes on",
    ),
    "error-rises": (
        "warning",
        "the error rises from n = {low:g} to n = {high:g}; more data should not hurt, so look at the recipe first",
    ),
    "psnr-of-error": (
        "note",
        "the paper's law is a law of the metric; the error was read as an MSE for range 1 and turned into PSNR in dB",
    ),
    "outlier": (
        "warning",
        "{count} of the runs lie far from the others at their size (the first at n = {n:g}: {value:.4g}); the median "
        "is used there; look at what went wrong",
    ),
    "copies": (
        "note",
        "{count} of the rows repeat the n and the value of another, and no seed tells them apart; they count once",
    ),
    "sizes-merged": (
        "note",
        "{sizes} sizes were merged into {levels} neighbouring groups before fitting",
    ),
    "not-identified": (
        "caution",
        "not identified by these points: {names} of the law {law} (at an edge of what is allowed, or anything goes); "
        "read the curve, not these parameters",
    ),
    "p-follows-n": (
        "warning",
        "the networks grow in step with n (correlation {correlation:.2f}), so what either does alone is not identified",
    ),
    "overfits": (
        "caution",
        "at n = {n:g} the error rises from p = {low:g} to p = {high:g}; no surface here has such a rise, "
        "so it counts as discrepancy and the intervals are wider",
    ),
    "far-in-n": (
        "warning",
        "n = {n:g} is {factor:.3g} times beyond the measured {low:g} to {high:g}; beyond 4 times do not rely on it",
    ),
    "far-in-p": (
        "warning",
        "p = {p:g} is {factor:.3g} times beyond the measured {low:g} to {high:g}; beyond 4 times do not rely on it",
    ),
    "optimum-at-edge": (
        "caution",
        "in {share:.0%} of the draws the best network is the {side} one allowed (p = {p:g}); allow a wider range",
    ),
    "beyond-reach": (
        "caution",
        "{what} lies {factor:.3g} times beyond the largest n measured; beyond 10 times it rests on which law holds",
    ),
    "mixed-profiles": (
        "warning",
        "{what}; values that were measured in different ways must not be compared",
    ),
    "data-crime": (
        "warning",
        "k-space was simulated from magnitude images ({source}): it has no phase, no noise of its own, and has been "
        "through the scanner's processing, so that reconstruction looks easier than it is; the numbers compare "
        "networks and sizes with each other and say nothing about a scanner (Shimron et al. 2022)",
    ),
    "fixed-masks": (
        "note",
        "every training volume keeps one mask, as in the official code; fresh masks make more of the same slices",
    ),
    "no-truth": (
        "note",
        "nobody has the truth: quality is estimated from two copies of every noisy image with independent noise, for "
        "1.12 times its noise, and rests on the level of noise that the study gives; intervals hold the scatter of "
        "seeds, not that of test images",
    ),
    "budget-too-small": (
        "warning",
        "in {count} of {runs} runs, the largest at n = {n:g}, the best checkpoint is the last one; longer training may "
        "be better there, and the curve may be flattened by the budget",
    ),
    "restarted-runs": (
        "caution",
        "in {count} of {runs} runs training diverged and went on from earlier weights at a third of the rate "
        "(n = {sizes}); a lower recipe.lr (it was {lr:g}) would use all of their steps",
    ),
    "rate-of-adam": (
        "warning",
        "recipe.lr = {lr:g} is a rate for Adam and far too small for Muon, whose own is near 0.02: the networks have "
        "hardly moved; leave lr out, or set recipe.optimizer to 'adam'",
    ),
    "untrained-runs": (
        "warning",
        "in {count} of {runs} runs nothing was better on validation than the network before training (n = {sizes}): "
        "that network is what was measured; look at recipe.lr and recipe.steps",
    ),
    "failed-runs": (
        "warning",
        "{count} of {runs} runs failed or diverged and are missing here (n = {sizes}); if they failed for being "
        "hard, the means are too good",
    ),
}
"""Code -> (severity, template). The severities are ``note``, ``caution`` and ``warning``."""


@dataclass(frozen=True)
class Finding:
    """A coded caution.

    Attributes:
        code: a key of :data:`CODES`.
        text: the caution in one plain sentence, with its numbers.
        severity: ``note`` (good to know), ``caution`` (the interval may mislead) or ``warning`` (do not rely on it).
    """

    code: str
    text: str
    severity: str

    def __str__(self) -> str:
        return f"{self.severity} [{self.code}]: {self.text}"


def finding(code: str, **values: object) -> Finding:
    """The finding ``code`` with its numbers filled in.

    Raises:
        KeyError: ``code`` is not in :data:`CODES`, or a number that its template needs is missing.
    """
    severity, template = CODES[code]
    return Finding(code, template.format(**values), severity)


def unique_findings(*groups: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """All findings in order of appearance, each code once."""
    first: dict[str, Finding] = {}
    for group in groups:
        for item in group:
            first.setdefault(item.code, item)
    return tuple(first.values())
