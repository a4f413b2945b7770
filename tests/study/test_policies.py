"""Keys of a recipe that no policy of the study reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconscale.errors import UserError
from reconscale.study import Recipe, load_study, runs_of
from reconscale.study.defaults import written_out
from reconscale.study.policies import EVERYWHERE, READS
from reconscale.study.study_file import parse_study

from ..conftest import ROOT

Content = Callable[..., dict[str, Any]]
VALUES = {"epochs": 3, "cooldown": 0.5, "tolerance": 0.1, "doublings": 2, "warmup": 0.01, "hold": 0.5,
          "decay": "none", "patience": 3, "annealing": False, "lr_min": 1e-4}  # fmt: skip
"""A value for each key that not every policy reads."""


def test_every_key_of_the_recipe_is_in_the_table() -> None:
    assert EVERYWHERE | set().union(*READS.values()) == set(Recipe.model_fields)
    assert set(VALUES) == set(Recipe.model_fields) - EVERYWHERE
    assert set(READS) == set(Recipe.model_fields["policy"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("policy", READS)
@pytest.mark.parametrize("key", VALUES)
def test_every_key_under_every_policy(content: Content, key: str, policy: str, version: int) -> None:
    recipe = {"policy": policy, key: VALUES[key]}
    whole = content(version=version, recipe=recipe, override=[{"n": [1, 1], "recipe": {key: VALUES[key]}}])
    if key in READS[policy]:
        study = parse_study(whole)
        assert getattr(study.recipe, key) == VALUES[key]
        assert parse_study(written_out(study)) == study
        return
    with pytest.raises(
        UserError, match=f"recipe.{key}: is not used by the policy '{policy}'; leave it out, or set"
    ) as e:
        parse_study(whole)
    assert f"override.0.recipe.{key}: is not used" in str(e.value)


@pytest.mark.parametrize(
    ("recipe", "rules"),
    [
        ({"policy": "fast", "epochs": 3}, [{"recipe": {"policy": "plateau"}}]),  # the study's, for the rule's policy
        ({"policy": "fast"}, [{"n": [1, 1], "recipe": {"policy": "plateau"}}, {"recipe": {"epochs": 3}}]),
        ({"policy": "fast", "lr_power": 1.0}, [{"recipe": {"lr_width": 8}}]),
        ({"policy": "converge", "hold": 0.5}, []),  # as version 2 fills it in
    ],
)
def test_what_some_cell_reads_is_kept(content: Content, recipe: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    study = parse_study(content(version=2, recipe=recipe, override=rules))
    assert parse_study(written_out(study)) == study


@pytest.mark.parametrize(
    ("recipe", "rules", "message"),
    [
        ({"lr_power": 1.0}, [], "recipe.lr_power: says nothing without lr_width"),
        ({"epochs": 3}, [], "recipe.epochs: is not used by the policy 'fast'; .* to one of plateau, paper, paper-mri"),
        ({"policy": "converge", "hold": 0.2}, [], "recipe.hold: .* set policy to 'fast'"),
        ({"policy": "paper"}, [{"recipe": {"policy": "fast", "patience": 3}}], "override.0.recipe.patience"),
    ],
)
def test_what_no_cell_reads_is_refused(
    content: Content, recipe: dict[str, Any], rules: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        parse_study(content(version=2, recipe=recipe, override=rules))


@pytest.mark.parametrize("table", [3, "x", [1], {"policy": 3}, {"policy": "fats"}, {"ploicy": "fast"}, {1: 2}])
def test_what_has_no_right_form_is_refused_elsewhere(content: Content, table: Any) -> None:
    for whole in (content(recipe=table), content(override=table), content(override=[{"recipe": table}, table])):
        with pytest.raises(UserError):
            parse_study(whole)


def test_steps_mean_another_thing_under_converge(content: Content) -> None:
    """4,000 steps before the first branch would be 150,000 in all."""
    for base, other in (("fast", "converge"), ("converge", "fast")):
        rule = {"n": [1, 1], "recipe": {"policy": other}}
        with pytest.raises(UserError, match=f"override.0.recipe.steps: is missing; .* of '{other}' they are"):
            parse_study(content(version=2, recipe={"policy": base}, override=[rule]))
        rule["recipe"]["steps"] = 40  # type: ignore[index]
        assert runs_of(parse_study(content(version=2, recipe={"policy": base}, override=[rule])))[0].recipe.steps == 40


def test_the_study_files_of_this_repository_load() -> None:
    files = [path for place in ("studies", "src", "tests/study") for path in (ROOT / place).rglob("*.toml")]
    other = ("published", "2026-11-29-own-code")  # curves; runs of other code
    files = [path for path in files if path.parent.name not in other]
    assert len(files) > 20
    for path in files:
        load_study(Path(path))
