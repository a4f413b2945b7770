"""The door for everybody's numbers: logs of other tools become rows of n, p, width, seed and a metric."""

from reconscale.importers.labels import USUAL, Labelling
from reconscale.importers.log import Logged, Skipped, Tool
from reconscale.importers.pipeline import TOOLS, Imported, import_logs
from reconscale.importers.values import Measure, parse_take

__all__ = [
    "TOOLS",
    "USUAL",
    "Imported",
    "Labelling",
    "Logged",
    "Measure",
    "Skipped",
    "Tool",
    "import_logs",
    "parse_take",
]
