"""Recipes of packages say what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from .conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def test_conda_recipe() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["version"]
    wanted = {f"python {PROJECT['requires-python']}"}
    for line in PROJECT["dependencies"]:
        name, least = re.fullmatch(r"([a-z0-9]+)(>=[0-9.]+)", line).groups()  # type: ignore[union-attr]
        wanted.add(f"{CONDA_NAMES.get(name, name)} {least}")
    assert set(recipe["requirements"]["run"]) == wanted
    assert recipe["about"]["summary"] == PROJECT["description"]
    commands = [f"{name} = {where}" for name, where in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == commands


@pytest.mark.parametrize("name", ["Dockerfile", "reconscale.def"])
def test_images_install_the_wheel(name: str) -> None:
    text = (ROOT / "packaging" / name).read_text(encoding="utf-8")
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"python:{least}-slim" in text
    assert "reconscale-*.whl" in text and "--constraint constraints.txt" in text and "[all]" in text
