"""Runs that other code trains: a Python function (``measure``), or the command of a study file."""

from reconscale.jobs.function_study import measure
from reconscale.jobs.job import Job
from reconscale.jobs.mixture_study import measure_mixture

__all__ = ["Job", "measure", "measure_mixture"]
