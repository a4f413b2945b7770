"""The verb test-size: how many test images, or patients, a difference takes. Needs no torch."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconscale.cli.analysis import AsJson, Higher, MetricName, Profile, TestSet, finding_records
from reconscale.cli.display import console, echo, handle_errors, plain_table, print_json
from reconscale.cli.source import is_csv, named_metric, open_source
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws.decisions.power import SizedTestSet
    from reconscale.laws.decisions.resolution import Pair
    from reconscale.laws.image_table import ImageTable
    from reconscale.laws.unit_values import UnitValues

Measured = Annotated[
    Path, typer.Argument(help="A study, a CSV of runs with image_1, image_2, ..., or a CSV with a row for each image.")
]


def size_test_set(  # noqa: PLR0913 - flags
    source: Measured,
    difference: Annotated[
        float | None,
        typer.Option(help="What to tell apart: dB, % of an error, SSIM. [default: what is worthwhile]"),
    ] = None,
    beside: Annotated[Path | None, typer.Option(help="The other method: a study or a CSV. [default: other n]")] = None,
    power: Annotated[float, typer.Option(help="The chance of seeing the difference.")] = 0.9,
    significance: Annotated[float, typer.Option(help="The chance of seeing one that is not there, two-sided.")] = 0.05,
    paired: Annotated[
        bool, typer.Option("--paired/--unpaired", help="Both methods on the same images, or each on its own.")
    ] = True,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Say how many test images, or patients, tell a difference apart. Also: what the present test set can tell."""
    with handle_errors():
        from reconscale.laws.decisions.power import check_difference
        from reconscale.laws.metrics import METRICS

        options = {"metric": metric, "higher": higher, "profile": profile, "test_set": test_set}
        pairs, kind, worthwhile, lost = _pairs(source, beside, **options)
        asked = check_difference(worthwhile if difference is None else difference, METRICS[kind],
                                 float(pairs[0].values[0].mean()))  # fmt: skip
        promise: dict[str, Any] = {"paired": paired, "power": power, "significance": significance}
        sized = _sized(pairs, kind, asked, promise)
        candidates = [k for k, (pair, _) in enumerate(sized) if pair.last] or [*range(len(sized))]
        chosen = min(candidates, key=lambda k: sized[k][0].nearest(kind, asked))
        if json:
            print_json(_record(sized, chosen, kind) | {"left_out": list(lost)})
        else:
            _show(sized, chosen)
            if lost:
                echo(f"Columns that are no methods: {', '.join(lost)}; rename one that is a method.")


def _sized(pairs: list[Pair], kind: str, asked: float, promise: dict[str, Any]) -> list[tuple[Pair, SizedTestSet]]:
    """Every pair that says something, with its test set.

    Raises:
        UserError: none does.
    """
    made, lost = list[tuple["Pair", "SizedTestSet"]](), list[UserError]()
    for pair in pairs:
        try:
            made.append((pair, pair.size(kind, asked, **promise)))
        except UserError as mistake:
            lost.append(mistake)
    if not made:
        raise lost[0]
    return made


def _pairs(source: Path, beside: Path | None, **options: Any) -> tuple[list[Pair], str, float, tuple[str, ...]]:
    """The methods to compare, the metric, the difference that is worthwhile, and the columns that are no methods.

    Raises:
        UserError: there are no two, nothing is known of single images, or the metrics differ.
    """
    from reconscale.laws.decisions.resolution import pair_methods, pair_runs
    from reconscale.laws.metrics import METRICS

    given = dict(options)
    if beside is not None and is_csv(source) != is_csv(beside):  # flags of either kind are for that one
        given |= {"profile": None, "test_set": None} if is_csv(source) else {"metric": None, "higher": None}
        options |= {"metric": None, "higher": None} if is_csv(source) else {"profile": None, "test_set": None}
    one = _open(source, **given)
    if beside is None:
        if not isinstance(one, tuple):
            return pair_runs(one.points), one.points.metric, one.worthwhile, ()
        methods, kind, lost = one
        names = list(methods)
        if len(names) < 2:
            beside_it = f" (columns that are no methods: {', '.join(lost[:8])})" if lost else ""
            raise UserError(source, f"holds one method alone{beside_it}", "give the other one with --beside")
        made = [pair_methods(methods[a], methods[b], (a, b)) for a, b in itertools.pairwise(names)]
        return made, kind, METRICS[kind].worthwhile, lost
    two = _open(beside, **options)
    (first, kind, name), (second, other_kind, other) = (_single(path, opened) for path, opened in
                                                       ((source, one), (beside, two)))  # fmt: skip
    if kind != other_kind:
        raise UserError(beside, f"is in {other_kind}, and {source} in {kind}", "compare methods in one metric")
    names = [name, other]
    if name == other:  # images.csv of two runs
        names = [path.resolve().parent.name for path in (source, beside)]
    if names[0] == names[1]:
        names = [str(source), str(beside)]
    least = METRICS[kind].worthwhile if isinstance(one, tuple) else one.worthwhile
    return [pair_methods(first, second, (names[0], names[1]))], kind, least, _left_out(one, two)


def _open(path: Path, *, metric: str | None, **options: Any) -> Any:
    """A study or a table of runs; of a table of images the methods, their metric, and columns that are no methods."""
    if is_csv(path):
        from reconscale.laws.image_table import is_image_table, read_image_table
        from reconscale.laws.metrics import register

        if is_image_table(path):
            wanted = named_metric(metric, options["higher"])
            name = wanted if isinstance(wanted, str) or wanted is None else register(wanted)
            table: ImageTable = read_image_table(path, name, options["test_set"])
            return table.methods, _known(path, table.metric), table.left_out
    return open_source(path, metric=metric, **options)


def _left_out(*opened: Any) -> tuple[str, ...]:
    lost = [name for one in opened if isinstance(one, tuple) for name in one[2]]
    return tuple(dict.fromkeys(lost))


def _known(path: Path, kind: str) -> str:
    from reconscale.errors import suggest
    from reconscale.laws.metrics import METRICS

    if kind not in METRICS:
        raise UserError(path, f"found the metric '{kind}'", f"{suggest(kind, METRICS)} (or say --higher-is-better or "
                        "--lower-is-better)")  # fmt: skip
    return kind


def _single(path: Path, opened: Any) -> tuple[UnitValues, str, str]:
    """The one method of a source: of runs those at the largest n, of the selected width."""
    from reconscale.laws.decisions.resolution import largest_values

    if not isinstance(opened, tuple):
        return largest_values(opened.points), opened.points.metric, opened.name
    methods, kind, _ = opened
    if len(methods) > 1:
        raise UserError(
            path, f"holds the methods {', '.join(list(methods)[:8])}", "leave --beside out, or give one each"
        )
    return next(iter(methods.values())), kind, path.stem


def _record(sized: list[tuple[Pair, SizedTestSet]], chosen: int, kind: str) -> dict[str, Any]:
    rows = [
        {"first": pair.first, "second": pair.second, **asdict(made), "findings": finding_records(made.findings),
         "enough": made.enough}
        for pair, made in sized
    ]  # fmt: skip
    return {"metric": kind, "answer": rows[chosen], "pairs": rows, "note": sized[chosen][0].units.unsure}


def _show(sized: list[tuple[Pair, SizedTestSet]], chosen: int) -> None:
    from reconscale.format import plain, signed

    pair, made = sized[chosen]
    echo(made.sentence)
    digits = 3 if made.unit in ("dB", "%") else 5
    if len(sized) == 1:
        differ, sd = signed(made.measured, digits), plain(made.sd, digits)
        echo(
            f"Read from {pair.first} and {pair.second}: they differ by {differ} {made.unit}, sd over {made.noun} {sd}."
        )
    else:
        echo(f"Read from {pair.first} and {pair.second}, whose difference is nearest to that.", "")
        table = plain_table("compared", "differ by", "sd", f"needs for {made.difference:g}", "can tell")
        for other, row in sized:
            span = f"{row.needed:,} ({row.needed_low:,} to {row.needed_high:,})"
            ends = (plain(row.sd, digits), span, plain(row.resolves, digits))
            table.add_row(f"{other.first}, {other.second}", signed(row.measured, digits), *ends)
        console.print(table)
        units = f"differ by, sd and can tell in {made.unit}"
        echo(f"sd: spread over {made.noun}; {units}; needs: with 90 % interval.")
    notes = [pair.units.unsure] if pair.units.unsure else []
    echo(*(f"caution [patients-unknown]: {note}" for note in notes), *map(str, made.findings))
