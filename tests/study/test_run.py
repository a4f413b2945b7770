"""The identity of runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run


def make(**changes: object) -> Run:
    fields: dict[str, object] = {
        "problem": DenoisingProblem(kind="denoising"),
        "images": Images(source="bundled", val=2, test=3),
        "n": 4,
        "network": Network(width=8),
        "recipe": Recipe(),
        "seed": 1,
    }
    return Run(**(fields | changes))  # type: ignore[arg-type]


def test_golden_ids() -> None:
    """These never change: a new knob that is off renames nothing, and a default is never changed."""
    assert make().id == "denoising-unet-w8-n4-s1-0332f874110d"
    fields = {
        "problem": DenoisingProblem(kind="denoising", sigma=50.0),
        "images": Images(source="folder", folders=("a", "b"), val=24, test=38, val_patch=128, test_sets={"kodak": "k"}),
        "n": 600,
        "network": Network(family="dncnn", depth=7, width=32),
        "recipe": Recipe(policy="paper", steps=1000, batch=10, lr=1e-4, patience=6, precision="bf16"),
        "seed": 52,
    }
    assert make(**fields).id == "denoising-dncnn-w32-n600-s52-fb5df5e15fff"


def test_a_default_that_is_spelt_out_changes_nothing() -> None:
    assert make(problem=DenoisingProblem(kind="denoising", sigma=25.0)).id == make().id
    assert make(problem=DenoisingProblem(kind="denoising", sigma=25)).id == make().id


def test_everything_that_decides_the_numbers_changes_the_id() -> None:
    others = [
        make(n=5),
        make(seed=2),
        make(network=Network(width=9)),
        make(network=Network(width=8, depth=2)),
        make(problem=DenoisingProblem(kind="denoising", sigma=26)),
        make(recipe=Recipe(steps=3999)),
        make(images=Images(source="bundled", val=2, test=3, split_seed=1)),
    ]
    assert len({run.id for run in [make(), *others]}) == len(others) + 1


@given(st.floats(min_value=0.1, max_value=255), st.integers(1, 10**6))
def test_a_run_survives_json(sigma: float, n: int) -> None:
    run = make(problem=DenoisingProblem(kind="denoising", sigma=sigma), n=n)
    again = Run.model_validate_json(run.model_dump_json())
    assert again == run and again.id == run.id


def test_the_learning_rate_is_carried_over_to_other_widths() -> None:
    recipe = Recipe(lr=1e-3, lr_width=8, lr_power=0.5)
    assert make(recipe=recipe).lr == 1e-3
    assert make(recipe=recipe, network=Network(width=32)).lr == 5e-4
    assert make(network=Network(width=32)).lr == 1e-3
