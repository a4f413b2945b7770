"""Markup, control characters and formulas in names and errors stay text: on pages, in the terminal, in CSV files."""

from __future__ import annotations

import csv
import io
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.csv_table import table_text
from reconscale.report import report_study
from reconscale.report.comparison import Method, compare_methods, report_comparison
from reconscale.report.page import _environment, render_template
from reconscale.results import Result
from reconscale.study import runs_of
from tests.cli.calling import call
from tests.report.synthetic import result_of, spoil, study_of, write_pictures, write_results
from tests.report.test_page import check_safe

MARKUP = "\"'></script></style><script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:x'>{{ 7 * 7 }}"
SHORT = "'></script><img src=x onerror=x>$\\frac{"
"""For labels of figures, which have no room for more."""
HARMLESS = "a plain name"
ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202e[bold]x[/nothing]"


class Structure(HTMLParser):
    """Elements with the names of their attributes, and where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def same_but_for_words(evil: Path, plain: Path) -> Structure:
    """The page with markup in its names has the elements and attributes of the page with plain names, and no more."""
    found = Structure(evil.read_text(encoding="utf-8"))
    assert found.elements == Structure(plain.read_text(encoding="utf-8")).elements
    assert not any(link.strip().lower().startswith(("javascript:", "http")) for link in found.links)
    for svg in evil.parent.glob("*.svg"):
        assert not {"script", "img", "a"} & {tag for tag, *_ in Structure(svg.read_text(encoding="utf-8")).elements}
    return found


def _study_page(root: Path, word: str) -> Path:
    place = word.replace("/", "|")[:100]
    study = study_of(
        images={"folders": (place,), "test_sets": {word: place}}, sweep={"n": [10, 100, 600], "width": [8, 16]}
    )
    folder = write_results(study, root / place / "runs")
    runs = runs_of(study)
    for run in runs[2:]:
        made = result_of(run)
        images = {name: {f"{word}{i}": v for i, v in enumerate(of.values())} for name, of in made.images.items()}
        shown = {**made.provenance, "device": word, "torch": word}
        made.model_copy(update={"images": images, "provenance": shown}).write(folder.of(run))
    spoil(folder, runs[0], f"it failed: {word}")
    spoil(folder, runs[1], f"it diverged: {word}", "diverged")
    write_pictures(study, folder, [f"{word}0", f"{word}1"], labels={"input": word[-34:], "classical": word[:34]})
    return report_study(study, folder, root / place / "report")


def test_a_report_holds_no_markup_but_ours(tmp_path: Path) -> None:
    page = _study_page(tmp_path / "evil", MARKUP)
    found = same_but_for_words(page, _study_page(tmp_path / "plain", HARMLESS))
    assert MARKUP in found.text  # it is shown, as text


def test_a_comparison_holds_no_markup_but_ours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = np.repeat([100.0, 300, 1000, 3000], 2)
    methods = [
        Method(f"{SHORT}{index}", Points(n, level * n**-0.3 * np.exp(rng.normal(0, 0.01, 8)), metric="error"))
        for index, level in enumerate((1.0, 1.2))
    ]
    page = report_comparison(compare_methods(*methods), tmp_path, [f"{MARKUP}.csv", "b.csv"])
    check_safe(page.read_text(encoding="utf-8"))
    text = same_but_for_words(page, page).text
    assert SHORT in text and shlex.quote(f"{MARKUP}.csv") in text  # of a command to copy


def test_the_page_of_the_theory_escapes_too() -> None:
    assert _environment().autoescape is True
    shown = {"answer": "", "fits": None, "settings": [], "command": "", "cost": "", "files": []}
    shown["fits"] = type(
        "Grid", (), {"caption": MARKUP, "heads": [(MARKUP, True)], "rows": ((MARKUP,),), "mark": lambda *_: ""}
    )()
    evil = shown | {"answer": MARKUP, "command": MARKUP, "cost": MARKUP, "files": [MARKUP]}
    plain = shown | {"files": [HARMLESS]}
    pages = [Structure(render_template("theory.html.j2", figures=False, **parts)) for parts in (evil, plain)]
    assert pages[0].elements == pages[1].elements


@pytest.mark.parametrize("place", ["name", "unit", "profile", "key"])
def test_the_terminal_gets_no_control_characters(tmp_path: Path, place: str) -> None:
    """Neither in a refusal nor in a table; brackets are not markup either."""
    path = tmp_path / (f"{ESCAPES.replace('/', '')}.csv" if place == "name" else "points.csv")
    if place == "key":
        path = tmp_path / "study.toml"
        path.write_text('"\\u001b[31m" = 1\nname = "\\u001b]0;x\\u0007"\n[problem]\nkind = "\\u009b2J"\n')
    elif place == "name":
        path.write_text(f"n,psnr\n1,{ESCAPES}\n")
    else:
        rows = "".join(f"{n},{20 + i},{ESCAPES}\n" for i, n in enumerate((10, 20, 40, 80)))
        path.write_text(f"n,psnr,{place}\n{rows}")
    verb = "plan" if place == "key" else "forecast"
    code, out, err = call(verb, path)
    assert code == (2 if place in ("name", "key") else 0)
    shown = (out + err).replace("\n", "")
    assert shown.isprintable(), repr(shown)
    assert "\ufffd" in shown


def test_a_formula_is_text_in_csv_files() -> None:
    rows = [["=1+1", -1.5, "-2"], ["@SUM(A1)", 2.0, "+3 dB"], ["plain", None, "-x"]]
    read = list(csv.reader(io.StringIO(table_text(["run", "y", "=z"], rows))))
    assert read == [["run", "y", "'=z"], ["'=1+1", "-1.5", "-2"], ["'@SUM(A1)", "2.0", "'+3 dB"], ["plain", "", "'-x"]]


def test_the_records_of_a_run_keep_every_name(tmp_path: Path) -> None:
    """What is read back is written exactly."""
    run = runs_of(study_of())[0]
    values = {"test": {name: {"mse": 0.1} for name in ("=1+1", MARKUP, ESCAPES, 'a,"b"\nc')}}
    made = Result.model_validate(
        {"status": "done", "run": run, "p": 1, "metrics": {"test": {"mse": 0.1}}, "images": values}
    )
    made.write(tmp_path / run.id)
    assert Result.read(tmp_path / run.id).images == values
