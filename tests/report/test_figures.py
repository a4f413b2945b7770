"""Every figure shows its CSV and nothing else; labels never leave the figure or overlap."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure

from reconscale.laws import Points
from reconscale.report import figures
from reconscale.report import figures as drawing
from reconscale.report.analysis import analyse
from reconscale.report.axes import colour_of, contours, quality_frame, spread_labels
from reconscale.report.format import MetricFormat
from reconscale.report.plotly_figures import quality_figure
from reconscale.report.plotly_map import map_figure
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


def on_page(html: str) -> dict[str, dict[str, Any]]:
    found = re.findall(r'<script type="application/json" id="plot-([\w-]+)-data">(.*?)</script>', html, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def saved(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in figure["data"] if item["name"] == name)


def test_main_figure_is_its_csv(written: Written) -> None:
    figure = on_page(written.html)["quality"]
    dots = trace(figure, "every run")
    rows = [row for row in saved(written.out / "points.csv") if row["selected"] == "1"]
    assert list(zip(dots["x"], dots["y"], strict=True)) == [(float(r["n"]), float(r["psnr"])) for r in rows]
    means = trace(figure, "mean over seeds")
    curve = saved(written.out / "curve.csv")
    assert list(zip(means["x"], means["y"], strict=True)) == [(float(r["n"]), float(r["mean"])) for r in curve]
    fan = {float(r["n"]): r for r in saved(written.out / "fan.csv")}
    for status in ("measured range", "up to 4x", "up to 10x"):
        line = trace(figure, f"expected, {status}")
        assert line["y"] == [float(fan[n]["median"]) for n in line["x"]]
        for level in ("50", "90"):
            band = trace(figure, f"{level} % band, {status}")
            half = len(band["x"]) // 2
            assert band["y"][:half] == [float(fan[n][f"high{level}"]) for n in band["x"][:half]]
            assert band["y"][half:] == [float(fan[n][f"low{level}"]) for n in band["x"][half:]]
    assert max(trace(figure, "expected, up to 10x")["x"]) == pytest.approx(6000)


def test_the_back_test_stands_beside_what_was_measured(written: Written) -> None:
    drawn = trace(on_page(written.html)["quality"], "forecast made without this size, 90 %")
    rows = saved(written.out / "backtest.csv")
    assert len(rows) == 3 and drawn["y"] == [float(r["median"]) for r in rows]
    for k, row in enumerate(rows):
        assert drawn["y"][k] + drawn["error_y"]["array"][k] == pytest.approx(float(row["high90"]))
        assert drawn["y"][k] - drawn["error_y"]["arrayminus"][k] == pytest.approx(float(row["low90"]))
        assert 0.8 * float(row["n"]) < drawn["x"][k] < float(row["n"])
    assert len(set(drawn["x"])) == 3


def test_the_map_is_its_csv(written: Written) -> None:
    figure = on_page(written.html)["map"]
    field = trace(figure, "expected")
    rows = {(float(r["n"]), float(r["p"])): float(r["median"]) for r in saved(written.out / "map.csv")}
    assert len(rows) == len(field["x"]) * len(field["y"])
    for j, p in enumerate(field["y"]):
        assert field["z"][j] == [rows[n, p] for n in field["x"]]
    enough = trace(figure, "network that is large enough")
    frontier = saved(written.out / "frontier.csv")
    assert [None if not r["median"] else float(r["median"]) for r in frontier] == enough["y"]
    cells = trace(figure, "measured (ring: selected)")
    measured = saved(written.out / "network-size.csv")
    pairs = [(float(r["n"]), float(r["p"])) for r in measured]
    assert list(zip(cells["x"], cells["y"], strict=True)) == pairs
    box = figure["layout"]["shapes"][0]
    assert (box["x0"], box["x1"]) == pytest.approx((10, 600))
    assert max(field["x"]) == pytest.approx(2400)


def test_the_map_of_an_error_is_coloured_by_its_logarithm(plane: Points) -> None:
    tables, quantity = tables_of(plane), MetricFormat("error", "", "units")
    field = trace(map_figure(tables, quantity), "expected")
    assert field["z"][0][0] == pytest.approx(np.log10(tables["map"].numbers("median")[0]))
    assert field["reversescale"] and field["showscale"]
    figures.map_files(tables, quantity, "a map")


def test_contours_are_round_and_inside() -> None:
    assert contours([30.0, 31.0], "psnr")[:2] == [30.1, 30.2]
    assert all(0.01 < level < 0.2 for level in contours([0.01, 0.2], "error"))


def test_other_figures_are_their_csv(written: Written) -> None:
    shown = on_page(written.html)
    cells = saved(written.out / "network-size.csv")
    for item in shown["network-size"]["data"]:
        if item["mode"] == "lines+markers":
            rows = [r for r in cells if f"n = {int(float(r['n']))}" == item["name"]]
            assert item["y"] == [float(r["mean"]) for r in rows] and item["x"] == [float(r["p"]) for r in rows]
    looks = saved(written.out / "validation.csv")
    drawn = sum(len(item["y"]) for item in shown["validation"]["data"])
    assert drawn == sum(row["selected"] == "1" for row in looks)


def test_plotly_accepts_the_figures(written: Written, alone: Path) -> None:
    for html in (written.html, (alone / "report.html").read_text()):
        for figure in on_page(html).values():
            go.Figure(figure)


def tables_of(points: Points, *anchors: tuple[str, str, float]) -> dict[str, Table]:
    answer = analyse(points)
    measured = [points_table(answer), curve_table(answer), size_table(answer), baselines_table(anchors)]
    expected = [fan_table(answer), backtest_table(answer)]
    plane = [map_table(answer), frontier_table(answer), budget_table(answer)]
    return {item.name: item for item in (*measured, *expected, *plane)}


def test_files_show_the_same_numbers(curve: Points) -> None:
    tables, quantity = tables_of(curve), MetricFormat("error", "nmse", "volumes")
    with mpl.rc_context(drawing.STYLE):
        axes = Figure().add_subplot()
        figures._quality(axes, tables, quantity, quality_frame(tables, quantity))
    lines = {line.get_gid(): line for line in axes.lines}
    assert np.array_equal(lines["runs"].get_ydata(), tables["points"].numbers("error"))
    assert np.array_equal(lines["means"].get_ydata(), tables["curve"].numbers("mean"))
    drawn = {(x, y) for key, line in lines.items() if str(key).startswith("expected") for x, y in line.get_xydata()}
    fan = tables["fan"]
    assert drawn == set(zip(fan.numbers("n"), fan.numbers("median"), strict=True))


def test_files_are_whole_and_repeatable(written: Written, curve: Points) -> None:
    for name in ("quality", "map", "network-size", "validation"):
        assert (written.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (written.out / f"{name}.svg").read_bytes()
    tables, quantity = tables_of(curve), MetricFormat("error", "nmse", "volumes")
    first, second = (figures.quality_files(tables, quantity, "$a_b$ 图") for _ in range(2))
    assert first == second and b"$a_b$" in first["svg"]


def test_far_anchors_do_not_squeeze_the_curve(curve: Points) -> None:
    quantity = MetricFormat("error", "nmse", "volumes")
    near = tables_of(curve, ("classical", "<b>TV</b>", 0.035), ("input", "input", 5.0))
    frame = quality_frame(near, quantity)
    assert frame.y[1] < 0.1 and frame.holds(0.035)
    figure = quality_figure(near, quantity)
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert any(text.startswith("↑ input") for text in texts) and any("&lt;b&gt;TV" in text for text in texts)


def test_right_axis_is_the_error_in_per_cent(written: Written) -> None:
    layout = on_page(written.html)["quality"]["layout"]
    last = float(saved(written.out / "curve.csv")[-1]["mean"])
    for value, label in zip(layout["yaxis2"]["tickvals"], layout["yaxis2"]["ticktext"], strict=True):
        assert 100 * 10 ** (-(value - last) / 10) == pytest.approx(float(label.removesuffix(" %")))


def test_text_is_large_enough(written: Written) -> None:
    for figure in on_page(written.html).values():
        assert all(int(size) >= 12 for size in re.findall(r'"size": (\d+), "color": "#[0-9a-f]+"}', json.dumps(figure)))
        assert figure["layout"]["font"]["size"] >= 12


def test_labels_are_pushed_apart() -> None:
    placed = spread_labels([0.5, 0.5, 0.51, 0.98, 1.2], 0.06)
    ordered = sorted(placed)
    assert ordered == placed and ordered[-1] <= 1
    assert min(b - a for a, b in itertools.pairwise(ordered)) > 0.059


def test_shades_run_from_light_to_dark() -> None:
    light = [sum(int(colour_of(i, 5)[k : k + 2], 16) for k in (1, 3, 5)) for i in range(5)]
    assert light == sorted(light, reverse=True) and colour_of(0, 1) == colour_of(4, 5)
