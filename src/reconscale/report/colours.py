"""The colours of figures, each with the one that stands for it on a dark page."""

from __future__ import annotations

import re

PAPER, INK, MUTED, GRID = "#ffffff", "#1b2733", "#5b6875", "#e3e8ee"
BLUE, VERMILLION, GREY, PURPLE, GREEN = "#0a6acb", "#c25100", "#6e767e", "#4d008a", "#045455"
"""Of series. Told apart with red-green blindness of either kind, too: tests/report/test_colours.py simulates it."""
MAP_RAMP = ("#eef5fa", "#6fb0d8")
"""From poor to good. A map keeps its light ground on a dark page."""
SHADES = 25
"""Steps between the colours of the smallest and of the largest n."""
_LIGHT = ((0x3F, 0x97, 0xCC), (0x00, 0x5F, 0xA8), (0x0A, 0x26, 0x40))
_DARK = ((0x2B, 0x78, 0xB0), (0x56, 0xB4, 0xE9), (0xE4, 0xF3, 0xFC))


def _ramp(stops: tuple[tuple[int, int, int], ...]) -> tuple[str, ...]:
    """SHADES colours along three stops."""
    return tuple(_between(stops, index / (SHADES - 1)) for index in range(SHADES))


def _between(stops: tuple[tuple[int, int, int], ...], place: float) -> str:
    start, end = stops[:2] if place < 0.5 else stops[1:]
    part = 2 * place if place < 0.5 else 2 * place - 1
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(start, end, strict=True))


RAMP = _ramp(_LIGHT)
"""From the smallest n to the largest: lightness alone tells them apart."""
ON_DARK = {
    PAPER: "#12181f",
    INK: "#e6ecf2",
    MUTED: "#a9b6c3",
    GRID: "#2e3a46",
    BLUE: "#1fbdff",
    VERMILLION: "#ff9248",
    GREY: "#868e95",
    PURPLE: "#ff7ed4",
    GREEN: "#55e69d",
    **dict(zip(RAMP, _ramp(_DARK), strict=True)),
}
"""Colour of a light page -> colour of a dark one."""
_WRITTEN = re.compile(r"((?:fill|stroke): )(#[0-9a-f]{6})")


def colour_of(index: int, count: int) -> str:
    """The colour of curve ``index`` of ``count``, from the smallest n to the largest."""
    return RAMP[-1 if count < 2 else round(index / (count - 1) * (SHADES - 1))]


def with_variables(svg: str) -> str:
    """A drawing whose colours are variables of the page that it stands in; colours of a map stay as they are."""
    return _WRITTEN.sub(lambda found: found[1] + (_variable(found[2]) if found[2] in ON_DARK else found[2]), svg)


def _variable(colour: str) -> str:
    return f"var(--c{colour[1:]})"


LIGHT_VARIABLES = " ".join(f"--c{light[1:]}: {light};" for light in ON_DARK)
"""What the style sheet of a page says of the colours of its figures."""
DARK_VARIABLES = " ".join(f"--c{light[1:]}: {dark};" for light, dark in ON_DARK.items())
"""The same on a dark page."""
