"""Plans: the study file, runs and their ids, and the plan."""

from reconscale.study.base import Problem
from reconscale.study.external import load_study
from reconscale.study.images import Images
from reconscale.study.images.sources import SOURCES, Source
from reconscale.study.losses import LOSSES
from reconscale.study.mri import MRIProblem
from reconscale.study.plan import Cell, Plan, runs_of
from reconscale.study.problems import PROBLEMS, DenoisingProblem
from reconscale.study.profiles import PROFILES, Profile, profiles_of
from reconscale.study.run import Network, Recipe, Run
from reconscale.study.study_file import load_our_study, parse_study
from reconscale.study.study_model import Study

__all__ = [
    "LOSSES",
    "PROBLEMS",
    "PROFILES",
    "SOURCES",
    "Cell",
    "DenoisingProblem",
    "Images",
    "MRIProblem",
    "Network",
    "Plan",
    "Problem",
    "Profile",
    "Recipe",
    "Run",
    "Source",
    "Study",
    "load_our_study",
    "load_study",
    "parse_study",
    "profiles_of",
    "runs_of",
]
