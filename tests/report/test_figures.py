"""Every figure shows its CSV and nothing else; labels never leave the figure or overlap."""

from __future__ import annotations

import csv
import html
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.report import draw_points
from reconscale.report.analysis import MetricFormat, analyse
from reconscale.report.axes import AxesSpec, contours, quality_axes, spread_labels
from reconscale.report.colours import colour_of
from reconscale.report.draw import FILE, _drawn, figure_files, page_drawing, panel_files
from reconscale.report.figures import map_figure, quality_figure, size_figure, validation_figure
from reconscale.report.marks import Band, Box, Figure, Label, Series, Surface
from reconscale.report.tables import (
    Table,
    backtest_table,
    baselines_table,
    budget_table,
    curve_table,
    fan_table,
    frontier_table,
    map_table,
    points_table,
    size_table,
)

from .conftest import Written


def on_page(page: str) -> dict[str, list[str]]:
    """What the points of every figure of a page say."""
    found = re.findall(r'id="plot-([\w-]+)"[^>]* data-texts="([^"]*)"', page)
    return {name: json.loads(html.unescape(text)) for name, text in found}


def saved(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def loaded(out: Path) -> dict[str, Table]:
    """The tables as they are saved."""
    tables = {}
    for path in out.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        tables[path.stem] = Table(path.stem, tuple(head), tuple(tuple(map(cell, row)) for row in rows))
    return tables


def cell(text: str) -> float | str | None:
    try:
        return None if text == "" else float(text)
    except ValueError:
        return text


PSNR = MetricFormat("psnr", "psnr-rgb-clip", "images")


def test_main_figure_is_its_csv(written: Written) -> None:
    figure = quality_figure(loaded(written.out), PSNR)
    dots, means = figure.series("runs"), figure.series("means")
    rows = [row for row in saved(written.out / "points.csv") if row["selected"] == "1"]
    assert list(zip(dots.x, dots.y, strict=True)) == [(float(r["n"]), float(r["psnr"])) for r in rows]
    curve = saved(written.out / "curve.csv")
    assert list(zip(means.x, means.y, strict=True)) == [(float(r["n"]), float(r["mean"])) for r in curve]
    fan = {float(r["n"]): r for r in saved(written.out / "fan.csv")}
    bands = {mark.key: mark for mark in figure.marks if isinstance(mark, Band)}
    for status in ("measured range", "up to 4x", "up to 10x"):
        line = figure.series(f"expected {status}")
        assert line.y == [float(fan[n]["median"]) for n in line.x]
        for level in ("50", "90"):
            band = bands[f"band{level} {status}"]
            assert band.high == [float(fan[n][f"high{level}"]) for n in band.x]
            assert band.low == [float(fan[n][f"low{level}"]) for n in band.x]
            assert band.hatched == (level == "90" and status == "up to 10x")
    assert max(figure.series("expected up to 10x").x) == pytest.approx(6000)


def test_the_back_test_stands_beside_what_was_measured(written: Written) -> None:
    drawn = quality_figure(loaded(written.out), PSNR).series("backtest")
    rows = saved(written.out / "backtest.csv")
    for column, values in (("median", drawn.y), ("low90", drawn.low), ("high90", drawn.high)):
        assert values == [float(r[column]) for r in rows] and len(rows) == 3
    assert all(0.8 * float(row["n"]) < x < float(row["n"]) for x, row in zip(drawn.x, rows, strict=True))
    assert len(set(drawn.x)) == 3


def test_the_map_is_its_csv(written: Written) -> None:
    figure = map_figure(loaded(written.out), PSNR)
    field, box = (next(mark for mark in figure.marks if isinstance(mark, kind)) for kind in (Surface, Box))
    assert isinstance(field, Surface) and isinstance(box, Box)
    rows = {(float(r["n"]), float(r["p"])): float(r["median"]) for r in saved(written.out / "map.csv")}
    assert len(rows) == len(field.x) * len(field.y)
    for j, p in enumerate(field.y):
        assert field.z[j] == [rows[n, p] for n in field.x]
    frontier = [float(r["median"] or "nan") for r in saved(written.out / "frontier.csv")]
    assert np.array_equal(frontier, figure.series("frontier median").y, equal_nan=True)
    chosen, rest = figure.series("measured, selected"), figure.series("measured")
    pairs = {(float(r["n"]), float(r["p"])) for r in saved(written.out / "network-size.csv")}
    assert {*zip(chosen.x, chosen.y, strict=True), *zip(rest.x, rest.y, strict=True)} == pairs
    assert box.x == pytest.approx((10, 600))
    assert max(field.x) == pytest.approx(2400)


def test_small_errors_are_good_on_the_map(plane: Points) -> None:
    figure = map_figure(tables_of(plane), MetricFormat("error", "", "units"))
    field = figure.marks[0]
    assert isinstance(field, Surface) and field.ramp[0] < field.ramp[1]  # dark, then light
    assert set(figure_files(figure, "a map")) == {"png", "svg"}


def test_contours_are_round_and_inside() -> None:
    assert contours([30.0, 31.0], "psnr")[:2] == [30.1, 30.2]
    assert all(0.01 < level < 0.2 for level in contours([0.01, 0.2], "error"))


def test_other_figures_are_their_csv(written: Written) -> None:
    tables = loaded(written.out)
    figure, cells = size_figure(tables, PSNR), saved(written.out / "network-size.csv")
    for n in {float(row["n"]) for row in cells}:
        line, rows = figure.series(f"size {n:g}"), [row for row in cells if float(row["n"]) == n]
        assert line.y == [float(r["mean"]) for r in rows] and line.x == [float(r["p"]) for r in rows]
    curves = validation_figure(tables["validation"])
    drawn = sum(len(mark.y) for mark in curves.marks if isinstance(mark, Series))
    assert drawn == sum(row["selected"] == "1" for row in saved(written.out / "validation.csv"))


def test_points_on_the_page_say_their_numbers(written: Written, alone: Path) -> None:
    texts = on_page(written.html)
    assert set(texts) == {"quality", "map", "network-size", "validation"}
    assert set(on_page((alone / "report.html").read_text(encoding="utf-8"))) == {"quality"}
    for row in saved(written.out / "curve.csv"):
        assert any(f"mean {float(row['mean']):.2f} dB" in text for text in texts["quality"])
    places = re.findall(r'data-places="([^"]*)"', written.html)
    screens = {name: ("wide", "beside", "narrow") if name == "quality" else ("wide", "narrow") for name in texts}
    assert [len(json.loads(p)) for p in places] == [len(t) for name, t in texts.items() for _ in screens[name]]
    assert len(written.html) < 2_000_000


def test_points_are_told_of_where_they_are_drawn() -> None:
    """In a page of two widths, with what lies outside far away, and silent points left out."""
    axes = AxesSpec((1, 100), (0, 1), ((1, "1"), (100, "100")), ((0, "0"), (1, "1")), "n", "y")
    figure = Figure(axes, (Series([1, 10, 10, 100], [0, 0.5, 2, 1], "a", marker="o", hover=["a", "b", "c", ""]),), 4)
    drawing = page_drawing(figure, "name")
    assert drawing.texts == ["a", "b", "c"]
    for screen, svg in drawing.svg.items():
        first, middle, outside = drawing.places[screen]
        drawn = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*?x="([\d.]+)" y="([\d.]+)"', svg)]
        near = [min(math.dist(place, other) for other in drawn) for place in (first, middle)]
        assert max(near) < 0.1 and outside == (-999, -999)


def test_drawings_for_pages_share_no_names() -> None:
    """Ids of several drawings in one page differ, and no style of theirs reaches the page."""
    axes = AxesSpec((1, 100), (0, 1), ((1, "1"),), ((0, "0"),), "n", "y")
    figure = Figure(axes, (Band([1, 9], [0, 0], [1, 1], "b", "#000000", 0.1, hatched=True),), 4)
    drawings = [svg for name in ("a", "b") for svg in page_drawing(figure, name).svg.values()]
    ids = [name for svg in drawings for name in re.findall(r' id="([^"]*)"', svg)]
    assert len(ids) == len(set(ids)) > 0
    for svg in drawings:
        assert (
            svg.startswith("<svg")
            and "<style" not in svg
            and "<metadata" not in svg
            and "http" not in svg.split(">", 1)[1]
        )
        assert set(re.findall(r'(?:href="|url\()#([^")]*)', svg)) <= set(re.findall(r' id="([^"]*)"', svg))


def tables_of(points: Points, *anchors: tuple[str, str, float]) -> dict[str, Table]:
    answer = analyse(points)
    measured = [points_table(answer), curve_table(answer), size_table(answer), baselines_table(anchors)]
    expected = [fan_table(answer), backtest_table(answer)]
    plane = [map_table(answer), frontier_table(answer), budget_table(answer)]
    return {item.name: item for item in (*measured, *expected, *plane)}


def test_what_is_drawn_are_the_numbers(curve: Points) -> None:
    figure = quality_figure(tables_of(curve), MetricFormat("error", "nmse", "volumes"))
    with _drawn([("", figure)], FILE, "salt") as (_, (axes, *_)):
        lines = {line.get_gid(): line for line in axes.lines}
    for mark in figure.marks:
        if isinstance(mark, Series) and not len(mark.low):
            assert np.array_equal(lines[mark.key].get_ydata(), mark.y)
            assert np.array_equal(lines[mark.key].get_xdata(), mark.x)


def test_files_are_whole_and_repeatable(written: Written, curve: Points) -> None:
    for name in ("quality", "map", "network-size", "validation"):
        assert (written.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (written.out / f"{name}.svg").read_bytes()
    figure = quality_figure(tables_of(curve), MetricFormat("error", "nmse", "volumes"))
    first, second = (figure_files(figure, "$a_b$ 图") for _ in range(2))
    assert first == second and b"$a_b$" in first["svg"]
    assert page_drawing(figure, "a") == page_drawing(figure, "a")
    assert b"PNG" in panel_files([("one", figure)] * 3)["png"][:8]


def test_points_alone_are_drawn(curve: Points) -> None:
    drawn = draw_points(curve, title="a curve")
    assert b"a curve" in drawn["svg"] and drawn["png"][1:4] == b"PNG"


def test_far_anchors_do_not_squeeze_the_curve(curve: Points) -> None:
    quantity = MetricFormat("error", "nmse", "volumes")
    near = tables_of(curve, ("classical", "<b>TV</b>", 0.035), ("input", "input", 5.0))
    frame = quality_axes(near, quantity)
    assert frame.y[1] < 0.1 and frame.contains(0.035)
    figure = quality_figure(near, quantity)
    texts = [mark.text for mark in figure.marks if isinstance(mark, Label)]
    assert any(text.startswith("↑ input") for text in texts) and any("<b>TV" in text for text in texts)
    assert all("<b>" not in svg and "&lt;b&gt;TV" in svg for svg in page_drawing(figure, "quality").svg.values())


def test_right_axis_is_the_error_in_per_cent(written: Written) -> None:
    axes = quality_axes(loaded(written.out), PSNR)
    last = float(saved(written.out / "curve.csv")[-1]["mean"])
    for value, label in axes.percent:
        assert 100 * 10 ** (-(value - last) / 10) == pytest.approx(float(label.removesuffix(" %")))


def test_text_is_large_enough(written: Written) -> None:
    """Where the page is as wide as it gets, and on a phone of 390 pixels."""
    for screen, pixels in (("wide", 920), ("beside", 544), ("narrow", 361)):
        for svg in re.findall(rf'<div class="{screen}"[^>]*>(<svg.*?</svg>)', written.html, re.DOTALL):
            width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
            sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:[\w ]* )?([\d.]+)px", svg)]
            assert sizes and min(sizes) * pixels / width >= 11.5


def test_labels_are_pushed_apart() -> None:
    placed = spread_labels([0.5, 0.5, 0.51, 0.98, 1.2], 0.06)
    ordered = sorted(placed)
    assert ordered == placed and ordered[-1] <= 1
    assert min(b - a for a, b in itertools.pairwise(ordered)) > 0.059


def test_shades_run_from_light_to_dark() -> None:
    light = [sum(int(colour_of(i, 5)[k : k + 2], 16) for k in (1, 3, 5)) for i in range(5)]
    assert light == sorted(light, reverse=True) and colour_of(0, 1) == colour_of(4, 5)
