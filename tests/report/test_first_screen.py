"""The first screen answers: what is asked, what is the answer and how sure, what next and what it costs."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from reconscale.laws import Finding, Points
from reconscale.laws.decisions.gate import OBSTACLES
from reconscale.report import analyse
from reconscale.report.first_screen import BEFORE, answer_in_short, next_step_of, question_of
from reconscale.report.next_steps import next_steps
from reconscale.report.tables import gains_table

from .conftest import Written
from .test_page import check_safe

PRIVATE = re.compile(r"\bn =|\bp =|\[|recipe\.|regret|posterior|units?\b")
"""Words that a reader would have to look up."""


def falling(exponent: float, noise: float = 0.0005) -> Points:
    n = np.repeat([100, 200, 400, 800, 1600, 3200], 3)
    rng = np.random.default_rng(0)
    return Points(n, 0.4 * n**-exponent * np.exp(rng.normal(0, noise, len(n))), seed=np.tile([0, 1, 2], 6),
                  metric="error", unit="volumes")  # fmt: skip


def test_order_of_the_first_screen(written: Written) -> None:
    html = written.html
    places = [html.index(mark) for mark in ('class="subtitle"', 'class="sentence"', 'id="next-step"', 'id="trust"', 'id="plot-quality"', 'id="gains"')]  # noqa: E501  # fmt: skip
    assert places == sorted(places)
    assert html.count('id="plot-quality"') == 1


def test_question_and_answer_without_private_words(written: Written) -> None:
    text = check_safe(written.html).text.replace("\u00a0", " ")
    assert "Would twice as many images, or a larger network, add 0.1 dB or more? Denoising of Gaussian noise" in text
    first = text[text.index("Would twice") : text.index("Can this be trusted?")]
    assert (
        "Twice as many images should add" in first and "the chance that it is worthwhile, more than 0.1 dB, is" in first
    )
    assert not PRIVATE.search(first.replace("σ = 25", "")), first


def test_one_number_has_one_value(written: Written) -> None:
    """The gain and the chance of the answer are those of the table, to the digit."""
    text = check_safe(written.html).text.replace("\u00a0", " ")
    short = re.search(r"should add ([\d.]+) dB \(90 % interval ([−\d.]+) to ([\d.]+)\).*?is ([\d]+|above 99) %", text)
    assert short is not None
    gains = written.out.joinpath("gains.csv").read_text(encoding="utf-8").splitlines()
    row = dict(zip(gains[0].split(","), gains[1].split(","), strict=True))
    assert (row["what"], row["factor"]) == ("n", "2.0")
    assert [f"{float(row[name]):.2f}" for name in ("median", "low90", "high90")] == list(short.groups()[:3])


def test_errors_fall() -> None:
    answer = analyse(falling(0.3), worthwhile=2.0)
    assert question_of(answer, "", "volumes") == "Would twice as many volumes lower the error by 2 % or more?"
    assert answer_in_short(answer).startswith("Twice as many volumes should lower the error by ")
    assert answer.verdict == "COLLECT MORE"
    action, why, cost = next_step_of(next_steps(answer), gains_table(answer), answer) or ("", "", "")
    assert action == "Bring the training set from 3,200 to 6,400 volumes" and cost == "3,200 more volumes"
    assert why.startswith("+") and "%" in why


def test_stop_costs_nothing() -> None:
    answer = analyse(falling(0.0), worthwhile=2.0)
    assert answer.verdict == "STOP"
    assert next_step_of(next_steps(answer), gains_table(answer), answer) == ("Collect no more volumes", "", "none")


def test_every_obstacle_has_its_words() -> None:
    assert set(BEFORE) == set(OBSTACLES)


@pytest.mark.parametrize("code", ["below-classical", "not-converged"])
def test_what_stands_against_it_is_said_first(code: str) -> None:
    points = falling(0.3)
    answer = analyse(replace(points, findings=(*points.findings, Finding(code, "a reason", "warning"))), worthwhile=2.0)
    assert answer.verdict == "TRAIN LONGER FIRST"
    said = answer_in_short(answer)
    assert said.startswith(
        f"Do not act on this yet: {BEFORE[code]}. The curve alone would say COLLECT MORE: twice as many"
    )
    step = next_step_of(next_steps(answer), gains_table(answer), answer)
    assert step is not None and step[0].startswith("Train") and step[2] == "not known"


def test_without_a_curve() -> None:
    answer = analyse(Points([100.0], [30.0], metric="psnr"))
    assert answer_in_short(answer) == "" and answer_in_short(None) == ""
    assert question_of(None, "", "slices") == "Would twice as many slices make the result better?"
    step = next_step_of(next_steps(answer), None, answer)
    assert step is not None and step[0].startswith("Add training sizes") and step[2] == "not known"
