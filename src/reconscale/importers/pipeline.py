"""From the logs of another tool to rows for the laws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.importers import basicsr, kair, lightning, ray_tune, tensorboard, wandb
from reconscale.importers.attempts import Row, drop_earlier, repeated, several_lengths
from reconscale.importers.exports import is_export, matches_kind, read_export
from reconscale.importers.labels import (
    LABELS,
    NONE,
    PATTERN,
    ColumnMapping,
    listed_settings,
    map_columns,
    placeholders,
)
from reconscale.importers.log import RunLog, SkippedRun, Tool
from reconscale.importers.values import MetricSelection, MetricValue, read_metric, select_metric
from reconscale.laws.column_names import METRIC_NAMES, bare_name
from reconscale.laws.csv_table import CAUTIONS, metric_findings, write_table, written_findings
from reconscale.laws.csv_text import check_thousands
from reconscale.laws.findings import Finding, finding, joined_findings
from reconscale.laws.points import Points
from reconscale.laws.recipe_columns import recipe_findings
from reconscale.laws.table_rows import refuse_changes

TOOLS = {
    "tensorboard": Tool("TensorBoard event files", tensorboard.matches, tensorboard.read),
    "lightning": Tool("Lightning CSVLogger folders", lightning.matches, lightning.read),
    "basicsr": Tool("BasicSR logs", basicsr.matches, basicsr.read),
    "kair": Tool("KAIR logs", kair.matches, kair.read),
    "ray": Tool("Ray Tune trials", ray_tune.matches, ray_tune.read),
    "wandb": Tool("W&B exports", matches_kind("wandb"), wandb.read, is_export),
    "mlflow": Tool("MLflow runs", matches_kind("mlflow"), read_export, is_export),
    "optuna": Tool("Optuna trials", matches_kind("optuna"), read_export, is_export),
    "trackio": Tool("Trackio runs", matches_kind("trackio"), read_export, is_export),
    "table": Tool("table of runs", matches_kind("table"), read_export, is_export),
}
"""Kind -> tool. A new tool is one module with ``matches`` and ``read``, and one entry here."""


def kind_of(source: Path, asked: str | None = None) -> str:
    """The key in ``TOOLS`` of what a source looks like, or ``asked``.

    Raises:
        UserError: the source is not there, looks like none or several of them, or ``asked`` is none of them.
    """
    if asked is not None and asked not in TOOLS:
        raise UserError("--kind", f"found '{asked}'", suggest(asked, TOOLS))
    try:
        there = source.exists()
    except OSError as error:  # no permission, or a name that is too long
        raise UserError(source, f"cannot be read ({error.strerror})", "check the path") from error
    if not there:
        raise UserError(source, "is not there", "check the path")
    fitting = [kind for kind, tool in TOOLS.items() if tool.matches(source)]
    if asked is not None:
        accepts = TOOLS[asked].accepts
        if asked not in fitting and not (accepts is not None and accepts(source)):
            also = f"it looks like {' and '.join(fitting)}" if fitting else "check the path"
            raise UserError(source, f"holds no {TOOLS[asked].title}", also)
        return asked
    if len(fitting) > 1:
        raise UserError(source, f"holds logs of several tools ({', '.join(fitting)})", f"say --kind {fitting[0]}")
    if not fitting:
        raise UserError(
            source,
            "holds no logs that are known here",
            "looked for *.tfevents.* files, metrics.csv, train_*.log, train.log, result.json, progress.csv and one CSV "
            "file of runs (W&B, MLflow, Optuna, Trackio)",
        )
    return fitting[0]


@dataclass(frozen=True)
class Imported:
    """What came out of the logs of a tool.

    Attributes:
        title: what the logs are.
        measure: the metric, the tag it was read from and the step.
        header: the columns: n, p, width, seed where known, the metric, validation where known, steps where trainings of
            one label have several lengths, run, step.
        rows: one row a run, by n, width and seed.
        skipped: the runs that gave no row, and why.
        origins: label -> in words where it came from, for the labels that are there.
        findings: cautions about how these rows came about.
    """

    title: str
    measure: MetricSelection
    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    skipped: tuple[SkippedRun, ...]
    origins: dict[str, str]
    findings: tuple[Finding, ...]

    def to_csv(self, path: str | Path, *, spreadsheet: str = "") -> None:
        """Write the rows as a CSV file that ``Points.from_csv`` reads.

        Findings stand in a last column, ``cautions``, in every row: so they stay with the rows in spreadsheets and data
        frames, and ``Points.from_csv`` has them again.

        Args:
            path: the file.
            spreadsheet: ``point`` or ``comma``: for one with that mark of decimals; empty: for programs.

        Raises:
            UserError: the file cannot be written, or the spreadsheet is another one.
        """
        said = joined_findings(self.findings)
        header = (*self.header, CAUTIONS) if said else self.header
        rows = [(*row, said) for row in self.rows] if said else self.rows
        write_table(Path(path), header, rows, spreadsheet)


def import_logs(
    source: str | Path,
    *,
    kind: str | None = None,
    metric: str | None = None,
    value: str | None = None,
    take: str | float = "last",
    choose_by: str = "",
    labelling: ColumnMapping | None = None,
) -> Imported:
    """Read the runs that another tool logged: one row a run, of its size, labels and measured value.

    The default is the last value of a run: it involves no choice. With ``choose_by``, a validation series, it is the
    value at the step where that series is best, as a checkpoint would be chosen. ``best`` chooses on the reported
    values themselves, which flatters the result; a finding says so.

    Args:
        source: a folder or file of logs.
        kind: a key of ``TOOLS``; none: what the source looks like.
        metric: what to read: psnr, ssim, mse, nmse, error or loss; none: what the tags say.
        value: the tag to read; none: the only one that names the metric.
        take: ``last``, ``best`` or a step.
        choose_by: the tag of a validation series on whose best step the value is read.
        labelling: where n, p, width and seed come from.

    Raises:
        UserError: the source cannot be read, no run can be used, or what was asked is not there or ambiguous.
    """
    source, labelling = Path(source), labelling or ColumnMapping()
    if choose_by and take != "last":
        raise UserError("--choose-by", f"is given together with --take {take}", "leave one of the two out")
    tool: Tool = TOOLS[kind_of(source, kind)]
    found = tool.read(source)
    runs = [run for run in found if isinstance(run, RunLog)]
    skipped = [run for run in found if isinstance(run, SkippedRun)]
    if not runs:
        raise UserError(source, f"holds no run of {tool.title} that can be read", _first(skipped))
    measure = select_metric(runs, metric, value, MetricSelection("", "", take, choose_by))
    rows: list[Row] = []
    for run in runs:
        row = _row(run, measure, labelling)
        if isinstance(row, SkippedRun):
            skipped.append(row)
        else:
            rows.append(row)
    if not rows:
        raise UserError(source, f"none of the {len(found)} runs can be used", _why_none(runs, skipped, labelling))
    _check_complete(rows, runs, labelling, source)
    _check_written(rows, source)
    _check_tested(rows, source)
    rows, earlier = drop_earlier(rows)
    skipped.extend(earlier)
    rows.sort(key=lambda row: ([row.labels[label].value for label in LABELS if label in row.labels], row.name))
    return _imported(tool.title, measure, rows, tuple(skipped), bool(earlier))


def _row(run: RunLog, measure: MetricSelection, labelling: ColumnMapping) -> Row | SkippedRun:
    reading = read_metric(run, measure)
    if isinstance(reading, SkippedRun):
        return reading
    labels = map_columns(run, labelling)
    if "n" not in labels:
        return SkippedRun(run.name, "its n is not known")
    _check_range(run.name, measure, reading)
    return Row(run, labels, reading)


def _check_range(name: str, measure: MetricSelection, reading: MetricValue) -> None:
    """What ``Points`` would refuse later, per cents for instance, is refused now, with the run's name."""
    values = {measure.tag: reading.value} | ({measure.choose_by: reading.chosen_by} if measure.validation else {})
    for tag, value in values.items():
        try:
            Points(np.ones(1), np.array([value]), metric=METRIC_NAMES[measure.metric])
        except UserError as mistake:
            raise UserError(f"{name}, '{tag}'", mistake.found, mistake.remedy) from mistake


def _check_written(rows: Sequence[Row], source: Path) -> None:
    """Labels that are text must not have marks between thousands."""
    for label in LABELS:
        check_thousands(source, label, [row.labels[label].text for row in rows if label in row.labels])


def _check_tested(rows: Sequence[Row], source: Path) -> None:
    """What runs were tested on must not change along n."""
    names = dict.fromkeys(name for row in rows for name in row.run.settings)
    used = {found.origin for row in rows for found in row.labels.values()}
    for name in names:
        if f"setting '{name}'" not in used:
            cells = [(row.labels["n"].value, row.run.settings.get(name, ""), row.name) for row in rows]
            refuse_changes(source, bare_name(name), cells, sized="p" in rows[0].labels or "width" in rows[0].labels)


def _check_complete(rows: Sequence[Row], runs: Sequence[RunLog], labelling: ColumnMapping, source: Path) -> None:
    """What was asked for must be there, and a label that only some runs have would leave holes in its column."""
    for label in LABELS:
        without = [row.name for row in rows if label not in row.labels]
        key = labelling.keys.get(label)
        if len(without) == len(rows) and key not in (None, PATTERN, NONE):
            raise UserError(f"--{label}-from", f"no run has a setting '{key}'", listed_settings(runs))
        if len(without) == len(rows) and key != NONE and label in placeholders(labelling.pattern):
            raise UserError("--pattern", f"does not fit '{without[0]}'", "write it like the names of the runs")
        if without and len(without) < len(rows):
            raise UserError(
                source,
                f"{label} is known for {len(rows) - len(without)} of {len(rows)} runs, but not for '{without[0]}'",
                f"name its setting by --{label}-from, or leave the column out by --{label}-from none",
            )


def _imported(
    title: str, measure: MetricSelection, rows: list[Row], skipped: tuple[SkippedRun, ...], earlier: bool
) -> Imported:
    labels = [label for label in LABELS if label in rows[0].labels]
    lengths = several_lengths(rows)
    stepped = all(row.reading.step == row.reading.step for row in rows)
    header = [*labels, measure.metric, *(["validation"] if measure.validation else [])]
    header += [*(["steps"] if lengths else []), "run"]
    table = [
        (
            *(row.labels[label].value for label in labels),
            row.reading.value,
            *([row.reading.chosen_by] if measure.validation else []),
            *([f"{row.steps:.15g}"] if lengths else []),
            row.name,
            *([f"{row.reading.step:.15g}"] if stepped else []),
        )
        for row in rows
    ]
    origins = {label: " and ".join(sorted({row.labels[label].origin for row in rows})) for label in labels}
    header += ["step"] if stepped else []
    return Imported(title, measure, tuple(header), tuple(table), skipped, origins, _findings(measure, rows, earlier))


def _findings(measure: MetricSelection, rows: Sequence[Row], earlier: bool) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if measure.on_itself:
        remedy = (
            f"'{measure.choose_by}' is the reported series itself: name one that was measured on validation images"
            if measure.choose_by
            else "name a validation series by --choose-by"
        )
        text = f"the step of each run was chosen on the reported values themselves, which flatters the result; {remedy}"
        found.append(Finding("selected-on-test", text, "warning"))
    else:
        found.extend(metric_findings(measure.tag))
    steps = [row.reading.step for row in rows]
    if measure.take == "last" and not measure.choose_by and min(steps) < max(steps):
        text = (
            f"the last values are from steps {min(steps):g} to {max(steps):g}; where runs were broken off, what looks "
            f"like an effect of n is one of the training, so leave them out or say --take 'at {min(steps):g}'"
        )
        found.append(Finding("steps-differ", text, "caution"))
    for code, said in (("restarts", "restarted"), ("logs-cut", "cut"), ("means-of-several", "averaged")):
        told = [(row.name, getattr(row.run, said)) for row in rows if getattr(row.run, said)]
        if told:
            found.append(finding(code, count=len(told), runs=len(rows), first=": ".join(told[0])))
    found += [*_recipes(rows), *repeated(rows, earlier)]
    written = written_findings(str(row.run.settings.get(CAUTIONS, "")) for row in rows)
    known = {item.code for item in found}
    return (*found, *(item for item in written if item.code not in known))


def _recipes(rows: Sequence[Row]) -> tuple[Finding, ...]:
    """That a setting of the training changes along n, or is mixed at one n."""
    used = {found.origin for row in rows for found in row.labels.values()}
    names = [name for name in dict.fromkeys(name for row in rows for name in row.run.settings)
             if f"setting '{name}'" not in used]  # fmt: skip
    labels = [label for label in LABELS if label in rows[0].labels]
    cells = [(index, [*(str(row.labels[label].value) for label in labels),
                      *(str(row.run.settings.get(name, "")) for name in names)])
             for index, row in enumerate(rows)]  # fmt: skip
    return recipe_findings([*labels, *names], cells, {label: place for place, label in enumerate(labels)})


def _first(skipped: Sequence[SkippedRun]) -> str:
    if not skipped:
        return "check the path"
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return f"{skipped[0].name}: {skipped[0].reason}{more}"


def _why_none(runs: Sequence[RunLog], skipped: Sequence[SkippedRun], labelling: ColumnMapping) -> str:
    """The commonest reason, and for an unknown n what to type."""
    reason, count = Counter(item.reason for item in skipped).most_common(1)[0]
    if reason != "its n is not known":
        return _first(skipped)
    if labelling.pattern:
        return f"--pattern '{labelling.pattern}' does not fit names such as '{skipped[0].name}' ({count} runs)"
    key = labelling.keys.get("n")
    asked = f"there is no setting '{key}'" if key else "n, the number of training images, is not among the settings"
    names = ", ".join(f"'{run.name}'" for run in runs[:3])
    return (
        f"{asked}; {listed_settings(runs)}; say --n-from SETTING, or give a --pattern such as 'n{{n}}_s{{seed}}' "
        f"for names like {names}"
    )
