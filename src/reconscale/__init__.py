"""Would more data, or a larger network, make an image reconstruction better - by how much, and is it worth it?

The public names are loaded when they are first used, so that analysis never waits for torch.

>>> import reconscale as rs
>>> points = rs.Points(n=[10, 30, 100, 300], y=[2.9e-3, 2.4e-3, 2.1e-3, 1.95e-3], metric="error")
>>> rs.forecast(points, n=[600]).median.shape
(1,)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.data import list_split
    from reconscale.data.own_images import make_source
    from reconscale.errors import UserError
    from reconscale.importers import ColumnMapping, import_logs
    from reconscale.jobs import Job, measure, measure_mixture
    from reconscale.laws import (
        LAWS,
        METRICS,
        Candidate,
        Costs,
        Curve,
        Metric,
        Mixture,
        Points,
        backtest,
        crossing,
        decide,
        fit,
        forecast,
        hours_of,
        infer,
        infer_mixture,
        next_experiments,
        price,
        required_n,
        size_test_set,
    )
    from reconscale.ledger import Ledger
    from reconscale.ledger.deepinv_trainer import LedgerMixin
    from reconscale.ledger.lightning_callback import LedgerCallback
    from reconscale.networks import FAMILIES
    from reconscale.networks.own import make_family
    from reconscale.own_parts import load_plugin
    from reconscale.report import draw_points, report_points, report_study
    from reconscale.results import Folder
    from reconscale.results.measurements import load_points
    from reconscale.results.mixture_points import load_mixture
    from reconscale.study import (
        LOSSES,
        PROBLEMS,
        PROFILES,
        SOURCES,
        Profile,
        Study,
        load_study,
        parse_study,
        runs_of,
    )
    from reconscale.study.budget import Budget
    from reconscale.study.external import ExternalStudy
    from reconscale.study.mri import MASKS, MaskKind
    from reconscale.study.subsets import NestedShuffleSplit, subsets
    from reconscale.training import ExecutionConfig, plan, reconstruct, run
    from reconscale.training.placement import Local, Ray, Slurm

_HOME = {
    "list_split": "reconscale.data",
    "make_source": "reconscale.data.own_images",
    **dict.fromkeys(("ColumnMapping", "import_logs"), "reconscale.importers"),
    **dict.fromkeys(("LAWS", "Points", "backtest", "decide", "fit", "forecast"), "reconscale.laws"),
    **dict.fromkeys(("Candidate", "Costs", "Curve", "crossing", "hours_of", "infer", "required_n"), "reconscale.laws"),
    **dict.fromkeys(("next_experiments", "price"), "reconscale.laws"),
    "size_test_set": "reconscale.laws",
    **dict.fromkeys(("Mixture", "infer_mixture"), "reconscale.laws"),
    "UserError": "reconscale.errors",
    **dict.fromkeys(("METRICS", "Metric"), "reconscale.laws"),
    **dict.fromkeys(("MASKS", "MaskKind"), "reconscale.study.mri"),
    "Profile": "reconscale.study",
    **dict.fromkeys(("Job", "measure", "measure_mixture"), "reconscale.jobs"),
    **dict.fromkeys(("NestedShuffleSplit", "subsets"), "reconscale.study.subsets"),
    **dict.fromkeys(("Local", "Ray", "Slurm"), "reconscale.training.placement"),
    **dict.fromkeys(("Ledger", "LedgerCallback", "LedgerMixin"), "reconscale.ledger"),
    "FAMILIES": "reconscale.networks",
    "make_family": "reconscale.networks.own",
    "load_plugin": "reconscale.own_parts",
    **dict.fromkeys(("draw_points", "report_points", "report_study"), "reconscale.report"),
    **dict.fromkeys(("LOSSES", "PROBLEMS", "PROFILES", "SOURCES"), "reconscale.study"),
    "Folder": "reconscale.results",
    **dict.fromkeys(("Study", "load_study", "parse_study", "runs_of"), "reconscale.study"),
    "load_mixture": "reconscale.results.mixture_points",
    "load_points": "reconscale.results.measurements",
    "Budget": "reconscale.study.budget",
    "ExternalStudy": "reconscale.study.external",
    **dict.fromkeys(("ExecutionConfig", "plan", "reconstruct", "run"), "reconscale.training"),
}

__all__ = [
    "FAMILIES",
    "LAWS",
    "LOSSES",
    "MASKS",
    "METRICS",
    "PROBLEMS",
    "PROFILES",
    "SOURCES",
    "Budget",
    "Candidate",
    "ColumnMapping",
    "Costs",
    "Curve",
    "ExecutionConfig",
    "ExternalStudy",
    "Folder",
    "Job",
    "Ledger",
    "LedgerCallback",
    "LedgerMixin",
    "Local",
    "MaskKind",
    "Metric",
    "Mixture",
    "NestedShuffleSplit",
    "Points",
    "Profile",
    "Ray",
    "Slurm",
    "Study",
    "UserError",
    "backtest",
    "crossing",
    "decide",
    "draw_points",
    "fit",
    "forecast",
    "hours_of",
    "import_logs",
    "infer",
    "infer_mixture",
    "list_split",
    "load_mixture",
    "load_plugin",
    "load_points",
    "load_study",
    "make_family",
    "make_source",
    "measure",
    "measure_mixture",
    "next_experiments",
    "parse_study",
    "plan",
    "price",
    "reconstruct",
    "report_points",
    "report_study",
    "required_n",
    "run",
    "runs_of",
    "size_test_set",
    "subsets",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("reconscale")
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
