"""Phrases that are hard to read stay out of messages, docstrings and documentation."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PHRASES = (
    r"so many\b(?! \w+ that)",
    r"anew",
    r"carr(y|ies|ied)(?: it| them)? out",
    r"takes? leave",
    r"prior speaks",
    r"without a word",
    r"of strangers",
    r"nobody's",
    r"what is known has to do",
    r"hand(s|ed)? in",
    r"whatever dies",
    r"for ever and",
    r"obeyed",
    r"nothing had happened",
)
PATTERN = re.compile("|".join(rf"\b{phrase}\b" for phrase in PHRASES), re.IGNORECASE)
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.j2")])


def found_in(text):
    return [" ".join(match.group().split()) for match in PATTERN.finditer(re.sub(r"\s+", " ", text))]


def test_the_phrases_are_found():
    assert found_in("Carried\n    out anew, in so many steps") == ["Carried out", "anew", "so many"]
    assert found_in("so many images that it fits") == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_strings_and_comments(path):
    words = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        if token.type in (tokenize.STRING, tokenize.COMMENT)
        or token.type in (getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),)
    ]
    assert found_in("\n".join(words)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_documentation(path):
    assert found_in(path.read_text(encoding="utf-8")) == []
