"""What to run and what came out: the study file, runs and their identity, the plan, and the folder of results."""

from reconscale.study.file import Study, load_study
from reconscale.study.folder import Folder, Status
from reconscale.study.plan import Cell, Plan, runs_of
from reconscale.study.profiles import PROFILES, Profile
from reconscale.study.result import Result
from reconscale.study.run import Images, Network, Problem, Recipe, Run

__all__ = [
    "PROFILES",
    "Cell",
    "Folder",
    "Images",
    "Network",
    "Plan",
    "Problem",
    "Profile",
    "Recipe",
    "Result",
    "Run",
    "Status",
    "Study",
    "load_study",
    "runs_of",
]
