"""What is answered about a mixture, as values that say themselves in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from reconscale.format import format_chance, plain, round_count, round_interval
from reconscale.laws.decisions.gains import Gain
from reconscale.laws.decisions.intervals import Interval, format_counts, likelihood_words
from reconscale.laws.metrics import METRICS
from reconscale.laws.mixture.points import spell_mix

HARMS = 0.5
"""From this chance on that more of a source makes it worse, no rate is told."""


@dataclass(frozen=True)
class ExchangeRate:
    """How many images of a source are worth one of the target.

    Attributes:
        source, target: the two.
        rate: images of the source; infinite where they do not help.
        harm: chance that more images of the source make it worse, at ``mix``.
        identified: whether the measurements, not what was believed before, are behind the interval.
        mix: where it holds: source -> images. With laws that are not additive it changes with the mix.
    """

    source: str
    target: str
    rate: Interval
    harm: float
    identified: bool
    mix: dict[str, float]

    def __str__(self) -> str:
        if self.harm >= HARMS:
            return (
                f"More images of {self.source} are expected to make it worse (chance {format_chance(self.harm)}) where "
                f"there are {spell_mix(self.mix)}."
            )
        rate = self.rate
        high = "any number" if rate.high == float("inf") else round_interval(rate.high)
        middle = "any number" if rate.median == float("inf") else round_interval(rate.median)
        there = f"where there are {spell_mix(self.mix)}"
        span = f"{round_interval(rate.low)} to {high}"
        if not self.identified:
            return (
                f"How many images of {self.source} one of {self.target} is worth is not known {there}: the interval, "
                f"{span}, is hardly narrower than before any measurement."
            )
        return f"One image of {self.target} is worth {middle} ({span}) of {self.source}, {there}."


@dataclass(frozen=True)
class SourceGain:
    """What doubling the images of one source is expected to add.

    Attributes:
        source: the source.
        more: images that this adds.
        gain: in the metric's unit; None where the mix has none of it.
        metric: name of the metric.
    """

    source: str
    more: float
    gain: Gain | None
    metric: str

    def __str__(self) -> str:
        if self.gain is None:
            return f"The mix has no images of {self.source} to double."
        metric, gain = METRICS[self.metric], self.gain
        span = f"{plain(gain.low, metric.digits)} to {plain(gain.high, metric.digits)}"
        return (
            f"{metric.tell(f'Doubling {self.source}', gain.median)} ({span}; worthwhile: "
            f"{likelihood_words(gain.probability)}, {format_chance(gain.probability)})."
        )


@dataclass(frozen=True, eq=False)
class BestMix:
    """What to collect for a budget.

    Attributes:
        budget: in the unit of the costs.
        costs: source -> cost of an image.
        more: source -> images to collect.
        low, high: source -> 90 % interval of the best number.
        gain: what this is expected to add.
        alone: source -> gain where the whole budget goes there.
        first: source -> chance that this one source is the best to spend all of it on.
        metric: name of the metric.
    """

    budget: float
    costs: dict[str, float]
    more: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    gain: Gain
    alone: dict[str, Gain]
    first: dict[str, float]
    metric: str

    @property
    def source(self) -> str:
        """The one source that is most likely the best to spend all on."""
        return max(self.first, key=lambda name: self.first[name])

    def __str__(self) -> str:
        best, metric = self.source, METRICS[self.metric]
        one = f"If it is one source, collect {best}: best for the money with chance {format_chance(self.first[best])}."
        parts, open_ones = [], 0
        for name, more in self.more.items():
            parts.append(f"{round_count(more)} of {name}" if round_count(more) != "0" else f"none of {name}")
            ends = {round_count(value) for value in (self.low[name], more, self.high[name])}
            if len(ends) > 1:
                open_ones += 1
                parts[-1] += f" ({format_counts(Interval(more, self.low[name], self.high[name], 0.0))})"
        sure = "" if open_ones else ", with a chance of 90 % or more"  # both ends of all intervals are the mix itself
        chance = self.gain.probability
        return (
            f"{one} For a budget of {round_interval(self.budget)}, the best mix to collect is {' and '.join(parts)}"
            f"{sure}; it {metric.tell('', self.gain.median).strip()} ({plain(self.gain.low, metric.digits)} to "
            f"{plain(self.gain.high, metric.digits)}; worthwhile: {likelihood_words(chance)}, {format_chance(chance)})."
        )
