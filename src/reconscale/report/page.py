"""The page: one HTML file with everything that it shows, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconscale.report.colours import DARK_VARIABLES, LIGHT_VARIABLES
from reconscale.report.marks import Drawing
from reconscale.report.page_text import READING
from reconscale.report.pictures import Strip
from reconscale.report.tables import Grid
from reconscale.report.trust import TrustLight

LOOKS = {
    "COLLECT MORE": ("collect", "+"),
    "TRAIN LARGER": ("larger", "▲"),
    "STOP": ("stop", "■"),
    "UNDECIDED": ("open", "?"),
    "TRAIN LONGER FIRST": ("first", "!"),
    "FIX FIRST": ("first", "!"),
}
"""Verdict -> its style and its sign, so that colour is not needed to tell them apart."""
SWITCHED = ("report.html.j2", "compare.html.j2", "theory.html.j2")
"""Pages that go with the reader's system, dark or light, and have a button for the other. What stands in a notebook
does not: its system may be dark and the notebook light."""


@dataclass(frozen=True)
class Plot:
    """A figure of the page.

    Attributes:
        name: key, and the stem of its files.
        drawing: the figure, drawn for wide and for narrow screens.
        alt: what it shows, in words.
        caption: how to read it.
        tables: names of the CSV files that it is drawn from.
        file: the stem of its PNG and SVG files; empty: its name.
    """

    name: str
    drawing: Drawing
    alt: str
    caption: str
    tables: tuple[str, ...]
    file: str = ""

    @property
    def texts(self) -> str:
        """What the points say, as JSON; the template escapes it."""
        return json.dumps(self.drawing.texts, ensure_ascii=False)

    @property
    def screens(self) -> list[tuple[str, Markup, str]]:
        """For each width of screen its name, the drawing, and where the points are, as JSON."""
        drawn, places = self.drawing.svg, self.drawing.places
        return [(name, Markup(svg), json.dumps(places[name], separators=(",", ":"))) for name, svg in drawn.items()]


@dataclass(frozen=True)
class Page:
    """What the template shows, in its order; what is empty is left out.

    Attributes:
        title, subtitle: heading; the subtitle is the question.
        verdict, sentence: the answer, in full.
        in_short: the answer in a sentence; empty: the sentence itself is short.
        reservation: why it is not to be acted on yet; empty where nothing speaks against it.
        surety: how sure the verdict is, in fixed words; empty where nothing is sure.
        trust: whether it can be trusted, question by question.
        next_step: what to do next, why, and what it costs; empty where nothing is known.
        mixture, mixes: of several sources what images of each are worth, and quality by mix and test set.
        gains: what more data, and a larger network, add and cost.
        needs: what the target and the next step need.
        exchange: what one step of quality is worth in images, parameters and noise.
        sizes: forecast at the sizes asked for.
        facts: what was measured, name and value.
        plots: figures by name.
        costs, cost_grid: what a doubling costs.
        training_budget: what training time buys.
        steps: the next experiments.
        strips, pictures_left: pictures, and how many are left out, in a sentence.
        shift: other test sets.
        volumes, sets: every test volume, and what n means in slices and patients.
        landscape: how n and p go together.
        members, known: what the forecast is made of, and what is known of the curve.
        laws, backtest: the named laws, and how the forecast fared.
        published, published_sources: published curves beside this one, and where they are from.
        statement: the paragraph on sample size.
        explanation: why the curve flattens, in sentences.
        findings: severity, code, text.
        runs, runs_summary: every run; of many, a row for each n and width.
        lost: of many, those that failed.
        faults: what went wrong around them, in a sentence.
        choices: how they were chosen, where they were chosen one by one.
        method: paragraphs.
        commands: how to reproduce.
        provenance: versions and hardware.
        source: the study file as it was understood.
        files: every file beside the page.
    """

    title: str
    subtitle: str
    verdict: str
    sentence: str
    in_short: str = ""
    surety: str = ""
    trust: Sequence[TrustLight] = ()
    next_step: tuple[str, str, str] | None = None
    mixture: Sequence[str] = ()
    mixes: Grid | None = None
    gains: Grid | None = None
    needs: Sequence[str] = ()
    exchange: Grid | None = None
    sizes: Grid | None = None
    facts: Sequence[tuple[str, str]] = ()
    plots: dict[str, Plot] = field(default_factory=dict)
    costs: Sequence[str] = ()
    cost_grid: Grid | None = None
    training_budget: Grid | None = None
    steps: Grid | None = None
    strips: Sequence[Strip] = ()
    pictures_left: str = ""
    shift: Grid | None = None
    volumes: Grid | None = None
    sets: Grid | None = None
    landscape: Sequence[str] = ()
    members: Sequence[str] = ()
    known: Grid | None = None
    laws: Grid | None = None
    backtest: Sequence[str] = ()
    published: Grid | None = None
    published_sources: Sequence[str] = ()
    statement: Sequence[str] = ()
    explanation: Sequence[str] = ()
    findings: Sequence[tuple[str, str, str]] = ()
    runs: Grid | None = None
    runs_summary: str = ""
    lost: Grid | None = None
    faults: str = ""
    choices: Grid | None = None
    method: Sequence[str] = ()
    commands: Sequence[str] = ()
    reservation: str = ""
    provenance: Grid | None = None
    source: str = ""
    files: Sequence[str] = ()

    @property
    def look(self) -> tuple[str, str]:
        """Style and sign of the verdict."""
        return LOOKS.get(self.verdict, LOOKS["UNDECIDED"])


def render(page: Page) -> str:
    """The report as HTML."""
    return render_template("report.html.j2", figures=bool(page.plots), page=page, reading=READING)


def render_template(name: str, *, figures: bool, **shown: Any) -> str:
    """A page from a template, with the script of its figures where it has any."""
    scripts = [_script("colours.js")] if name in SWITCHED else []
    scripts += [figure_script()] if figures else []
    return (
        _environment()
        .get_template(name)
        .render(
            **shown,
            version=version("reconscale"),
            scripts=[Markup(script) for script in scripts],
            policy=_policy(scripts),
            light_variables=LIGHT_VARIABLES,
            dark_variables=DARK_VARIABLES,
        )
    )


def nonbreaking(text: str) -> str:
    """Numbers that no line break parts from their unit or their name.

    >>> nonbreaking("n = 600 gains 0.2 dB (86 %)").count(chr(160))
    4
    """
    text = re.sub(r"(?<=\d) (?=(%|dB|SSIM|[kMG])(?!\w))", "\u00a0", text)
    return re.sub(r"\b([np]) = (?=\d)", "\\1\u00a0=\u00a0", text)


def figure_script() -> str:
    """What lets figures say their numbers, and zooms them; they are seen without it."""
    return _script("figure.js")


@cache
def _script(name: str) -> str:
    return (files("reconscale.report") / "templates" / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """What the browser may do: run exactly these scripts, show embedded images, and load nothing."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    rules = ("style-src 'unsafe-inline'", "img-src data: blob:", "base-uri 'none'", "form-action 'none'")
    return "; ".join(("default-src 'none'", f"script-src {allowed}", *rules))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reconscale.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tied"] = nonbreaking
    return environment
