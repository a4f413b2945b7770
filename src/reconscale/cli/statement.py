"""The verb statement: the paragraph on sample size of a methods section. Needs no torch."""

from __future__ import annotations

from reconscale.cli.analysis import AsJson, Higher, MetricName, SourcePath
from reconscale.cli.display import echo, handle_errors, print_json
from reconscale.cli.source import Source, StudySource, open_source


def statement(source: SourcePath, metric: MetricName = None, higher: Higher = None, json: AsJson = False) -> None:
    """Print the paragraph on sample size that reviewers ask for. From the study's own values."""
    with handle_errors():
        said = statement_of(open_source(source, metric=metric, higher=higher))
        if json:
            print_json({"statement": said})
        else:
            echo(*[line for paragraph in said for line in (paragraph, "")][:-1])


def statement_of(opened: Source) -> list[str]:
    """The paragraphs of a study or of measurements.

    Raises:
        UserError: there are fewer than two sizes.
    """
    from reconscale.report import analyse, analyse_study
    from reconscale.report.statement import points_statement, study_statement

    if isinstance(opened, StudySource):
        return study_statement(analyse_study(opened.study, opened.folder, results=opened.results))
    return points_statement(analyse(opened.points, worthwhile=opened.worthwhile))
