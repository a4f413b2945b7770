"""Sentences about what is known and what things cost, the same on the page and on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from reconscale.laws import Forecast
from reconscale.laws.decisions.ranges import Range
from reconscale.laws.decisions.wording import between, chance, rounded
from reconscale.laws.posterior.known import Known
from reconscale.report.choice import Choice
from reconscale.report.runs import GPU_HOURS, HOURS
from reconscale.report.tables import Cell
from reconscale.report.wording import Quantity, amount, duration, number

FORMS = {
    "power": "no break",
    "saturating": "flat at small n",
    "break": "one break",
    "two breaks": "two breaks",
}
MEMBERS = {"curve": "the posterior curve", "last value": "no change from here on", "line": "straight on"}
QUANTITIES = {
    "exponent": "exponent beyond the last break",
    "slope": "slope at n = {n}",
    "floor": "floor, part of the error at n = {n}",
    "break": "break, at n",
}


def members_sentence(outlook: Forecast) -> list[str]:
    """The members of the forecast and the forms of its curve, in two sentences."""
    members = ", ".join(f"{MEMBERS.get(name, name)} {100 * w:.0f} %" for name, w in outlook.weights.items())
    heads = dict.fromkeys(FORMS, 0.0)
    for name, probability in outlook.forms.items():
        head = name.partition("+")[0]
        heads[head] = heads.get(head, 0.0) + probability
    named = ", ".join(f"{FORMS.get(head, head)} {100 * p:.0f} %" for head, p in heads.items())
    floor = sum(p for name, p in outlook.forms.items() if "+" in name)
    return [f"Weights: {members}.", f"Power law with {named}; with a floor {100 * floor:.0f} %."]


def known_name(name: str, largest: float) -> str:
    """A quantity of the curve in words."""
    return QUANTITIES.get(name, name).format(n=amount(largest))


def known_value(name: str, value: float | None) -> str:
    """A value of it: a size for the break, per cent for the floor."""
    if value is None or value != value:
        return "unknown"
    if name == "break":
        return amount(float(f"{value:.2g}"))
    return f"{100 * value:.0f} %" if name == "floor" else f"{value:.2g}"


def known_verdict(name: str, identified: bool, probability: float) -> str:
    """Whether the measurements or the prior speak, and the chance that there is such a thing."""
    said = "identified" if identified else "not identified: the prior speaks"
    there = {"floor": "chance that there is one", "break": "chance of one within the data"}.get(name)
    return said if there is None else f"{said} ({there}: {chance(probability)})"


def known_sentence(name: str, known: Known, largest: float) -> str:
    """A quantity of the curve with its intervals, in one sentence."""
    numbers = (known.median, known.low, known.high, known.prior_low, known.prior_high)
    median, low, high, prior_low, prior_high = (known_value(name, value) for value in numbers)
    verdict = known_verdict(name, known.identified, known.probability)
    before = f"before any measurement {prior_low} to {prior_high}"
    return f"{known_name(name, largest)}: {median} ({low} to {high}; {before}), {verdict}"


def target_sentence(choice: Choice) -> list[str]:
    """What the target needs; nothing without one."""
    return [] if choice.needed is None else [f"Target: {choice.needed.sentence}"]


def price_sentence(choice: Choice, quantity: Quantity) -> str:
    """What the next 0.1 dB (0.01 SSIM) costs, as far as prices are known."""
    price = choice.price
    what = f"The next {price.step:g} {price.unit}"
    never = f"the chance that no amount of data brings it is {chance(price.n.never)}"
    if price.n.median == float("inf"):
        return f"{what} is not expected from more data ({never})."
    parts = [f"about {rounded(price.images.median)} more {quantity.unit} ({between(price.images)})"]
    if choice.timed:
        parts.append(f"{_time(price.hours)} for a run with them")
    if price.total is not None:
        parts.append(f"{rounded(price.total.median)} {price.currency}".rstrip() + f" in all ({between(price.total)})")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{what} takes {listed}; {never}."


def step_cost(row: Mapping[str, Cell]) -> str:
    """What a step costs: its time where that is known, money where hours have a price, else the usual runs."""
    parts = [] if row["hours"] is None else [f"about {duration(3600 * number(row['hours']))}"]
    unit, cost = row["cost_unit"], row["cost"]
    if row["kind"] != "stop" and cost is not None and unit not in (GPU_HOURS, HOURS):
        parts.insert(
            0, f"{rounded(number(cost))} {unit}".rstrip() if parts else f"cost of {rounded(number(cost))} {unit}"
        )
    return ", ".join(parts)


def _time(hours: Range) -> str:
    return duration(3600 * hours.median) if hours.median < float("inf") else "no known time"
