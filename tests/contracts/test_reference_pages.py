"""The reference pages name everything that the registries hold, and say of it what the registries say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconscale.laws import ALIASES, LAWS
from reconscale.networks import FAMILIES
from reconscale.study import PROBLEMS, PROFILES, SOURCES

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str) -> dict[str, list[str]]:
    """The rows of the tables of a page whose first cell is one word of code: that word -> the other cells."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def words(page: str, key: str) -> set[str]:
    """The words of code in the row of a key."""
    return set(re.findall(r"`([^`]+)`", " ".join(rows(page)[key])))


@pytest.mark.parametrize("name", FAMILIES)
def test_families(name: str) -> None:
    assert name in rows("networks.md"), f"docs/reference/networks.md has no row for `{name}`"
    problems, _, depth, _ = rows("networks.md")[name]
    family = FAMILIES[name]
    images, mri = family.made_for("denoising"), family.made_for("mri")
    expected = "all" if images and mri else "all but mri" if images else None
    assert expected is None or problems == expected
    assert str(next(iter(family.depth.values()))) in depth or not family.least_depth


@pytest.mark.parametrize("name", LAWS)
def test_laws(name: str) -> None:
    assert name in rows("laws.md"), f"docs/reference/laws.md has no row for `{name}`"
    alias, _, _, sizes, _ = rows("laws.md")[name]
    assert int(sizes) == LAWS[name].least and LAWS[name].formula
    assert ALIASES.get(alias, name) == name


@pytest.mark.parametrize("name", PROFILES)
def test_metrics(name: str) -> None:
    assert name in rows("metrics.md"), f"docs/reference/metrics.md has no row for `{name}`"


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str) -> None:
    assert name in words("study-file.md", "source"), f"docs/reference/study-file.md does not name the source `{name}`"


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str) -> None:
    assert name in words("study-file.md", "kind"), f"docs/reference/study-file.md does not name the kind `{name}`"
