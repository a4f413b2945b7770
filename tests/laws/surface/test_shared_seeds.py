"""How much of the spread between seeds is alike at all n of one p."""

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.surface.cells import cells
from reconscale.laws.surface.model import fit_noise
from reconscale.laws.surface.posterior import infer_surface
from reconscale.laws.surface.shared_seeds import MOST, UNLABELLED, estimate_shared_seeds


def points(rho, seeds=3, rng=0, labels=True):
    """Ln(error) of spread 0.1 on five n and four p, with the part ``rho`` of its variance alike at all n."""
    draw = np.random.default_rng(rng)
    n, p, seed = (
        part.ravel()
        for part in np.meshgrid([10, 30, 100, 300, 1000], [1e4, 4e4, 2e5, 8e5], np.arange(seeds), indexing="ij")
    )
    effect = np.sqrt(rho) * draw.standard_normal((1, 4, seeds)) + np.sqrt(1 - rho) * draw.standard_normal((5, 4, seeds))
    return Points(n, np.exp(0.1 * effect.ravel()), seed if labels else None, p)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.98])
def test_rho_is_recovered(rho):
    told = np.array([cells(points(rho, rng=rng)).shared for rng in range(40)])
    assert told.mean() == pytest.approx(rho, abs=0.08)


def test_what_repeats_itself_counts_once():
    alike, apart = cells(points(0.98)), cells(points(0.0))
    assert alike.dof.sum() == pytest.approx(4 * 2, rel=0.1)  # widths x (seeds - 1)
    assert apart.dof.sum() > 0.8 * 20 * 2
    assert alike.squares.sum() / alike.dof.sum() == pytest.approx(0.01, rel=0.9)


def test_means_of_one_p_covary_and_those_of_two_do_not():
    told = cells(points(0.9))
    noise = fit_noise(told)
    covariance = noise.root @ noise.root.T
    same = told.y[:, None] == told.y
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (correlation[same] > 0.7).all()
    assert (correlation[~same] == 0).all()


def test_other_labels_at_every_n_share_nothing():
    made = points(0.5)
    other = Points(made.n, made.y, np.arange(len(made)), made.p)
    told = cells(other)
    assert (told.overlap == np.diag(np.diag(told.overlap))).all()
    assert told.dof.sum() == 20 * 2


def test_without_labels_the_worst_is_assumed_and_without_replicates_nothing():
    assert cells(points(0.0, labels=False)).shared == UNLABELLED
    assert cells(points(0.0, seeds=1)).shared == 0.0
    assert cells(points(0.0, seeds=1, labels=False)).shared == 0.0


def test_the_order_of_seeds_does_not_matter():
    made = points(0.5)
    turned = made.rows(np.random.default_rng(1).permutation(len(made)))
    assert cells(made).overlap.tobytes() == cells(turned).overlap.tobytes()
    assert cells(made).shared == cells(turned).shared


def test_seeds_missing_in_some_cells():
    cell, p = np.repeat([0, 1], [3, 2]), np.array([1.0, 1.0])
    away = np.array([0.2, -0.1, -0.1, 0.15, -0.15])
    told = estimate_shared_seeds(p, cell, np.array([0, 1, 2, 0, 1]), away)
    assert told.common.tolist() == [[3.0, 2.0], [2.0, 2.0]]
    assert 0.5 < told.rho <= MOST
    assert (told.own < 1.0).all()


def test_a_seed_that_is_known_says_less_at_another_n():
    """What all n show of the seeds is expected again at a new n; new seeds of a measured cell show it anew."""
    shared, apart = infer_surface(points(0.98)), infer_surface(points(0.0))
    n, runs = [1000.0, 2000.0, 2000.0], np.array([3.0, 3.0, 3.0])
    for surface, known in ((shared, True), (apart, False)):
        shift, sd = surface.seed_noise(n, [1e4, 1e4, 3e6], runs)
        assert shift.shape == (1024, 3)
        assert (shift[:, [0, 2]] == 0).all()  # more runs of a measured cell; a network that nobody has measured
        assert (sd[1] < 0.5 * sd[0]) == known
        assert sd[2] == pytest.approx(sd[0])
    at_cell = shared.log_error(1000.0, 1e4)[:, 0]
    shift = shared.seed_noise(2000.0, 1e4, np.array([3.0]))[0][:, 0]
    assert np.corrcoef(at_cell, shift)[0, 1] < -0.7  # the mean of the cell is known, whatever part is the seeds'


def test_other_seeds_at_every_n_are_not_expected_again():
    made = points(0.5)
    surface = infer_surface(Points(made.n, made.y, np.arange(len(made)), made.p))
    assert (surface.seed_noise(2000.0, 1e4, np.array([3.0]))[0] == 0).all()
