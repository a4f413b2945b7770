"""Import logs of other tools as rows of n, p, width, seed and a metric."""

from reconscale.importers.labels import ColumnMapping
from reconscale.importers.log import RunLog, SkippedRun, Tool
from reconscale.importers.pipeline import TOOLS, Imported, import_logs
from reconscale.importers.values import MetricSelection, parse_take
from reconscale.laws.column_names import USUAL

__all__ = [
    "TOOLS",
    "USUAL",
    "ColumnMapping",
    "Imported",
    "MetricSelection",
    "RunLog",
    "SkippedRun",
    "Tool",
    "import_logs",
    "parse_take",
]
