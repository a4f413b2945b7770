"""Every entry of a registry says all that other rooms ask of it: nothing is found missing when a report is written."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from reconscale.laws import LAWS, METRICS
from reconscale.networks import FAMILIES, build, input_spec
from reconscale.physics.mri import Masks
from reconscale.plugins import load_object
from reconscale.study import PROBLEMS, PROFILES, SOURCES, Images, MRIProblem, Network, Problem, profiles_of
from reconscale.study.mri import MASKS


def example(kind: str) -> Problem:
    return PROBLEMS[kind](kind=kind, **PROBLEMS[kind].example)


def images_for(problem: Problem) -> Images:
    fits = {name for name, source in SOURCES.items() if source.volumes == problem.volumes}
    source = next(name for name in SOURCES if name in fits and SOURCES[name].paired == problem.paired)
    return Images(source=source, patch=64, val_patch=64, test_patch=None if problem.volumes else 64, val=1, test=1)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_problem(kind: str) -> None:
    problem = example(kind)
    assert get_args(PROBLEMS[kind].model_fields["kind"].annotation) == (kind,)
    assert callable(load_object(problem.physics))
    assert problem.profile in profiles_of(kind) and problem.picture_metric in profiles_of(kind, "image")
    assert PROFILES[problem.picture_metric].kind == "psnr"  # reports write it in dB
    assert problem.words != kind
    images = images_for(problem)
    problem.check_images(images)
    problem.check_losses(images, ["mse"])
    assert isinstance(problem.acquisition(images), str) and isinstance(problem.findings(images), tuple)
    assert problem.usual_profile({}) == problem.profile


@pytest.mark.parametrize("kind", PROBLEMS)
def test_some_family_is_made_for_a_problem(kind: str) -> None:
    made = [name for name, family in FAMILIES.items() if family.made_for(kind)]
    assert made
    for name in made:
        build(Network(family=name, width=4, **FAMILIES[name].small), input_spec(example(kind), 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name: str) -> None:
    family = FAMILIES[name]
    assert family.source and set(family.small) <= {"depth", "cascades", "layers", "heads"}
    assert any(family.made_for(kind) for kind in PROBLEMS)
    assert all(form in family.depth or form in ("lowres", "sensed") for form in family.build)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source(name: str) -> None:
    source = SOURCES[name]
    assert callable(load_object(source.listing))
    assert source.volumes or source.content == "magnitudes"
    assert Images(source=name, val=1, test=1).volumes == source.volumes


@pytest.mark.parametrize("name", PROFILES)
def test_a_metric(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name and profile.description and set(profile.problems) <= set(PROBLEMS)
    assert any(profile.fits(kind) for kind in PROBLEMS)
    assert profile.function is None or callable(load_object(profile.function))


@pytest.mark.parametrize("name", LAWS)
def test_a_law(name: str) -> None:
    law, x = LAWS[name], np.log(np.geomspace(10, 1e5, 12))
    assert law.name == name and law.formula and law.of in ("error", "metric")
    u = -0.3 * x - 2
    t = law.nodes(x, u)[:5]
    assert t.shape[-1] == len(law.curved)
    known, columns = law.terms(x, t)
    assert known.shape == (*t.shape[:-1], len(x)) and columns.shape[:-1] == known.shape
    theta = law.theta(x, t, np.ones((*t.shape[:-1], columns.shape[-1])))
    assert theta.shape == (*t.shape[:-1], len(law.parameters))
    assert law.working(x, theta).shape == known.shape


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_points(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name and metric.better in ("lower", "higher") and metric.unit and metric.worthwhile > 0
    values = metric.from_error(np.array([0.02, 0.01]))
    assert np.allclose(metric.to_error(values), [0.02, 0.01])
    assert (values[1] > values[0]) == (metric.better == "higher")
    assert metric.gain(np.array([0.02]), np.array([0.01]))[0] > 0


@pytest.mark.parametrize("name", PROFILES)
def test_a_metric_of_images_is_of_a_kind_that_is_known(name: str) -> None:
    assert PROFILES[name].larger_is_better == (METRICS[PROFILES[name].kind].better == "higher")


@pytest.mark.parametrize("acceleration", [2, 5])
@pytest.mark.parametrize("name", MASKS)
def test_a_mask(name: str, acceleration: int) -> None:
    problem = MRIProblem(kind="mri", mask=name, acceleration=acceleration, center_fraction=0.1)
    assert MASKS[name].words in problem.words
    masks, again = (Masks(problem, torch.Generator().manual_seed(7)) for _ in range(2))
    shares = []
    for _ in range(4):
        mask, (first, count) = masks.draw(40, 60)
        assert mask.dtype == torch.bool and mask.shape in ((1, 1, 60), (1, 40, 60))
        assert mask[0, mask.shape[1] // 2, first : first + count].all() and first <= 30 < first + count
        assert torch.equal(mask, again.draw(40, 60)[0])
        shares.append(float(mask.double().mean()))
    assert np.mean(shares) == pytest.approx(1 / acceleration, rel=0.1)
