"""Of policy ``converge``: which runs continue from the trunk of an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from reconscale.errors import UserError
from reconscale.results.result import Result
from reconscale.results.results_folder import CHECKPOINTS, Folder
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


def continuing_runs(folder: Folder, runs: Iterable[Run]) -> dict[str, int]:
    """The runs that are not yet begun and will continue from an earlier one: id -> steps that it has computed.

    Args:
        folder: the results folder.
        runs: of the study.
    """
    found = {run.id: _steps(folder, run) for run in runs if run.recipe.policy == "converge" and not _begun(folder, run)}
    return {name: steps for name, steps in found.items() if steps}


def continuing_sentence(count: int, *, counted: bool = False) -> str:
    """That runs continue from earlier ones; empty where none does.

    >>> continuing_sentence(1), continuing_sentence(0)
    ('1 run continues from the trunk of an earlier run', '')

    Args:
        count: of runs.
        counted: whether an estimate of time, which stands beside it, knows of that.
    """
    if not count:
        return ""
    words = "run continues" if count == 1 else "runs continue"
    return f"{count} {words} from the trunk of an earlier run" + ", which the time counts" * counted


def _begun(folder: Folder, run: Run) -> bool:
    return folder.is_over(run) or any((folder.of(run) / name).is_file() for name in CHECKPOINTS)


def _steps(folder: Folder, run: Run) -> int:
    """Steps that the longest earlier run with the same trunk has computed, those of its branches included."""
    most = 0
    for path in folder.root.glob(trunk_pattern(run.id)):
        try:
            earlier = Result.read(path.parent, images=False)
        except UserError:
            continue  # training finds out for itself what it can use
        if earlier.branches and trunk_key(earlier.run) == trunk_key(run):
            computed = earlier.branches[-1].trunk + sum(branch.steps - branch.trunk for branch in earlier.branches)
            most = max(most, computed)
    return most
