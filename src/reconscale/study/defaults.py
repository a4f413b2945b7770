"""Defaults of a study file, by its version.

The defaults of the models are those of version 1 and never change, as the ids of runs are counted from them. A later
version fills other values in before the models see the file, so that every run still says all that decides its numbers,
and a file of an older version, or without one, keeps its meaning and its ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

VERSIONS = (1, 2)
"""The versions that are known; new study files should have the last one."""

POLICY = "fast"
"""The policy of version 2 where a file names none."""

FAST: Mapping[str, Any] = {"optimizer": "muon", "batch": 4, "precision": "auto", "hold": 0.05}
"""The recipe of the policies ``fast`` and ``converge``; the rate falls from the end of the warm-up on."""

QUICK = ("fast", "converge")
"""The policies that train by the quick recipe."""

CONVERGE: Mapping[str, Any] = {"steps": 32, "doublings": 7, "warmup": 0.5}
"""The branches of the policy ``converge``: the first so early that few images have not been overfitted yet, the last at
4,096 steps."""

MUON: Mapping[str, Any] = {"lr": 0.02, "weight_decay": 0.05}
"""The rate and the decay of Muon, whatever the policy: those of Adam are far too small for it, and its own too large
for Adam."""

DECIDED: Mapping[str, tuple[str, ...]] = {
    "recipe": ("policy", "optimizer", "batch", "precision", "hold", "lr", "weight_decay"),
    "network": ("head", "norm"),
}
"""Table -> the keys that version 2 fills in."""

AS_PUBLISHED = ("paper", "paper-mri")
"""Policies that are exactly the official ones, and train the network as it was published."""

WORTHWHILE = 0.1
"""dB that count as worthwhile where a study is judged in another unit."""

NORMALISED = ("unet",)
"""Families that can do without their normalisation; under ``fast`` they do."""


def fill_in(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a study file with what its version means by what it does not say.

    Args:
        content: of a study file, as read from TOML. Tables that are not tables are left to be refused.

    Raises:
        ValueError: the version is not known.
    """
    version = content.get("version", 1)
    if type(version) is not int or version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise ValueError(
            f"version: found {repr(version)[:40]}; known here: {known}; later ones need a newer reconscale"
        )
    if version == 1:
        return content
    recipe, network = content.get("recipe", {}), content.get("network", {})
    if not isinstance(recipe, Mapping) or not isinstance(network, Mapping):
        return content
    recipe = {"policy": POLICY, **recipe}
    fast = recipe["policy"] in QUICK
    if recipe["policy"] == "converge":
        recipe = {**CONVERGE, **recipe}
    if fast:
        recipe = {**FAST, "hold": recipe.get("warmup", FAST["hold"]), **recipe}
    if recipe.get("optimizer") == "muon":
        recipe = {**MUON, **recipe}
    if recipe["policy"] not in AS_PUBLISHED:
        network = {"head": "zero", **network}
    if fast and network.get("family", "unet") in NORMALISED:
        network = {"norm": "none", **network}
    return {**content, "recipe": recipe, "network": network}


def fill_in_tolerance(content: Mapping[str, Any]) -> Any:
    """The content of a study file with the tolerance of the policy ``converge``, where it says none.

    Args:
        content: of a study file, its analysis filled in.
    """
    analysis, rules = content.get("analysis", {}), content.get("override", ())
    worthwhile = analysis.get("worthwhile", WORTHWHILE) if isinstance(analysis, Mapping) else WORTHWHILE
    profile = analysis.get("profile") if isinstance(analysis, Mapping) else None
    in_db = isinstance(worthwhile, int | float) and str(profile).partition("-")[0] in ("psnr", "None")
    tolerance = round((worthwhile if in_db and worthwhile > 0 else WORTHWHILE) / 3, 4)
    filled = _with_tolerance(content, tolerance)
    if not isinstance(rules, tuple | list) or not rules:
        return filled
    return {**filled, "override": tuple(_with_tolerance(rule, tolerance) for rule in rules)}


def _with_tolerance(table: Any, tolerance: float) -> Any:
    """A study or a rule whose recipe names the policy ``converge`` and no tolerance, with this one."""
    recipe = table.get("recipe") if isinstance(table, Mapping) else None
    if not isinstance(recipe, Mapping) or recipe.get("policy") != "converge" or "tolerance" in recipe:
        return table
    return {**table, "recipe": {**recipe, "tolerance": tolerance}}


def written_out(study: BaseModel) -> dict[str, Any]:
    """A study as the content of a file that means the same: values that are as version 1 has them are left out, unless
    a later version would fill in others.

    Args:
        study: a ``Study``.
    """
    content = study.model_dump(mode="json", exclude_defaults=True)
    whole = study.model_dump(mode="json")
    if unit := getattr(study.problem, "sigma_unit", None):  # type: ignore[attr-defined]
        content["problem"] = {**content["problem"], "sigma_unit": unit}
    if whole["recipe"]["policy"] == "converge":
        said = {key: whole["recipe"][key] for key in (*CONVERGE, "tolerance")}
        content["recipe"] = {**content.get("recipe", {}), **said}
    if content.get("version", 1) == 1:
        return content
    for table, keys in DECIDED.items():
        content[table] = {**content.get(table, {}), **{key: whole[table][key] for key in keys}}
    if whole["recipe"]["policy"] not in QUICK:
        del content["recipe"]["hold"]  # which they do not read
    return content
