"""Draws of two curves, paired by how they continue."""

import numpy as np
import pytest

from reconscale.laws import crossing
from reconscale.laws.decisions import compare
from reconscale.laws.decisions.continuations import as_ranked, pair_continuations


def draws(rng):
    """Level and later value of two curves whose levels are paired (correlation 0.8) and whose changes are not."""
    level = rng.standard_normal((4000, 2))
    level[:, 1] = 0.8 * level[:, 0] + 0.6 * level[:, 1]
    change = 0.3 * rng.standard_normal((4000, 2)) - 1.0
    return tuple(np.stack([level[:, k], level[:, k] + change[:, k]], axis=1) for k in range(2))


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_changes_are_paired_and_levels_stay_so(alike):
    rng = np.random.default_rng(0)
    one, other = draws(rng)
    order = pair_continuations(one, other, (0, 1), rng, alike)
    assert sorted(order.tolist()) == list(range(4000))
    paired = other[order]
    changes = np.corrcoef(np.diff(one, axis=1)[:, 0], np.diff(paired, axis=1)[:, 0])[0, 1]
    assert changes == pytest.approx(alike, abs=0.06)
    assert np.corrcoef(one[:, 0], paired[:, 0])[0, 1] == pytest.approx(0.8, abs=0.03)


def test_ranks_are_those_asked_for():
    value, like = np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.3, 0.2])
    assert value[as_ranked(value, like)].tolist() == [1.0, 3.0, 2.0]


def test_a_difference_beyond_the_data_is_known_better(make, monkeypatch):
    """Two methods that go on alike: apart, the chance that the worse one overtakes is larger."""
    a, b = make(0.0, 1.0, 0.3, noise=0.005, metric="psnr"), make(0.0, 1.06, 0.3, noise=0.005, rng=1, metric="psnr")
    together = crossing(a, b)
    monkeypatch.setattr(compare, "pair_continuations", lambda one, other, columns, rng: np.arange(len(other)))
    apart = crossing(a, b)
    assert "flatten alike" in together.assumed
    assert together.better == apart.better  # within the data nothing changes
    assert together.better_tenfold < apart.better_tenfold < 0.5


def test_errors_of_another_kind_are_not_paired(make):
    made = crossing(make(0.0, 1.0, 0.3), make(0.0, 1.06, 0.3, rng=1))
    assert "flatten alike" not in made.assumed
