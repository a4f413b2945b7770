"""The linear estimator learned from images, exactly and fast: why curves flatten. Needs numpy and scipy alone."""

from reconscale.theory.baselines import converged_mean, projection_risk
from reconscale.theory.experiments import Experiment, experiment, experiments
from reconscale.theory.filters import Converged, Descent, Filter, Flow, Ridge
from reconscale.theory.literal import TrainingSet, descend, draw_training_set, path_of
from reconscale.theory.path import SubspacePath
from reconscale.theory.population import Population
from reconscale.theory.samplers import sample, sample_converged, sample_truncated
from reconscale.theory.settings import SETTINGS, PowerFit, Setting, Summary, power_fit, summaries
from reconscale.theory.stopping import Best, best_descent, best_flow, best_ridge
from reconscale.theory.subspace import Subspace

__all__ = [
    "SETTINGS",
    "Best",
    "Converged",
    "Descent",
    "Experiment",
    "Filter",
    "Flow",
    "Population",
    "PowerFit",
    "Ridge",
    "Setting",
    "Subspace",
    "SubspacePath",
    "Summary",
    "TrainingSet",
    "best_descent",
    "best_flow",
    "best_ridge",
    "converged_mean",
    "descend",
    "draw_training_set",
    "experiment",
    "experiments",
    "path_of",
    "power_fit",
    "projection_risk",
    "sample",
    "sample_converged",
    "sample_truncated",
    "summaries",
]
