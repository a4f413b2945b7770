"""Learning-rate policies, step by step."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run
from reconscale.training.schedule import Action, Looks, Schedule, looks_of


def schedule(**recipe: object) -> Schedule:
    run = Run(
        problem=DenoisingProblem(kind="denoising"),
        images=Images(source="bundled", val=1, test=1),
        n=1,
        network=Network(width=8),
        recipe=Recipe(**recipe),  # type: ignore[arg-type]
    )
    return Schedule.of(run)


def test_budget_warms_up_and_decays() -> None:
    plan = schedule(steps=100, warmup=0.1, lr=1e-3)
    rates = [plan.lr(step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3 / 11) and max(rates) == rates[10] == pytest.approx(1e-3)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert 1e-5 <= rates[-1] < 1.3e-5
    assert plan.observe(30.0) == (plan, Action.CONTINUE)


def test_fast_warms_up_holds_and_falls() -> None:
    plan = schedule(policy="fast", steps=100, warmup=0.1, hold=0.4, lr=0.02)
    rates = [plan.lr(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.02 * (step + 1) / 11 for step in range(10)])
    assert rates[10:41] == [0.02] * 31  # exactly
    falls = [a - b for a, b in pairwise(rates[40:])]
    assert falls == pytest.approx([0.02 / 60] * 59)
    assert rates[-1] == pytest.approx(0.02 / 60) and plan.lr(100) == 0.0  # the next one would be zero
    assert plan.observe(30.0) == (plan, Action.CONTINUE)
    slower = plan.slowed(1 / 3)
    assert [slower.lr(step) for step in range(100)] == pytest.approx([rate / 3 for rate in rates])
    assert plan.restored(slower.state()) == slower


@given(st.integers(1, 300), st.floats(0, 0.99), st.floats(0, 1), st.sampled_from(["fast", "budget"]))
@settings(max_examples=100)
def test_every_step_has_a_rate(steps: int, warmup: float, hold: float, policy: str) -> None:
    """Above zero up to the last one, at most the peak, and without a jump down of more than the fall's own."""
    plan = schedule(policy=policy, steps=steps, warmup=min(warmup, hold), hold=hold, lr=1.0)
    rates = [plan.lr(step) for step in range(steps)]
    assert min(rates) > 0 and max(rates) <= 1.0 and len(rates) == steps


def test_plateau_rule_is_torchs() -> None:
    """The same rates as ReduceLROnPlateau for a random walk of validation PSNRs."""
    torch.manual_seed(0)
    values = (30 + torch.randn(400).cumsum(0) * 0.01).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.2e-3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=6, threshold=1e-3, threshold_mode="abs", min_lr=1e-5
    )
    ours = schedule(policy="plateau", lr=3.2e-3, patience=6)
    for value in values:
        theirs.step(value)
        ours, action = ours.observe(value)
        assert ours.rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=0)
        if action is Action.STOP:
            break
    assert ours.rate < 3.2e-3


@pytest.mark.parametrize("lr, patience, looks", [(3.2e-3, 6, 73), (1e-4, 10, 54)])
def test_least_number_of_looks(lr: float, patience: int, looks: int) -> None:
    """Without any progress the official scheme ends after exactly this many epochs (simulated with its code)."""
    plan, count = schedule(policy="plateau", lr=lr, patience=patience), 0
    action = Action.CONTINUE
    while action is not Action.STOP:
        plan, action = plan.observe(30.0)
        count += 1
    assert count == looks


def test_phase_a_of_the_paper() -> None:
    plan = schedule(policy="paper", lr=1e-4)
    for psnr, rate in [(20.0, 2e-4), (21.0, 4e-4), (20.5, 4e-4), (22.0, 8e-4)]:
        plan, action = plan.observe(psnr)
        assert plan.rate == pytest.approx(rate) and plan.annealing and action is Action.CONTINUE
    for psnr, expected in [(21.9, Action.CONTINUE), (22.0, Action.CONTINUE), (21.0, Action.RESTORE_BEST)]:
        plan, action = plan.observe(psnr)
        assert action is expected
    assert not plan.annealing
    assert plan.rate == pytest.approx(4e-4)  # the last rate that still improved
    assert plan.best == 21.0  # the plateau rule has already seen the failing epoch


@given(st.lists(st.floats(10, 40), min_size=1, max_size=60), st.integers(0, 59))
@settings(max_examples=50)
def test_a_restored_schedule_goes_on_alike(values: list[float], cut: int) -> None:
    whole = schedule(policy="paper", patience=2)
    cut = min(cut, len(values))
    for value in values[:cut]:
        whole, _ = whole.observe(value)
    resumed = schedule(policy="paper", patience=2).restored(whole.state())
    for value in values[cut:]:
        whole, first = whole.observe(value)
        resumed, second = resumed.observe(value)
        assert (whole, first) == (resumed, second)
    assert math.isfinite(whole.rate)


def test_looks() -> None:
    assert looks_of(Recipe(steps=4000), 10) == Looks(200)
    assert looks_of(Recipe(policy="fast", steps=4000), 10) == Looks(200, frozenset({100, 50, 25}))
    assert looks_of(Recipe(policy="paper", batch=10), 3000) == Looks(300)
    assert looks_of(Recipe(policy="paper", batch=1), 100) == Looks(100)
    assert looks_of(Recipe(policy="plateau", batch=16), 3) == Looks(1)
    assert looks_of(Recipe(validate_every=7), 3) == Looks(7)
