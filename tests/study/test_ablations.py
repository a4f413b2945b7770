"""The ablations of the repository differ from their reference in what they say, and in nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconscale.study import load_study

STUDIES = Path(__file__).resolve().parents[2] / "studies"
CHANGES = {
    "sigma-15": {"problem.sigma"},
    "sigma-50": {"problem.sigma"},
    "patch-128": {"images.patch"},
    "fixed-noise": {"problem.noise"},
    "augmented": {"images.augment"},
    "random-crops": {"images.crop"},
}
FEWER = {"sweep.n", "sweep.width", "sweep.seed", "override"}
"""Ablations are run at one width, and at fewer sizes and seeds, than their reference."""


def flat(content: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Every value by the path of its key."""
    found = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def differences(one: Path, other: Path) -> set[str]:
    a, b = (flat(load_study(path).model_dump(exclude_defaults=True)) for path in (one, other))
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)} - {"name"}


def test_every_ablation_is_listed() -> None:
    assert {path.parent.name for path in (STUDIES / "ablations").glob("*/study.toml")} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_ablations(name: str) -> None:
    found = differences(STUDIES / "denoising-photos", STUDIES / "ablations" / name)
    assert found - FEWER == CHANGES[name]
    reference, ablation = (load_study(STUDIES / place) for place in ("denoising-photos", f"ablations/{name}"))
    for key in ("n", "width", "seed"):  # every run of it has its pair
        assert set(getattr(ablation.sweep, key)) <= set(getattr(reference.sweep, key))


@pytest.mark.parametrize("loss", ["noise2noise", "neighbor2neighbor", "sure"])
def test_losses_without_truth(loss: str) -> None:
    found = differences(STUDIES / "self-supervised" / "mse", STUDIES / "self-supervised" / loss)
    assert found == {"recipe.loss"}


@pytest.mark.parametrize("place", ["superresolution-photos/{}-2x edsr swinir", "denoising-swinir/{} unet swinir"])
def test_rivals_see_the_same_images(place: str) -> None:
    pattern, one, other = place.split()
    found = differences(STUDIES / pattern.format(one), STUDIES / pattern.format(other))
    assert {key.split(".")[0] for key in found} <= {"network", "sweep", "recipe"}
    assert not {"recipe.batch", "recipe.loss"} & found
    first, second = (load_study(STUDIES / pattern.format(name)).sweep for name in (one, other))
    assert set(second.n) <= set(first.n) and set(second.seed) <= set(first.seed)


def test_every_study_can_be_read() -> None:
    kinds = {load_study(path).problem.kind for path in STUDIES.rglob("study.toml")}
    assert {"denoising", "mri", "superresolution", "tomography"} <= kinds
