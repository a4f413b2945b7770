"""Which keys of a recipe each policy reads, so that a key that would change nothing is refused and not ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconscale.study.defaults import POLICY, fill_in

EVERYWHERE = frozenset(
    ("policy", "steps", "batch", "optimizer", "weight_decay", "clip", "lr", "lr_width", "lr_power", "validate_every",
     "precision", "loss", "select", "init", "init_path", "init_sha256")
)  # fmt: skip
"""The keys that every policy reads."""

READS: Mapping[str, frozenset[str]] = {
    "fast": frozenset(("warmup", "hold")),
    "converge": frozenset(("warmup", "cooldown", "tolerance", "doublings")),
    "budget": frozenset(("warmup", "decay")),
    "plateau": frozenset(("epochs", "patience", "lr_min")),
    "paper": frozenset(("epochs", "patience", "lr_min", "annealing")),
    "paper-mri": frozenset(("epochs", "patience", "lr_min")),
}
"""Policy -> the keys that it reads besides these. A new key of ``Recipe`` belongs here or above."""

NEEDS: Mapping[str, str] = {"lr_power": "lr_width"}
"""Keys that say nothing without another one."""


def reads(policy: str, key: str) -> bool:
    """Whether a policy reads a key of the recipe.

    >>> reads("plateau", "epochs"), reads("fast", "epochs")
    (True, False)
    """
    return key in EVERYWHERE or key in READS[policy]


def check_keys_are_read(content: Mapping[str, Any]) -> None:
    """Refuse keys of the recipe, and of its overrides, that the policies they meet do not read.

    A rule without a policy of its own meets that of the study and those of the other rules. What a version of the study
    file fills in by itself may be said.

    Args:
        content: of a study file, as read from TOML. What has no right form is left to be refused elsewhere.

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    recipe = content.get("recipe", {})
    rules = content.get("override", ())
    if not isinstance(recipe, Mapping) or not isinstance(rules, Sequence) or content.get("version", 1) not in (1, 2):
        return
    own = recipe.get("policy", POLICY if content.get("version") == 2 else "budget")
    changes = [rule.get("recipe") if isinstance(rule, Mapping) else None for rule in rules]
    tables = [table for table in changes if isinstance(table, Mapping)]
    met = [own, *(table["policy"] for table in tables if "policy" in table)]
    if not all(isinstance(policy, str) and policy in READS for policy in met):
        return
    stated = {key for table in (recipe, *tables) for key in table}
    found = [*_ignored("recipe", recipe, met, stated, _filled(content, recipe))]
    for number, table in enumerate(changes):
        if isinstance(table, Mapping):
            policies = [table["policy"]] if "policy" in table else met
            found += _ignored(f"override.{number}.recipe", table, policies, stated, {})
    if found:
        raise ValueError("; also ".join(found))


def _filled(content: Mapping[str, Any], recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the version of a study file gives the keys that no policy of it reads, where they are not said."""
    read = frozenset().union(EVERYWHERE, *(READS[policy] for policy in READS if policy == recipe.get("policy")))
    said = {key: value for key, value in recipe.items() if key in read or key == "warmup"}
    filled: Mapping[str, Any] = fill_in({**content, "recipe": said})["recipe"]
    return filled


def _ignored(
    place: str, table: Mapping[str, Any], policies: Sequence[str], stated: set[str], filled: Mapping[str, Any]
) -> Iterator[str]:
    """A sentence for each key of a table that is not read."""
    for key, value in table.items():
        users = [policy for policy in READS if reads(policy, key)]
        if key in NEEDS and NEEDS[key] not in stated:
            yield f"{place}.{key}: says nothing without {NEEDS[key]}; set that too, or leave {key} out"
        if not users or set(users) & set(policies) or (key in filled and filled[key] == value):
            continue  # a key that no policy knows is refused by its name
        names = " and ".join(f"'{policy}'" for policy in dict.fromkeys(policies))
        known = f"'{users[0]}'" if len(users) == 1 else f"one of {', '.join(users)}"
        yield f"{place}.{key}: is not used by the policy {names}; leave it out, or set policy to {known}"
