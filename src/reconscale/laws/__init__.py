"""Curves through measured points: laws, their uncertainty, forecasts and decisions (numpy and scipy only)."""

from reconscale.laws.decisions.candidates import Candidate
from reconscale.laws.decisions.comparison import Comparison, Difference, comparison
from reconscale.laws.decisions.costs import Bill, Costs, Hours, hours_of
from reconscale.laws.decisions.crossing import Crossing, crossing
from reconscale.laws.decisions.decision import Decision, decide
from reconscale.laws.decisions.exchange import Exchange, Noise, exchange_sentence, exchanges
from reconscale.laws.decisions.experiments import Experiment, next_experiments
from reconscale.laws.decisions.gains import Gain
from reconscale.laws.decisions.price import Price, price
from reconscale.laws.decisions.ranges import Range
from reconscale.laws.decisions.target import Needed, n_for
from reconscale.laws.decisions.wording import wording
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.forecast import Forecast, Held, backtest, forecast
from reconscale.laws.frontier import frontier
from reconscale.laws.named.fit import Fit, PointFit, fit, point_fit
from reconscale.laws.named.forms import (
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
from reconscale.laws.surfaces.chinchilla import Chinchilla, chinchilla
from reconscale.laws.surfaces.choices import Optimum
from reconscale.laws.surfaces.fit import surface
from reconscale.laws.surfaces.quantity import Quantity
from reconscale.laws.surfaces.surface import Surface

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
