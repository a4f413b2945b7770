"""The linear estimator, computed exactly: why curves flatten. Needs only numpy and scipy."""

from reconscale.theory.bound import theorem_bound
from reconscale.theory.closed_form import converged_mean, knee, numeric_knee, power_law_regimes, projection_risk
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.hybrid import Hybrid, draw_hybrid, expected_risk
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.filters import (
    Converged,
    Descent,
    Filter,
    Flow,
    Optimum,
    Ridge,
    best_descent,
    best_flow,
    best_ridge,
)
from reconscale.theory.images import LinearCurve, Spectrum, linear_curve, n_within_db, spectrum_of
from reconscale.theory.linear import learned_path, moments_of, population_of
from reconscale.theory.operators import OPERATORS, Operator, Patches, operator_of
from reconscale.theory.path import SubspacePath, TrainingSet, descend, draw_training_set, path_of
from reconscale.theory.repeated_experiments import Experiment, experiment, experiments
from reconscale.theory.samplers import sample, sample_converged, sample_truncated
from reconscale.theory.settings import SETTINGS, PowerFit, Setting, Summary, power_fit, summaries
from reconscale.theory.subspace import Population, Subspace

__all__ = [
    "OPERATORS",
    "SETTINGS",
    "Converged",
    "Descent",
    "Equivalent",
    "Experiment",
    "Filter",
    "Flow",
    "Hybrid",
    "LinearCurve",
    "Operator",
    "Optimum",
    "Patches",
    "Population",
    "PowerFit",
    "Ridge",
    "Setting",
    "Spectrum",
    "Subspace",
    "SubspacePath",
    "Summary",
    "TrainingSet",
    "best_descent",
    "best_flow",
    "best_ridge",
    "converged_mean",
    "descend",
    "draw_hybrid",
    "draw_training_set",
    "expected_risk",
    "experiment",
    "experiments",
    "knee",
    "learned_path",
    "linear_curve",
    "moments_of",
    "n_within_db",
    "numeric_knee",
    "operator_of",
    "path_of",
    "pca_equivalent",
    "population_of",
    "power_fit",
    "power_law_regimes",
    "projection_risk",
    "sample",
    "sample_converged",
    "sample_truncated",
    "spectrum_of",
    "summaries",
    "theorem_bound",
]
