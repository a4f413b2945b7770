"""Curves through measured points: laws, their uncertainty, forecasts and decisions (numpy and scipy only)."""

from reconscale.laws.decision import Decision, Gain, decide, wording
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.forecast import Forecast, Held, backtest, forecast
from reconscale.laws.frontier import frontier
from reconscale.laws.named.fit import Fit, fit
from reconscale.laws.named.forms import LAWS, Last, Law, Paper, Power, PowerFloor, evaluate
from reconscale.laws.points import METRICS, Metric, Points
from reconscale.laws.surfaces.chinchilla import Chinchilla, chinchilla
from reconscale.laws.surfaces.choices import Optimum
from reconscale.laws.surfaces.fit import surface
from reconscale.laws.surfaces.quantity import Quantity
from reconscale.laws.surfaces.surface import Surface

__all__ = [
    "CODES",
    "LAWS",
    "METRICS",
    "Chinchilla",
    "Decision",
    "Finding",
    "Fit",
    "Forecast",
    "Gain",
    "Held",
    "Last",
    "Law",
    "Metric",
    "Optimum",
    "Paper",
    "Points",
    "Power",
    "PowerFloor",
    "Quantity",
    "Surface",
    "backtest",
    "chinchilla",
    "decide",
    "evaluate",
    "finding",
    "fit",
    "forecast",
    "frontier",
    "surface",
    "wording",
]
