"""Study files, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconscale.errors import UserError
from reconscale.study import load_study, runs_of
from reconscale.study.study_file import parse_study

Content = Callable[..., dict[str, Any]]


def test_the_grid(content: Content) -> None:
    runs = runs_of(parse_study(content()))
    assert len(runs) == 12
    expected = {(n, w, s) for n in (1, 2, 4) for w in (4, 8) for s in (0, 1)}
    assert {(r.n, r.network.width, r.seed) for r in runs} == expected


def test_overrides_by_n_and_width(content: Content) -> None:
    rules = [
        {"n": [2, 4], "recipe": {"batch": 4}},
        {"n": [4, 4], "width": [8, 8], "recipe": {"lr": 1e-4}},
        {"width": [4, 4], "seeds": 1},
        {"n": [1, 1], "width": [8, 8], "skip": True},
    ]
    study = parse_study(content(override=rules))
    cells = {(r.n, r.network.width): r for r in runs_of(study) if r.seed == 0}
    assert (1, 8) not in cells
    assert cells[1, 4].recipe.batch == 16 and cells[2, 4].recipe.batch == 4
    assert cells[4, 8].recipe.batch == 4 and cells[4, 8].recipe.lr == 1e-4 and cells[4, 4].recipe.lr == 1e-3
    assert sum(r.network.width == 4 for r in runs_of(study)) == 3


WRONG = {
    "a typo in a key": (
        {"problem": {"kind": "denoising", "sigm": 25}},
        "problem.sigm: there is no such key, did you mean 'sigma'?",
    ),
    "a typo in a table": ({"sweeep": {}}, "sweeep: there is no such key, did you mean 'sweep'?"),
    "a typo in an override": ({"override": [{"recipe": {"btach": 1}}]}, "did you mean 'batch'?"),
    "a missing key": ({"images": {"source": "bundled", "val": 2}}, "images.test: is missing"),
    "a wrong kind": ({"problem": {"kind": "denoise"}}, "problem.kind: found 'denoise'; did you mean 'denoising'?"),
    "a number as text": ({"problem": {"kind": "denoising", "sigma": "25"}}, "problem.sigma: found '25'"),
    "a negative size": ({"sweep": {"n": [-1], "width": [4]}}, "sweep.n: found -1; values start at 1"),
    "a size given twice": ({"sweep": {"n": [2, 2], "width": [4]}}, "sweep.n: a value is given twice"),
    "an empty axis": ({"sweep": {"n": [], "width": [4]}}, "sweep.n: the list is empty"),
    "nothing to test on": ({"images": {"source": "bundled", "val": 1, "test": 0}}, "there is nothing to test on"),
    "an unknown profile": ({"analysis": {"profile": "psnr-rgb"}}, "did you mean 'psnr-rgb-clip'?"),
    "infinity": ({"recipe": {"lr": float("inf")}}, "recipe.lr: found inf"),
    "a name with a slash": ({"name": "../x"}, "name: found '../x'"),
    "a fraction for a count": ({"sweep": {"n": [1.5], "width": [4]}}, "sweep.n.0: found 1.5"),
}


@pytest.mark.parametrize("tables, sentence", WRONG.values(), ids=WRONG)
def test_mistakes_are_named(content: Content, tables: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_study(content(**tables), where="study.toml")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_mistakes_at_once(content: Content) -> None:
    with pytest.raises(UserError, match=r"sigm.*stepz"):
        parse_study(content(problem={"kind": "denoising", "sigm": 1}, recipe={"stepz": 1}))


@pytest.mark.parametrize(
    "text, sentence",
    [("name = ", "is not TOML"), (b"\xff\xfe\x00", "is not UTF-8"), (None, "cannot be read")],
)
def test_files_that_are_no_study(tmp_path: Path, text: str | bytes | None, sentence: str) -> None:
    path = tmp_path / "study.toml"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError, match=sentence):
        load_study(path)


def test_the_papers_table(content: Content) -> None:
    """The official denoising campaign: 41 configurations, 90 runs, and the settings of each."""
    study = load_study(Path(__file__).parents[2] / "studies" / "denoising-paper")
    runs = runs_of(study)
    cells = {(r.n, r.network.width): r for r in runs}
    assert len(cells) == 41 and len(runs) == 90
    assert {r.seed for r in runs} == {42, 52, 62}
    for (n, _), run in cells.items():
        assert run.recipe.batch == (1 if n <= 1000 else 10)
        assert run.recipe.patience == (10 if n <= 3000 else 6)
        assert run.recipe.policy == "paper" and run.recipe.lr_min == 1e-5
    fixed = {128: 3.2e-3, 192: 1.6e-3, 256: 8e-4, 320: 4e-4}
    without = {cell: run.recipe.lr for cell, run in cells.items() if not run.recipe.annealing}
    assert without == {cell: fixed[cell[1]] for cell in without} and len(without) == 13
    assert all(run.recipe.lr == 1e-4 for run in cells.values() if run.recipe.annealing)


@pytest.mark.parametrize("channel", [-1, 1000, "red", 1.5, True])
def test_a_channel_is_refused_in_plain_words(content: Content, channel: object) -> None:
    with pytest.raises(UserError) as refused:
        parse_study(content(images={"source": "ome-zarr", "folders": ["a"], "channel": channel}))
    said = f"images.channel: found {channel!r}, a whole number from 0 to 999 or 'rgb' is expected"
    assert (
        said in str(refused.value) and "literal[" not in str(refused.value) and "constrained" not in str(refused.value)
    )
