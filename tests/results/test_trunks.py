"""Runs of policy ``converge`` that continue from the trunk of an earlier run."""

from __future__ import annotations

from pathlib import Path

from reconscale.results import Folder
from reconscale.results.result import Branch
from reconscale.results.trunks import TRUNK, continuing_runs, trunk_key
from reconscale.study import Study, runs_of
from reconscale.study.study_file import parse_study

from ..report.synthetic import result_of


def study_with(**recipe: object) -> Study:
    return parse_study(
        {
            "version": 2,
            "name": "trunks",
            "problem": {"kind": "denoising"},
            "images": {"source": "deadleaves", "val": 2, "test": 2},
            "sweep": {"n": [4, 8], "width": [4]},
            "recipe": {"policy": "converge", "steps": 40, "doublings": 2, **recipe},
        }
    )


def test_the_key_leaves_out_when_training_ends() -> None:
    first, second = runs_of(study_with())
    longer, _ = runs_of(study_with(doublings=4, tolerance=0.01))
    other, _ = runs_of(study_with(cooldown=0.3))
    assert trunk_key(first) == trunk_key(longer) and first.id != longer.id
    assert trunk_key(first) not in (trunk_key(second), trunk_key(other))


def test_runs_that_continue(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    first, second = runs_of(study_with())
    for run in (first, second):
        branches = (Branch(trunk=40, steps=48, best_step=48, psnr=20.0),)
        branches += (Branch(trunk=80, steps=96, best_step=96, psnr=21.0, gain=1.0),) * (run is first)
        result_of(run).model_copy(update={"branches": branches}).write(folder.of(run))
    (folder.of(first) / TRUNK).write_bytes(b"a state")
    longer = runs_of(study_with(doublings=4))
    assert continuing_runs(folder, longer) == {longer[0].id: 80 + 8 + 16}  # the second has left no trunk
    assert continuing_runs(folder, runs_of(study_with(cooldown=0.3))) == {}  # another trunk
    assert continuing_runs(folder, (first, second)) == {}  # they are over
    result_of(longer[0]).write(folder.of(longer[0]))
    assert continuing_runs(folder, longer) == {}
    (folder.of(first) / "result.json").write_text("{")
    assert continuing_runs(folder, runs_of(study_with(doublings=5))) == {}  # damaged: training reads the trunk itself
