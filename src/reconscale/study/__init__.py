"""Plans and results: the study file, runs and their ids, the plan, and the results folder."""

from reconscale.study.base import Problem
from reconscale.study.images import Images
from reconscale.study.losses import LOSSES
from reconscale.study.mri import MRIProblem
from reconscale.study.plan import Cell, Plan, runs_of
from reconscale.study.problems import PROBLEMS, DenoisingProblem
from reconscale.study.profiles import PROFILES, Profile, profiles_of
from reconscale.study.result import Result
from reconscale.study.results_folder import Folder, Status
from reconscale.study.run import Network, Recipe, Run
from reconscale.study.sources import SOURCES, Source
from reconscale.study.study_file import load_study, parse_study
from reconscale.study.study_model import Study

__all__ = [
    "LOSSES",
    "PROBLEMS",
    "PROFILES",
    "SOURCES",
    "Cell",
    "DenoisingProblem",
    "Folder",
    "Images",
    "MRIProblem",
    "Network",
    "Plan",
    "Problem",
    "Profile",
    "Recipe",
    "Result",
    "Run",
    "Source",
    "Status",
    "Study",
    "load_study",
    "parse_study",
    "profiles_of",
    "runs_of",
]
