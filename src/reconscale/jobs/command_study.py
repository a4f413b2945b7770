"""A study file with ``[command]``: its items, and its runs."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.jobs.command import WHO, CommandTrainer
from reconscale.jobs.pickled import pickled_by_value
from reconscale.jobs.run_jobs import Jobs, forget_failed, pin_items, tell_unused
from reconscale.jobs.task import Trainer
from reconscale.own_parts import loaded_plugins
from reconscale.results.external_results import ExternalFolder
from reconscale.results.results_folder import Status, remember_place
from reconscale.study.budget import Budget
from reconscale.study.external import ExternalStudy, ItemTable, load_external
from reconscale.study.items import HeldOut, name_of, refuse_repeated
from reconscale.study.recorded_parts import record_parts
from reconscale.study.study_file import study_path
from reconscale.study.subsets import Subsets, subsets
from reconscale.training.adaptive_sweep import adaptive_external
from reconscale.training.executors.base import Tell
from reconscale.training.placement import ExecutionConfig

if TYPE_CHECKING:
    from reconscale.study.images.own_split import OwnSplit

MOST_LIST = 64 << 20
"""Bytes of a list of items."""


def run_commands(
    path: str | Path,
    where: ExecutionConfig,
    *,
    allowed: bool,
    tell: Tell,
    retry_failed: bool = False,
    budget: Budget | None = None,
) -> Status:
    """Run the command of a study file for every run that is missing.

    Args:
        path: the study file, or its folder.
        where: where to compute; ``data`` is the folder above the items; none: that of the study file.
        allowed: whether the user allows that commands of the file are run on this machine.
        tell: takes the events of the runs.
        retry_failed: run failed and diverged runs again.
        budget: choose the runs one by one, until the verdict is settled or this is spent; none: make all.

    Raises:
        UserError: commands are not allowed, the study or its items cannot be, or another call holds the folder.
        KeyboardInterrupt: asked to stop; nothing that is done is lost.
    """
    path = study_path(path)
    study = load_external(path)
    if study.command is None:
        known = study.callable is not None and study.callable.script.endswith(".py")
        again = f": {study.callable.again}" if study.callable is not None and known else ""
        raise UserError(
            path, "was measured by a script", f"to go on, run the script that calls rs.measure again{again}"
        )
    if not allowed:
        raise UserError(path, f"would run this on your machine: {shlex.join(study.command.run)}",
                        "if you know it and trust it, add --allow-commands")  # fmt: skip
    program = study.command.run[0]
    if program != "python" and "{" not in program and shutil.which(program, path=None) is None:
        there = (path.parent / program).is_file()
        if not there:
            raise UserError(f"{path}, command.run", f"there is no program '{program}'", "install it, or give its path")
    where = where.resolved()
    root = (where.data_folder or path.parent).resolve()
    items, are_paths, left_out = find_items(study, root, path)
    folder = ExternalFolder.beside(path)
    runs = study.runs()
    with folder.held():
        pin_items(folder, items)
        _record_metric(study, folder)
        if where.data_folder is not None:  # `status` prints the command that goes on
            remember_place(folder.root, root)
        tell_unused(items, left_out, tell)
        if retry_failed:
            forget_failed(folder, runs)
        command = CommandTrainer(study.command, study.known_metric.name, path.parent.resolve(), root, are_paths)
        if left := [run for run in runs if not folder.is_over(run)]:
            trainer = Trainer(pickled_by_value(command, study.known_metric), code=study.key[:12], who=WHO)
            adaptive = None if budget is None else (adaptive_external(study, runs, folder), budget)
            Jobs(folder, items, trainer, where, where, tell).train(left, adaptive)
    return folder.status(runs)


def _record_metric(study: ExternalStudy, folder: ExternalFolder) -> None:
    """Write down what a plugin says of the metric, so that commands that read results need no plugin."""
    own = [plugin for plugin in loaded_plugins() if ("METRICS", study.analysis.metric) in plugin.entries]
    if own:
        record_parts(folder.root, own, {plugin.name: plugin.digest for plugin in own})


def find_items(study: ExternalStudy, root: Path, path: Path) -> tuple[Subsets, bool, int]:
    """The items of a study, divided; whether they are paths below the root and not ids; and how many are in no set.

    Args:
        study: the study.
        root: the folder above them.
        path: of the study file, for messages.

    Raises:
        UserError: there are none, a listed one is missing, there are too few, or ``images.split`` cannot be.
    """
    table = study.images
    names, are_paths = _listed(table, root, path) if table.list is not None else (_found(table, root, path), True)
    groups = None if table.group is None else [_group(table.group, name, path) for name in names]
    sizes = sorted({n for grid in study.sweep for n in grid.n})
    held: dict[str, HeldOut] = {"val": table.val, "test": table.test}
    count = len(names)
    try:
        if table.split is not None:
            chosen, given = _chosen(names, groups, table.split, root, table.unit)
            names = [names[i] for i in chosen]
            groups = None if groups is None else [groups[i] for i in chosen]
            held |= given
        return subsets(names, sizes, 1, groups, held["val"], held["test"]), are_paths, count - len(names)
    except UserError as mistake:
        raise UserError(f"{path}, {mistake.where}", mistake.found, mistake.remedy) from mistake


def _chosen(
    names: list[str], groups: list[Any] | None, split: OwnSplit, root: Path, noun: str
) -> tuple[list[int], dict[str, HeldOut]]:
    """The positions of the items that may be in a set, and the items of the validation and test sets that are given.

    Raises:
        UserError: a list cannot be read, a place or a name is that of no item, or two sets share an item or a group.
    """
    from reconscale.data.own_split import Known, split_as_given

    plain = [name_of(name, position) for position, name in enumerate(names)]
    refuse_repeated(plain)
    known = Known(plain, plain if groups is None else list(map(str, groups)), noun=noun,
                  kept=noun if groups is None else "groups")  # fmt: skip
    found = {name: rows.tolist() for name, rows in split_as_given(known, split, root).items()}
    held: dict[str, HeldOut] = {name: [names[i] for i in rows] for name, rows in found.items() if name != "train"}
    if "train" not in found:
        return list(range(len(names))), held
    return sorted(i for rows in found.values() for i in rows), held


def _found(table: ItemTable, root: Path, path: Path) -> list[str]:
    """Names of what matches the patterns, sorted."""
    names: set[str] = set()
    for place in table.folders:
        folder = root / place
        if not folder.is_dir() or not folder.resolve().is_relative_to(root):
            raise UserError(
                f"{path}, images.folders", f"there is no folder '{place}' below {root}", "give --data, or mend it"
            )
        for pattern in table.patterns:
            names.update(str(item.relative_to(root)) for item in _matching(folder, pattern, path))
    if not names:
        raise UserError(
            f"{path}, images.patterns", f"nothing below {root} matches", "give --data, or mend the patterns"
        )
    return sorted(names)


def _matching(folder: Path, pattern: str, path: Path) -> Iterator[Path]:
    try:
        yield from (item for item in folder.glob(pattern) if not item.name.startswith("."))
    except (ValueError, NotImplementedError) as error:
        raise UserError(
            f"{path}, images.patterns", f"found '{pattern}' ({error})", 'give for instance "*.png"'
        ) from error


def _listed(table: ItemTable, root: Path, path: Path) -> tuple[list[str], bool]:
    """The items of a list file, and whether they are paths."""
    place = path.parent / str(table.list)
    text = read_limited(place, MOST_LIST, "give a text file with an item a line").decode(errors="surrogateescape")
    names = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    there = [(root / name).exists() for name in names]
    if any(there) and not all(there):
        raise UserError(f"{place}", f"names '{names[there.index(False)]}', which is not below {root}",
                        "give --data, or mend the list")  # fmt: skip
    return names, any(there)


def _group(rule: str, name: str, path: Path) -> Any:
    if rule == "folder":
        return str(Path(name).parent)
    found = re.search(rule, name)
    if found is None:
        raise UserError(f"{path}, images.group", f"'{rule}' matches nothing in '{name}'", "mend the expression")
    return found[1] if found.groups() else found[0]
