"""Of policy ``converge``: which runs continue from the trunk of an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from reconscale.errors import UserError
from reconscale.study.result import Result
from reconscale.study.results_folder import CHECKPOINTS, Folder
from reconscale.study.run import Recipe, Run

TRUNK = "trunk.pt"
"""The last state of a run that is over and could be continued, in its folder."""


def trunk_key(run: Run) -> str:
    """What runs have in common whose trunks and branches are the same: all but when training ends."""
    recipe = run.recipe.model_copy(update={"tolerance": Recipe().tolerance, "doublings": Recipe().doublings})
    return hashlib.sha256(run.model_copy(update={"recipe": recipe}).canonical().encode()).hexdigest()


def trunk_pattern(run_id: str) -> str:
    """A glob pattern, below the results folder, of the trunks that a run of this name may continue from."""
    return f"{run_id.rpartition('-')[0]}-*/{TRUNK}"


def continuing_runs(folder: Folder, runs: Iterable[Run]) -> list[Run]:
    """The runs that are not yet begun and will continue from an earlier one.

    Args:
        folder: the results folder.
        runs: of the study.
    """
    return [run for run in runs if run.recipe.policy == "converge" and not _begun(folder, run) and _has(folder, run)]


def continuing_sentence(count: int) -> str:
    """That runs continue from earlier ones; empty where none does.

    >>> continuing_sentence(1), continuing_sentence(0)
    ('1 run continues from the trunk of an earlier run, in less than the estimated time', '')
    """
    if not count:
        return ""
    words = "run continues" if count == 1 else "runs continue"
    return f"{count} {words} from the trunk of an earlier run, in less than the estimated time"


def _begun(folder: Folder, run: Run) -> bool:
    return folder.is_over(run) or any((folder.of(run) / name).is_file() for name in CHECKPOINTS)


def _has(folder: Folder, run: Run) -> bool:
    for path in folder.root.glob(trunk_pattern(run.id)):
        try:
            earlier = Result.read(path.parent, images=False).run
        except UserError:
            continue  # training finds out for itself what it can use
        if trunk_key(earlier) == trunk_key(run):
            return True
    return False
