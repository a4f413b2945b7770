"""A report prints on four sheets of A4 at most, in light colours, and says what it leaves out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconscale.laws import Points
from reconscale.report import report_points

from .browser import DARK, call, printed, sheets
from .conftest import Written

MOST = 4


def measured(page: Path, tmp_path: Path, script: str, *flags: str) -> str:
    """What a script says of a page as it is printed: on a screen as wide as the sheet without its margins."""
    html = page.read_text(encoding="utf-8").replace("@media print", "@media all").replace("@media screen", "@media tty")
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html, count=1)
    copy = tmp_path / "as-printed.html"
    copy.write_text(html.replace("</body>", f"<script>document.title = {script}</script></body>"), encoding="utf-8")
    said = call(copy, "--dump-dom", "--window-size=688,1000", *flags, profile=tmp_path / "profile")
    return re.findall(r"<title>(.*?)</title>", said, re.DOTALL)[0]


def test_four_sheets(written: Written, tmp_path: Path) -> None:
    pdf = printed(written.out / "report.html", tmp_path / "report.pdf")
    assert 2 <= sheets(pdf) <= MOST
    assert re.search(rb"/MediaBox\s*\[0 0 59[45][.\d]* 84[12][.\d]*\]", pdf)


def test_points_print_too(alone: Path, tmp_path: Path) -> None:
    assert 1 <= sheets(printed(alone / "report.html", tmp_path / "report.pdf")) <= MOST


def test_same_sheets_from_a_dark_screen(alone: Path, tmp_path: Path) -> None:
    page = alone / "report.html"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert measured(page, tmp_path, ground, DARK) == "rgb(255, 255, 255)"
    light, dark = printed(page, tmp_path / "light.pdf"), printed(page, tmp_path / "dark.pdf", DARK)
    dates = re.compile(rb"/(?:CreationDate|ModDate) \([^)]*\)|/ID \[.*?\]", re.DOTALL)
    assert dates.sub(b"", light) == dates.sub(b"", dark)


def test_the_screen_is_dark_where_the_system_is(alone: Path, tmp_path: Path) -> None:
    """And so the test above sees a difference where there is one."""
    html = re.sub(r"<meta http-equiv[^>]*>", "", (alone / "report.html").read_text(encoding="utf-8"), count=1)
    script = "document.title = getComputedStyle(document.body).backgroundColor"
    copy = tmp_path / "page.html"
    copy.write_text(html.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    said = call(copy, "--dump-dom", DARK, profile=tmp_path / "profile")
    assert "<title>rgb(18, 24, 31)</title>" in said


def test_nothing_is_cut(written: Written, tmp_path: Path) -> None:
    """No table and no figure is wider than the sheet."""
    wide = (
        "[...document.querySelectorAll('table, svg, img, pre, p')].filter(e => "
        "e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
        ".map(e => e.tagName + ' ' + (e.getAttribute('aria-label') || e.textContent.slice(0, 60))).join('; ') || 'none'"
    )
    assert measured(written.out / "report.html", tmp_path, wide) == "none"


def test_what_is_left_out_is_said(written: Written, tmp_path: Path) -> None:
    """And only then: the sentence is on paper alone, and names sections of the page."""
    shown = "[...document.querySelectorAll('.printed')].map(e => e.offsetHeight > 0 ? e.textContent : '').join('')"
    said = measured(written.out / "report.html", tmp_path, shown)
    assert "Left out in print: " in said and "all runs" in said and "report.html" in said
    hidden = "[...document.querySelectorAll('.detail')].every(e => e.offsetHeight === 0)"
    assert measured(written.out / "report.html", tmp_path, hidden) == "true"


@pytest.mark.parametrize("verdict", ["no curve"])
def test_a_page_without_a_curve(tmp_path: Path, verdict: str) -> None:
    page = report_points(Points([100.0], [30.0], metric="psnr"), tmp_path / verdict, title="one")
    assert sheets(printed(page, tmp_path / "one.pdf")) == 1
