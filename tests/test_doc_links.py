"""Links of pages lead somewhere, every public name is in the reference, and questions of newcomers have pages."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconscale
from reconscale import laws

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.ipynb"),
        ROOT / "examples" / "README.md",
        ROOT / "examples" / "trainers" / "README.md",
        ROOT / "studies" / "README.md",
        *(ROOT / "studies").glob("*/README.md"),
    ]
)
CODE = re.compile(r"^ *```.*?^ *```[^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"^::: (\S+)$", re.MULTILINE)


def text_of(path: Path) -> str:
    """The text of a page, of a notebook that of its cells of Markdown."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, by the rule that GitHub and MkDocs share for ours."""
    text = re.sub(r"^ *```.*?^ *```", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    words = [
        re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    return {re.sub(r"\s+", "-", heading) for heading in words}


def links_of(path: Path) -> Iterator[tuple[str, Path, str]]:
    """The links of a page into the repository: as they are written, the file and the anchor that they name."""
    for written in LINK.findall(CODE.sub("", text_of(path))):
        if "://" not in written and not written.startswith("mailto:"):
            place, _, anchor = written.partition("#")
            yield written, (path.parent / place).resolve() if place else path, anchor


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    return [
        written
        for written, target, anchor in links_of(path)
        if not target.is_relative_to(ROOT) or not target.is_file() or (anchor and anchor not in anchors_of(target))
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A page, `x` and more\n[a](#a-page-x-and-more) [b](#b) [c](c.md) `[d](d.md)` [e](https://e.org)\n"
    )
    assert broken(page) == ["#b", "c.md"]


def test_questions_of_newcomers_are_two_clicks_away() -> None:
    index = ROOT / "docs" / "index.md"
    table = re.findall(r"^\| \[[^|]+\?\]\((.+?)\) \| (.+) \|$", index.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(table) >= 10
    for answer, more in table:
        assert answer.startswith("faq.md#") and LINK.search(more), answer
    pages = {target for _, target, _ in links_of(index)}
    left_out = {path for path in PAGES if path.is_relative_to(ROOT / "docs")} - pages - {index}
    assert left_out == set(), "docs/index.md names every page"


def test_answers_of_the_faq_say_more_or_lead_on() -> None:
    text = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    answers = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert len(answers) >= 10
    for answer in answers:
        assert LINK.search(answer) or "`" in answer, answer


@pytest.mark.parametrize(
    ("page", "package"), [("python.md", reconscale), ("python-laws.md", laws)], ids=["reconscale", "laws"]
)
def test_every_public_name_is_in_the_reference(page: str, package: object) -> None:
    named = NAMED.findall((ROOT / "docs" / "reference" / page).read_text(encoding="utf-8"))
    assert len(set(named)) == len(named)
    elsewhere = set(reconscale.__all__) if package is laws else set()  # named once, where one looks first
    prefix = package.__name__  # type: ignore[attr-defined]
    assert {name.removeprefix(f"{prefix}.") for name in named} == set(package.__all__) - elsewhere  # type: ignore[attr-defined]


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version = {{{version}}}" in (ROOT / "docs" / "cite.md").read_text(encoding="utf-8")
    assert (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1].startswith(version)


def test_the_answer_in_five_minutes_is_the_one_that_is_given() -> None:
    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^```\n(n,seed,psnr\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    rows = [line.split(",") for line in table.splitlines()[1:]]
    n, seed, y = ([float(row[i]) for row in rows] for i in range(3))
    curve = reconscale.infer(reconscale.Points(n=n, y=y, seed=[int(one) for one in seed], metric="psnr"))
    said = str(curve.decide(worthwhile=0.1)).splitlines()[1].replace("\u2212", "-")
    number = r"-?\d+(?:\.\d+)?(?=[^\d])"
    words = re.escape(re.sub(number, "#", said)).replace(r"\#", f"({number})")
    written = re.search(words, " ".join(text.split()))
    assert written, said
    for ours, theirs in zip(re.findall(number, said), written.groups(), strict=True):  # draws differ between processors
        assert abs(float(ours) - float(theirs)) <= max(0.02, 0.04 * abs(float(ours))), (ours, theirs)
