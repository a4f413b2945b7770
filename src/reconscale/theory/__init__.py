"""The linear estimator learned from images, exactly and fast: why curves flatten. Needs numpy and scipy alone."""

from reconscale.theory.baselines import converged_mean, projection_risk
from reconscale.theory.bound import theorem_bound
from reconscale.theory.closed import after_knee, attenuation, knee, numeric_knee
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.expected import expected_risk
from reconscale.theory.equivalents.hybrid import Hybrid, draw_hybrid
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.experiments import Experiment, experiment, experiments
from reconscale.theory.filters import Converged, Descent, Filter, Flow, Ridge
from reconscale.theory.images import LinearCurve, Spectrum, linear_curve, spectrum_of, within
from reconscale.theory.learned import learned_curve
from reconscale.theory.linear import learned_path, moments_of, population_of
from reconscale.theory.literal import TrainingSet, descend, draw_training_set, path_of
from reconscale.theory.operators import OPERATORS, Operator, operator_of
from reconscale.theory.patches import Patches
from reconscale.theory.path import SubspacePath
from reconscale.theory.population import Population
from reconscale.theory.powerlaw import power_law_population, power_law_regimes, power_law_risk
from reconscale.theory.samplers import sample, sample_converged, sample_truncated
from reconscale.theory.settings import SETTINGS, PowerFit, Setting, Summary, power_fit, summaries
from reconscale.theory.stopping import Best, best_descent, best_flow, best_ridge
from reconscale.theory.subspace import Subspace

__all__ = [
    "OPERATORS",
    "SETTINGS",
    "Best",
    "Converged",
    "Descent",
    "Equivalent",
    "Experiment",
    "Filter",
    "Flow",
    "Hybrid",
    "LinearCurve",
    "Operator",
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
    "after_knee",
    "attenuation",
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
    "learned_curve",
    "learned_path",
    "linear_curve",
    "moments_of",
    "numeric_knee",
    "operator_of",
    "path_of",
    "pca_equivalent",
    "population_of",
    "power_fit",
    "power_law_population",
    "power_law_regimes",
    "power_law_risk",
    "projection_risk",
    "sample",
    "sample_converged",
    "sample_truncated",
    "spectrum_of",
    "summaries",
    "theorem_bound",
    "within",
]
