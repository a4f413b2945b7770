"""Pages and figures can be read on light and on dark ground, in print, and with red-green blindness."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

from reconscale.report import colours
from reconscale.report.colours import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    MUTED,
    ON_DARK,
    PAPER,
    PURPLE,
    RAMP,
    VERMILLION,
    with_variables,
)

from .conftest import Written

TEMPLATES = files("reconscale.report") / "templates"
SERIES = (INK, BLUE, VERMILLION, GREY, PURPLE, GREEN)
# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
# Oklab (Ottosson 2020): distances are about those that people see; 0.02 is just seen side by side.
TO_CONES = [[0.41222147, 0.53633254, 0.05144599], [0.21190350, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.62997870]]  # noqa: E501  # fmt: skip
TO_LAB = [[0.21045426, 0.79361779, -0.00407205], [1.97799850, -2.42859221, 0.45059371], [0.02590404, 0.78277177, -0.80867577]]  # noqa: E501  # fmt: skip
APART = 0.09


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """As WCAG 2 has it: 1 to 21."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (first, second))
    return (high + 0.05) / (low + 0.05)


def seen(colour: str, kind: str) -> np.ndarray:
    return np.array(TO_LAB) @ np.cbrt(np.array(TO_CONES) @ np.clip(np.array(BLINDNESS[kind]) @ linear(colour), 0, 1))


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))


def schemes() -> dict[str, dict[str, str]]:
    """What the style sheets say of either ground."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return {"light": variables(css), "dark": variables((TEMPLATES / "dark.css").read_text(encoding="utf-8"))}


def test_contrast_of_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # noqa: E501  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_pages(scheme: str) -> None:
    """Everything that is written, on everything that it is written on: 4.5 at least."""
    known = schemes()[scheme]
    assert set(known) == set(schemes()["light"])
    for ground in ("paper", "soft", *(name for name in known if name.endswith("-fill"))):
        for text in ("ink", "muted", "link"):
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
    for name in (name.removesuffix("-fill") for name in known if name.endswith("-fill")):
        for ground in ("paper", "soft", f"{name}-fill"):
            assert contrast(known[name], known[ground]) >= 4.5, (name, ground)
    assert contrast(known["focus"], known["paper"]) >= 3


def test_no_colour_beside_the_variables() -> None:
    """Else it would be the same on both grounds."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    rules = css[css.index("}") :]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", rules) == []


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_figures(ground: str) -> None:
    """Texts have 4.5 and lines 3 on their ground; series differ for everybody."""
    of = (lambda c: c) if ground == "light" else ON_DARK.__getitem__
    for text in (INK, MUTED, BLUE, VERMILLION, GREY, PURPLE, GREEN):
        assert contrast(of(text), of(PAPER)) >= 4.5, text
    assert all(contrast(of(shade), of(PAPER)) >= 3 for shade in RAMP)
    for kind in BLINDNESS:
        for first, second in itertools.combinations(SERIES, 2):
            far = float(np.linalg.norm(seen(of(first), kind) - seen(of(second), kind)))
            assert far >= APART, (kind, first, second, far)


def test_what_is_told_apart_by_the_rule() -> None:
    """The simulation sees what is not seen: a red and a green of one lightness."""
    far = {kind: float(np.linalg.norm(seen("#c80000", kind) - seen("#5f6e00", kind))) for kind in BLINDNESS}
    assert far["none"] > 0.2 and far["deuteranopia"] < APART


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_shades_go_one_way(ground: str) -> None:
    """From the smallest n to the largest, away from the ground."""
    of = (lambda c: c) if ground == "light" else ON_DARK.__getitem__
    far = [contrast(of(shade), of(PAPER)) for shade in RAMP]
    assert far == sorted(far) and far[-1] > 3 * far[0]


def test_every_colour_of_a_figure_changes_with_the_ground(written: Written) -> None:
    """But for those of a map, which keeps its light ground."""
    figures = re.findall(r'<div class="(plot[^"]*)" id="plot-([\w-]+)".*?</figure>', written.html, re.DOTALL)
    cut = dict(re.findall(r'id="plot-([\w-]+)"(.*?)</figure>', written.html, re.DOTALL))
    assert {name for kind, name in figures if "light" in kind.split()} == {"map"}
    used = set(re.findall(r"var\(--c([0-9a-f]{6})\)", written.html))
    assert used and {f"#{name}" for name in used} <= set(ON_DARK)
    for name, svg in cut.items():
        if name != "map":
            assert re.findall(r"(?:fill|stroke): #\w+", svg) == [], name
    style = written.html[written.html.index("<style>") : written.html.index("</style>")]
    for name in used:
        assert style.count(f"--c{name}: ") == 3  # light, dark of the system, dark by the button


def test_variables_of_drawings() -> None:
    drawn = with_variables(f'<path style="fill: {BLUE}; stroke: #123456"/>')
    assert drawn == f'<path style="fill: var(--c{BLUE[1:]}); stroke: #123456"/>'
    assert GRID in ON_DARK and len(set(colours.RAMP)) == colours.SHADES


def test_prints_are_light(written: Written) -> None:
    """Whatever the system or the button says: dark colours are for screens."""
    style = written.html[written.html.index("<style>") : written.html.index("</style>")]
    outside = re.sub(r"@media screen[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style)
    dark = schemes()["dark"]["paper"]
    assert style.count(dark) == 4 and dark not in outside and "color-scheme: dark" not in outside


def test_verdicts_in_notebooks() -> None:
    """No colour has a contrast of 4.5 with white and with the dark grounds of Jupyter and VS Code: words have the
    notebook's own, and a bar beside them has that of the verdict."""
    css = (TEMPLATES / "notebook.css").read_text(encoding="utf-8")
    assert re.findall(r"[^-]color: ", css) == []
    found = dict(re.findall(r"\.rs-(collect|larger|stop|first|open) \{ border-color: (#[0-9a-f]{6})", css))
    assert len(found) == 5
    for name, colour in found.items():
        assert min(contrast(colour, ground) for ground in ("#ffffff", "#111111", "#1e1e1e")) >= 3, name
