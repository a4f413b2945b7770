"""Texts of the page: method, facts, costs, captions, and how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from reconscale.format import amount, duration, format_chance, number, plain, short, times
from reconscale.laws import METRICS, Hours
from reconscale.report.analysis import Analysis, MetricFormat
from reconscale.report.tables import Table
from reconscale.results import Result
from reconscale.results.baseline_record import Baselines
from reconscale.results.results_folder import DIVERGED
from reconscale.study import PROFILES, Images, Study

READING = (
    (
        "Every dot is one trained network",
        "Bars are means over seeds, never the best of several runs.",
    ),
    (
        "The band is an interval for a new run",
        "A new run with n training images should fall into the dark band with 50 % probability, and into the light one "
        "with 90 %. The band is solid over the data, shaded to 4 times the largest n and hatched to 10 times. Beyond "
        "that nothing is drawn unless the measurements identify the floor.",
    ),
    (
        "The right axis is the error",
        "20 % less error is about 1 dB. Near the floor, a small gain in dB can be most of what is left.",
    ),
    (
        "Diamonds are the back-test",
        "The largest sizes, forecast from the smaller ones alone, beside the measurements. If several lie outside "
        "their intervals, do not rely on the forecast.",
    ),
    (
        "Identified, or not",
        "The exponent belongs to the falling part of the error; the slope is the local one and includes the floor. "
        "A parameter is identified if its interval is much narrower than the prior one and inside it; a break and a "
        "floor only if curves with one explain the points ten times better. If not, the interval describes typical "
        "curves rather than this one.",
    ),
    (
        "An interval of 90 %",
        "is wrong one time in ten if the laws hold, and more often if the data change: other scanners, other cameras, "
        "other noise. The table of other test sets shows the size of this effect.",
    ),
    (
        "The verdict compares with your threshold",
        "COLLECT MORE: the chance is at least 80 % that doubling n gains more than the smallest gain worth paying for. "
        "TRAIN LARGER: the same for doubling p. STOP: both chances are below 20 % (with p unknown: that of n). "
        "UNDECIDED: otherwise. Before all of them TRAIN LONGER FIRST: training was too short, or the chance is at "
        "least 80 % that twice the steps gain that much.",
    ),
)
"""How to read a report: heading and explanation."""
COUPLINGS = {
    "additive": "additive (the errors from data and from network size add up)",
    "kaplan": "Kaplan's (the scarcer of the two is the bottleneck)",
    "free": "another form",
    "no p": "no effect of network size",
    "constant": "no effect of either",
}
MAP_CAPTION = (
    "White lines join equal quality. Below the thick line doubling the network is worth it, above it is not. The "
    "dashed line, if shown, is the best use of a compute budget of n times p. The dotted frame is the "
    "measured range; beyond it, to 4 times in each direction, values are forecast."
)
SIZE_CAPTION = "One line for each n; dots are runs, rings mark the width selected on validation."
STEPS_ALT = "Line plot of validation PSNR against the number of optimisation steps, one line for each n."
STEPS_CAPTION = (
    "What a training of that many steps gives: at each dot the rate has fallen to zero, and the steps of that fall "
    "count. Means over seeds, at the width selected for each n; the sizes on the right are in the order of their last "
    "values. A filled last dot: all runs have converged; a ring: in some run the last doubling of the steps still "
    "gained more than the tolerance."
)
VALIDATION_ALT = "Line plot of validation PSNR over optimisation steps, one line a run."
VALIDATION_CAPTION = (
    "Validation PSNR of the selected width, one line a run. If curves still rise at the end, use more steps."
)

OPTIMIZERS = {
    "muon": "Muon for matrices of weights and Adam at a fifth of the rate for the others",
    "adam": "Adam",
    "rmsprop": "RMSprop",
}
"""Optimizers in words."""


def problem_words(study: Study) -> str:
    """The inverse problem in a few words."""
    acquisition = study.problem.acquisition(study.images)
    return f"{study.problem.words}; {acquisition}" if acquisition else study.problem.words


def images_words(study: Study) -> str:
    """The images, what a split keeps together, and the training crops."""
    images = study.images
    if images.volumes:
        lower = f", the middle {images.matrix} × {images.matrix} of k-space" if images.matrix else ""
        unknown = " (by volume where no patient is known)" if images.split_noun == "patients" else ""
        return f"{images.source}; {_split_words(images)}{unknown}; whole slices{lower}"
    source = images.source
    if images.sources:
        source = ", ".join(f"{name} ({images.sources[name].source})" for name in images.source_names)
    return f"{source}; {_split_words(images)}; crops of {images.patch} × {images.patch} pixels"


def _split_words(images: Images) -> str:
    """What a split keeps together, and which sets the study lists."""
    named = "" if images.split is None else f", {' and '.join(images.split.named)} as the study lists them"
    return f"split by {images.split_noun[:-1]}{named}"


def recipe_words(study: Study) -> str:
    """How networks were trained."""
    recipe, steps = study.recipe, amount(study.recipe.steps)
    shape = "a constant rate" if recipe.decay == "none" else f"{recipe.decay} decay"
    held = "a constant rate and " if recipe.hold > recipe.warmup else ""
    policy = {
        "fast": f"{steps} steps at every n, with warm-up, {held}a linear fall to zero, and one restart at a third "
        "of the rate if training diverges",
        "converge": f"a constant rate after a warm-up, with branches at {steps}, {amount(2 * recipe.steps)}"
        f"{', ...' * (recipe.doublings > 1)} steps in which the rate falls to zero, until twice the steps gained "
        f"less than {recipe.tolerance:.2g} dB on validation, or for {amount(recipe.steps * 2**recipe.doublings)} steps "
        "at most",
        "budget": f"{steps} steps at every n, with warm-up and {shape}",
        "plateau": f"the rate halved when validation stops improving, at most {steps} steps",
        "paper": f"the two-phase policy of the paper, at most {steps} steps",
        "paper-mri": "a tenth of the rate when the validation loss stops improving, as in the official code, at most "
        + (f"{recipe.epochs} epochs" if recipe.epochs else f"{steps} steps"),
    }[recipe.policy]
    carried = f" at width {recipe.lr_width}, scaled with width^−{recipe.lr_power:g}" if recipe.lr_width else ""
    items = "slices" if study.images.volumes else f"crops of {study.images.patch} pixels"
    items += ", turned and mirrored at random" if study.images.augment else ""
    began = (
        "" if recipe.init_sha256 is None else f"; all runs begin with the weights {recipe.init_sha256[:12]} of a file"
    )
    decay = f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    clipped = f", gradients clipped to norm {recipe.clip:g}" if recipe.clip else ""
    return (
        f"Training: {OPTIMIZERS[recipe.optimizer]}, learning rate {recipe.lr:g}{carried}{decay}{clipped}, "
        f"batches of {recipe.batch} {items}, "
        f"loss {recipe.loss}, precision {recipe.precision}; {policy}{began}."
    )


def method(study: Study, answer: Analysis | None, results: Sequence[Result]) -> list[str]:
    """The method, as text for a paper."""
    images = study.images
    quantity = MetricFormat("psnr", study.analysis.profile, images.noun) if answer is None else answer.quantity
    sizes = ", ".join(amount(n) for n in sorted(study.sweep.n))
    done = times(sum(result.status == "done" for result in results), "run")
    kept = {"psnr": "PSNR", "loss": "loss"}[study.recipe.select]
    return [
        f"{sentence_case(problem_words(study))}. Networks of the family {study.network.family} were trained with "
        f"n = {sizes} {images.noun} and {times(len(study.sweep.seed), 'seed')} a size. Training sets are nested, "
        f"the smaller being the first part of the larger; {_order(study)}. No {images.split_noun[:-1]} "
        f"is in {_apart(study)}.",
        f"{_selection(study)} Quality is {study.analysis.profile}: {quantity.sentence}.",
        " ".join(part for part in (recipe_words(study), _overrides(study)) if part),
        f"The weights with the best mean {kept} on validation were kept. {done} of {len(results)} finished "
        "successfully and entered the curve.",
        *analysis(answer),
    ]


def analysis(answer: Analysis | None) -> list[str]:
    """How the forecast was made."""
    if answer is None or not answer.has_curve:
        return []
    return [
        "The forecast is Bayesian: one nested family of curves in the logarithm of the error (power laws with or "
        "without a floor, saturating, with up to two breaks) with a calibrated prior and a discrepancy that grows "
        "with the distance from the data, averaged with two naive forecasts (the last value, and a straight line in "
        "log-log), whose weights stand with the forecast. The back-test repeats the whole procedure without "
        "the held-out sizes. The named laws are least-squares fits to the log error with a bootstrap over seeds and, "
        "where they are known, test images; no forecast uses them."
    ]


def facts(
    study: Study | None, answer: Analysis | None, results: Sequence[Result], anchors: Baselines | None = None
) -> list[tuple[str, str]]:
    """What was measured, as name and value."""
    rows = [] if study is None else _study_facts(study)
    rows += [] if study is None or anchors is None else _baseline_facts(study, anchors)
    rows += [] if answer is None else _answer_facts(answer)
    counts = {word: sum(result.status == word for result in results) for word in ("diverged", "failed")}
    lost = " and ".join(f"{count} {word}" for word, count in counts.items() if count)
    return [*rows, ("Runs lost", lost)] if lost else rows


def costs(answer: Analysis | None, table: Table, hours: Hours | None, study: Study) -> list[str]:
    """Time of a run, and how it grows with n and p."""
    if answer is None or hours is None:
        return []
    largest = float(answer.points.n.max())
    best = None if answer.best.width is None else int(answer.best.width[answer.best.n == largest][0])
    here = next((row for row in table.records() if row["n"] == largest and row["width"] == best), None)
    if here is None:
        return []
    said = [f"A run at n = {amount(largest)}, width {best}, took {duration(number(here['seconds']))}."]
    if len(set(table.column("n"))) > 1:
        steady = study.recipe.steps_are_fixed
        why = "the recipe uses the same number of steps at every n" if steady else "each run ends when it has converged"
        said.append(f"Doubling n multiplied the time of a run by {plain(2**hours.by_n)} ({why}).")
    if len(set(table.column("p"))) > 1:
        said.append(f"Doubling p multiplied it by {plain(2**hours.by_p)}.")
    total = sum(number(row["seconds"]) * number(row["runs"]) for row in table.records())
    said.append(f"All finished runs took {duration(total)} in total.")
    return [" ".join(said)]


def landscape(answer: Analysis) -> list[str]:
    """The interaction of n and p, and the network that is large enough for the largest n; nothing without a surface."""
    drawn = answer.surface
    if drawn is None or answer.points.p is None:
        return []
    parts = ", ".join(f"{COUPLINGS.get(name, name)} {100 * part:.0f} %" for name, part in drawn.couplings.items())
    n, most = float(answer.points.n.max()), float(answer.points.p.max())
    enough = drawn.frontier([n], worthwhile=max(answer.worthwhile, 1e-6))
    (median,), ((low,), (high,)) = enough.median, enough.interval(0.9)
    unit = METRICS[answer.points.metric].unit
    head = f"At n = {amount(n)} doubling p gains more than {answer.worthwhile:g} {unit}"

    def spelt(p: float) -> str:
        return short(float(f"{p:.2g}")) if p < float("inf") else f"more than {short(4 * most)}"

    verdict = f"up to about p = {spelt(median)} (90 % interval {spelt(low)} to {spelt(high)})."
    if median == float("inf"):
        least = spelt(low)
        verdict = f"even at 4 times the largest p measured, {short(4 * most)} (90 % interval from {least} on)."
    return [
        f"{head} {verdict}",
        f"Interaction of data and network size: {parts} (prior: a third each). The chance that more of both "
        f"still meets a floor is {format_chance(drawn.floor)} (prior: 75 %).",
    ]


def map_alt(answer: Analysis) -> str:
    """The map in words."""
    quantity, points = answer.quantity, answer.points
    p = (0.0, 0.0) if points.p is None else (float(points.p.min()), float(points.p.max()))
    sizes = f"{amount(float(points.n.min()))} to {amount(float(points.n.max()))}"
    return (
        f"Contour map of the expected {quantity.title} over training set size ({sizes} measured) and network "
        f"parameters ({short(p[0])} to {short(p[1])} measured), both logarithmic and shown to 4 times the largest."
    )


def quality_alt(answer: Analysis) -> str:
    """The main figure in words."""
    quantity, sizes = answer.quantity, answer.best.sizes
    means = [quantity.say(float(answer.best.y[answer.best.n == n].mean())) for n in (sizes[0], sizes[-1])]
    ends = [f"{mean} at n = {amount(float(n))}" for mean, n in zip(means, (sizes[0], sizes[-1]), strict=True)]
    bands = "with the expected values and their 50 % and 90 % bands up to 10 times the largest n"
    band = f", {bands}" if answer.has_curve else ""
    axis = "training set size on a logarithmic axis"
    return f"Plot of {quantity.title} against the {axis}, from {ends[0]} to {ends[1]}{band}."


def quality_caption(answer: Analysis) -> str:
    """How to read the main figure."""
    if not answer.has_curve:
        return "There are too few sizes for a curve."
    held = (
        " Diamonds are back-tests, forecast from the smaller sizes alone, with 90 % intervals; they are drawn slightly "
        "to the left."
        if answer.backtest
        else ""
    )
    return (
        "The line is the expected mean over seeds; the bands are the 50 % (dark) and 90 % (light) intervals of a new "
        f"run.{held}"
    )


def size_alt(cells: Table, quantity: MetricFormat) -> str:
    """The figure of quality against p in words."""
    sizes, p = sorted(set(cells.numbers("n"))), cells.numbers("p")
    return (
        f"Plot of {quantity.title} against the number of network parameters, from {short(min(p))} to {short(max(p))}, "
        f"one line for each of {times(len(sizes), 'training set size')}."
    )


def sentence_case(text: str) -> str:
    """Text with a capital letter first and the rest as it is."""
    return text[:1].upper() + text[1:]


def _study_facts(study: Study) -> list[tuple[str, str]]:
    images = study.images
    depth = f", depth {study.network.depth}" if study.network.depth else ""
    depth += f", {study.network.cascades} cascades" if study.network.cascades else ""
    depth += ", without normalisation" if study.network.norm == "none" else ""
    depth += ", which starts as the identity" if study.network.head == "zero" else ""
    own = images.split is not None and "test" in images.split.named
    tested = _held_out(study, images.test, "test") if own else images.test or "none"
    held_out = f"{_held_out(study, images.val, 'val')} for validation, {tested} for test"
    sets = [*([f"held-out {images.split_noun}"] if images.test else []), *images.test_sets]
    return [
        ("Problem", problem_words(study)),
        ("Network", f"{study.network.family}{depth}"),
        ("Images", images_words(study)),
        ("Held out", f"{held_out}; test sets: {', '.join(sets)}"),
    ]


def _baseline_facts(study: Study, anchors: Baselines) -> list[tuple[str, str]]:
    """On how many images baselines were measured, where that is not all of them."""
    what = "slices" if study.images.volumes else "images"
    some = {name: on for name, on in anchors.images.items() if not on.is_all}
    if not some:
        return []
    profile = study.analysis.profile
    quantity = MetricFormat(PROFILES[profile].kind, profile, "")

    def reached(name: str) -> str:
        means = anchors.means(name, profile)
        said = [f"{anchors.labels[kind]} {quantity.say(value)}" for kind, value in means.items()]
        return f" ({', '.join(said)})" if said else ""

    parts = [f"{on.used} of {on.of} {what} of {name}{reached(name)}" for name, on in some.items()]
    if not all(on.is_known for on in some.values()):
        return [("Without training", f"measured on {', '.join(parts)}; an older version did not write down which: "
                                     "not shown, `reconscale run` measures them again")]  # fmt: skip
    how = "networks are compared with it on these, and lines are shifted to the level of all"
    return [("Without training", f"measured on {', '.join(parts)}, spread evenly; {how}")]


def _answer_facts(answer: Analysis) -> list[tuple[str, str]]:
    points, quantity = answer.points, answer.quantity
    sizes = ", ".join(amount(float(n)) for n in points.sizes)
    rows = [("Training sizes n", f"{sizes} ({quantity.unit})")]
    if points.p is not None:
        low, high = short(float(points.p.min())), short(float(points.p.max()))
        rows.append(("Network parameters p", low if low == high else f"{low} to {high}"))
    if points.width is not None:
        rows.append(("Widths", ", ".join(str(width) for width in sorted(set(points.width.tolist())))))
    seeds = "" if points.seed is None else f", {times(len(set(points.seed.tolist())), 'seed')}"
    name = f"{quantity.profile}: " if quantity.profile else ""
    unit = METRICS[points.metric].unit
    return [
        *rows,
        ("Runs", f"{times(len(points), 'run')} done{seeds}"),
        ("Quality", f"{name}{quantity.sentence}"),
        ("Worthwhile gain, at least", f"{answer.worthwhile:g} {unit}"),
    ]


def _apart(study: Study) -> str:
    """The parts of a split, which share nothing."""
    validation = f"validation ({_held_out(study, study.images.val, 'val')})"
    if not study.images.test:
        return f"both training and {validation}"
    return f"more than one of training, {validation} and test ({_held_out(study, study.images.test, 'test')})"


def _held_out(study: Study, count: int, name: str) -> str:
    if study.images.split is not None and name in study.images.split.named:
        return f"the {study.images.split_noun} that the study lists"
    return times(count, study.images.split_noun[:-1])


def _order(study: Study) -> str:
    noun = study.images.noun
    if study.images.subset == "seed":
        return (
            f"every seed has its own nested order of training {noun}, its own initialisation and its own noise, so "
            "that the spread between seeds includes that between training sets"
        )
    return (
        f"all seeds share one nested order of training {noun}, so that the spread between seeds does not include that "
        "between training sets"
    )


def _selection(study: Study) -> str:
    widths = ", ".join(str(width) for width in study.sweep.width)
    reported = "the mean over seeds on the test set is reported, never the best run."
    if len(study.sweep.width) == 1:
        return f"One width ({widths}) was trained, and {reported}"
    selected = "for each n the width was selected by the mean over seeds on the validation set"
    return f"Widths {widths} were trained at every n; {selected}, and {reported}"


def _overrides(study: Study) -> str:
    count = sum(bool(rule.recipe) for rule in study.override)
    changes = "changes" if count == 1 else "change"
    return f"{times(count, 'rule')} of the study {changes} this for some sizes or widths; see below." if count else ""


def faults(known: Table) -> str:
    """The incidents around the runs; empty without any.

    Args:
        known: the table ``faults``.
    """
    rows = [row for row in known.records() if row["kind"] != DIVERGED]  # what that changes, the findings say
    if not rows:
        return ""
    each = []
    for row in rows:
        lost = float(row["seconds_done_again"] or 0)
        again = f" ({duration(lost)} of work repeated)" if lost else ""
        each.append(f"{row['kind']} {times(int(row['times'] or 0), 'time')}{again}")
    return (
        f"During training: {', '.join(each)}. Runs continued from their checkpoints; their results "
        "are those of uninterrupted runs."
    )
