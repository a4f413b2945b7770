"""Read a table of runs with one column of counts, or of shares, for each source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.errors import UserError
from reconscale.laws.column_names import TEST_SETS, USUAL, simple_name
from reconscale.laws.column_scales import scale_metric
from reconscale.laws.csv_table import Table, choose_metric, metric_findings, split_table, table_of_cells
from reconscale.laws.findings import Finding

COUNT, SHARE = "n_", "share_"
TOTALS = ("n", "n_total")
"""Columns of the images of all sources together."""
RESERVED = {*TOTALS, *TEST_SETS, *(name for names in USUAL.values() for name in names)}
"""Columns that begin as one of a source does, and are none: ``n_params``, ``n_train``, ``n_test``."""
EXACT = 0.005
"""Shares, and counts beside their total, may be off by this part: rounding."""
OF_THE_MIX = ("recipe-follows-n", "steps-follow-n", "n-not-whole")
"""Findings of tables that speak of n; here it stands for the mix."""


@dataclass(frozen=True, eq=False)
class MixtureColumns:
    """What a table says.

    Attributes:
        table: the rows, for further columns.
        counts: source -> images of each row.
        values: of the metric.
        metric: its name.
        findings: cautions about the rows.
    """

    table: Table
    counts: dict[str, list[float]]
    values: list[float]
    metric: str
    findings: tuple[Finding, ...]


def columns_of_mixture(path: Path, metric: str | None, further: list[str]) -> MixtureColumns:
    """The columns of a table of mixtures.

    Args:
        path: the file.
        metric: which one; none: as its column is called.
        further: metrics that users have registered.

    Raises:
        UserError: there are no such columns, or fewer than two; two have one name; shares do not sum to 1, or counts
            not to the total beside them; or as :func:`.csv_table.read_table`.
    """
    header, rows = split_table(path)
    sources = _sources(path, header)
    # every mix has a number of its own in the place of n, so that rows are told apart as those of other tables are
    cells = [tuple(row[place] for place in sources.values()) for _, row in rows]
    totals = next((place for place, name in enumerate(header) if simple_name(name) in TOTALS), None)
    if totals is not None:
        cells = [(*mix, row[totals]) for mix, (_, row) in zip(cells, rows, strict=True)]
    number = {mix: str(place + 1) for place, mix in enumerate(dict.fromkeys(cells))}
    named = [TOTALS[1] if place == totals else name for place, name in enumerate(header)]
    marked = [(line, [*row, number[mix]]) for mix, (line, row) in zip(cells, rows, strict=True)]
    table = table_of_cells(path, [*named, "n"], marked)
    table.places.update(sources)
    if totals is not None:
        table.places[TOTALS[1]] = totals
    column, name = choose_metric(table, metric, further)
    scaled = scale_metric(path, table.header, table.rows, column, name, ())
    counts = {source: table.numbers(source) or [] for source in sources}
    found = (*table.findings, *metric_findings(column, table.header), *scaled)
    kept = tuple(item for item in found if item.code not in OF_THE_MIX)
    return MixtureColumns(table, _counted(table, counts), table.numbers(column) or [], name, kept)


def _sources(path: Path, header: list[str]) -> dict[str, int]:
    """Column of a source -> its place; shares where there are no counts.

    Raises:
        UserError: there are fewer than two, or two of one name.
    """
    for start in (COUNT, SHARE):
        found: dict[str, int] = {}
        for place, name in enumerate(header):
            plain = simple_name(name)
            if not plain.startswith(start) or plain in RESERVED or len(plain) == len(start):
                continue
            if plain in found:
                twice = f"found '{header[found[plain]]}' and '{name}', two names of one source"
                raise UserError(f"{path}, header", twice, "keep one of the two")
            found[plain] = place
        if len(found) == 1:
            one = f"found one source alone, '{header[next(iter(found.values()))]}'"
            raise UserError(f"{path}, header", one, "two or more columns n_NAME are a mixture; else ask `decide`")
        if found:
            break
    else:
        said = "there are no columns of sources, such as n_scanner and n_others"
        raise UserError(f"{path}, header", said, "name the number of images of each source n_NAME")
    if start == SHARE and not {*map(simple_name, header)} & {*TOTALS}:
        raise UserError(
            f"{path}, header", "found shares without a column 'n'", "add the number of images of all sources"
        )
    return found


def _counted(table: Table, columns: dict[str, list[float]]) -> dict[str, list[float]]:
    """Source -> images, from counts or from shares of the total.

    Raises:
        UserError: they do not sum up.
    """
    shares = next(iter(columns)).startswith(SHARE)
    total = table.numbers(TOTALS[1]) if TOTALS[1] in table.places else None
    start = len(SHARE if shares else COUNT)
    if total is None:
        return {name[start:]: values for name, values in columns.items()}
    sums = np.sum(list(columns.values()), axis=0)
    expected = np.ones(len(sums)) if shares else np.array(total)
    off = np.flatnonzero(~(np.abs(sums - expected) <= EXACT * np.abs(expected)))
    if len(off):
        row = int(off[0])
        where = f"{table.path}, line {table.rows[row][0]}"
        if shares:
            hint = ": divide per cent by 100" if abs(sums[row] - 100.0) <= 100 * EXACT else ""
            raise UserError(where, f"the shares sum to {sums[row]:g}", f"the shares of a run must sum to 1{hint}")
        found = f"the counts of the sources sum to {sums[row]:g} and n is {total[row]:g}"
        raise UserError(where, found, "count every source, or leave the column n out")
    scale = np.array(total) if shares else np.ones(len(sums))
    return {name[start:]: (np.array(values) * scale).tolist() for name, values in columns.items()}
