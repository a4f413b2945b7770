"""Reports: tables, then figures, then a page. Reads results; never trains, never imports torch."""

from reconscale.report.analysis import Analysis, analyse
from reconscale.report.build import draw_points, report_points, report_study, write_study
from reconscale.report.sentences import answer_lines
from reconscale.report.study_analysis import StudyAnalysis, analyse_study, run_findings, study_lines

__all__ = [
    "Analysis",
    "StudyAnalysis",
    "analyse",
    "analyse_study",
    "answer_lines",
    "draw_points",
    "report_points",
    "report_study",
    "run_findings",
    "study_lines",
    "write_study",
]
