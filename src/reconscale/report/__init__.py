"""Reports: tables, then figures, then a page. Reads results; never trains, never imports torch."""

from reconscale.report.analysis import Answer, Choice, answer_of, choice_of
from reconscale.report.build import report_points, report_study, write_study
from reconscale.report.sentences import answer_lines
from reconscale.report.study_data import Gathered, gather, run_findings, study_lines

__all__ = [
    "Answer",
    "Choice",
    "Gathered",
    "answer_lines",
    "answer_of",
    "choice_of",
    "gather",
    "report_points",
    "report_study",
    "run_findings",
    "study_lines",
    "write_study",
]
