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


NEWCOMERS = {
    "What is the least number of images to train on?": ("faq.html", "how-many-images-do-i-need", "nested subsets"),
    "Does quality keep growing, or does it end?": ("faq.html", "does-quality-keep-growing-with-more-data", "floor"),
    "Is it the data or the architecture?": ("faq.html", "is-more-data-or-a-larger-network-better", "surface over both"),
    "I cannot afford all of it: which subset, and can I extrapolate?": (
        "faq.html", "i-have-more-data-than-time-which-subset-do-i-train-on", "budget"),
    "Is n patients, slices or patches?": ("faq.html", "what-does-n-count", "never divided between training and test"),
    "What makes trainings of different n comparable, steps or epochs?": (
        "faq.html", "steps-or-epochs-what-keeps-trainings-of-different-n-comparable", "until it has converged"),
    "Why is my SSIM or PSNR not the paper's?": ("faq.html", "why-does-ssim-differ-between-tools", "data range"),
    "How far do runs with other seeds differ?": ("faq.html", "how-many-seeds-do-i-need", "differ from run to run"),
    "How many hours will this take?": ("faq.html", "how-long-will-it-take", "hours and"),
    "I have no clean images: how do I judge quality?": ("faq.html", "i-have-no-clean-images-what-then", "noisy images"),
    "I have one to twenty cases: what can I still do?": (
        "faq.html", "i-have-only-a-handful-of-images-what-can-i-still-do", "pretrained"),
    "Is my test set large enough?": ("faq.html", "is-my-test-set-large-enough", "test-size"),
    "I have results in a table: do I train again?": ("how-to/own-numbers.html", "", "decide"),
    "Can I start on a laptop, without a download?": ("start.html", "", "reconscale demo"),
}  # fmt: skip
"""What people ask in the trackers of reconstruction code, most often first: the page and the section that answer, and
words of the answer. (Asked, for instance, in CSBDeep#23, nnUNet#1171 and #3010, DiffBIR#102, fastMRI#25, #122, #129 and
#55, CAREamics#299 and #480, BasicSR#205, HAT#21, n2v#149, pytorch-LapSRN#16.)
"""


def article(path: Path) -> str:
    """The page itself, without what the theme puts around it."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<article") : text.index("</article>")]


def clicks(start: Path, most: int) -> dict[tuple[Path, str], int]:
    """Page and anchor -> how many links of articles lead there from ``start``: all within ``most``."""
    found, edge = {(start, ""): 0}, [start]
    for count in range(1, most + 1):
        new = []
        for path in edge:
            for link in Page(article(path)).links:
                parts = urlsplit(link)
                if parts.scheme or parts.netloc:
                    continue
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                if target.suffix == ".html" and (target, parts.fragment) not in found:
                    found[target, unquote(parts.fragment)] = count
                    found.setdefault((target, ""), count)
                    new.append(target)
        edge = sorted(set(new))
    return found


@built_here
def test_what_newcomers_ask_is_answered_within_two_clicks(site: Path) -> None:
    reach = clicks((site / "index.html").resolve(), 2)
    for question, (place, anchor, words) in NEWCOMERS.items():
        path = (site / place).resolve()
        # A section is a second click where the first one leads to its page, which lists them beside the text.
        assert min(reach.get((path, anchor), 9), reach.get((path, ""), 9) + bool(anchor)) <= 2, question
        text = article(path)
        start = text.index(f'id="{anchor}"') if anchor else 0
        end = text.find("<h3", start) if anchor else -1
        answer = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text[start : end if end > 0 else None]))
        assert words in answer, f"{question}: {words!r} is not in {place}#{anchor}"


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
