"""Measure mixes of several sources with a Python function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconscale.errors import UserError
from reconscale.jobs.function_study import Asked, check_function, known_metric, train_missing
from reconscale.jobs.task import Train
from reconscale.laws import Mixture
from reconscale.laws.metrics import Metric
from reconscale.results.mixture_points import mixture_of_external
from reconscale.study.external import Grid
from reconscale.study.items import HeldOut
from reconscale.study.mistakes import sentence
from reconscale.study.mixed_items import MixedItems, mistake_of, mixed_items
from reconscale.study.mixes import check_mixes
from reconscale.study.subsets import seeds_of, sizes_of
from reconscale.training.executors.base import Tell
from reconscale.training.placement import ExecutionConfig

Mixes = Sequence[Mapping[str, float]] | Mapping[str, Sequence[int]]
"""Shares or numbers, a mix each; or numbers of each source, of which every combination is a mix."""


def measure_mixture(  # noqa: PLR0913 - keywords
    train: Train,
    sources: Mapping[str, Any],
    *,
    mix: Mixes,
    n: int | Iterable[int] | None = None,
    seed: int | Iterable[int] = 3,
    width: int | Iterable[int] | None = None,
    target: str | None = None,
    groups: Mapping[str, Sequence[Any]] | None = None,
    val: HeldOut,
    test: HeldOut,
    metric: str | Metric = "psnr",
    folder: str | Path,
    on: ExecutionConfig | None = None,
    unit: str = "items",
    worthwhile: float | None = None,
    retry_failed: bool = False,
    tell: Tell | None = None,
) -> Mixture:
    """Train networks on mixes of several sources with a function of your own, and measure them.

    As :func:`~reconscale.measure`, with the same jobs, folder and ways to go on: one run for each mix, width and seed.
    ``job.train`` holds the items of the mix, those of the target first, then of the others by name; ``job.mix`` says
    how many are whose. For a seed, the first k items of a source are the same whatever comes from the others.
    Validation and test items are of the target alone.

    Args:
        train: the function.
        sources: name -> paths or ids, of two to five sources; each item in one of them. Names are of lower-case
            letters, digits and ``_``.
        mix: as ``sweep.mix`` of a study file: ``[{"a": 1.0}, {"a": 0.5, "b": 0.5}]`` are shares of every n;
            ``[{"a": 50}, {"a": 50, "b": 200}]`` numbers of items, then without ``n``; ``{"a": [0, 10, 50], "b": [0,
            200]}`` every combination of numbers, which tells most.
        n: items of all sources together, where mixes are shares.
        seed: a number k for the seeds 0, ..., k - 1, or a list.
        width: settings that make the network larger; none: there is no such setting.
        target: the source whose quality counts; none: the first of ``sources``.
        groups: name -> a label for each item. Equal labels are one group, also in two sources: what the target holds
            out of a group is trained on nowhere.
        val: items of the target for validation: how many, or which.
        test: items of the target for test, likewise.
        metric: a key of ``METRICS``, or ``rs.Metric(name, "lower" or "higher")``.
        folder: of the study: ``reconscale mixture``, ``status``, ``report`` and ``decide`` take it.
        on: ``rs.Local(workers=2)``, ``rs.Ray(...)`` or ``rs.Slurm(...)``; none: the function is called here.
        unit: what an item is, in one word: what n counts in texts.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: the metric's own.
        retry_failed: train runs that failed or diverged again.
        tell: takes the events of the runs; none: a line is printed for each, and a notebook shows a bar.

    Returns:
        The measurements of this call's runs that are done, for ``rs.infer_mixture``.

    Raises:
        UserError: before anything is trained: a source has no items, an item is in two sources, a mix is none or needs
            more items than there are, and what ``measure`` refuses; or no run is done.
        KeyboardInterrupt: asked to stop; nothing that is done is lost.
    """
    check_function(train)
    known = known_metric(metric)
    if not isinstance(sources, Mapping) or not sources:
        raise UserError("sources", f"found a {type(sources).__name__}" if sources else "there are none",
                        'give a mapping: {"scanner_a": items_a, "scanner_b": items_b}')  # fmt: skip
    items = mixed_items(sources, target=next(iter(sources)) if target is None else target, groups=groups, val=val,
                        test=test)  # fmt: skip
    grid = _grid(items, mix, n, (seeds_of(seed), () if width is None else sizes_of(width, "width")))
    asked = Asked(train, folder, known, unit, worthwhile, on, retry_failed, None, tell)
    study, results, root = train_missing(items, grid, asked)
    return mixture_of_external(study, results, root)


def _grid(
    items: MixedItems, mix: Mixes, n: int | Iterable[int] | None, axes: tuple[tuple[int, ...], tuple[int, ...]]
) -> Grid:
    """The runs of a call.

    Raises:
        UserError: a mix is none, names another source, or needs more items than there are; a source is in no mix.
    """
    content: dict[str, Any] = {"mix": _plain(mix), "seed": axes[0], "width": axes[1]}
    if n is not None:
        content["n"] = sizes_of(n)
    try:
        grid = Grid.model_validate(content)
        check_mixes(items.source_names, grid.mix)
    except ValidationError as error:
        raise mistake_of(ValueError(sentence(error.errors()[0], Grid))) from error
    except ValueError as error:
        raise mistake_of(error) from error
    for size in grid.n:
        for counts in grid.mixes[size]:
            items.check_mix(counts)
    return grid


def _plain(mix: Any) -> Any:
    """Mixes without numpy's numbers and arrays."""
    if isinstance(mix, Mapping):
        return {str(name): _plain(value) for name, value in mix.items()}
    if hasattr(mix, "tolist"):
        mix = mix.tolist()
    if isinstance(mix, Sequence | range) and not isinstance(mix, str):
        return tuple(_plain(value) for value in mix)
    return mix
