"""Recipes of packages say what pyproject.toml says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import reconscale as rs

from .conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def test_conda_recipe() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["version"]
    wanted = {f"python {PROJECT['requires-python']}"}
    for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["figures"]):
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


def test_one_version() -> None:
    """In pyproject.toml; what cites it, and what is installed, say the same."""
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"] and cited["license"] == PROJECT["license"]
    assert rs.__version__ == PROJECT["version"] == version("reconscale")
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## ([0-9.]+)", log, re.MULTILINE)[0] == PROJECT["version"]
    said = [path for path in (ROOT / "src").rglob("*.py") if PROJECT["version"] in path.read_text(encoding="utf-8")]
    assert not said, "the version stands in pyproject.toml alone"


def test_figures_need_a_package_that_the_rest_does_not(tmp_path: Path) -> None:
    """Without matplotlib everything is computed, and reports say what is missing before anything is written."""
    table = tmp_path / "points.csv"
    rows = [f"{n},{seed},{30 + n**0.1 + 0.01 * seed}" for n in (100, 300, 1000, 3000) for seed in (0, 1)]
    table.write_text("n,seed,psnr\n" + "\n".join(rows) + "\n")
    start = "import sys; sys.modules['matplotlib'] = None; from reconscale.cli import main; main()"
    run = lambda *words: subprocess.run([sys.executable, "-c", start, *words], capture_output=True, text=True)  # noqa: E731
    for verb in ("decide", "forecast", "fit"):
        assert run(verb, str(table)).returncode == 0
    refused = run("report", str(table))
    assert refused.returncode == 2 and not (tmp_path / "report").exists()
    assert refused.stderr == (
        "reconscale: figures: need the package matplotlib, which is not installed; pip install 'reconscale[figures]'\n"
    )
