"""Notebooks of the documentation run from the first cell to the last, and show what they promise."""

from __future__ import annotations

import ast
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from .conftest import ROOT

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def run_cells(path: Path) -> list[Any]:
    """What the cells of a notebook show: the value of each last line, or None; as a kernel does, without one."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), str(path), "eval"), names)
        shown.append(None if source.rstrip().endswith(";") else value)
    return shown


@pytest.mark.skipif(find_spec("material") is not None, reason="run by the build of the site: tests/test_site.py")
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_cell_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    shown = [value for value in run_cells(path) if value is not None]
    assert len(shown) > 3
    for value in shown:
        assert "<" in value._repr_html_()


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["nbformat"] == 4 and not any(cell.get("outputs") for cell in record["cells"])
    for cell in record["cells"]:
        for link in [part.split(")")[0] for part in "".join(cell["source"]).split("](")[1:]]:
            assert (path.parent / link).is_file(), link
