"""What a report says of the policy ``fast``, of Muon, of restarts, and of study files of version 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.report.page_text import costs, facts, faults, recipe_words
from reconscale.report.run_tables import faults_table, training_findings
from reconscale.results.result import Result, Validation
from reconscale.results.results_folder import Incident
from reconscale.study import Recipe, Run, runs_of
from reconscale.training.calibrate import key_of

from .synthetic import result_of, study_of

POLICIES = Recipe.model_fields["policy"].annotation.__args__  # type: ignore[union-attr]
OPTIMIZERS = Recipe.model_fields["optimizer"].annotation.__args__  # type: ignore[union-attr]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_recipe_has_words(version: int, policy: str, optimizer: str) -> None:
    said = recipe_words(study_of(version=version, recipe={"policy": policy, "optimizer": optimizer}))
    assert {"muon": "Muon for matrices", "adam": "Training: Adam,", "rmsprop": "RMSprop"}[optimizer] in said
    assert ("one restart at a third of the rate" in said) == (policy == "fast")
    assert ("weight decay 0.05" in said) == (version == 2 and optimizer == "muon")


def test_what_is_held() -> None:
    assert "warm-up, a linear fall to zero" in recipe_words(study_of(version=2))
    assert "warm-up, a constant rate and a linear fall to zero" in recipe_words(
        study_of(version=2, recipe={"hold": 0.5})
    )


def changed(**fields: Any) -> list[Result]:
    study = study_of(version=2)
    return [result_of(run).model_copy(update=fields) for run in runs_of(study)]


def look(step: int) -> Validation:
    return Validation(step=step, samples=4 * step, lr=0.02, mse=0.01, psnr=20.0)


def test_steps_that_are_fixed_are_no_limit() -> None:
    """All runs of ``fast`` take all their steps, and end at a rate of zero: neither is a finding."""
    results = changed(steps=4000, best_step=4000)
    assert training_findings(study_of(version=2), results) == ()
    assert [f.code for f in training_findings(study_of(recipe={"policy": "plateau"}), results)] == ["ended-by-limit"]


def test_restarts_and_networks_that_learnt_nothing_are_findings() -> None:
    study = study_of(version=2)
    results = changed(steps=4000, best_step=4000)
    results[0] = results[0].model_copy(update={"restarts": 1})
    results[-1] = results[-1].model_copy(update={"best_step": 0, "validation": (look(0), look(200))})
    restarted, untrained = training_findings(study, results)
    assert restarted.code == "restarted-runs" and "in 1 of 45 runs" in restarted.text and "(n = 10)" in restarted.text
    assert "a recipe.lr below 0.02 would" in restarted.text
    assert untrained.code == "untrained-runs" and "(n = 600)" in untrained.text and "recipe.lr" in untrained.text


def test_untrained_runs_stand_against_a_verdict_where_it_rests_on_them() -> None:
    """Sizes 10 to 600, widths 8, 16 and 32, three seeds; 16 is selected everywhere."""
    study = study_of(version=2)
    runs = runs_of(study)
    done = [result_of(run).model_copy(update={"best_step": 9}) for run in runs]
    sizes = sorted({run.n for run in runs})
    best = Points(np.array(sizes, float), np.full(len(sizes), 30.0), metric="psnr", width=np.full(len(sizes), 16))

    def code(which: Callable[[Run], bool]) -> list[str]:
        silent = {"best_step": 0, "validation": (look(0), look(200))}
        results = [result.model_copy(update=silent) if which(result.run) else result for result in done]
        return [f.code for f in training_findings(study, results, best)]

    smallest, largest = sizes[0], sizes[-1]
    assert code(lambda run: False) == []
    assert code(lambda run: run.n == smallest and run.network.width == 16 and run.seed == 0) == ["few-untrained-runs"]
    assert code(lambda run: run.n == largest and run.network.width == 8) == ["few-untrained-runs"]
    assert code(lambda run: run.n == largest and run.network.width == 16 and run.seed == 0) == ["untrained-runs"]
    assert code(lambda run: run.n == largest and run.network.width == 32 and run.seed == 0) == ["untrained-runs"]
    assert code(lambda run: run.n < sizes[3]) == ["untrained-runs"]  # most of the curve


def test_a_rate_of_adam_is_a_finding() -> None:
    study = study_of(version=2, recipe={"lr": 1e-3})
    (found,) = training_findings(study, [result_of(run).model_copy(update={"best_step": 9}) for run in runs_of(study)])
    assert found.code == "rate-of-adam" and "recipe.lr = 0.001" in found.text


def test_divergence_is_not_told_as_work_done_again() -> None:
    diverged = [Incident(kind="training diverged", run="a", detail="at step 3")]
    assert faults(faults_table(diverged)) == ""
    both = faults(faults_table([*diverged, Incident(kind="worker died", run="a", lost=2.0)]))
    assert "worker died 1 time" in both and "diverged" not in both


def test_the_network_is_described() -> None:
    told = dict(facts(study_of(version=2), None, []))["Network"]
    assert told == "unet, depth 2, without normalisation, which starts as the identity"
    assert dict(facts(study_of(), None, []))["Network"] == "unet, depth 2"
    assert costs(None, faults_table([]), None, study_of(version=2)) == []


def test_what_is_measured_for_plan_is_of_what_changes_the_pace() -> None:
    """And what was measured before there were these choices still counts."""
    run = runs_of(study_of())[0]
    assert key_of(run, "fp32") == "unet d2 w8 b16 p128 fp32"
    recipe, network = run.recipe, run.network
    others: list[Run] = [
        run.model_copy(update={"network": network.model_copy(update=change)})
        for change in ({"norm": "none"}, {"head": "zero"}, {"width": 9}, {"family": "dncnn"})
    ]
    others += [
        run.model_copy(update={"recipe": recipe.model_copy(update=change)})
        for change in ({"optimizer": "muon"}, {"loss": "ssim"}, {"batch": 4}, {"policy": "fast"})
    ]
    assert len({key_of(each, "fp32") for each in (run, *others)}) == 9
