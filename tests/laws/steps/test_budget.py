"""L(n, p, steps), and the best use of a budget."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, infer
from reconscale.laws.steps.budget import BEYOND, StepsSurface


def grid(rng=0):
    """PSNR of (1e-3 n^-0.3 + 0.1 p^-0.5) exp(3 steps^-0.5) for three networks."""
    random, rows = np.random.default_rng(rng), []
    for n in (10, 30, 100, 300):
        for p in (1e4, 1e5, 1e6):
            for seed in range(2):
                luck = 0.003 * random.standard_normal()
                for k in range(6):
                    steps = 100 * 2.0**k
                    error = (1e-3 * n**-0.3 + 0.1 * p**-0.5) * np.exp(3 * steps**-0.5 + luck)
                    rows.append((n, p, seed, steps, -10 * np.log10(error)))
    n, p, seed, steps, psnr = (np.array(column) for column in zip(*rows, strict=True))
    return Points(n, psnr, seed, p, "psnr", steps=steps)


@pytest.fixture(scope="module")
def surface():
    return StepsSurface(infer(grid()))


def test_it_is_the_surface_at_the_steps_of_the_runs_and_the_truth_at_fewer(surface):
    p, steps = np.array([1e4, 1e5, 1e6]), np.array([3200.0, 400.0, 200.0])
    drawn = surface.log_error(300, p, steps)
    true = np.log((1e-3 * 300**-0.3 + 0.1 * p**-0.5) * np.exp(3 * steps**-0.5))
    low, high = np.quantile(drawn, [0.02, 0.98], axis=0)
    assert ((low <= true) & (true <= high)).all() and (high - low < 0.3).all()
    curve = infer(grid())
    alone = curve.surface.log_error(np.full(3, 300.0), p).mean(0)
    assert surface.log_error(300, p, 3200.0).mean(0) == pytest.approx(alone, abs=0.01)


def test_more_steps_never_hurt(surface):
    drawn = surface.log_error(100, 1e5, np.geomspace(100, 6400, 9))
    assert (np.diff(drawn, axis=1) <= 1e-12).all()


def test_a_larger_budget_buys_more_steps_or_a_larger_network(surface):
    found = surface.allocate(np.geomspace(1e8, 1e11, 7), lambda p: 6.0 * p)
    values = [best.value.median[0] for best in found]
    assert (np.diff(values) > -0.02).all() and found[-1].p > found[0].p
    for best in found:
        assert best.n == 300 and 6.0 * best.p * best.steps <= best.budget * (1 + 1e-9)
        assert best.steps <= BEYOND * 3200 * (1 + 1e-9)
    assert surface.allocate([1.0], lambda p: 6.0 * p) == ()


def test_where_images_have_a_price_n_is_chosen_too(surface):
    cheap, dear = (surface.allocate([1e10], lambda p: 6.0 * p, per_image=price)[0] for price in (1e3, 1e8))
    assert cheap.n > dear.n and dear.n * 1e8 < 1e10


def test_what_is_out_of_range_is_refused(surface, make):
    with pytest.raises(UserError, match="budgets"):
        surface.allocate([0.0], lambda p: p)
    with pytest.raises(UserError, match="pace"):
        surface.allocate([1.0], lambda p: float("nan"))
    with pytest.raises(UserError, match="steps"):
        surface.log_error(100, 1e5, -1.0)
    with pytest.raises(UserError, match="several numbers of steps"):
        StepsSurface(infer(make(0.1, 1, 0.5)))
