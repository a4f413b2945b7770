"""Tables of the page: rounded numbers with units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconscale.format import (
    MINUS,
    amount,
    by_uncertainty,
    duration,
    format_chance,
    number,
    plain,
    round_interval,
    short,
)
from reconscale.laws import LAWS
from reconscale.report.analysis import Analysis, MetricFormat
from reconscale.report.crowds import MOST_CURVES, MOST_ROWS, cells_of_points, cells_of_runs, spaced
from reconscale.report.next_steps import step_cost
from reconscale.report.sentences import forecast_rows, known_name, known_value, known_verdict
from reconscale.report.tables import Grid, Table
from reconscale.study import PROFILES


def sizes_grid(answer: Analysis) -> Grid | None:
    """The forecast at the sizes asked for."""
    rows = tuple(forecast_rows(answer))
    if not rows:
        return None
    quantity = answer.quantity
    columns = (f"#n ({quantity.unit})", "#of the largest", f"#{quantity.title}", "#50 % interval", "#90 % interval")
    note = "Forecast of a new run on the same test set; it goes on from the curve, not from the last measurement"
    return Grid(note, columns, rows)


def cost_grid(costs: Table) -> Grid | None:
    """Measured time of one run: a row for each n, a column for each width."""
    if not len(costs):
        return None
    widths = spaced(sorted({int(w) for w in costs.numbers("width")}), MOST_CURVES)
    rows = []
    for n in spaced(sorted(set(costs.numbers("n"))), MOST_ROWS):
        cells = {row["width"]: row["seconds"] for row in costs.where(n=int(n)).records()}
        rows.append((amount(n), *(duration(float(cells[w] or 0)) if w in cells else "" for w in widths)))
    parameters = {int(row["width"] or 0): short(float(row["p"] or 0)) for row in costs.records()}
    columns = ("#n", *(f"#width {w} (p = {parameters[w]})" for w in widths))
    return Grid("Measured time of one run, median over seeds", columns, tuple(rows))


def gains_grid(gains: Table, answer: Analysis) -> Grid:
    """Expected gains of more data, of a larger network and of more steps, and their costs."""
    quantity, rows = answer.quantity, []
    for row in gains.records():
        noun, spell = {"n": ("data", amount), "p": ("parameters", short), "steps": ("training", _about)}[
            str(row["what"])
        ]
        low, high = (quantity.gain(number(row[name])).split()[0] for name in ("low90", "high90"))
        rows.append(
            (
                f"{number(row['factor']):g} × {noun}"
                + ("" if row["size"] is None else f" ({row['what']} = {spell(number(row['size']))})"),
                quantity.gain(number(row["median"])),
                f"{low} to {high}",
                f"{format_chance(number(row['probability']))}, {row['wording']}",
                gain_cost(row, quantity, answer.price.currency),
            )
        )
    least = quantity.gain(answer.decision.worthwhile)
    columns = ("change", "#expected gain", "#90 % interval", f"#chance of more than {least}", "cost")
    return Grid("Expected gain in the mean over seeds", columns, tuple(rows))


def gain_cost(row: Mapping[str, Any], quantity: MetricFormat, currency: str) -> str:
    """What one row of the gains costs: images, time of a run, and money; as far as it is known."""
    parts = [f"{amount(number(row['images']))} more {quantity.unit}"] if number(row["images"]) else []
    parts += [] if row["hours"] is None else [f"{duration(3600 * number(row['hours']))} a run"]
    total = "" if row["total"] is None else f"{round_interval(number(row['total']))} {currency}".rstrip()
    return ", ".join([*parts, *([total] if total else [])])


def steps_grid(steps: Table) -> Grid | None:
    """The next experiments."""
    if not len(steps):
        return None
    rows = []
    for row in steps.records():
        count = "" if row["runs"] is None else str(row["runs"])
        left = "" if row["regret"] is None else _regret(number(row["regret"]))
        rows.append((str(row["action"]), str(row["reason"]), count, step_cost(row), left))
    return Grid(
        "In this order, each after those above it. Expected regret: what a decision then is still expected to lose",
        ("experiment", "why", "#runs", "#cost", "#expected regret"),
        tuple(rows),
    )


def _about(steps: float) -> str:
    """A number of steps to two digits: it is a mean over runs."""
    return amount(float(f"{steps:.2g}"))


def _regret(value: float) -> str:
    return "below 0.001" if 0 < value < 0.0005 else plain(value, 3)


def shift_grid(shift: Table, quantity: MetricFormat, main: str) -> Grid | None:
    """Other test sets; the one that gains least from more data is marked. None where there is the main one alone."""
    if all(name == main for name in shift.column("test_set")):
        return None
    gains = [float(gain) for gain in shift.column("gain_per_doubling") if gain is not None]
    rows, marks = [], []
    gains.sort()
    for row in sorted(shift.records(), key=lambda row: row["test_set"] != main):
        name = f"{row['test_set']} (main)" if row["test_set"] == main else str(row["test_set"])
        gain, error = row["gain_per_doubling"], row["gain_se"]
        text = "" if gain is None else quantity.gain(float(gain))
        if error is not None:
            text += f" ± {plain(float(error), 4 if quantity.metric == 'ssim' else 2)}"
        rows.append((name, *(quantity.bare(float(row[key] or 0)) for key in ("y_smallest", "y_largest")), text))
        least = gain is not None and len(gains) > 1 and float(gain) == gains[0] < gains[1] - float(error or 0)
        marks.append("worst" if least else "")
        if least:
            rows[-1] = (f"{name}: gains least", *rows[-1][1:])
    first = shift.records()[0]
    ends = [f"#{quantity.title} at n = {amount(float(first[key] or 0))}" for key in ("n_smallest", "n_largest")]
    slope = "gain: as measured between the two largest n, ± its standard error over seeds"
    caption = f"Widths selected on validation; {slope}"
    return Grid(caption, ("test set", *ends, "#gain per doubling"), tuple(rows), tuple(marks))


def known_grid(known: Table, largest: float) -> Grid | None:
    """Parameters of the curve: posterior and prior."""
    if not len(known):
        return None
    rows = []
    for row in known.records():
        name = str(row["quantity"])
        median, low, high, before, after = (
            known_value(name, None if row[key] is None else number(row[key]))
            for key in ("median", "low90", "high90", "prior_low90", "prior_high90")
        )
        verdict = known_verdict(name, bool(row["identified"]), number(row["probability"]))
        rows.append((known_name(name, largest), median, f"{low} to {high}", f"{before} to {after}", verdict))
    columns = ("parameter", "#median", "#90 % interval", "#prior", "identified?")
    return Grid("Parameters of the curve", columns, tuple(rows))


def laws_grid(laws: Table) -> Grid | None:
    """The named laws with their parameters."""
    if not len(laws):
        return None
    rows: list[tuple[str, ...]] = []
    for law in dict.fromkeys(str(name) for name in laws.column("law")):
        for index, row in enumerate(laws.where(law=law).records()):
            head = law if index == 0 else (LAWS[law].formula if law in LAWS else "") if index == 1 else ""
            if row["value"] is None:
                rows.append((head, str(row["note"]), "", "", ""))
                continue
            value, low, high = by_uncertainty(*(number(row[name]) for name in ("value", "low90", "high90")))
            scatter = "" if index else f"{100 * number(row['residual_sd']):.2g} %"
            rows.append((head, str(row["parameter"]), value, f"{low} to {high}", scatter))
    caption = "Named laws by least squares, with 90 % intervals that assume the law is true; no forecast uses them"
    columns = ("law", "parameter", "#value", "#90 % interval", "#scatter")
    return Grid(caption, columns, tuple(rows))


def runs_grid(runs: Table, profile: str) -> Grid | None:
    """Every run; of many, a row for each n and width."""
    if not len(runs):
        return None
    profiles = [name for name in PROFILES if name in runs.columns]
    profiles.sort(key=lambda name: name != profile)
    if len(runs) > MOST_ROWS:
        return cells_of_runs(runs, MetricFormat(PROFILES[profile].kind, profile, ""), profile)
    rows, marks = [], []
    for row in runs.records():
        rows.append(
            (
                str(row["status"]),
                amount(float(row["n"] or 0)),
                str(row["width"]),
                str(row["seed"]),
                *(_metric(row[name], name) for name in profiles),
                "" if row["seconds"] is None else duration(float(row["seconds"])),
                "" if row["best_step"] is None else f"{row['best_step']:,} / {row['steps']:,}",
                str(row["reason"]),
                str(row["id"]),
            )
        )
        marks.append({"done": "", "to do": "open"}.get(str(row["status"]), "lost"))
    columns = (
        "status",
        "#n",
        "#width",
        "#seed",
        *(f"#{name}" for name in profiles),
        "#time",
        "#best / last step",
        "reason",
        "id",
    )
    return Grid("Every run of the plan", columns, tuple(rows), tuple(marks))


def points_grid(points: Table, quantity: MetricFormat) -> Grid:
    """Every measured row of a CSV file; of many, a row for each n and p."""
    if len(points) > MOST_ROWS:
        return cells_of_points(points, quantity)
    known = [name for name in ("p", "width", "seed") if any(cell is not None for cell in points.column(name))]
    rows = []
    for row in points.records():
        dials = [short(float(row[name] or 0)) if name == "p" else str(row[name]) for name in known]
        rows.append(
            (
                amount(float(row["n"] or 0)),
                *dials,
                quantity.bare(float(row[quantity.metric] or 0)),
                "yes" if row["selected"] else "",
            )
        )
    columns = ("#n", *(f"#{name}" for name in known), f"#{quantity.title}", "in the curve")
    return Grid("Every measurement", columns, tuple(rows))


def provenance_grid(records: list[dict[str, Any]]) -> Grid | None:
    """Versions and hardware: every value that occurs, with the number of runs where there are several."""
    values: dict[str, dict[str, int]] = {}
    for record in records:
        for key, value in _flat(record).items():
            values.setdefault(key, {}).setdefault(value, 0)
            values[key][value] += 1
    rows = []
    for key, counts in sorted(values.items()):
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        if len(ordered) == 1:
            rows.append((key, ordered[0][0]))
            continue
        shown = "; ".join(f"{value} ({count} runs)" for value, count in ordered[:3])
        rows.append((key, shown + (f"; and {len(ordered) - 3} more" if len(ordered) > 3 else "")))
    return Grid("Versions, hardware and digests of the runs", ("item", "value"), tuple(rows)) if rows else None


def _metric(cell: object, profile: str) -> str:
    if not isinstance(cell, int | float):
        return ""
    return MetricFormat(PROFILES[profile].kind, profile, "").bare(float(cell)).replace("-", MINUS)


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return flat
