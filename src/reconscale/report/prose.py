"""Sentences that the page writes by itself: what was measured, how, what it costs, and how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from reconscale.laws import Gain
from reconscale.report.answer import Answer
from reconscale.report.runs import doubling
from reconscale.report.tables import Table
from reconscale.report.wording import Quantity, amount, duration, plain, short, times
from reconscale.study import Result, Study

READING = (
    ("Every dot is one trained network", "Bars are means over seeds. A number is never the best of several runs."),
    ("The band is where a new run is expected", "A new training with n examples should fall into the darker band one time in "
     "two, and into the lighter one nine times in ten. Over the data it is solid, up to 4 times the largest n it is shaded, up to 10 times it "
     "is hatched, and beyond that nothing is drawn unless the measurements show where the curve ends."),
    ("The right axis is the error", "20 % less error is about 1 dB. Near the floor a small gain in dB can still be a large part of what is left to gain."),
    ("An interval of 90 %", "is wrong one time in ten if the laws hold, and more often if the data change: other scanners, "
     "other cameras, other noise. The table of other test sets shows how far that goes here."),
    ("The verdict compares with your threshold", "COLLECT MORE: the chance is at least 80 % that doubling n gains more than the smallest gain worth paying for. "
     "TRAIN LARGER: the same for the network. STOP: below 20 % for both. UNDECIDED: the measurements do not say yet."),
)  # fmt: skip
"""How to read a report: heading and explanation."""


def method(study: Study, answer: Answer | None, results: Sequence[Result]) -> list[str]:
    """The method in words, to be copied into a paper."""
    images = study.images
    seeds = len(study.sweep.seed)
    order = (
        "every seed has its own nested order of training units, its own initialisation and its own noise, so that the spread between "
        "seeds includes that between training sets" if images.subset == "seed"
        else "all seeds share one nested order of training units, so that the spread between seeds does not include that between training sets"
    )  # fmt: skip
    widths = ", ".join(str(width) for width in study.sweep.width)
    selection = (
        f"Widths {widths} were trained at every n; for each n the width was selected by the mean over seeds on the validation set, "
        if len(study.sweep.width) > 1 else f"One width ({widths}) was trained; "
    ) + "and the mean over seeds on the test set is reported, never the best run."  # fmt: skip
    quantity = Quantity("psnr", study.analysis.profile, images.counts) if answer is None else answer.quantity
    return [
        f"{sentence_case(problem(study))}. Networks of the family {study.network.family} were trained with n = "
        f"{', '.join(amount(n) for n in sorted(study.sweep.n))} {images.counts} and {times(seeds, 'seed')} a size. Training sets are nested: "
        f"the smaller is the first part of the larger; {order}. Units never cross the line between training, validation "
        f"({images.val} units) and test ({images.test} units).",
        f"{selection} Quality is {study.analysis.profile}: {quantity.sentence}.",
        f"{_recipe(study)} {_overrides(study)}".strip(),
        f"The weights with the smallest mean squared error on validation were kept. {times(sum(r.status == 'done' for r in results), 'run')} of {times(len(results), 'result')} are done "
        "and enter the curve.",
        *analysis(answer),
    ]


def problem(study: Study) -> str:
    """The inverse problem in a few words."""
    return f"{study.problem.kind} of Gaussian noise, σ = {study.problem.sigma:g} of 255"


def facts(study: Study | None, answer: Answer | None, results: Sequence[Result]) -> list[tuple[str, str]]:
    """What was measured, as name and value."""
    rows: list[tuple[str, str]] = []
    if answer is not None:
        points, quantity = answer.points, answer.quantity
        sizes = [amount(float(n)) for n in points.sizes]
        rows.append(("Training sizes n", f"{', '.join(sizes)} ({quantity.unit})"))
        if points.p is not None:
            low, high = float(points.p.min()), float(points.p.max())
            rows.append(("Network parameters p", short(low) if low == high else f"{short(low)} to {short(high)}"))
        if points.width is not None:
            rows.append(("Widths", ", ".join(str(w) for w in sorted(set(points.width.tolist())))))
        runs = f"{times(len(points), 'run')} done"
        seeds = "" if points.seed is None else f", {times(len(set(points.seed.tolist())), 'seed')}"
        rows.append(("Runs", runs + seeds))
        name = f"{quantity.profile}: " if quantity.profile else ""
        rows.append(("Quality", f"{name}{quantity.sentence}"))
        rows.append(("Smallest gain worth paying for", f"{answer.worthwhile:g} {'SSIM' if points.metric == 'ssim' else 'dB'}"))
    if study is not None:
        images = study.images
        sets = [*(["held-out units"] if images.test else []), *images.test_sets]
        rows = [
            ("Problem", problem(study)),
            ("Network", f"{study.network.family}" + (f", depth {study.network.depth}" if study.network.depth else "")),
            ("Images", f"{images.source}; a unit is a {images.unit}; crops of {images.patch} × {images.patch} pixels"),
            ("Held out", f"{images.val} units for validation, {images.test} for test; test sets: {', '.join(sets)}"),
            *rows,
        ]
        counts = {word: sum(result.status == word for result in results) for word in ("diverged", "failed")}
        lost = " and ".join(f"{count} {word}" for word, count in counts.items() if count)
        if lost:
            rows.append(("Runs lost", lost))
    return rows


def costs(answer: Answer | None, table: Table, study: Study | None) -> list[str]:
    """What a doubling costs, in data and in computing."""
    if answer is None:
        return []
    largest = float(answer.points.n.max())
    sentences = [f"Twice the data means {answer.quantity.counted(largest)} more." + _for_each(answer, largest)]
    rows = [row for row in table.records() if row["n"] == int(largest)]
    best = answer.best.width[answer.best.n == largest][0] if answer.best.width is not None else None
    here = next((row for row in rows if row["width"] == best), None)
    if here is None or study is None:
        return sentences
    seconds = float(here["seconds"] or 0)
    by_n, by_p = doubling(table, "n"), doubling(table, "p")
    if by_n is not None:
        why = "the recipe takes the same number of steps at every n" if study.recipe.policy == "budget" else "the recipe stops by itself"
        sentences.append(
            f"A run at n = {amount(largest)}, width {best}, took {duration(seconds)}. For each doubling of n the time of a run was multiplied by "
            f"{plain(by_n)} ({why}): about {duration(seconds * by_n)} a run at n = {amount(2 * largest)}."
        )
    if by_p is not None:
        sentences.append(
            f"For each doubling of p it was multiplied by {plain(by_p)}: about {duration(seconds * by_p)} a run for twice the parameters."
        )
    total = sum(float(row["seconds"] or 0) * float(row["runs"] or 0) for row in table.records())
    sentences.append(f"All runs that are done took {duration(total)} together, one after the other.")
    return sentences


def _for_each(answer: Answer, largest: float) -> str:
    """What a small gain costs in data, from the gain expected of a doubling."""
    gain: Gain | None = None if answer.decision is None else answer.decision.gain_n
    if gain is None or gain.median <= 0:
        return ""
    step, unit = (0.01, "SSIM") if answer.points.metric == "ssim" else (0.1, "dB")
    middle, least = (amount(float(f"{largest * step / g:.2g}")) for g in (gain.median, gain.high))
    most = f"to {amount(float(f'{largest * step / gain.low:.2g}'))}" if gain.low > 0 else "to no upper bound"
    return f" At the expected gain that is {middle} {answer.quantity.unit} for each {step:g} {unit} (90 % interval {least} {most})."


def _recipe(study: Study) -> str:
    recipe = study.recipe
    policy = {
        "budget": f"for {amount(recipe.steps)} steps at every n, with warm-up and {recipe.decay} decay" if recipe.decay != "none"
        else f"for {amount(recipe.steps)} steps at every n, with warm-up and a constant rate",
        "plateau": f"with the rate halved when validation stops improving, for at most {amount(recipe.steps)} steps",
        "paper": f"with the two-phase policy of the paper, for at most {amount(recipe.steps)} steps",
    }[recipe.policy]  # fmt: skip
    carried = f", carried from width {recipe.lr_width} to the others by (width ratio)^{recipe.lr_power:g}" if recipe.lr_width else ""
    return (
        f"Training: Adam, learning rate {recipe.lr:g}{carried}, batches of {recipe.batch} crops of {study.images.patch} pixels, loss {recipe.loss}, "
        f"precision {recipe.precision}, {policy}."
    )


def _overrides(study: Study) -> str:
    rules = [rule for rule in study.override if rule.recipe]
    return f"{times(len(rules), 'rule')} of the study file change the recipe for some sizes or widths; see the study below." if rules else ""


def analysis(answer: Answer | None) -> list[str]:
    """How the forecast was made."""
    if answer is None or answer.outlook is None:
        return []
    weights = ", ".join(f"{law} {100 * weight:.0f} %" for law, weight in answer.outlook.weights.items())
    return [
        "Laws were fitted to the error on a logarithmic scale by weighted least squares, with a bootstrap over seeds and test images. The forecast is a mixture "
        f"({weights}), weighted by how well each member forecast the largest sizes from the smaller ones, with a discrepancy that grows with "
        "the distance from the data."
    ]


def quality_alt(answer: Answer) -> str:
    """The main figure in words."""
    quantity, sizes = answer.quantity, answer.best.sizes
    first, last = (float(answer.best.y[answer.best.n == n].mean()) for n in (sizes[0], sizes[-1]))
    ends = f"from {quantity.say(first)} at n = {amount(float(sizes[0]))} to {quantity.say(last)} at n = {amount(float(sizes[-1]))}"
    band = "" if answer.outlook is None else ", with the expected values and their 50 % and 90 % bands up to 10 times the largest n"
    return f"Plot of {quantity.title} against the training set size on a logarithmic axis, {ends}{band}."


def quality_caption(answer: Answer) -> str:
    """How to read the main figure."""
    dots = "Dots are runs, bars are means over seeds"
    if answer.outlook is None:
        return f"{dots}. There are too few sizes for a curve."
    law = "" if answer.curve is None else f" The line through them is the law {answer.curve.law}; beyond the data it is the forecast."
    return f"{dots}; the bands hold a new run one time in two (darker) and nine times in ten (lighter).{law}"


def size_alt(cells: Table, quantity: Quantity) -> str:
    """The figure of quality against p in words."""
    sizes = sorted(set(cells.numbers("n")))
    return (
        f"Plot of {quantity.title} against the number of network parameters, from {short(min(cells.numbers('p')))} to "
        f"{short(max(cells.numbers('p')))}, one line for each of {len(sizes)} training set sizes."
    )


def sentence_case(text: str) -> str:
    """Text with a capital letter first and the rest as it is."""
    return text[:1].upper() + text[1:]
