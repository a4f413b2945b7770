"""Learning curves: laws, uncertainty, forecasts and decisions (numpy and scipy only)."""

from reconscale.laws.decisions.compare import Comparison, Crossing, Difference
from reconscale.laws.decisions.costs import CostEstimate, Costs, Hours, hours_of
from reconscale.laws.decisions.decide import Decision
from reconscale.laws.decisions.gains import Gain
from reconscale.laws.decisions.intervals import Interval, likelihood_words
from reconscale.laws.decisions.next_experiments import Experiment
from reconscale.laws.decisions.power import SizedTestSet, size_test_set
from reconscale.laws.decisions.requirements import Exchange, NoiseLevel, Price, RequiredSize, exchange_sentence
from reconscale.laws.decisions.value_of_information import Candidate
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.forecasting import BacktestRow, Forecast, backtest
from reconscale.laws.mixture.answers import BestMix, ExchangeRate, SourceGain
from reconscale.laws.mixture.points import Mixture
from reconscale.laws.mixture.questions import MixtureCurve, infer_mixture
from reconscale.laws.named.fit import Fit, PointFit, fit, point_fit
from reconscale.laws.named.registry import (
    ALIASES,
    LAWS,
    M4,
    USUAL,
    BrokenPowerLaw,
    LastValue,
    Law,
    Power,
    PowerFloor,
    SegmentedPowerLaw,
    Shifted,
    evaluate,
)
from reconscale.laws.points import METRICS, Metric, Points
from reconscale.laws.questions import (
    Curve,
    comparison,
    crossing,
    decide,
    exchanges,
    forecast,
    infer,
    next_experiments,
    price,
    required_n,
)
from reconscale.laws.related_curves import RelatedCurves
from reconscale.laws.steps.budget import Allocation, StepsSurface
from reconscale.laws.surface.chinchilla import Chinchilla, chinchilla
from reconscale.laws.surface.optimum import Draws, Optimum
from reconscale.laws.surface.posterior import infer_surface
from reconscale.laws.surface.surface import Surface
from reconscale.laws.width_selection import select_width

__all__ = [
    "ALIASES",
    "CODES",
    "LAWS",
    "M4",
    "METRICS",
    "USUAL",
    "Allocation",
    "BacktestRow",
    "BestMix",
    "BrokenPowerLaw",
    "Candidate",
    "Chinchilla",
    "Comparison",
    "CostEstimate",
    "Costs",
    "Crossing",
    "Curve",
    "Decision",
    "Difference",
    "Draws",
    "Exchange",
    "ExchangeRate",
    "Experiment",
    "Finding",
    "Fit",
    "Forecast",
    "Gain",
    "Hours",
    "Interval",
    "LastValue",
    "Law",
    "Metric",
    "Mixture",
    "MixtureCurve",
    "NoiseLevel",
    "Optimum",
    "PointFit",
    "Points",
    "Power",
    "PowerFloor",
    "Price",
    "RelatedCurves",
    "RequiredSize",
    "SegmentedPowerLaw",
    "Shifted",
    "SizedTestSet",
    "SourceGain",
    "StepsSurface",
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
    "hours_of",
    "infer",
    "infer_mixture",
    "infer_surface",
    "likelihood_words",
    "next_experiments",
    "point_fit",
    "price",
    "required_n",
    "select_width",
    "size_test_set",
]
