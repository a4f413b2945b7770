"""Curves through measured points: laws, their uncertainty, forecasts and decisions (numpy and scipy only)."""

from reconscale.laws.decision import Decision, Gain, decide, wording
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.named.fit import Fit, fit
from reconscale.laws.forecast import Forecast, Held, backtest, forecast
from reconscale.laws.named.forms import LAWS, Last, Law, Paper, Power, PowerFloor, evaluate
from reconscale.laws.frontier import frontier
from reconscale.laws.points import METRICS, Metric, Points

__all__ = [
    "CODES",
    "LAWS",
    "METRICS",
    "Decision",
    "Finding",
    "Fit",
    "Forecast",
    "Gain",
    "Held",
    "Last",
    "Law",
    "Metric",
    "Paper",
    "Points",
    "Power",
    "PowerFloor",
    "backtest",
    "decide",
    "evaluate",
    "finding",
    "fit",
    "forecast",
    "frontier",
    "wording",
]
