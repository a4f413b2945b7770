"""Reports: tables, then figures, then a page. Reads results; never trains, never imports torch."""

from reconscale.report.answer import Answer, answer_of
from reconscale.report.build import report_points, report_study
from reconscale.report.text import answer_lines

__all__ = ["Answer", "answer_lines", "answer_of", "report_points", "report_study"]
