"""The site of `make docs` builds without a warning, asks nothing of other servers, and has no broken link."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .conftest import ROOT

MISSING = [name for name in ("mkdocs", "material", "mkdocstrings", "griffe", "pandas") if find_spec(name) is None]
built_here = pytest.mark.skipif(bool(MISSING), reason=f"pip install '.[docs]': {', '.join(MISSING)} missing")
# What a browser fetches by itself; <a href> is fetched by whoever clicks.
FETCHED = {"object": "data"} | dict.fromkeys(("script", "img", "iframe", "source", "video", "embed"), "src")
IN_STYLES = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class Page(HTMLParser):
    """What a page fetches, where it leads, its anchors, and pictures without words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.silent: list[str] = []
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag in FETCHED and FETCHED[tag] in known:
            self.fetched.append(known[FETCHED[tag]])
        if tag == "link":
            self.fetched.append(known["href"])
        if tag == "img" and not known.get("alt"):
            self.silent.append(known.get("src", "")[:80])
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        self.fetched += addresses_in(known.get("style", ""))
        self._style = tag == "style"
        if "srcdoc" in known:
            inner = Page(known["srcdoc"])
            self.fetched += inner.fetched
            self.silent += inner.silent

    def handle_data(self, data: str) -> None:
        if self._style:
            self.fetched += addresses_in(data)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"


def addresses_in(style: str) -> list[str]:
    """What a style sheet fetches."""
    return [first or second for first, second in IN_STYLES.findall(style)]


def is_elsewhere(address: str) -> bool:
    """Whether a browser asks another server for it."""
    return bool(urlsplit(address).netloc)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_what_another_server_is_asked_for_is_found() -> None:
    html = """<link href="https://a.org/x.css"><style>@import "//b.org/y"; p { background: url(c.png) }</style>
    <img src="data:image/png;base64,x" alt="x"><iframe srcdoc='&lt;script src="http://d.org">&lt;/script>'></iframe><a href="https://e.org">e</a>"""
    assert [one for one in Page(html).fetched if is_elsewhere(one)] == [
        "https://a.org/x.css",
        "//b.org/y",
        "http://d.org",
    ]


@built_here
def test_no_page_asks_another_server(site: Path, pages: dict[Path, Page]) -> None:
    found = {(path.name, one) for path, page in pages.items() for one in page.fetched if is_elsewhere(one)}
    for path in site.rglob("*.css"):
        found |= {(path.name, one) for one in addresses_in(path.read_text(encoding="utf-8")) if is_elsewhere(one)}
    assert found == set()


def is_lost(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link of the page at ``path`` to another one of the site leads nowhere."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or parts.fragment.startswith("__") or not (parts.path or parts.fragment):
        return False  # elsewhere; or a switch of the theme's own
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if target in pages and parts.fragment:
        return unquote(parts.fragment) not in pages[target].anchors
    return not target.is_file()


@built_here
def test_links_and_anchors(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        if path.name != "404.html":  # is shown at any address, and so has links from the root
            outside = [link for link in page.fetched if not link.startswith("#")]  # parts of a drawing name each other
            lost += [f"{path.name}: {link}" for link in [*page.links, *outside] if is_lost(link, path, pages)]
    assert lost == []


@built_here
def test_pictures_have_words(pages: dict[Path, Page]) -> None:
    assert {str(path): page.silent for path, page in pages.items() if page.silent} == {}


@built_here
def test_studies_and_notebooks_are_there(site: Path) -> None:
    for folder in (path.parent for path in (ROOT / "studies").glob("*/README.md")):
        text = (site / "studies" / folder.name / "index.html").read_text(encoding="utf-8")
        assert "study.toml" in text
    for path in (ROOT / "docs" / "tutorials").glob("*.ipynb"):
        text = (site / "tutorials" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert text.count('class="output"') > 3
        assert (site / "tutorials" / path.name).is_file()
