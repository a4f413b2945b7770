"""Tables of a study's runs: every run, costs, other test sets, validation curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.format import amount, number, short
from reconscale.laws import Costs, Finding, Hours, Points, finding, hours_of, select_width
from reconscale.laws.decisions.costs import hours_unknown
from reconscale.laws.points import METRICS
from reconscale.report.analysis import MetricFormat
from reconscale.report.tables import Cell, Grid, Table, table
from reconscale.results import Folder, Result
from reconscale.results.external_results import ExternalResult
from reconscale.results.measurements import points_from_results
from reconscale.results.results_folder import Incident, count_incidents
from reconscale.study import PROFILES, Run, Study

GPU_HOURS, HOURS = "GPU-hours", "hours"
"""What hours of runs are called: those on GPUs, and others."""


def runs_table(runs: Sequence[Run], results: Sequence[Result], test_set: str) -> Table:
    """Every run of the plan, those that failed or are still to do included."""
    found = {result.run.id: result for result in results}
    profiles = [name for name in PROFILES if any(name in r.metrics.get(test_set, {}) for r in results)]
    rows = []
    for run in runs:
        result = found.get(run.id)
        head: tuple[Cell, ...] = (run.id, result.status if result else "to do", run.n, run.network.width, run.seed)
        if result is None:
            rows.append((*head, *(None,) * (6 + len(profiles)), ""))
            continue
        metrics = result.metrics.get(test_set, {})
        seconds = result.seconds if result.times else None
        rows.append(
            (
                *head,
                result.p,
                *(metrics.get(name) for name in profiles),
                result.flops,
                result.steps,
                result.samples,
                result.best_step,
                seconds,
                result.reason,
            )
        )
    columns = ["id", "status", "n", "width", "seed", "p", *profiles]
    return Table(
        "runs", (*columns, "flops_per_pixel", "steps", "samples", "best_step", "seconds", "reason"), tuple(rows)
    )


def faults_table(faults: Iterable[Incident]) -> Table:
    """What went wrong around the runs: kind, how often, and seconds of work that had to be done again."""
    rows = [(kind, count, lost) for kind, (count, lost) in count_incidents(faults).items()]
    return table("faults", "kind times seconds_done_again", rows)


def cost_table(results: Iterable[Result], pixels: float | None = None) -> Table:
    """Measured seconds of one run, by n and width: the median over seeds.

    Args:
        results: the runs that are over.
        pixels: of what training sees of an image; none: those of a crop.
    """
    cells: dict[tuple[int, int], list[Result]] = {}
    for result in results:
        if result.status == "done" and result.times:
            cells.setdefault((result.run.n, result.run.network.width), []).append(result)
    rows = []
    for (n, width), members in sorted(cells.items()):
        seconds = [result.seconds for result in members]
        training = 3 * members[0].flops * (pixels or members[0].run.images.patch ** 2)
        flops = float(np.median([training * result.samples for result in members]))
        rows.append((n, width, members[0].p, len(members), float(np.median(seconds)), flops))
    return table("cost", "n width p runs seconds training_flops", rows)


def hours_from(results: Iterable[Result], by: str = "p") -> Hours | None:
    """Measured time of a run as a power law of n and of p or width (``by``); none where nothing was timed."""
    timed = [(r, r.seconds) for r in results if r.status == "done" and r.seconds > 0]
    if not timed:
        return None
    dial = [float(r.p if by == "p" else r.run.network.width) for r, _ in timed]
    return hours_of([float(r.run.n) for r, _ in timed], [seconds for _, seconds in timed], dial)


def hours_of_external(results: Iterable[ExternalResult]) -> Hours | None:
    """Measured time of a run as a power law of n and of p, of runs that other code trained; none without p."""
    timed = [r for r in results if r.status == "done" and r.seconds > 0]
    if not timed or not all(r.p for r in timed):
        return None
    return hours_of([float(r.run.n) for r in timed], [r.seconds for r in timed], [float(r.p) for r in timed])


def costs_from(
    results: Sequence[Result],
    per_hour: float | None = None,
    per_image: float | None = None,
    have: int | None = None,
) -> Costs:
    """Prices, with the measured hours of runs.

    Args:
        results: of the runs.
        per_hour: price of an hour; none: hours are not priced.
        per_image: price of one more image; none: not known.
        have: the largest n that the study's images allow; none: not known.

    Raises:
        UserError: a price is out of range.
    """
    devices = {result.provenance.get("device") for result in results if result.status == "done"}
    unit = GPU_HOURS if devices == {"cuda"} else HOURS
    return Costs(hours_from(results) or hours_unknown, per_hour, per_image, have=have, hour_unit=unit)


def shift_table(results: Sequence[Result], profile: str) -> Table:
    """Each test set at the smallest and the largest n, and what the last doubling of n gave there.

    Widths are those selected on validation; the gain has its standard error from the spread over seeds.
    """
    rows = []
    sets = dict.fromkeys(name for result in results for name in result.metrics if name != "val")
    for name in sets:
        members = [r for r in results if r.status == "done" and profile in r.metrics.get(name, {})]
        if not members:
            continue
        best = select_width(points_from_results(members, profile=profile, test_set=name))
        sizes = best.sizes
        rows.append(
            (name, float(sizes[0]), _mean(best, sizes[0]), float(sizes[-1]), _mean(best, sizes[-1]), *_last(best))
        )
    return table("shift", "test_set n_smallest y_smallest n_largest y_largest gain_per_doubling gain_se", rows)


def validation_table(results: Iterable[Result], best: Points | None) -> Table:
    """The curves over training of every run that is done; ``selected`` is 1 where its width was chosen."""
    chosen: set[tuple[float, int]] = set()
    if best is not None and best.width is not None:
        chosen = {(float(n), int(width)) for n, width in zip(best.n, best.width, strict=True)}
    rows = []
    for result in results:
        if result.status != "done":
            continue
        n, width = result.run.n, result.run.network.width
        rows += [
            (
                result.run.id,
                n,
                width,
                result.run.seed,
                int((float(n), width) in chosen),
                look.step,
                look.samples,
                look.lr,
                look.mse,
                look.psnr,
            )
            for look in result.validation
        ]
    return table("validation", "id n width seed selected step samples lr mse psnr", rows)


MUON_LEAST = 3e-3
"""Rates below this are those of Adam: Muon then moves every weight a sixth as far as by its own, or less."""


def training_findings(
    study: Study, results: Sequence[Result], best: Points | None = None, sets: Table | None = None
) -> tuple[Finding, ...]:
    """Cautions about how the runs went.

    Args:
        study: the study.
        results: of the runs that are over.
        best: the curve: the runs of the width selected for their n; none: every run counts as selected.
        sets: of volumes, how many slices each n means: see :func:`training_sets_of`.
    """
    found = []
    done = [result for result in results if result.status == "done"]
    lost = [result for result in results if result.status != "done"]
    if lost:
        sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in lost}))
        found.append(finding("failed-runs", count=len(lost), runs=len(results), sizes=sizes))
    slowed = [result for result in done if result.restarts]
    if slowed:
        sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in slowed}))
        found.append(finding("restarted-runs", count=len(slowed), runs=len(done), sizes=sizes, lr=study.recipe.lr))
    broken = [result for result in done if result.reason]
    if broken:
        sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in broken}))
        found.append(finding("broke-off", count=len(broken), runs=len(done), sizes=sizes, lr=study.recipe.lr))
    slowest = min((result.run.lr for result in done if result.run.recipe.optimizer == "muon"), default=None)
    if slowest is not None and slowest < MUON_LEAST:
        found.append(finding("rate-of-adam", lr=slowest))
    found += _untrained(done, best)
    found += _unseen(done, {} if sets is None else {row["n"]: number(row["slices"]) for row in sets.records()})
    if not study.recipe.steps_are_fixed and study.recipe.policy != "converge":
        capped = sum(result.steps >= result.run.recipe.steps and not result.branches for result in done)
        text = f"{capped} of {len(done)} runs reached the limit on steps first; they may be undertrained"
        found += [Finding("ended-by-limit", text, "warning")] if capped else []
    elif study.recipe.policy == "budget" and study.recipe.decay == "none" and done:
        last = [result.run.n for result in done if result.best_step >= result.steps]
        if 2 * len(last) >= len(done):
            found.append(finding("budget-too-small", count=len(last), runs=len(done), n=max(last)))
    return tuple(found)


def _unseen(done: Sequence[Result], slices: Mapping[Cell, float]) -> list[Finding]:
    """A warning where runs ended before they had seen every image once. Where n counts units of several images, and
    it is not known of how many, each counts as one: then the warning may be missing, but is never wrong.
    """
    images = {result.run.n: float(slices.get(result.run.n, result.run.n)) for result in done}
    short = [result for result in done if 0 < result.samples < images[result.run.n]]
    if not short:
        return []
    sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in short}))
    worst = max(short, key=lambda result: images[result.run.n] / result.samples)
    remedy = "recipe.doublings" if worst.run.recipe.policy == "converge" else "recipe.steps"
    numbers = {"samples": worst.samples, "images": images[worst.run.n], "n": worst.run.n}
    return [finding("unseen-images", count=len(short), runs=len(done), sizes=sizes, remedy=remedy, **numbers)]


def _untrained(done: Sequence[Result], best: Points | None) -> list[Finding]:
    """That training never improved on the untrained network: a warning where the decision rests on such runs.

    It does where one of them has the largest n and the selected width or a larger one (a verdict compares these), or
    where half of the runs of the selected widths are such: then the curve is not one of trained networks.
    """
    untrained = [r for r in done if not r.best_step and r.validation and r.validation[0].step == 0]
    if not untrained:
        return []
    widths = {} if best is None or best.width is None else dict(zip(best.n.tolist(), best.width.tolist(), strict=True))
    selected = [r for r in done if widths.get(r.run.n, r.run.network.width) == r.run.network.width]
    last = max(r.run.n for r in done)
    decides = any(r.run.n == last and r.run.network.width >= widths.get(last, 0) for r in untrained)
    lost = {r.run.id for r in untrained}
    many = 2 * sum(r.run.id in lost for r in selected) >= len(selected)
    sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in untrained}))
    code = "untrained-runs" if decides or many else "few-untrained-runs"
    return [finding(code, count=len(untrained), runs=len(done), sizes=sizes)]


CHANCE = 2.0
"""A mean that is this many standard errors short of another method is not short of it by chance."""


def baseline_findings(
    best: Points | None, lines: Sequence[tuple[str, str, float]], *, converged: bool = False
) -> tuple[Finding, ...]:
    """A warning where the selected width does not reach what needs no training, or its input, at the largest n.

    Where seeds alone explain what is missing to a method without training it is a caution: nothing says that the
    networks are worse.

    Args:
        best: the curve, or none.
        lines: kind, label and value of the anchors, in the metric of the curve.
        converged: the runs of that width at the largest n have converged, so more steps are no remedy.
    """
    if best is None:
        return ()
    largest = float(best.n.max())
    reached = _mean(best, largest)
    sign = -1 if METRICS[best.metric].is_error else 1
    above = [(sign * value, kind, label, value) for kind, label, value in lines if sign * value > sign * reached]
    if not above:
        return ()
    _, _, label, value = max(above)
    numbers = f"({value:.4g}; the networks: {reached:.4g})"
    if any(kind == "input" for _, kind, _, _ in above):
        at = next(value for _, kind, _, value in above if kind == "input")
        text = f"at n = {largest:g} the networks are worse than their input ({at:.4g}; the networks: {reached:.4g})"
        return (Finding("below-input", text, "warning"),)
    there = best.y[best.n == largest]
    if len(there) > 1 and abs(value - reached) < CHANCE * float(there.std(ddof=1)) / math.sqrt(len(there)):
        return (finding("near-classical", n=largest, label=label, value=value, reached=reached),)
    if converged:
        return (finding("classical-is-better", n=largest, label=label, value=value, reached=reached),)
    text = (
        f"at n = {largest:g} the networks do not reach {label}, which needs no training {numbers}: they are too "
        "small, trained for too few steps or at a wrong rate, and the curve says more about that than about the data"
    )
    return (Finding("below-classical", text, "warning"),)


def _mean(points: Points, n: float) -> float:
    return float(points.y[points.n == n].mean())


def _last(points: Points) -> tuple[float | None, float | None]:
    """Gain for each doubling between the two largest n, in the unit of gains, and its standard error over seeds."""
    if len(points.sizes) < 2:
        return None, None
    metric, doublings = METRICS[points.metric], math.log2(points.sizes[-1] / points.sizes[-2])
    # Per cent are of the error before; other units need no reference.
    reference = points.error[points.n == points.sizes[-2]].mean()[None] if metric.unit == "%" else points.error[:1]
    before, after = (metric.gain(reference, points.error[points.n == n]) for n in points.sizes[-2:])
    gain = float(after.mean() - before.mean()) / doublings
    if min(len(before), len(after)) < 2:
        return gain, None
    return gain, math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after)) / doublings


MOST_ROWS = 60
"""Volumes that the page lists; the CSV has all."""


def training_sets_of(folder: Folder) -> Table | None:
    """How many slices, volumes and units each n means (mean over seeds), and the pixels of a slice.

    None where images are no slices.

    Raises:
        UserError: the record is damaged.
    """
    path = folder.root / "training-sets.json"
    if not path.is_file():
        return None
    record = read_json(path)
    try:
        rows = [
            (int(row["n"]), float(row["slices"]), float(row["volumes"]), float(row["units"]), float(record["pixels"]))
            for row in record["sets"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(path, f"is damaged ({error})", "delete it; `reconscale run` writes it again") from error
    return table("training_sets", "n slices volumes units pixels", rows)


def sets_grid(sets: Table | None, noun: str) -> Grid | None:
    """What each n means."""
    if sets is None or not len(sets):
        return None
    rows = tuple(
        tuple(_count(number(row[name])) for name in ("n", "slices", "volumes", "units")) for row in sets.records()
    )
    caption = f"n counts {noun}; what that is in slices, volumes and patients (mean over seeds)"
    return Grid(caption, (f"#n ({noun})", "#slices", "#volumes", "#patients"), rows)


def volumes_table(results: Sequence[Result], best: Points | None, profile: str) -> Table:
    """Every test volume at the smallest and the largest n: the mean over seeds at the width selected on validation.

    Of a profile of slices, the mean over a volume's slices.
    """
    columns = "test_set volume n_smallest y_smallest n_largest y_largest"
    if best is None or best.width is None or not any(result.volumes for result in results):
        return table("volumes", columns, [])
    ends = sorted({float(best.n.min()), float(best.n.max())})
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for n in ends:
        width = int(best.width[best.n == n][0])
        for result in results:
            if (result.status, float(result.run.n), result.run.network.width) != ("done", n, width):
                continue
            for name, volumes in result.volumes.items():
                for volume, values in volumes.items():
                    value = values.get(profile, _of_slices(result, name, volume, profile))
                    if name != "val" and value is not None:
                        found.setdefault((name, volume), {}).setdefault(n, []).append(value)
    rows = [
        (name, volume, ends[0], float(np.mean(by_n[ends[0]])), ends[-1], float(np.mean(by_n[ends[-1]])))
        for (name, volume), by_n in sorted(found.items())
        if ends[0] in by_n and ends[-1] in by_n
    ]
    return table("volumes", columns, rows)


def volumes_grid(volumes: Table, quantity: MetricFormat) -> Grid | None:
    """The table of volumes, those that gain least first."""
    if not len(volumes):
        return None
    sign = 1 if quantity.larger_is_better else -1
    records = sorted(volumes.records(), key=lambda r: sign * (number(r["y_largest"]) - number(r["y_smallest"])))
    rows = tuple(
        (
            str(row["test_set"]), str(row["volume"]), quantity.bare(number(row["y_smallest"])),
            quantity.bare(number(row["y_largest"])),
        )
        for row in records[:MOST_ROWS]
    )  # fmt: skip
    ends = [f"#{quantity.title} at n = {amount(number(records[0][key]))}" for key in ("n_smallest", "n_largest")]
    more = f"; the first {MOST_ROWS} of {len(records)}, all are in volumes.csv" if len(records) > MOST_ROWS else ""
    caption = f"Every test volume, those that gain least first; mean over seeds of the selected width{more}"
    return Grid(caption, ("test set", "volume", *ends), rows)


def _of_slices(result: Result, name: str, volume: str, profile: str) -> float | None:
    values = [
        slice_[profile]
        for image, slice_ in result.images.get(name, {}).items()
        if image.rpartition("/")[0] == volume and profile in slice_
    ]
    return float(np.mean(values)) if values else None


def _count(value: float) -> str:
    return short(value) if value >= 1e4 else amount(value)
