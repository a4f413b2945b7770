"""Results: what runs gave, their folder, and points for the laws from it."""

from reconscale.results.result import Result
from reconscale.results.results_folder import Folder, Status

__all__ = ["Folder", "Result", "Status"]
