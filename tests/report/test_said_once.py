"""What the page says it says once, with one value, and only where it is true."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from reconscale.laws import Points, infer
from reconscale.laws.decisions.costs import Costs
from reconscale.report import analyse, report_study
from reconscale.report.analysis import MetricFormat
from reconscale.report.html_tables import laws_grid, shift_grid
from reconscale.report.next_steps import next_steps
from reconscale.report.pictures import LARGEST, Picture, Strip, fitting, left_out_words
from reconscale.report.run_tables import baseline_findings
from reconscale.report.tables import law_table, table
from reconscale.results import Folder, Result
from reconscale.study import runs_of

from .conftest import Written
from .synthetic import png, result_of, scene, study_of, write_pictures, write_results
from .test_convergence import converging
from .test_page import check_safe


def text_of(html: str) -> str:
    return check_safe(html).text.replace("\u00a0", " ")


def test_weights_of_the_forecast_stand_once(written: Written) -> None:
    assert text_of(written.html).count("Weights: ") == 1


def test_no_comma_before_a_bracket(written: Written) -> None:
    points = Points([10, 30, 100, 300], [27.0, 28, 28.5, 28.8], metric="psnr")
    (found,) = baseline_findings(points, [("classical", "BM3D", 30.0)])
    assert found.code == "below-classical" and "which needs no training (30; the networks: 28.8):" in found.text
    assert not re.search(r", \(", text_of(written.html) + found.text)


def test_the_last_doubling_of_steps_has_one_value(tmp_path: Path) -> None:
    """In the answer and in the finding: what it gained at the network of the answer, not a median over other runs."""
    study, results = converging(
        lambda done: 0.01 if done.run.n < 600 else 0.07 if done.run.network.width == 32 else 0.2
    )
    for result in results:
        result.write(tmp_path / "runs" / result.run.id)
    said = text_of(report_study(study, Folder(tmp_path / "runs"), tmp_path / "out").read_text(encoding="utf-8"))
    assert "at the selected widths at most 0.07 dB, less than is worthwhile" in said
    assert re.findall(r"last doubling of the steps gained ([\d.]+) dB there", said) == ["0.07"]
    assert "Doubling the steps once more is expected to add" in said and "0.2 dB" not in said


def test_photographs_are_no_volumes(tmp_path: Path) -> None:
    """A mean over all images, as studies without truth have, is no table of volumes."""
    study = study_of(sweep={"n": [10, 100], "width": [8], "seed": [0]})
    for run in runs_of(study):
        made = result_of(run).model_copy(update={"volumes": {"test": {"all images": {"psnr-rgb-clip": 30.0}}}})
        assert isinstance(made, Result)
        made.write(tmp_path / "runs" / run.id)
    page = report_study(study, Folder(tmp_path / "runs"), tmp_path / "out")
    assert "Volume by volume" not in page.read_text(encoding="utf-8") and not (page.parent / "volumes.csv").exists()


def test_advice_that_costs_more_than_what_it_decides_says_so() -> None:
    points = Points(
        [100, 300, 1000] * 2, [29.0, 30.0, 30.4, 29.05, 29.98, 30.42], seed=[0] * 3 + [1] * 3, metric="psnr"
    )
    (experiment, *_) = infer(points).next_experiments()
    answer = analyse(points)
    costs = Costs(answer.costs.hours, have=900.0)
    for n, dear in ((4000.0, True), (2000.0, False), (1500.0, False)):
        asked = replace(experiment, kind="new size", n=n)
        for known in (answer, replace(answer, costs=costs)):
            known.__dict__["experiments"] = (asked,)
            reason = str(next_steps(known).records()[0]["reason"])
            assert ("are dear, double n first and see" in reason) == dear, (n, reason)
    assert "3,100 more training images must be collected for it, where doubling n takes 1,100" in _reason(
        answer, costs, replace(experiment, kind="new size", n=4000.0)
    )


def _reason(answer: object, costs: Costs, asked: object) -> str:
    known = replace(answer, costs=costs)  # type: ignore[type-var]
    known.__dict__["experiments"] = (asked,)
    return str(next_steps(known).records()[0]["reason"])


def strip(name: str, *sizes: int) -> Strip:
    return Strip(name, "", tuple(Picture(f"{name}{index}", "", "x" * size) for index, size in enumerate(sizes)))


@pytest.mark.parametrize(
    ("strips", "kept", "left"),
    [
        ([strip("a", 30, 30), strip("b", 30, 30)], ["a0", "a1"], 2),
        ([strip("a", 30, 30), strip("b", 30, 30), strip("c", 10, 10)], ["a0", "a1", "c0", "c1"], 2),
        ([strip("a", 30, 90, 60, 5), strip("b", 2, 2)], ["a0", "a2", "a3", "b0", "b1"], 1),
        ([strip("a", 30, 0, 30)], ["a0", "a2"], 1),
        ([strip("a", 300, 300)], [], 2),
        ([], [], 0),
    ],
)
def test_pictures_fit(strips: list[Strip], kept: list[str], left: int) -> None:
    found, count = fitting(strips, most=100)
    assert [picture.title for item in found for picture in item.pictures] == kept and count == left


def test_a_page_with_large_pictures_stays_below_two_megabytes(tmp_path: Path) -> None:
    import numpy as np

    study = study_of(sweep={"n": [10, 30, 100], "width": [8], "seed": [0]})
    folder = write_results(study, tmp_path / "runs")
    write_pictures(study, folder)
    noise = np.random.default_rng(0).random((500, 500))
    for path in [*(folder.root / "anchors").glob("*.png"), *folder.root.glob("*/picture-*.png")]:
        path.write_bytes(png(noise + 0 * scene(500)))
    page = report_study(study, folder, tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 2_000_000 and html.count("data:image/png") * 330_000 < LARGEST
    assert "8 pictures are left out, so that this page stays small: the PNG files are in runs/anchors" in html


def test_what_is_left_out_is_counted_in_words() -> None:
    folder = Path("study") / "runs"
    assert left_out_words(0, folder) == "" and left_out_words(1, folder).startswith("1 picture is left out")


def test_numbers_of_laws_have_the_digits_that_their_interval_leaves(curve: Points) -> None:
    """No digit is finer than a hundredth of half the interval, and none that matters is cut."""
    grid = laws_grid(law_table(analyse(curve)))
    assert grid is not None
    checked = 0
    for _, _, value, interval, _ in grid.rows:
        decimals = len(value.partition(".")[2])
        low, _, high = (part.replace(",", "") for part in interval.partition(" to "))
        half = 0.5 * (float(high) - float(low)) if interval and value != "unknown" else 0.0
        if half > 0 and decimals:
            checked += 1
            assert half / 110 <= 10.0**-decimals <= half / 9, (value, interval)
    assert checked > 4


def test_the_main_test_set_alone_is_no_table_of_other_test_sets() -> None:
    names = "test_set n_smallest y_smallest n_largest y_largest gain_per_doubling gain_se"
    rows = [("test", 4.0, 27.4, 28.0, 28.2, -0.2, None), ("cbsd68", 4.0, 26.4, 28.0, 27.2, 0.3, None)]
    alone, both = (table("shift", names, some) for some in (rows[:1], rows))
    psnr = MetricFormat("psnr", "", "images")
    assert shift_grid(alone, psnr, "test") is None
    shown = shift_grid(both, psnr, "test")
    assert shown is not None and "as measured" in shown.caption and len(shown.rows) == 2
