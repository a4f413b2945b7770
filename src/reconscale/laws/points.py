"""Measurements: one row per training run."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError, suggest
from reconscale.format import amount, times
from reconscale.laws.column_scales import scale_metric
from reconscale.laws.csv_table import IMAGE, Table, choose_metric, metric_findings, read_table, write_table
from reconscale.laws.data_frame import frame_of, table_of_frame
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import METRICS as METRICS
from reconscale.laws.metrics import Metric as Metric
from reconscale.laws.metrics import register
from reconscale.laws.table_rows import seeds_from_names
from reconscale.laws.unit_values import UnitValues
from reconscale.shown import Drawn

OPTIONAL = ("seed", "p", "width", "validation", "steps")
"""Columns of a table that points may have."""
UNITS_OF_METRICS = ("db", "%", "ssim", "psnr", "mse")
MOST_STEPS = 1e12
"""More steps than anybody trains: a number above is a mistake of the column."""
IMAGES = "training images"
"""What n counts where nobody says."""


@dataclass(frozen=True, eq=False)
class Points(Drawn):
    """Measured quality against the amount of training data, one row a run.

    All arrays are copied, checked and read-only.

    Attributes:
        n: (M,) number of training images (or of what ``unit`` says), above 0.
        y: (M,) measured value of the metric on the test set.
        seed: (M,) whole numbers that label replicates, or None.
        p: (M,) number of network parameters, above 0, or None.
        metric: ``error`` (to be minimised, above 0), ``psnr`` (dB), ``ssim`` (below 1), another key of ``METRICS``, or
            a ``Metric``, which is entered there.
        width: (M,) the network's width dial, a whole number above 0, or None.
        validation: (M,) the same metric on the validation set, by which the width is chosen, or None.
        steps: (M,) optimisation steps of the network, above 0, or None.
        images: (M, K) error of each test image in ``metric`` (1 - SSIM, the MSE for a PSNR; 0 or more), the same K
            images in every row, or None.
        per_unit: the metric of each unit of the test set, a patient or a single image, or None; not written to a CSV.
        profile: name of the convention by which the metric was measured, for instance ``psnr-rgb-clip``.
        unit: what n counts, for instance ``slices``; ``training images`` where nobody says.
        findings: cautions about how these rows came about.
        trainings: the same runs at several numbers of steps, one row for each, in the same metric, or None. A row is
            what a whole training of that length gives; these rows are no replicates, and not in the curve.

    Raises:
        UserError: lengths differ, a number is not finite or out of range, or the metric is unknown.
    """

    n: Floats
    y: Floats
    seed: NDArray[np.int64] | None = None
    p: Floats | None = None
    metric: str = "error"
    _: KW_ONLY
    width: NDArray[np.int64] | None = None
    validation: Floats | None = None
    steps: Floats | None = None
    images: Floats | None = None
    per_unit: UnitValues | None = None
    profile: str = ""
    unit: str = IMAGES
    findings: tuple[Finding, ...] = ()
    trainings: Points | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", register(self.metric))
        _check_trainings(self.trainings, self.metric)
        if self.metric not in METRICS:
            remedy = "errors of any kind are 'error'" if self.metric in ("mse", "loss") else ""
            raise UserError("Points, metric", f"found '{self.metric}'", remedy or suggest(self.metric, METRICS))
        n = _column("n", self.n, None)
        columns = {"n": n, "y": _column("y", self.y, len(n))}
        for name in ("p", "validation", "steps"):
            columns[name] = _optional(name, getattr(self, name), len(n))
        for name in ("seed", "width"):
            columns[name] = _whole(name, _optional(name, getattr(self, name), len(n)))
        columns["images"] = _images(self.images, len(n))
        if self.per_unit is not None and len(self.per_unit.values) != len(n):
            found = f"found {len(self.per_unit.values)} rows"
            raise UserError("Points, per_unit", found, f"{len(n)}, as many as n has, are expected")
        for name in ("n", "p", "width", "steps"):
            _above_zero(name, columns[name])
        _check_steps(columns["steps"])
        for name in ("y", "validation"):
            if columns[name] is not None:
                _check_metric(name, columns[name], self.metric)
        for name, values in columns.items():
            if values is not None:
                values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.n)

    def __repr__(self) -> str:
        return f"Points({self.words})"

    @property
    def words(self) -> str:
        """How many runs there are, in which metric, and from which n to which.

        >>> Points(n=[100, 3000], y=[30.9, 31.8], metric="psnr").words
        '2 runs, psnr, n = 100 to 3,000'
        """
        least, most = amount(float(self.n.min())), amount(float(self.n.max()))
        metric = f"{self.metric} [{self.profile}]" if self.profile else self.metric
        return f"{times(len(self), 'run')}, {metric}, n = {least}" + (f" to {most}" if most != least else "")

    @property
    def error(self) -> Floats:
        """(M,) the values as an error to be minimised, above 0: y, 10^(-y/10) or 1 - y."""
        return METRICS[self.metric].to_error(self.y)

    @property
    def better(self) -> str:
        """``lower`` or ``higher``: which values of the metric are better."""
        return METRICS[self.metric].better

    @property
    def sizes(self) -> Floats:
        """The distinct n, ascending."""
        return np.unique(self.n)

    def to_metric(self, error: ArrayLike) -> Floats:
        """Errors (any shape, above 0) read back as values of the metric; the inverse of :attr:`error`."""
        return METRICS[self.metric].from_error(np.asarray(error, dtype=np.float64))

    def rows(self, keep: ArrayLike) -> Points:
        """The rows where ``keep``, a mask or indices, says so."""
        chosen = np.asarray(keep)
        columns = ("n", "y", "seed", "p", "width", "validation", "steps", "images")
        units = None if self.per_unit is None else self.per_unit.rows(chosen)
        parts: dict[str, Any] = {name: getattr(self, name) for name in columns}
        kept: dict[str, Any] = {name: None if value is None else value[chosen] for name, value in parts.items()}
        return replace(self, per_unit=units, **kept)

    @classmethod
    def from_csv(cls, path: str | Path, metric: str | Metric | None = None) -> Points:
        """Read anybody's measurements from a text table with one line a run.

        Columns: ``n``, the measured values (``y``, or ``psnr``, ``ssim``, ``mse``, ``nmse``, ``error``, ``loss``)
        and, where known, ``p``, ``width``, ``seed``, ``validation``, ``steps``, ``profile``, ``unit`` and
        ``image_1``, ``image_2``, ... (error of each test image). Further usual names are known
        (:mod:`reconscale.laws.column_names`); other columns are left alone. Rows of runs that did not finish are left
        out, and of a training with several rows the last one counts; findings say so.

        Args:
            path: the file.
            metric: ``psnr``, ``ssim``, a kind of error, another key of ``METRICS``, or a ``Metric`` of the column's
                name; needed only where the column's name does not say.

        Raises:
            UserError: the file cannot be read as such a table; the message gives line, column and remedy.
        """
        return cls._from_table(read_table(Path(path)), metric)

    @classmethod
    def from_dataframe(cls, frame: Any, metric: str | Metric | None = None) -> Points:
        """Read measurements from a data frame of pandas or polars, or any mapping of names to columns; one row a run.

        Columns and rules are those of :meth:`from_csv`. Named levels of an index are columns, too, as after
        ``groupby``. Cells that are missing (NaN, NA, None) are empty; rows are counted from 1 in messages.

        Args:
            frame: the data frame.
            metric: see :meth:`from_csv`.

        Raises:
            UserError: it cannot be read as such a table; the message gives row, column and remedy.
        """
        return cls._from_table(table_of_frame(frame), metric)

    @classmethod
    def _from_table(cls, table: Table, metric: str | Metric | None) -> Self:
        path = table.path
        column, name = choose_metric(table, None if metric is None else register(metric), list(METRICS))
        scaled = scale_metric(path, table.header, table.rows, column, name, ("validation",))
        known: dict[str, Any] = {name: table.numbers(name) for name in ("n", column, *OPTIONAL)}
        known["seed"] = known["seed"] or seeds_from_names(table.header, table.rows, table.places, column)
        images: Any = table.images()
        unit = table.word("unit") if "unit" in table.places else IMAGES
        _check_unit(path, unit, known["n"])
        odd = _odd_counts(known["n"], known["p"], unit)
        trainings = None if table.shorter is None else cls._from_table(table.shorter, metric)
        try:
            return cls(
                known.pop("n"),
                known.pop(column),
                metric=name,
                **known,
                images=images,
                profile=table.word("profile"),
                unit=unit,
                findings=(*table.findings, *metric_findings(column, table.header), *scaled, *odd),
                trainings=trainings,
            )
        except UserError as mistake:
            found = f"{mistake.found} (the scale in '{column}' is applied)" if scaled else mistake.found
            raise UserError(f"{path}, {mistake.where}", found, mistake.remedy) from mistake

    def to_csv(self, path: str | Path, *, spreadsheet: str = "") -> None:
        """Write the rows so that :meth:`from_csv` reads the same bits back (without findings and trainings).

        Args:
            path: the file.
            spreadsheet: ``point`` or ``comma``: for one with that mark of decimals; empty: for programs.

        Raises:
            UserError: the file cannot be written, or the spreadsheet is another one.
        """
        columns = self._columns()
        write_table(Path(path), list(columns), list(zip(*columns.values(), strict=True)), spreadsheet)

    def to_dataframe(self) -> Any:
        """The rows as a data frame of pandas, which :meth:`from_dataframe` reads back (without findings and trainings).

        Raises:
            UserError: pandas is not installed.
        """
        return frame_of(self._columns())

    def _columns(self) -> dict[str, list[object]]:
        """What a table of the rows holds, by the name of the column."""
        columns: dict[str, list[object]] = {"n": self.n.tolist()}
        for name in ("p", "width", "seed"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name).tolist()
        columns[self.metric] = self.y.tolist()
        for name in ("validation", "steps"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name).tolist()
        for name, word in (("profile", self.profile), ("unit", self.unit if self.unit != IMAGES else "")):
            if word:
                columns[name] = [word] * len(self)
        if self.images is not None:
            for index, values in enumerate(self.images.T, start=1):
                columns[f"{IMAGE}{index}"] = list(values.tolist())
        return columns


def _check_trainings(trainings: Points | None, metric: str) -> None:
    """Refuse rows at several numbers of steps that do not say how many, or are in another metric."""
    if trainings is None:
        return
    if trainings.metric != metric:
        raise UserError(
            "Points, trainings", f"found '{trainings.metric}'", f"the points are in '{metric}': give the same"
        )
    if trainings.steps is None:
        raise UserError("Points, trainings", "found no steps", "give the steps of every row")


def _check_unit(path: Path, unit: str, n: list[float]) -> None:
    """Refuse what n cannot count: decibels, and parts of a data set that are called images."""
    if unit.lower() in UNITS_OF_METRICS:
        remedy = "this column says what n counts, for instance volumes; leave it out"
        raise UserError(f"{path}, column 'unit'", f"found '{unit}'", remedy)
    if unit == IMAGES and max(n) <= 1 and min(n) < 1:
        remedy = "n counts images: write how many there were, or add a column 'unit' that says what n counts"
        raise UserError(f"{path}, column 'n'", f"found {min(n):g} to {max(n):g}, which are parts of a data set", remedy)


def _odd_counts(n: list[float], p: list[float] | None, unit: str) -> tuple[Finding, ...]:
    """That n or p has decimals: nobody has 1.5 parameters or 2.48 images, and nothing says that millions are meant."""
    counted = {"n-not-whole": n if unit == IMAGES else [], "p-not-whole": p or []}
    odd = {code: next((value for value in values if not value.is_integer()), None) for code, values in counted.items()}
    return tuple(finding(code, value=value) for code, value in odd.items() if value is not None)


def _column(name: str, values: ArrayLike, length: int | None) -> Floats:
    try:
        column = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"Points, {name}", "found something that is not a number", "give a list of numbers") from error
    if column.ndim != 1 or (length is not None and len(column) != length):
        expected = "one number a run" if length is None else f"{length} numbers, as many as n has"
        raise UserError(f"Points, {name}", f"found shape {column.shape}", f"{expected} are expected")
    if not len(column):
        raise UserError(f"Points, {name}", "is empty", "give at least one run")
    _finite(name, column)
    return column


def _finite(name: str, column: Floats) -> None:
    bad = np.argwhere(~np.isfinite(column))
    if len(bad):
        row = int(bad[0][0])
        raise UserError(
            f"Points, {name}, row {row + 1}", f"found {column[tuple(bad[0])]}", "leave out runs that did not finish"
        )


def _optional(name: str, values: ArrayLike | None, length: int) -> Any:
    return None if values is None else _column(name, values, length)


def _whole(name: str, values: Floats | None) -> Any:
    if values is None:
        return None
    bad = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > 2**53))
    if len(bad):
        raise UserError(f"Points, {name}, row {bad[0] + 1}", f"found {values[bad[0]]:g}", "a whole number is expected")
    return values.astype(np.int64)


def _images(values: ArrayLike | None, length: int) -> Any:
    if values is None:
        return None
    images = np.array(values, dtype=np.float64)
    if images.ndim != 2 or len(images) != length or not images.shape[1]:
        raise UserError("Points, images", f"found shape {images.shape}", f"({length}, number of images) is expected")
    _finite("images", images)
    if (images < 0).any() or (images.mean(1) <= 0).any():
        raise UserError("Points, images", "found an error below 0, or a row of zeros", "give the error of each image")
    return images


def _above_zero(name: str, values: Floats | None) -> None:
    if values is None:
        return
    bad = np.flatnonzero(~((values > 0) & (values >= 1e-30) & (values <= 1e30)))
    if len(bad):
        remedy = f"{name} must be above 0 (and at most 1e30)"
        raise UserError(f"Points, {name}, row {bad[0] + 1}", f"found {values[bad[0]]:g}", remedy)


def _check_steps(steps: Floats | None) -> None:
    if steps is not None and steps.max() > MOST_STEPS:
        row = int(np.argmax(steps > MOST_STEPS))
        found = f"found {steps[row]:g}"
        raise UserError(f"Points, steps, row {row + 1}", found, f"steps of training are {MOST_STEPS:g} at most")


def _check_metric(name: str, values: Floats, metric: str) -> None:
    with np.errstate(over="ignore", under="ignore"):
        error = METRICS[metric].to_error(values)
    bad = np.flatnonzero(~((error > 1e-100) & (error < 1e100)))
    if not len(bad):
        return
    known = METRICS[metric]
    remedy = (
        f"{known.label or known.name} must be below 1; if these are dB say metric='psnr', if per cent divide by 100"
    )
    if known.is_error:
        remedy = "an error must be above 0; if these are dB say metric='psnr'"
    elif known.unit == "dB":
        remedy = "PSNR in dB is expected"
    raise UserError(f"Points, {name}, row {bad[0] + 1}", f"found {values[bad[0]]:g} as {metric}", remedy)
