"""What a study file means where it says nothing, by its version.

The defaults of the models are those of version 1 and never change, as the ids of runs are counted from them. A later
version fills other values in before the models see the file, so that every run still says all that decides its numbers,
and a file of an older version, or without one, keeps its meaning and its ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LATEST = 2
"""The version that new study files should have."""

POLICY = "fast"
"""The policy of version 2 where a file names none."""

FAST: Mapping[str, Any] = {"optimizer": "muon", "lr": 0.02, "weight_decay": 0.01, "batch": 4, "precision": "auto"}
"""The recipe of the policy ``fast``."""

AS_PUBLISHED = ("paper", "paper-mri")
"""Policies that are exactly the official ones, and train the network as it was published."""

NORMALISED = ("unet",)
"""Families that can do without their normalisation; under ``fast`` they do."""


def fill_in(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a study file with what its version means by what it does not say.

    Args:
        content: of a study file, as read from TOML. Tables that are not tables are left to be refused.
    """
    if content.get("version", 1) != 2:
        return content
    recipe, network = content.get("recipe", {}), content.get("network", {})
    if not isinstance(recipe, Mapping) or not isinstance(network, Mapping):
        return content
    recipe = {"policy": POLICY, **recipe}
    fast = recipe["policy"] == "fast"
    if fast:
        recipe = {**FAST, **recipe}
    if recipe["policy"] not in AS_PUBLISHED:
        network = {"head": "zero", **network}
    if fast and network.get("family", "unet") in NORMALISED:
        network = {"norm": "none", **network}
    return {**content, "recipe": recipe, "network": network}
