"""Notebooks of docs/tutorials as pages: run when the site is built, without a kernel."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from html import escape
from pathlib import Path
from typing import Any


def notebook_page(path: Path) -> str:
    """The cells of a notebook and what they show, as Markdown."""
    import matplotlib as mpl

    mpl.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    parts = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # cells may write files
        os.environ.setdefault("COLUMNS", "100")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(source)
            else:
                parts.append(f"```python\n{source.rstrip().removesuffix(';')}\n```")
                parts.append(shown_by(source, str(path), names))
    link = f'<a href="{path.name}" download>Download this notebook</a>'
    title, rest = "\n\n".join(parts).split("\n", 1)
    return f"{title}\n\n{link}. The outputs below were computed when this page was built.\n{rest}\n"


def shown_by(source: str, place: str, names: dict[str, Any]) -> str:
    """Runs a cell in ``names``; HTML of what it prints, its last value and the figures that it draws."""
    import matplotlib.pyplot as plt

    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, place, "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), place, "eval"), names)
    shown = [f"<pre>{escape(printed.getvalue().rstrip())}</pre>"] if printed.getvalue().strip() else []
    if value is not None and not source.rstrip().endswith(";"):
        made = getattr(value, "_repr_html_", None)
        shown.append(made() if made else f"<pre>{escape(repr(value))}</pre>")
    for number in plt.get_fignums():
        drawn = io.BytesIO()
        plt.figure(number).savefig(drawn, format="png", dpi=110, bbox_inches="tight")
        picture = base64.b64encode(drawn.getvalue()).decode()
        shown.append(f'<img alt="The figure that the cell above draws" src="data:image/png;base64,{picture}">')
    plt.close("all")
    return "\n\n".join(f'<div class="output">{html}</div>' for html in shown)
