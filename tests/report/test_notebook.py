"""What a notebook shows: short words, escaped HTML, figures in frames of their own, axes of matplotlib."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pytest

import reconscale as rs
from reconscale.cli.notebook_bars import NotebookBars
from reconscale.report.marks import Series
from reconscale.report.notebook import html_of

POINTS = rs.Points(
    n=[100, 100, 300, 300, 1000, 3000], y=[30.85, 30.91, 31.27, 31.2, 31.61, 31.77], seed=[0, 1, 0, 1, 0, 0],
    metric="psnr", p=[1e5] * 6, unit="<b>photographs</b>", profile="<i>mine",
)  # fmt: skip


@pytest.fixture(scope="module")
def curve() -> rs.Curve:
    return rs.infer(POINTS)


class Tags(HTMLParser):
    """The tags of a piece of HTML, and whether each that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.seen.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def study(content: Callable[..., dict[str, Any]]) -> rs.Study:
    return rs.parse_study(content())


def test_words_are_short(curve: rs.Curve, content: Callable[..., dict[str, Any]]) -> None:
    many = curve.forecast([200 * k for k in range(1, 60)])
    assert repr(POINTS) == "Points(6 runs, psnr [<i>mine], n = 100 to 3,000)"
    assert repr(curve).startswith("Curve(6 runs") and repr(many).endswith("and 56 sizes more)")
    assert "n = 6,000: 31.8" in repr(curve.forecast(6000)) and "refused" in repr(curve.forecast(1e9))
    decision = curve.decide(worthwhile=0.1)
    assert repr(decision) == "Decision(UNDECIDED, n = 3,000, doubling n gains 0.08 dB)"
    assert str(decision).startswith("UNDECIDED\nAt n = 3,000 <b>photographs</b> and p = 100 k we measure 31.77")
    assert str(study(content)) == repr(study(content)) == "Study(small: denoising, unet, 3 n x 2 widths x 2 seeds)"
    for value in (POINTS, curve, many, decision, study(content)):
        assert len(repr(value)) < 200


def test_everything_is_escaped_and_nothing_runs(curve: rs.Curve, content: Callable[..., dict[str, Any]]) -> None:
    values = (POINTS, curve, curve.forecast([6000, 1e9]), curve.decide(), study(content))
    for value in values:
        html = value._repr_html_()
        tags = Tags(html)
        assert not tags.open and not {"i", "script", "iframe"} & set(tags.seen)
        assert "<b>photographs" not in html and "<i>mine" not in html
        assert html.count('<div class="reconscale">') == 1
    assert "&lt;b&gt;photographs&lt;/b&gt;" in html_of(POINTS)


def test_the_numbers_are_those_of_the_values(curve: rs.Curve) -> None:
    html = html_of(curve.forecast([6000, 1e9]))
    low, high = curve.forecast([6000, 1e9]).interval(0.9)
    assert f"{low[0]:.2f} to {high[0]:.2f}" in html and "not forecast" in html and "Not forecast: more than" in html
    decided = html_of(curve.decide(worthwhile=0.1))
    assert "? UNDECIDED" in decided and "+0.08" in decided and "10 × data (n)" in decided
    assert "31.23" in html_of(POINTS) and "exponent beyond the last break" in html_of(curve)


def test_long_tables_are_cut() -> None:
    html = html_of(rs.Points(n=range(1, 101), y=[0.1] * 100))
    assert html.count("<tr>") == 14 and "88 more" in html


def test_one_size_alone_can_be_shown() -> None:
    one = rs.Points(n=[100, 100], y=[0.9, 0.91], metric="ssim")
    assert "0.9050" in html_of(one) and one.figure().alt.startswith("Quality against n: 2 runs, ssim")


def test_a_figure_is_a_page_in_a_frame(curve: rs.Curve, tmp_path: Path) -> None:
    figure = curve.figure(title="Mine & <others>")
    html = figure._repr_html_()
    tags = Tags(html)
    assert tags.seen == ["iframe"] and 'sandbox="allow-scripts"' in html and "<others>" not in html
    assert "&amp;lt;others&amp;gt;" in html  # escaped once for the page, and once for the frame
    assert repr(figure).startswith("<figure: ") and "Content-Security-Policy" in figure.html
    for kind, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".html", b"<!DOCTYPE html>")):
        figure.save(str(tmp_path / f"figure{kind}"))
        assert (tmp_path / f"figure{kind}").read_bytes().startswith(start)
    with pytest.raises(rs.UserError, match=r"ends in '.pdf'; give a name that ends in .html, .png, .svg"):
        figure.save(tmp_path / "figure.pdf")


def test_points_say_their_numbers_in_every_figure(curve: rs.Curve) -> None:
    for value, said in ((POINTS, "n = 300, seed 1\\n31.20 dB"), (curve, "expected"), (curve.forecast([6000]), "90 %")):
        texts = re.search(r'data-texts="([^"]*)"', value.figure().html)
        assert texts and said in texts[1]


def test_a_decision_draws_its_gains(curve: rs.Curve, tmp_path: Path) -> None:
    decision = curve.decide(worthwhile=0.1)
    figure = decision.figure(title="Is it worth it?")
    series = figure.shown.series("gains")
    gains = [decision.gain_n, decision.gain_tenfold]
    assert list(series.y) == [gain.median for gain in gains] and list(series.low) == [gain.low for gain in gains]
    assert figure.shown.axes.y[0] < min(series.low) and max(series.high) < figure.shown.axes.y[1]
    assert figure.alt.startswith("UNDECIDED at n = 3,000. Expected gains: 2 × data (n) +0.08 dB; 10 × data (n)")
    assert "more than 0.1: " in series.hover[0] and "worthwhile 0.1 dB" in figure.html
    figure.save(tmp_path / "gains.png")
    assert Tags(figure._repr_html_()).seen == ["iframe"]


def test_a_study_draws_its_runs(content: Callable[..., dict[str, Any]]) -> None:
    figure = study(content).figure()
    (series,) = figure.shown.marks
    assert isinstance(series, Series) and series.name == "2 seeds each"
    assert set(zip(series.x, series.y, strict=True)) == {(n, w) for n in (1, 2, 4) for w in (4, 8)}
    assert figure.alt == "Study small: 12 runs, n = 1 to 4, widths 4 to 8." and "width 8" in figure.html
    rule = {"n": [4, 4], "seeds": 1}
    fewer = rs.parse_study(content(override=[rule])).figure()
    assert [mark.name for mark in fewer.shown.marks] == ["1 seed each", "2 seeds each"]
    one = rs.parse_study(content(sweep={"n": [2], "width": [4], "seed": [0]})).figure()
    assert one.alt == "Study small: 1 run, n = 2 to 2, widths 4 to 4." and one.html


def test_what_cannot_be_drawn_is_refused(curve: rs.Curve) -> None:
    with pytest.raises(rs.UserError, match="Forecast: has no size that is not refused; more than 10 times"):
        curve.forecast([1e9]).figure()
    with pytest.raises(rs.UserError, match=r"ax: found a int; give axes of matplotlib, for instance plt\.gca\(\)"):
        curve.plot(3)


def test_plots_go_into_given_axes_or_new_ones(curve: rs.Curve, monkeypatch: pytest.MonkeyPatch) -> None:
    mpl.use("agg")
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    _, (left, right) = plt.subplots(1, 2)
    assert curve.plot(left) is left and curve.forecast([6000, 1e4]).plot(ax=right) is right
    assert left.get_xlabel() == "training set size n, number of <b>photographs</b>"
    assert left.get_xlim()[1] > 3000 and [text.get_text() for text in right.get_xticklabels()] == ["6,000", "10 k"]
    _, below = plt.subplots()
    assert curve.decide(worthwhile=0.1).plot(below) is below
    assert [text.get_text() for text in below.get_xticklabels()] == ["2 × data (n)", "10 × data (n)"]
    own = POINTS.plot()
    assert own.figure is not left.figure and own.get_ylabel() == "PSNR, dB [<i>mine]"
    own.figure.canvas.draw()
    plt.close("all")
    assert dict(mpl.rcParams) == before


def test_bars_are_drawn_over_themselves_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        update = staticmethod(shown.append)

    module = ModuleType("IPython.display")
    module.HTML = str  # type: ignore[attr-defined]
    module.display = lambda html, display_id: shown.append(html) or Handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    bars = NotebookBars()
    number = bars.add_task("<b>unet", total=8.0)
    bars.start()
    bars.update(number, completed=3.0)
    assert '<progress value="3" max="8"></progress> 3/8' in bars.html and "&lt;b&gt;unet" in bars.html
    bars.console.print("one <i>run", markup=False)
    assert "one &lt;i&gt;run" in shown[-1] and "<progress" in shown[-1]
    bars.stop()
    assert "<progress" not in shown[-1] and "one &lt;i&gt;run" in shown[-1]


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert rs.__version__ == version("reconscale") and "__version__" in dir(rs)
