"""Curves through measured points: laws, their uncertainty, forecasts and decisions (numpy and scipy only)."""

from reconscale.laws.decisions.compare import Comparison, Crossing, Difference, comparison, crossing
from reconscale.laws.decisions.costs import Bill, Costs, Hours, hours_of
from reconscale.laws.decisions.decide import Decision, Gain, decide
from reconscale.laws.decisions.exchange import Exchange, Noise, exchange_sentence, exchanges
from reconscale.laws.decisions.intervals import Range, wording
from reconscale.laws.decisions.next_experiments import Experiment, next_experiments
from reconscale.laws.decisions.requirements import Needed, Price, n_for, price
from reconscale.laws.decisions.value_of_information import Candidate
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.forecasting import Forecast, Held, backtest, forecast
from reconscale.laws.grouping import frontier
from reconscale.laws.named.fit import Fit, PointFit, fit, point_fit
from reconscale.laws.named.registry import (
    ALIASES,
    LAWS,
    USUAL,
    Broken,
    ChanceToFloor,
    Last,
    Law,
    Paper,
    Power,
    PowerFloor,
    Shifted,
    evaluate,
)
from reconscale.laws.points import METRICS, Metric, Points
from reconscale.laws.surface.chinchilla import Chinchilla, chinchilla
from reconscale.laws.surface.optimum import Optimum, Quantity
from reconscale.laws.surface.posterior import surface
from reconscale.laws.surface.surface import Surface

__all__ = [
    "ALIASES",
    "CODES",
    "LAWS",
    "METRICS",
    "USUAL",
    "Bill",
    "Broken",
    "Candidate",
    "ChanceToFloor",
    "Chinchilla",
    "Comparison",
    "Costs",
    "Crossing",
    "Decision",
    "Difference",
    "Exchange",
    "Experiment",
    "Finding",
    "Fit",
    "Forecast",
    "Gain",
    "Held",
    "Hours",
    "Last",
    "Law",
    "Metric",
    "Needed",
    "Noise",
    "Optimum",
    "Paper",
    "PointFit",
    "Points",
    "Power",
    "PowerFloor",
    "Price",
    "Quantity",
    "Range",
    "Shifted",
    "Surface",
    "backtest",
    "chinchilla",
    "comparison",
    "crossing",
    "decide",
    "evaluate",
    "exchange_sentence",
    "exchanges",
    "finding",
    "fit",
    "forecast",
    "frontier",
    "hours_of",
    "n_for",
    "next_experiments",
    "point_fit",
    "price",
    "surface",
    "wording",
]
