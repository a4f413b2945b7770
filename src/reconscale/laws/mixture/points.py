"""Measurements of runs whose training images come from several sources: one row a run, one count a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError, suggest
from reconscale.format import amount, times
from reconscale.laws.column_names import simple_name
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.metrics import METRICS, Metric, register
from reconscale.laws.mixture.table import columns_of_mixture
from reconscale.laws.points import IMAGES, Points
from reconscale.laws.repeated_rows import without_repeats

MOST_SOURCES = 5
"""More sources cannot be told apart by a study of some dozens of runs."""
MOST_IMAGES = 1e15


@dataclass(frozen=True, eq=False)
class Mixture:
    """Measured quality against how many images of each source a network was trained with, one row a run.

    >>> Mixture(n={"scanner": [100, 100], "others": [0, 300]}, y=[30.9, 31.4], metric="psnr").words
    '2 runs, psnr, 2 mixes of scanner and others'

    Attributes:
        n: source -> (M,) number of its training images, 0 or more; two to five sources, each with images in some run.
        y: (M,) measured value of the metric on the test set.
        seed: (M,) whole numbers that label replicates, or None.
        p: (M,) number of network parameters, above 0, or None.
        metric: as of :class:`.points.Points`.
        target: the source whose image counts 1: that of the test set; empty: the first of ``n``.
        unit: what is counted, for instance ``slices``.
        findings: cautions about how these rows came about.

    Raises:
        UserError: there is one source, or one without images; two have one name; a run has no images; lengths differ,
            or a number is out of range.
    """

    n: dict[str, Floats]
    y: Floats
    seed: NDArray[np.int64] | None = None
    p: Floats | None = None
    metric: str = "error"
    _: KW_ONLY
    target: str = ""
    unit: str = IMAGES
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        names = _names(self.n)
        counts = {name: _counts(name, values) for name, values in self.n.items()}
        many = len(counts[names[0]])
        for name, column in counts.items():
            if len(column) != many:
                found = f"found {len(column)} numbers for '{name}' and {many} for '{names[0]}'"
                raise UserError("Mixture, n", found, "one number a run is expected of every source")
            if not column.any():
                raise UserError(f"Mixture, n of '{name}'", "no run has images of it", "leave this source out")
        total = np.sum(list(counts.values()), axis=0)
        if not total.all():
            row = int(np.flatnonzero(total == 0)[0]) + 1
            raise UserError(f"Mixture, row {row}", "has no images of any source", "leave out runs without training")
        target = self.target or names[0]
        if target not in counts:
            raise UserError("Mixture, target", f"there is no source '{target}'", suggest(target, names))
        rows = Points(total, self.y, self.seed, self.p, register(self.metric))
        ordered = {target: counts[target], **counts}
        for name, value in {"n": ordered, "target": target, "metric": rows.metric}.items():
            object.__setattr__(self, name, value)
        for name in ("y", "seed", "p"):
            object.__setattr__(self, name, getattr(rows, name))

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Mixture({self.words})"

    @property
    def sources(self) -> tuple[str, ...]:
        """The names, the target first."""
        return tuple(self.n)

    @property
    def counts(self) -> Floats:
        """(M, K) images of each run and source, the target first."""
        return np.stack(list(self.n.values()), axis=1)

    @property
    def error(self) -> Floats:
        """(M,) the values as an error to be minimised, above 0."""
        return METRICS[self.metric].to_error(self.y)

    @property
    def mixes(self) -> Floats:
        """(C, K) the different mixes."""
        return np.unique(self.counts, axis=0)

    @property
    def words(self) -> str:
        """How many runs there are, in which metric, and of what."""
        *most, last = self.sources
        return f"{times(len(self), 'run')}, {self.metric}, {len(self.mixes)} mixes of {', '.join(most)} and {last}"

    @classmethod
    def from_csv(cls, path: str | Path, metric: str | Metric | None = None, *, target: str = "") -> Mixture:
        """Read a table with one line a run, and a column ``n_NAME`` for each source.

        Or ``n`` and a column ``share_NAME`` for each source, parts of 1. Other columns are those of
        :meth:`.points.Points.from_csv`.

        Args:
            path: the file.
            metric: as there.
            target: the source whose image counts 1; empty: the first column.

        Raises:
            UserError: it cannot be read as such a table; the message gives line, column and remedy.
        """
        asked = None if metric is None else register(metric)
        columns = columns_of_mixture(Path(path), asked, list(METRICS))
        known: dict[str, Any] = {name: columns.table.numbers(name) for name in ("seed", "p")}
        word = columns.table.word("unit") if "unit" in columns.table.places else IMAGES
        try:
            return cls(
                {name: np.array(values) for name, values in columns.counts.items()},
                np.array(columns.values),
                metric=columns.metric,
                **known,
                target=simple_name(target),
                unit=word,
                findings=columns.findings,
            )
        except UserError as mistake:
            raise UserError(f"{path}, {mistake.where}", mistake.found, mistake.remedy) from mistake


def distinct_runs(points: Mixture) -> tuple[NDArray[np.int64], tuple[Finding, ...]]:
    """The rows that count, and findings about the others: rows of one mix, network, seed and value are one run."""
    mix = np.unique(points.counts, axis=0, return_inverse=True)[1].ravel().astype(np.float64) + 1.0
    labelled = Points(mix, points.y, points.seed, points.p, points.metric, steps=np.arange(1.0, len(points) + 1.0))
    kept = without_repeats(labelled)
    assert kept.steps is not None
    # what they say of n is of the number of the mix
    said = tuple(item for item in kept.findings if item.code == "repeated-rows")
    if any(item.code == "same-labels" for item in kept.findings):
        said = (*said, finding("same-mix-and-seed"))
    return kept.steps.astype(np.int64) - 1, unique_findings(points.findings, said)


def spell_mix(counts: Mapping[str, float]) -> str:
    """A mix in words.

    >>> spell_mix({"scanner": 1200, "others": 0})
    '1,200 of scanner and 0 of others'
    """
    *most, last = (f"{amount(float(value))} of {name}" for name, value in counts.items())
    return f"{', '.join(most)} and {last}" if most else last


def _names(counts: Mapping[str, ArrayLike]) -> tuple[str, ...]:
    """The names of the sources.

    Raises:
        UserError: there are too few or too many, or two are one but for spaces, dashes and capitals.
    """
    if not isinstance(counts, Mapping):
        raise UserError("Mixture, n", "found no names", 'give the images of each source by its name: {"a": [100, ...]}')
    names = tuple(counts)
    if len(names) < 2:
        found = f"found one source alone, '{names[0]}'" if names else "found no source"
        raise UserError("Mixture, n", found, "two or more are a mixture; `reconscale decide` answers for one")
    if len(names) > MOST_SOURCES:
        raise UserError(
            "Mixture, n", f"found {len(names)} sources", f"at most {MOST_SOURCES} are told apart: join some"
        )
    seen: dict[str, str] = {}
    for name in names:
        if not str(name).strip():
            raise UserError("Mixture, n", "found a source without a name", "name every source")
        other = seen.setdefault(simple_name(str(name)), str(name))
        if other != name:
            raise UserError(
                "Mixture, n", f"found '{other}' and '{name}', two names of one source", "keep one of the two"
            )
    return names


def _counts(name: str, values: ArrayLike) -> Floats:
    where = f"Mixture, n of '{name}'"
    try:
        column = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(where, "found something that is not a number", "give a list of numbers") from error
    if column.ndim != 1 or not column.size:
        raise UserError(where, f"found shape {column.shape}", "one number a run is expected")
    bad = np.flatnonzero(~((column >= 0) & (column <= MOST_IMAGES)))
    if len(bad):
        found = f"found {column[bad[0]]:g}"
        raise UserError(f"{where}, row {bad[0] + 1}", found, "a number of images is 0 or more")
    column.setflags(write=False)
    return column
