"""Versions of study files: what each fills in, that old files keep their runs, and that a file can be copied."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconscale.errors import UserError
from reconscale.study import load_study, runs_of
from reconscale.study.defaults import written_out
from reconscale.study.study_file import parse_study

Content = Callable[..., dict[str, Any]]

OLD = Path(__file__).parent / "version_1"
"""The study files of this repository as they were before there were versions."""
BEFORE_VERSIONS = {
    "ablations/augmented": (54, "cdf251ad784f"),
    "ablations/fixed-noise": (54, "574ab8f2abeb"),
    "ablations/patch-128": (54, "348f68e42036"),
    "ablations/plateau": (54, "d95d5918fbe5"),
    "ablations/sigma-15": (54, "6148cefa50e7"),
    "ablations/sigma-50": (54, "4ad22e85b37f"),
    "denoising-paper": (90, "5f77a01248f3"),
    "denoising-photos": (54, "c0c81425b173"),
    "denoising-swinir/swinir": (15, "a1ef9f0638fb"),
    "denoising-swinir/unet": (15, "34efd9fcbdb0"),
    "mri-brain/multicoil-4x": (1, "3b4df92af558"),
    "mri-brain/unet-4x": (45, "f164d62385ab"),
    "mri-brain/unrolled-4x": (45, "9b26565df0b5"),
    "mri-brain/unrolled-8x": (24, "117edd9d52f4"),
    "mri-paper": (183, "d1951373c88b"),
    "self-supervised/mse": (15, "7087d3cc88d1"),
    "self-supervised/neighbor2neighbor": (15, "8495a0354817"),
    "self-supervised/noise2noise": (15, "fdcfa04561bd"),
    "self-supervised/sure": (15, "a044e52c9436"),
    "superresolution-photos/edsr-2x": (36, "40d04856d4fc"),
    "superresolution-photos/swinir-2x": (36, "1ba36ebfe8da"),
    "tomography-deadleaves": (15, "bae1a9412d30"),
}
"""Study files from before there were versions: how many runs, and the digest of their ids, counted at that time."""

FAST = {
    "policy": "fast",
    "optimizer": "muon",
    "lr": 0.02,
    "weight_decay": 0.05,
    "batch": 4,
    "precision": "auto",
    "hold": 0.05,
}
ADAM = {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0}


@pytest.mark.parametrize("name", BEFORE_VERSIONS)
def test_files_without_a_version_keep_their_runs(name: str) -> None:
    """So that results of before stay theirs; new files say their version."""
    path = OLD / f"{name.replace('/', '--')}.toml"
    assert "version" not in tomllib.loads(path.read_text())
    runs = runs_of(load_study(path))
    digest = hashlib.sha256("\n".join(run.id for run in runs).encode()).hexdigest()[:12]
    assert (len(runs), digest) == BEFORE_VERSIONS[name]


def test_golden_ids(content: Content) -> None:
    """The same words mean other runs in another version, and each keeps its own for ever."""
    old, said, new = (
        runs_of(parse_study(content(**version)))[0].id for version in ({}, {"version": 1}, {"version": 2})
    )
    assert old == said == "denoising-unet-w4-n1-s0-99fb767af5ea"
    assert new == "denoising-unet-w4-n1-s0-9efa30fb573b"


@pytest.mark.parametrize("version", [0, 3, "2", True, 2.0, None, {}, 10**400])
def test_unknown_versions(content: Content, version: Any) -> None:
    """One sentence that names those known, whatever else may be wrong."""
    with pytest.raises(UserError) as refused:
        parse_study(content(version=version, nmae="a"), where="study.toml")
    assert str(refused.value).startswith(f"study.toml: version: found {version!r}"[:50])
    assert "known here: 1 and 2; later ones need a newer reconscale" in str(refused.value)
    assert len(str(refused.value)) < 200 and "nmae" not in str(refused.value)


@pytest.mark.parametrize(
    "recipe, network, filled, norm, head",
    [
        ({}, {}, FAST, "none", "zero"),
        ({"policy": "fast", "lr": 0.01, "batch": 2}, {}, FAST | {"lr": 0.01, "batch": 2}, "none", "zero"),
        ({"optimizer": "adam"}, {}, FAST | ADAM, "none", "zero"),
        ({"optimizer": "rmsprop"}, {}, FAST | ADAM | {"optimizer": "rmsprop"}, "none", "zero"),
        ({"warmup": 0.2}, {}, FAST | {"hold": 0.2}, "none", "zero"),
        ({}, {"family": "dncnn"}, FAST, "instance", "zero"),
        ({}, {"norm": "instance", "head": "random"}, FAST, "instance", "random"),
        ({"policy": "budget"}, {}, ADAM | {"batch": 16, "precision": "fp32"}, "instance", "zero"),
        ({"policy": "budget", "optimizer": "muon"}, {}, {"lr": 0.02, "weight_decay": 0.05}, "instance", "zero"),
        ({"policy": "plateau"}, {}, ADAM, "instance", "zero"),
        ({"policy": "paper"}, {}, ADAM | {"batch": 16}, "instance", "random"),
        ({"policy": "paper-mri"}, {}, ADAM, "instance", "random"),
    ],
)
def test_what_version_2_fills_in(
    content: Content, recipe: Any, network: Any, filled: dict[str, Any], norm: str, head: str
) -> None:
    study = parse_study(content(version=2, recipe=recipe, network=network))
    assert {key: getattr(study.recipe, key) for key in filled} == filled
    assert (study.network.norm, study.network.head) == (norm, head)


def test_a_rule_changes_what_it_names_and_nothing_else(content: Content) -> None:
    rules = [{"n": [2, 2], "recipe": {"policy": "budget"}}, {"n": [4, 4], "recipe": ADAM | {"policy": "plateau"}}]
    study = parse_study(content(version=2, override=rules))
    recipes = {run.n: run.recipe for run in runs_of(study)}
    assert recipes[1] == study.recipe
    assert recipes[2] == study.recipe.model_copy(update={"policy": "budget"})
    assert recipes[4] == study.recipe.model_copy(update=ADAM | {"policy": "plateau"})
    assert {run.network.head for run in runs_of(study)} == {"zero"}


@pytest.mark.parametrize(
    "rules, sentence",
    [
        ([{"optimizer": "adam"}], "override.0.recipe.lr: is missing; 0.02 is a rate for muon, say the one for adam"),
        ([{"optimizer": "rmsprop", "lr": 1e-3}], "weight_decay: rmsprop has none; set it to 0, or choose muon or adam"),
        ([{"lr": 1e-3}, {"warmup": 0.4}], "override.1.recipe.warmup: found 0.4, beyond hold = 0.05"),
        ([{"hold": 0.01}], "override.0.recipe.warmup: found 0.05, beyond hold = 0.01"),
    ],
)
def test_rules_that_do_not_go_together(content: Content, rules: list[dict[str, Any]], sentence: str) -> None:
    """Also where each of them alone would be right, and only in some cells of the grid."""
    of_cells = [{"n": [4, 4], "recipe": rule} for rule in rules]
    with pytest.raises(UserError) as refused:
        parse_study(content(version=2, override=of_cells))
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_keys_of_a_rule_are_looked_at_together(content: Content) -> None:
    rule = {"recipe": {"warmup": 0.4, "hold": 0.5, "optimizer": "rmsprop", "weight_decay": 0, "lr": 1e-3}}
    (recipe,) = {run.recipe for run in runs_of(parse_study(content(version=2, override=[rule])))}
    assert (recipe.warmup, recipe.optimizer) == (0.4, "rmsprop")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("policy", [None, "fast", "budget", "paper"])
@pytest.mark.parametrize("head", [None, "random", "zero"])
def test_a_file_that_is_written_out_means_the_same(
    content: Content, version: int, policy: str | None, head: str | None
) -> None:
    """As in the report: also where it says the value that an older version has by itself."""
    recipe, network = {"policy": policy} if policy else {}, {"head": head, "norm": "instance"} if head else {}
    study = parse_study(content(version=version, recipe=recipe, network=network))
    assert parse_study(written_out(study)) == study
