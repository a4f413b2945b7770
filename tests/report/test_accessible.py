"""The most common faults of pages, without a browser; `make accessibility` asks axe-core for the others."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reconscale.laws import Points, infer
from reconscale.report.comparison import Method, compare_methods, report_comparison
from reconscale.report.notebook import html_of
from reconscale.report.theory_page import report_theory
from reconscale.theory import Setting, Subspace, experiments
from reconscale.theory.settings import landmarks, risk_rows

from .conftest import Written

RULES: dict[str, Callable[[str, dict[str, str]], bool]] = {
    "<html> has no lang": lambda tag, known: tag == "html" and not known.get("lang"),
    "a picture has no words": lambda tag, known: tag == "img" and not known.get("alt"),
    "a part with a role has no name": lambda tag, known: known.get("role") in ("img", "region") and not named(known),
    "a section has no name": lambda tag, known: tag == "section" and not named(known),
    "a header has no scope": lambda tag, known: tag == "th" and known.get("scope") not in ("col", "row"),
    "a frame has no title": lambda tag, known: tag == "iframe" and not known.get("title"),
    "code that no key scrolls": lambda tag, known: tag == "pre" and known.get("tabindex") != "0",
    "an order of its own for the tab key": lambda tag, known: int(known.get("tabindex") or 0) > 0,
}


def named(known: dict[str, str]) -> bool:
    return bool(known.get("aria-label") or known.get("aria-labelledby"))


class Outline(HTMLParser):
    """What a screen reader goes by, and what is wrong with it."""

    def __init__(self, html: str, *, whole: bool) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self.seen: set[str] = set()
        self._open: list[tuple[str, str]] = []
        self.feed(html)
        if whole:
            missing = {"html", "title", "main", "h1"} - self.seen
            self.faults += [f"there is no <{tag}>" for tag in sorted(missing)]
            if self.levels.count(1) != 1 or self.levels[:1] != [1]:
                self.faults.append(f"headings begin with {self.levels[:2]}")
        jumps = [b for a, b in zip(self.levels, self.levels[1:], strict=False) if b > a + 1]
        self.faults += [f"a heading of level {level} follows one far above" for level in jumps]
        self.faults += [f"id '{name}' is there twice" for name in set(self.ids) if self.ids.count(name) > 1]
        self.faults += [f"'{name}' names nothing" for name in self.named if name not in self.ids]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.seen.add(tag)
        if "id" in known:
            self.ids.append(known["id"])
        self.named += known.get("aria-labelledby", "").split()
        if tag in ("h1", "h2", "h3", "h4"):
            self.levels.append(int(tag[1]))
        self.faults += [said for said, is_wrong in RULES.items() if is_wrong(tag, known)]
        if tag in ("title", "th", "button", "a", "summary", "h1", "h2", "h3"):
            self._open.append((tag, ""))

    def handle_data(self, data: str) -> None:
        self._open = [(tag, text + data) for tag, text in self._open]

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            _, text = self._open.pop()
            if not text.strip():
                self.faults.append(f"an empty <{tag}>")


def faults(html: str, *, whole: bool = True) -> list[str]:
    return Outline(html, whole=whole).faults


def test_faults_are_found() -> None:
    page = '<html><title></title><h2>a</h2><h4>b</h4><img src="x"><th>c</th><section></section><a href="x"></a></html>'
    assert len(faults(page)) == 10, faults(page)
    assert faults('<html lang="en"><title>a</title><main><h1>a</h1></main></html>') == []


def test_report(written: Written, alone: Path) -> None:
    assert faults(written.html) == []
    assert faults((alone / "report.html").read_text(encoding="utf-8")) == []


def test_comparison(tmp_path: Path) -> None:
    n = [10, 30, 100, 300]
    methods = [Method(f"method {i}", Points(n, [27.0 + i, 28, 28.5, 28.8], metric="psnr")) for i in (1, 2)]
    page = report_comparison(compare_methods(*methods), tmp_path, ("a.csv", "b.csv"))
    assert faults(page.read_text(encoding="utf-8")) == []


def test_theory(tmp_path: Path) -> None:
    model, sizes = Subspace(4, 12, 0.1), (2, 4, 8, 16)
    found = experiments([(model, n) for n in sizes], runs=2, seed=0)
    setting = Setting(model, sizes, (2, 4), (4, 16))
    parts = [(setting, found, risk_rows(model, found), landmarks(model))]
    page, _ = report_theory(parts, tmp_path, runs=2, seed=0, seconds=1.0)
    assert faults(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("show", [
    lambda points: points, infer, lambda points: infer(points).decide(), lambda points: infer(points).forecast([10_000])
])  # fmt: skip
def test_cells_of_notebooks(curve: Points, show: Callable[[Points], object]) -> None:
    assert faults(html_of(show(curve)), whole=False) == []


def test_figures_alone(curve: Points) -> None:
    for title in ("", "a title"):
        assert faults(curve.figure(title=title).html) == []
    assert faults(curve.figure()._repr_html_(), whole=False) == []
