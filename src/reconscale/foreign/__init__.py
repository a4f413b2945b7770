"""The door for everybody's numbers: logs of other tools become rows of n, p, width, seed and a metric."""

from reconscale.foreign.gather import Imported, import_logs
from reconscale.foreign.labels import USUAL, Labelling
from reconscale.foreign.logged import Logged, Skipped, Tool
from reconscale.foreign.tools import TOOLS
from reconscale.foreign.values import Measure, parse_take

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
