"""Measurements of mixtures: what is taken, from Python and from tables, and what is refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Mixture
from reconscale.laws.mixture.cells import group_cells

N = {"a": [100, 100, 30], "b": [0, 300, 300]}
Y = [30.0, 31.0, 30.4]


def test_the_target_comes_first():
    points = Mixture(N, Y, metric="psnr", target="b")
    assert points.sources == ("b", "a") and points.counts.tolist() == [[0, 100], [300, 100], [300, 30]]
    assert len(points) == 3 and repr(points) == "Mixture(3 runs, psnr, 3 mixes of b and a)"
    with pytest.raises(ValueError, match="read-only"):
        points.n["a"][0] = 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": {"a": [1, 2, 3]}}, "found one source alone, 'a'"),
        ({"n": {}}, "found no source"),
        ({"n": [1, 2, 3]}, "found no names"),
        ({"n": {"a": [1, 2, 3], "b": [0, 0, 0]}}, "n of 'b': no run has images of it"),
        ({"n": {"a": [1, 2, 3], "b": [0, -1, 0]}}, r"n of 'b', row 2: found -1; a number of images is 0 or more"),
        ({"n": {"a": [1, 2, 3], "b": [0, float("nan"), 0]}}, "row 2: found nan"),
        ({"n": {"a": [0, 2, 3], "b": [0, 1, 0]}}, "row 1: has no images of any source"),
        ({"n": {"a": [1, 2, 3], "b": [1, 2]}}, "found 2 numbers for 'b' and 3 for 'a'"),
        ({"n": {"a": [1, 2, 3], "b": ["x", 1, 2]}}, "found something that is not a number"),
        ({"n": {"fast mri": [1, 2, 3], "fast_MRI": [1, 2, 3]}}, "two names of one source"),
        ({"n": {"a": [1, 2, 3], " ": [1, 2, 3]}}, "a source without a name"),
        ({"n": {str(k): [1, 2, 3] for k in range(6)}}, "found 6 sources; at most 5"),
        ({"target": "c"}, "there is no source 'c'"),
        ({"y": [1.0, 2.0]}, "3 numbers, as many as n has"),
        ({"metric": "pnsr"}, "did you mean 'psnr'"),
    ],
)
def test_refused(given, words):
    with pytest.raises(UserError, match=words):
        Mixture(**({"n": N, "y": Y, "metric": "psnr"} | given))


def write(folder, text):
    path = folder / "runs.csv"
    path.write_text(text)
    return path


def test_from_counts(tmp_path):
    text = "N_fast-MRI,n_Simulated,n_params,seed,PSNR\n100,0,5,0,30\n100,300,5,0,31\n30,300,5,0,30.4\n"
    points = Mixture.from_csv(write(tmp_path, text), target="Simulated")
    assert points.sources == ("simulated", "fast_mri") and points.metric == "psnr"
    assert points.p.tolist() == [5, 5, 5] and points.seed.tolist() == [0, 0, 0]


def test_from_shares(tmp_path):
    text = "n,share_a,share_b,mse\n100,0.25,0.75,0.1\n200,1,0,0.2\n300,0.5,0.5,0.3\n"
    points = Mixture.from_csv(write(tmp_path, text))
    assert points.counts.tolist() == [[25, 75], [200, 0], [150, 150]] and points.metric == "error"


def test_rows_of_one_mix_are_replicates_and_others_are_not(tmp_path):
    text = "n,n_a,n_b,seed,mse\n" + "".join(
        f"300,{a},{300 - a},{seed},{0.1 + a / 1e4 + seed / 1e3}\n" for a in (100, 200, 300) for seed in (0, 1)
    )
    cells = group_cells(Mixture.from_csv(write(tmp_path, text)))
    assert cells.count.tolist() == [2, 2, 2]
    twice = group_cells(Mixture.from_csv(write(tmp_path, text + "300,300,0,1,0.131\n")))
    assert twice.count.tolist() == [2, 2, 2] and [item.code for item in twice.findings] == ["repeated-rows"]
    other = group_cells(Mixture.from_csv(write(tmp_path, text + "300,300,0,1,0.15\n")))
    assert "same-mix-and-seed" in {item.code for item in other.findings}


def test_the_last_epoch_of_each_mix_counts(tmp_path):
    text = "n_a,n_b,seed,epoch,mse\n" + "".join(
        f"{a},{300 - a},0,{epoch},{0.1 + a / 1e4 + 1 / epoch}\n" for a in (100, 200, 300) for epoch in (1, 2, 4)
    )
    points = Mixture.from_csv(write(tmp_path, text))
    assert len(points) == 3 and points.y == pytest.approx(0.35 + np.array([0.01, 0.02, 0.03]))
    assert "last-of-training" in {item.code for item in points.findings}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n_a,psnr\n1,30\n2,31\n", "found one source alone, 'n_a'"),
        ("n,psnr\n1,30\n2,31\n", "no columns of sources"),
        ("n_a,n_b,psnr\n1,0,30\n-2,1,31\n", "n of 'a', row 2: found -2"),
        ("n_a,n_b,psnr\n1,0,30\n2,0,31\n", "n of 'b': no run has images"),
        ("n_a,n_b,psnr\n1,x,30\n2,0,31\n", "line 2, column 'n_b': found 'x'"),
        ("n_a b,n_a_b,psnr\n1,1,30\n2,3,31\n", "two names of one source"),
        ("n_a,n_A,psnr\n1,1,30\n2,3,31\n", "column 'n_a' is there twice"),
        ("n,n_a,n_b,psnr\n3,1,2,30\n4,2,3,31\n", r"line 3: the counts of the sources sum to 5 and n is 4"),
        ("n,share_a,share_b,psnr\n3,0.5,0.5,30\n4,0.5,0.6,31\n", r"line 3: the shares sum to 1.1"),
        ("n,share_a,share_b,psnr\n3,50,50,30\n4,40,60,31\n", "divide per cent by 100"),
        ("share_a,share_b,psnr\n0.5,0.5,30\n0.4,0.6,31\n", "shares without a column 'n'"),
        ("n_a,n_b\n1,2\n2,3\n", "no column of measured values"),
        ("n_a,n_b,test_set,psnr\n1,2,x,30\n2,3,y,31\n4,3,x,31\n", "column 'test_set'"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        Mixture.from_csv(write(tmp_path, text))
