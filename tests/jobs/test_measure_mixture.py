"""Mixes of several sources that a Python function trains."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reconscale as rs

from ..cli.calling import call

A, B = [f"a{i:02d}" for i in range(40)], [f"b{i:03d}" for i in range(300)]
QUIET = {"tell": lambda event: None}
PLACES: dict[str, Any] = {"val": 4, "test": 6, "seed": 2, **QUIET}
GRID: dict[str, Any] = {"mix": {"scanner": [5, 10, 20], "others": [0, 40, 200]}, **PLACES}


def train(job: rs.Job) -> dict[str, Any]:
    """An image of the others is worth a tenth of one of the scanner."""
    worth = job.mix.get("scanner", 0) + 0.1 * job.mix.get("others", 0)
    base = 20 + 4 * math.log10(worth) + np.random.default_rng([job.seed, job.n]).normal(0, 0.02)
    return {"psnr": [base] * len(job.test), "p": 100}


def measured(folder: Path, **more: Any) -> rs.Mixture:
    return rs.measure_mixture(train, {"scanner": A, "others": B}, folder=folder, **{**GRID, **more})


def test_every_mix_is_trained_and_read_again(tmp_path: Path) -> None:
    points = measured(tmp_path / "mine", unit="slices")
    assert len(points) == 18 and points.target == "scanner" and points.unit == "slices" and len(points.mixes) == 9
    again = rs.load_mixture(tmp_path / "mine")
    assert {name: sorted(column) for name, column in again.n.items()} == {
        name: sorted(column) for name, column in points.n.items()
    }
    (rate,) = rs.infer_mixture(again).exchange_rates()
    assert rate.rate.low < 10 < rate.rate.high
    assert rs.load_mixture(tmp_path / "mine", target="others").target == "others"
    assert len(rs.load_study(tmp_path / "mine").runs()) == 18
    more = measured(tmp_path / "mine", mix=[{"scanner": 0.5, "others": 0.5}], n=[20, 40])
    assert len(more) == 4 and len(rs.load_mixture(tmp_path / "mine")) == 22


def test_commands_take_its_folder(tmp_path: Path) -> None:
    measured(tmp_path / "mine")
    code, out, err = call("mixture", tmp_path / "mine", "--cost", "scanner=20")
    assert code == 0 and "One items" not in out and "others" in out, out + err
    assert call("status", tmp_path / "mine")[1].startswith("18 done, 0 diverged, 0 failed, 0 to do")
    code, out, _ = call("decide", tmp_path / "mine")
    assert code == 0 and "scanner alone" in out
    code, _, err = call("report", tmp_path / "mine")
    page = (tmp_path / "mine" / "report" / "report.html").read_text()
    assert code == 0 and "scanner alone" in page and "One image of scanner is worth" in page.replace("item", "image"), (
        err
    )
    assert (tmp_path / "mine" / "report" / "mixes.csv").is_file() and "5 scanner + 40 others" in page
    assert rs.report_study(tmp_path / "mine", out=tmp_path / "page").read_text().count("5 scanner + 40 others")
    points = rs.load_points(tmp_path / "mine")  # the curve over n is of one mix
    assert sorted(points.n) == [5, 5, 10, 10, 20, 20] and "one-mix" in {f.code for f in points.findings}
    figure = rs.load_study(tmp_path / "mine").figure()
    assert "18 of them done" in figure.alt


def test_subsets_are_nested_source_by_source(tmp_path: Path) -> None:
    seen: list[rs.Job] = []

    def note(job: rs.Job) -> float:
        seen.append(job)
        return 30.0 + job.n / 1000

    rs.measure_mixture(note, {"scanner": A, "others": B}, folder=tmp_path / "mine", **GRID)
    alone = rs.subsets(A, 20, 2, val=4, test=6)
    for job in seen:
        a, b = job.mix.get("scanner", 0), job.mix.get("others", 0)
        assert job.n == len(job.train) == a + b
        assert job.train[:a] == alone.train(20, job.seed)[:a] and set(job.train[a:]) <= set(B)
        assert job.val == alone.val and job.test == alone.test
        largest = next(one for one in seen if one.seed == job.seed and one.mix == {"scanner": 20, "others": 200})
        assert job.train[a:] == largest.train[20 : 20 + b]


def test_groups_that_the_target_holds_out_are_trained_on_nowhere(tmp_path: Path) -> None:
    """A patient was scanned by both scanners."""
    groups = {"scanner": [i // 2 for i in range(40)], "others": [i // 10 for i in range(300)]}
    seen: list[rs.Job] = []
    notes: list[str] = []

    def note(job: rs.Job) -> float:
        seen.append(job)
        return 30.0

    tell = {"tell": lambda event: notes.append(event.get("text", ""))}
    measured_ = {**GRID, **tell, "groups": groups}
    rs.measure_mixture(note, {"scanner": A, "others": B}, folder=tmp_path / "mine", **measured_)
    held = {A.index(item) // 2 for item in (*seen[0].val, *seen[0].test)}
    for job in seen:
        assert not held & {(A.index(i) // 2) if i in A else B.index(i) // 10 for i in job.train}
    assert any("used nowhere, as their groups are held out" in note for note in notes)


def test_in_other_processes_and_again(tmp_path: Path) -> None:
    here = measured(tmp_path / "here")
    there = measured(tmp_path / "there", on=rs.Local(workers=2))
    assert (here.y == there.y).all()

    def never(job: rs.Job) -> float:
        raise AssertionError("it is done")

    again = rs.measure_mixture(never, {"scanner": A, "others": B}, folder=tmp_path / "there", **GRID)
    assert (again.y == here.y).all()
    names = [path.parent.name for path in tmp_path.glob("here/runs/*/result.json")]
    assert any(name.startswith("n205-others.200-scanner.5-s0-") for name in names)
    record = json.loads(next(tmp_path.glob("here/runs/n5-scanner.5-s0-*/result.json")).read_text())
    assert record["run"]["mix"] == {"scanner": 5}


MISTAKES = [
    ({"mix": [{"scanner": 0.5, "others": 0.6}], "n": [10]}, "mix.0: .* sums to 1.1"),
    ({"mix": [{"scanner": 0.5, "others": 0.5}]}, "n is missing; give n"),
    ({"mix": [{"scanner": 5, "other": 5}]}, "there is no source 'other'; did you mean 'others'"),
    ({"mix": [{"scanner": 5}]}, "others: is in no mix"),
    ({"mix": {"scanner": [5, 40], "others": [0, 10]}}, "found 40 of scanner; at most 30 of its 40 items are left"),
    ({"mix": [{"scanner": -1, "others": 5}]}, "give a share from 0 to 1"),
    ({"mix": "half"}, "a list of mixes is expected"),
    ({"mix": [], "n": [5]}, "is missing; say how many"),
    ({"sources": {"scanner": A, "others": []}}, "sources, others: the list is empty"),
    ({"sources": {"scanner": A, "others": [*B, "a07"]}}, "'a07' is in both scanner and others"),
    ({"sources": {"scanner": 40, "others": 300}}, "'0' is in both scanner and others"),
    ({"sources": {"scanner": A}}, "alone"),
    ({"sources": {"Scanner A": A, "others": B}}, "is no name for a source"),
    ({"sources": A}, "give a mapping"),
    ({"target": "mine"}, "target: found 'mine'"),
    ({"groups": {"scanner": list(range(40))}}, "has no labels for 'others'"),
    ({"groups": list(range(40))}, "give a mapping: source"),
    ({"val": ["b001"]}, "val: 'b001' is none of the 40 items"),
    ({"test": 40}, "nothing is left to train on"),
]


@pytest.mark.parametrize("change, says", MISTAKES)
def test_mistakes_are_said_before_anything_runs(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    def never(job: rs.Job) -> float:
        raise AssertionError("nothing is to run")

    asked = {"sources": {"scanner": A, "others": B}, **GRID, **change}
    with pytest.raises(rs.UserError, match=says) as mistake:
        rs.measure_mixture(never, asked.pop("sources"), folder=tmp_path / "mine", **asked)
    assert "\n" not in str(mistake.value) and not (tmp_path / "mine" / "study.toml").exists()


def test_other_items_or_another_target_are_refused_in_its_folder(tmp_path: Path) -> None:
    measured(tmp_path / "mine")
    for change in ({"target": "others"}, {"groups": {"scanner": A, "others": B}}):
        with pytest.raises(rs.UserError, match="began with other items"):
            measured(tmp_path / "mine", **change)
    with pytest.raises(rs.UserError, match="began with other items"):
        rs.measure(train, A, n=[5], val=4, test=6, folder=tmp_path / "mine", **QUIET)
    with pytest.raises(rs.UserError, match="has images of one source; ask `decide`, or measure with"):
        rs.measure(lambda job: 30.0, A, n=[5], val=4, test=6, folder=tmp_path / "one", **QUIET)
        rs.load_mixture(tmp_path / "one")


def test_a_seed_that_does_not_reach_what_trains_is_said(tmp_path: Path) -> None:
    def deaf(job: rs.Job) -> float:
        return 30.0 + job.mix.get("scanner", 0) / 100

    assert "without-effect" not in {found.code for found in measured(tmp_path / "mine").findings}
    points = rs.measure_mixture(deaf, {"scanner": A, "others": B}, folder=tmp_path / "deaf", **GRID)
    assert "without-effect" in {found.code for found in points.findings}
    assert "differ in seed alone" in call("mixture", tmp_path / "deaf")[1]
