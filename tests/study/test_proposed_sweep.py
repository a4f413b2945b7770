"""Grids for studies that name none."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.study import load_study
from reconscale.study.proposed_sweep import (
    NAME,
    ProposedSweep,
    open_axes,
    propose_sizes,
    propose_widths,
    record_proposed,
    with_proposed,
)

STUDY = """
name = "x"
[problem]
kind = "denoising"
[images]
source = "bundled"
val = 2
test = 2
[network]
family = "unet"
"""


@given(st.integers(20, 10**7))
def test_sizes_rise_to_all_there_is(available: int) -> None:
    sizes = propose_sizes(available)
    assert sizes[-1] == available and sizes[0] >= 3 and 3 <= len(sizes) <= 6
    assert all(2 <= after / before <= 3.1 for before, after in pairwise(sizes))


@pytest.mark.parametrize("available", [0, 1, 10, 15])
def test_too_few_images(available: int) -> None:
    with pytest.raises(UserError, match=f"images: found {available} for training, too few for three sizes"):
        propose_sizes(available)


@pytest.mark.parametrize("multiple", [1, 2, 4, 6, 8, 12])
def test_widths_fit_the_family(multiple: int) -> None:
    widths = propose_widths(multiple)
    assert len(widths) >= 2 and all(width % multiple == 0 for width in widths) and list(widths) == sorted(widths)


def test_which_axes_are_open() -> None:
    assert open_axes({}) == ("n", "width", "seed")
    assert open_axes({"sweep": {"width": [8]}}) == ("n", "seed")
    assert open_axes({"sweep": {"n": [8], "width": [8]}}) == ()


def test_what_is_kept_is_part_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY + "[sweep]\nwidth = [4]\n")
    with pytest.raises(
        UserError, match=r"\[sweep\]: has no n; give it, or let runs be chosen: reconscale run .* --budget 2h"
    ):
        load_study(tmp_path)
    (tmp_path / "runs").mkdir()
    record_proposed(tmp_path / "runs", ProposedSweep(n=(5, 10, 20), seed=(0, 1)))
    sweep = load_study(tmp_path).sweep
    assert (sweep.n, sweep.width, sweep.seed) == ((5, 10, 20), (4,), (0, 1))
    (tmp_path / "study.toml").write_text(STUDY + "[sweep]\nn = [7]\nwidth = [4]\n")
    assert load_study(tmp_path).sweep.n == (7,)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"n": "all"}', '{"n": [5], "more": 1}', '{"n": [1.5]}', '{"n": [0]}', '{"n": []}', '{"seed": [-1]}'],
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UserError, match=NAME):
        with_proposed({}, tmp_path)
    assert (tmp_path / NAME).read_text() == text


def test_a_record_is_json(tmp_path: Path) -> None:
    record_proposed(tmp_path, ProposedSweep(n=(5, 10, 20)))
    assert json.loads((tmp_path / NAME).read_text()) == {"n": [5, 10, 20]}
