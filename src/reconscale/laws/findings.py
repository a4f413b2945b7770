"""Coded cautions about results."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from reconscale.format import amount, short
from reconscale.laws.table_codes import TABLE_CODES

CODES: dict[str, tuple[str, str]] = {
    **TABLE_CODES,
    "width-at-edge": (
        "warning",
        "at n = {n:size} the best {what} is the {side} one tried ({value:short}); "
        "a {direction} one may be better, and this limit may flatten the curve",
    ),
    "edge-open": (
        "warning",
        "at n = {n:size} the largest network tried (p = {p:short}) is the best one, and beyond it nothing was "
        "measured: {step} (90 % interval {low} to {high}), worthwhile with a chance of {chance}",
    ),
    "lucky-network": (
        "caution",
        "the best of {count} networks at n = {n:size} is likely to have been lucky with its seeds: {measured:.4g} was "
        "measured, about {expected:.4g} is expected of new seeds",
    ),
    "selected-on-test": (
        "warning",
        "there are no validation values, so the {what} was chosen on the test values themselves; "
        "this flatters the result",
    ),
    "images": (
        "caution",
        "{what}",
    ),
    "few-sizes": (
        "caution",
        "only {sizes} training sizes; four or more are needed to see whether the curve bends",
    ),
    "short-range": (
        "caution",
        "the largest n is only {factor:.3g} times the smallest; the exponent is hardly identified below a factor of 10",
    ),
    "misfit": (
        "caution",
        "the points scatter about {law} by {residual:.2g} % where seeds explain {seed:.2g} %; "
        "the law is too simple, or one run is off",
    ),
    "unequal-seeds": (
        "note",
        "between {low} and {high} runs per size; means are used, never the best run, but their precision differs",
    ),
    "no-seeds": (
        "caution",
        "no size was run twice, so the noise between seeds is estimated from the scatter about the curve",
    ),
    "floor-unidentified": (
        "caution",
        "the points do not identify where the error stops falling; the floor may be {low:.0f} % to {high:.0f} % of the "
        "error at the largest n",
    ),
    "exponent-unidentified": (
        "note",
        "the points do not show how steeply the error falls; its exponent may be {low:.2g} to {high:.2g}, "
        "hardly narrower than the prior",
    ),
    "outside-calibration": (
        "caution",
        "the interval widths were calibrated on curves that differ from this one: {what}",
    ),
    "too-far": (
        "warning",
        "{count} of the requested sizes are too far beyond the largest measured n = {n:size}: {why}",
    ),
    "laws-disagree": (
        "caution",
        "at n = {n:size} the last value and a straight line through the last sizes differ by {spread}; the "
        "answer depends on how the curve continues",
    ),
    "error-rises": (
        "warning",
        "the error rises from n = {low:size} to n = {high:size}, by more than {basis} explains; more "
        "data should not hurt, so check the recipe first",
    ),
    "may-rise": (
        "caution",
        "the error grows at every step from n = {low:size} to n = {high:size}, by {worse:.2g} % in all; more data "
        "should not hurt: repeat the smallest and the largest n with other seeds, which tells whether that is chance, "
        "and check the recipe",
    ),
    "early-rise": (
        "caution",
        "the error at n = {high:size} is above that at n = {low:size}, by more than {basis} explains, but not above "
        "that at the size after it: look at the runs at n = {low:size}",
    ),
    "psnr-of-error": (
        "note",
        "the paper's law describes the metric itself; the error was read as an MSE for range 1 and converted to PSNR",
    ),
    "outlier": (
        "warning",
        "{count} of the runs lie far from the others at their size (the first at n = {n:size}: {value:.4g}); the "
        "median is used there, and the spread there includes them; check these runs",
    ),
    "out-of-reach": (
        "warning",
        "the {name} of {measured:.4g} leaves at most {room:.2g} to gain, so no amount of data can add the "
        "{worthwhile:g} that is called worthwhile",
    ),
    "sizes-merged": (
        "note",
        "{sizes} sizes were merged into {levels} groups of neighbours before fitting",
    ),
    "not-identified": (
        "caution",
        "not identified by these points: {names} of the law {law} (at a limit, or not constrained); "
        "read the curve, not these parameters",
    ),
    "p-follows-n": (
        "warning",
        "the networks grow with n (correlation {correlation:.2f}), so the effect of each alone is not identified",
    ),
    "steps-follow-n": (
        "warning",
        "all runs of one n have the same steps, and larger n have more ({low:,.0f} to {high:,.0f}), so the effects of "
        "data and of training cannot be told apart",
    ),
    "p-assumed": (
        "note",
        "the networks of this curve grow with n, from p = {first:short} at n = {low:size} to p = {last:short} at "
        "n = {high:size}; larger n are assumed to have networks that go on growing so, not the one of the largest n",
    ),
    "overfits": (
        "caution",
        "at n = {n:size} the error rises from p = {low:short} to p = {high:short}; the surface cannot rise there, "
        "so this counts as discrepancy and widens the intervals",
    ),
    "far-in-n": (
        "warning",
        "n = {n:size} is {factor:.3g} times beyond the measured {low:size} to {high:size}; beyond 4 times the forecast "
        "is not reliable",
    ),
    "far-in-p": (
        "warning",
        "p = {p:short} is {factor:.3g} times beyond the measured {low:short} to {high:short}; beyond 4 times the "
        "forecast is not reliable",
    ),
    "optimum-at-edge": (
        "caution",
        "in {share:.0%} of the draws the best network is the {side} one allowed (p = {p:short}); allow a wider range",
    ),
    "beyond-reach": (
        "caution",
        "{what} is {factor:.3g} times the largest n measured; beyond 10 times it depends on which law holds",
    ),
    "mixed-profiles": (
        "warning",
        "{what}; values measured in different ways must not be compared",
    ),
    "data-crime": (
        "warning",
        "k-space was simulated from magnitude images ({source}): it has no phase and no noise of its own, and it has "
        "been through the scanner's processing, so reconstruction looks easier than it is; the numbers compare "
        "networks and sizes with each other, not with a scanner (Shimron et al. 2022)",
    ),
    "fixed-masks": (
        "note",
        "every training volume keeps one mask, as in the official code; fresh masks get more from the same slices",
    ),
    "no-truth": (
        "note",
        "there is no ground truth: quality is estimated from two copies of every noisy image with independent noise, "
        "at 1.12 times its noise level, and depends on the noise level given in the study; intervals include the "
        "scatter between seeds, not between test images",
    ),
    "budget-too-small": (
        "warning",
        "in {count} of {runs} runs, the largest at n = {n:size}, the best checkpoint is the last one; longer training "
        "may be better there, and the training budget may flatten the curve",
    ),
    "not-converged": (
        "warning",
        "in {count} of {runs} runs (n = {sizes}) the last doubling of the steps still gained more than the tolerance "
        "of {tolerance:.2g} dB of PSNR on validation, up to {gain:.2f} dB at the selected widths: the curve shows the "
        "training there, and not the data; recipe.doublings = {doublings} would take up to {hours} more",
    ),
    "longer-gains": (
        "warning",
        "at n = {n:size} {told} (90 % interval {low} to {high}), and more than {least} with a chance of {chance}: the "
        "curve shows the training as much as the data",
    ),
    "longer-is-worse": (
        "caution",
        "at n = {sizes} the longest trainings are worse than shorter ones (up to {most}), beyond their noise: the "
        "curve is of the longest, and what it shows there may be overfitting; keep the checkpoint that is best on "
        "validation, or give the shorter trainings alone",
    ),
    "nearly-converged": (
        "caution",
        "in {count} of {runs} runs (n = {sizes}) the last doubling of the steps still gained more than the tolerance "
        "of {tolerance:.2g} dB of PSNR on validation, but at the selected widths at most {gain:.2f} dB, less than is "
        "worthwhile; recipe.doublings = {doublings} would take up to {hours} more",
    ),
    "trained-out": (
        "note",
        "all {runs} runs have converged: at the end twice the steps gained less than {tolerance:.2g} dB on validation",
    ),
    "baselines-unknown": (
        "caution",
        "the networks are not compared with what needs no training: it is not known on which test images that was "
        "measured, or the networks lack some of them; `reconscale run` measures it again",
    ),
    "classical-is-better": (
        "warning",
        "at n = {n:size} the networks do not reach {label}, which needs no training ({value:.4g}; the "
        "networks: {reached:.4g}), though they have converged: they are too small, trained at a wrong rate, or "
        "{n:size} is too few for networks to be worth their training",
    ),
    "probe-gains": (
        "warning",
        "trained 4 times as long, a network gains {gains}: the curve shows the budget as much as the data{verdict}; "
        "{factor} times the steps would take {hours} for all runs",
    ),
    "probe-silent": (
        "note",
        "trained 4 times as long, a network gains {gains}: training was long enough",
    ),
    "not-probed": (
        "caution",
        "whether more steps would change the curve was not measured: {why}; `reconscale run study.toml --probe` trains "
        "{what} 4 times as long{hours}",
    ),
    "convergence-unknown": (
        "note",
        "reconscale did not train these networks, so it cannot tell whether they had converged; train the smallest and "
        "the largest n 4 times as long: a table with these rows, too, and a column 'steps' says what more steps add",
    ),
    "validation-too-small": (
        "caution",
        "the {images} validation images show the gain of the last doubling only to {error:.2g} dB (standard error), "
        "no better than the tolerance of {tolerance:.2g} dB: when training ends is partly chance; hold out more "
        "images or raise recipe.tolerance",
    ),
    "seeds-share-images": (
        "caution",
        "at n = {n:size} the seeds share most of their images ({available:size} are there), so their spread shows less "
        "than that of other data of this size",
    ),
    "restarted-runs": (
        "caution",
        "in {count} of {runs} runs training diverged and continued from earlier weights at a third of the rate "
        "(n = {sizes}); a recipe.lr below {lr:g} would use all of their steps",
    ),
    "broke-off": (
        "warning",
        "in {count} of {runs} runs training diverged a second time, at a third of the rate, before it had converged "
        "(n = {sizes}); the last branch before that counts; lower recipe.lr (it is {lr:g})",
    ),
    "rate-of-adam": (
        "warning",
        "recipe.lr = {lr:g} is a rate for Adam and far too small for Muon, which needs about 0.02: the networks have "
        "hardly changed; leave lr out, or set recipe.optimizer to 'adam'",
    ),
    "untrained-runs": (
        "warning",
        "in {count} of {runs} runs training never improved on the untrained network (n = {sizes}), so that network "
        "was measured; check recipe.lr and recipe.steps",
    ),
    "unseen-images": (
        "warning",
        "in {count} of {runs} runs (n = {sizes}) training ended before every image was seen once ({samples:size} of "
        "{images:size} at n = {n:size}): the others taught nothing, and the curve is one of the steps; raise {remedy} "
        "or recipe.batch",
    ),
    "few-untrained-runs": (
        "caution",
        "in {count} of {runs} runs training never improved on the untrained network (n = {sizes}); the decision does "
        "not rest on them, but the curve is too low there: check recipe.lr and recipe.steps, and run them again",
    ),
    "near-classical": (
        "caution",
        "at n = {n:size} the networks are no better than {label}, which needs no training ({value:.4g}; the "
        "networks: {reached:.4g}), within what seeds explain",
    ),
    "test-set-too-small": (
        "caution",
        "{what}",
    ),
    "few-test-units": (
        "caution",
        "{count} hardly tell how far others differ: the number needed is known to within a factor of {ratio}",
    ),
    "skewed-differences": (
        "caution",
        "differences between {noun} are skewed (skewness {skewness:.2g}): below about {asked:size} {noun} a t-test "
        "sees them {often} often than promised, and differences that are not there more often",
    ),
    "far-pair": (
        "caution",
        "{first} and {second} differ by {measured}, far more than {difference}; methods that differ less do so more "
        "evenly over images, so fewer may do: take two that differ by about as much as is to be told apart",
    ),
    "patients-unknown": (
        "caution",
        "{what}",
    ),
    "one-mix": (
        "caution",
        "the curve over n and its verdict are of {mix}: {count} of the study's {runs} runs; what images of each source "
        "are worth is said by `reconscale mixture STUDY`",
    ),
    "sources-together": (
        "warning",
        "'{one}' and '{other}' rise together: all mixes have {low:.3g} to {high:.3g} images of '{other}' for one of "
        "'{one}', so what an image of each is worth cannot be told apart; vary their shares",
    ),
    "source-of-one-size": (
        "warning",
        "all mixes have the same number of images of '{source}' ({n:size}), so what more of them would do is not "
        "measured; vary it, and include mixes without it",
    ),
    "sources-apart": (
        "caution",
        "no mix has images of both '{one}' and '{other}', so how they add up is what the laws say and was not measured",
    ),
    "few-mixes": (
        "caution",
        "only {count} different mixes; six or more, with the other sources at 0 in some, are needed to tell laws apart",
    ),
    "source-harms": (
        "warning",
        "more images of '{source}' are expected to make it worse (chance {chance}): train with fewer of them, weigh "
        "them less, or train on them first and on the target last",
    ),
    "far-in-source": (
        "warning",
        "{n:size} images of '{source}' are {factor:.3g} times the most that was measured ({high:size}); beyond 4 times "
        "what is said of them is not reliable",
    ),
    "same-mix-and-seed": (
        "caution",
        "some rows have the same mix, network and seed and different values; they are counted as replicates, so if one "
        "of them is a restart of another keep only the one that holds",
    ),
    "mixed-precision": (
        "caution",
        "{count} of {runs} runs were computed in {other}, the others in {most}, which alone may change quality a "
        "little: set recipe.precision to one of them, in a new folder",
    ),
    "train-changed": (
        "caution",
        "{count} of {runs} runs were trained by another version of the code than the others; a new folder would train "
        "all of them in the same way",
    ),
    "without-effect": (
        "warning",
        "runs that differ in {what} alone gave exactly the same values: {what} does not reach what trains, or "
        "something that it keeps between runs, such as a cache of its data set, decides instead",
    ),
    "failed-runs": (
        "warning",
        "{count} of {runs} runs failed or diverged and are missing here (n = {sizes}); if the hard ones failed, "
        "the means are too good",
    ),
}
"""Code -> (severity, template). The severities are ``note``, ``caution`` and ``warning``."""


BETWEEN = " | "
"""What stands between two findings of one cell."""
WRITTEN = re.compile(r"(?:note|caution|warning) \[(?P<code>[a-z-]+)\]: (?P<text>.+)")
"""A finding as it is printed."""


@dataclass(frozen=True)
class Finding:
    """A coded caution.

    Attributes:
        code: a key of :data:`CODES`.
        text: the caution in one sentence, with its numbers.
        severity: ``note`` (good to know), ``caution`` (the interval may mislead) or ``warning`` (do not rely on it).
    """

    code: str
    text: str
    severity: str

    def __str__(self) -> str:
        return f"{self.severity} [{self.code}]: {self.text}"


class _Templates(string.Formatter):
    """Templates with two more formats: ``size`` for n, ``short`` for p."""

    def format_field(self, value: float, spec: str) -> str:
        """One value in a template."""
        own = {"size": amount, "short": short}.get(spec)
        return str(super().format_field(value, spec)) if own is None else own(float(value))


def finding(code: str, **values: object) -> Finding:
    """The finding ``code`` with its numbers filled in.

    Raises:
        KeyError: ``code`` is not in :data:`CODES`, or a number that its template needs is missing.
    """
    severity, template = CODES[code]
    return Finding(code, _Templates().format(template, **values), severity)


def joined_findings(findings: Sequence[Finding]) -> str:
    """Findings as the text of one cell, which :func:`findings_of` reads back."""
    return BETWEEN.join(re.sub(r"[\s|]+", " ", str(item)) for item in findings)


def findings_of(text: str) -> tuple[Finding, ...]:
    """The findings in a cell; what is none is left out.

    >>> findings_of("caution [no-seeds]: none was run twice | hello")
    (Finding(code='no-seeds', text='none was run twice', severity='caution'),)
    """
    found = (WRITTEN.fullmatch(part.strip()) for part in text.split(BETWEEN.strip()))
    return tuple(
        Finding(item["code"], item["text"], CODES[item["code"]][0])
        for item in found
        if item is not None and item["code"] in CODES
    )


def floor_range(low: float, high: float) -> dict[str, float]:
    """The numbers of ``floor-unidentified``: a floor's range as a part of the error, in per cent."""
    return {"low": 100.0 * low, "high": 100.0 * min(high, 1.0)}


def unique_findings(*groups: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """All findings in order of appearance, each code once."""
    first: dict[str, Finding] = {}
    for group in groups:
        for item in group:
            first.setdefault(item.code, item)
    return tuple(first.values())
