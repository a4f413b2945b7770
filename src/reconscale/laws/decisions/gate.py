"""What must be mended before a verdict on a curve can be acted on."""

from __future__ import annotations

from dataclasses import replace

from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.costs import Costs
from reconscale.laws.decisions.decide import ON_DATA_ALONE, UNDECIDED, Decision, make_decision
from reconscale.laws.findings import Finding

FIX, LONGER = "FIX FIRST", "TRAIN LONGER FIRST"

OBSTACLES = {
    "looks-like-ssim": (FIX, "Say what the values are (--metric, or the column's name)"),
    "mixed-scales": (FIX, "Correct the values of another scale, or leave their rows out"),
    "psnr-of-equal-images": (FIX, "See what the evaluation compares"),
    "below-input": (FIX, "Find out why the networks are worse than their input (noise, data range, rate, loss)"),
    "rate-of-adam": (FIX, "Leave recipe.lr out, and run again"),
    "untrained-runs": (FIX, "Find out why training improves nothing (recipe.lr, recipe.steps, the loss)"),
    "error-rises": (FIX, "Find out why more data hurt (recipe, duplicates, mixed sources)"),
    "classical-is-better": (
        FIX,
        "Train a larger network, and half and twice the rate, at the largest n: if none is better, n is still too "
        "small for networks to be worth it, and the verdict on the curve alone says what more data would add",
    ),
    "below-classical": (
        LONGER,
        "Train longer (policy converge), or with a larger network or another rate; and see that training and test have "
        "the same noise and range of values",
    ),
    "not-converged": (LONGER, "Train until it has converged: raise recipe.doublings, and run again"),
    "probe-gains": (LONGER, "Train longer: set recipe.policy to 'converge', and run again"),
    "longer-gains": (LONGER, "Train longer: more steps at every n, or until it has converged (policy converge)"),
    "budget-too-small": (LONGER, "Train longer: set recipe.policy to 'converge', and run again"),
    "steps-follow-n": (UNDECIDED, "Train all n with the same steps, or until they have converged"),
    "out-of-reach": (UNDECIDED, "Say a smaller worthwhile gain, for instance a tenth of what there is to gain"),
    "edge-open": (UNDECIDED, "Train a network of twice the largest p or more at the largest n"),
}
"""Code of a finding -> the verdict that it forces, and what to do. With the first two verdicts the curve shows training
and not data, or (``VALUES``) values that are none; with the last nothing that was measured tells."""
VALUES = ("looks-like-ssim", "mixed-scales", "psnr-of-equal-images")
"""Those of them that are about the values, and not about how networks were trained."""
SEVEREST = (FIX, LONGER, UNDECIDED)
"""Of several, the first of these stands."""


def make_gated_decision(
    curve: CurvePosterior, *, double: str = "auto", worthwhile: float | None = None, costs: Costs | None = None
) -> Decision:
    """Say whether more data, or a larger network, is worth it, unless something must be mended first.

    Args:
        curve: the curve, inferred from points. Their ``findings`` may say what is known of the runs behind them.
        double: which is preferred where both are worthwhile: ``n``, ``p``, or ``auto``; see :func:`.make_decision`.
        worthwhile: the smallest gain worth paying for, 0 or more, in the metric's own unit: dB of PSNR, per cent of an
            error, else as the values; none: that of the metric.
        costs: prices; then the sentence says what each doubling costs.

    Returns:
        The decision of :func:`.decide.make_decision`. Where a finding of :data:`OBSTACLES` stands against it, its
        verdict is ``FIX FIRST``, ``TRAIN LONGER FIRST`` or ``UNDECIDED``, with the verdict on the curve alone beside
        it.

    Raises:
        UserError: an argument is out of range.
    """
    return gate(make_decision(curve, double=double, worthwhile=worthwhile, costs=costs))


def gate(decision: Decision) -> Decision:
    """The decision, with the verdict that its findings force, if any."""
    against = obstacles_among(decision.findings)
    if not against:
        return decision
    verdict = OBSTACLES[against[0].code][0]
    first = ". ".join(dict.fromkeys(OBSTACLES[finding.code][1] for finding in against))
    reservation = f"{not_yet(decision.findings)} On the curve alone the verdict would be {decision.verdict}."
    return replace(
        decision,
        verdict=verdict,
        curve_verdict=decision.verdict,
        first_step=first,
        reservation=reservation,
        sentence=decision.sentence.replace(ON_DATA_ALONE, ""),
    )


def obstacles_among(findings: tuple[Finding, ...]) -> list[Finding]:
    """The findings that something must be done about first, the severest first."""
    against = [finding for finding in findings if finding.code in OBSTACLES]
    return sorted(against, key=lambda finding: SEVEREST.index(OBSTACLES[finding.code][0]))


def not_yet(findings: tuple[Finding, ...]) -> str:
    """Why an answer is not to be acted on yet, and what to do; empty where nothing speaks against it."""
    against = obstacles_among(findings)
    if not against:
        return ""
    first = ". ".join(dict.fromkeys(OBSTACLES[finding.code][1] for finding in against))
    return f"Do not act on this yet: {'; '.join(finding.text for finding in against)}. {first}."
