"""The four lights of the page: each answer comes from a finding or a number, and none is given without one."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.laws import CODES, BacktestRow, Points
from reconscale.laws.unit_values import UnitValues
from reconscale.report.analysis import analyse
from reconscale.report.trust import CLASSICAL, LENGTH, SIGNS, TEST, find_trust, judge_backtest

N = np.array([10.0, 30.0, 100.0, 300.0])


def study(images: int = 0, patients: int = 0) -> Points:
    y = 28 + 2 * np.log10(N)
    spread = np.linspace(-1, 1, images or 1)
    errors = None if not images else 10 ** (-(y[:, None] + spread) / 10)
    units = None
    if patients:
        names = tuple(f"p{index}" for index in range(patients))
        units = UnitValues(np.repeat(y[:, None], patients, 1), names, "patients")
    return Points(N, y, metric="psnr", images=errors, per_unit=units)


def answers(points: Points, *codes: str, classical: bool = False) -> list[str]:
    return [light.answer for light in find_trust(analyse(points), codes, classical=classical)]


@pytest.mark.parametrize("table", [LENGTH, CLASSICAL, TEST])
def test_every_code_is_one_that_findings_have(table: dict[str, dict[str, str]]) -> None:
    known = {*CODES, "below-classical"}
    assert all(code in known for sentences in table.values() for code in sentences)
    assert all(
        sentence.endswith(".") and len(sentence) < 100 for found in table.values() for sentence in found.values()
    )
    assert set(table) <= set(SIGNS)


def test_without_any_word_nothing_is_known() -> None:
    assert answers(study())[:3] == ["not known", "not known", "not known"]


def test_the_gravest_finding_decides() -> None:
    assert answers(study(), "trained-out")[0] == "yes"
    assert answers(study(), "trained-out", "nearly-converged")[0] == "partly"
    assert answers(study(), "trained-out", "nearly-converged", "not-converged")[0] == "no"
    assert answers(study(), classical=True)[1] == "yes"
    assert answers(study(), "below-classical", classical=True)[1] == "no"
    assert answers(study(), "baselines-unknown")[1] == "not known"


def test_what_the_test_set_tells() -> None:
    assert answers(study(images=40))[2] == "yes"
    assert answers(study(images=40), "test-set-too-small")[2] == "partly"
    assert answers(study(patients=12))[2] == "yes"
    alone = find_trust(analyse(study(patients=1)), ["test-set-too-small"], classical=False)[2]
    assert (alone.answer, alone.sentence) == ("no", "It is one patient: nothing says how another patient would differ.")


def test_back_tests() -> None:
    held = BacktestRow(n=300, measured=30, median=30, low=29, high=31, seen=100)
    missed = held._replace(measured=33.0, n=1000)
    assert judge_backtest([]).answer == "not known"
    assert judge_backtest([held]).answer == "yes"
    assert judge_backtest([held, held, missed]).answer == "partly"
    assert judge_backtest([held, missed, missed]).answer == "no"
    assert judge_backtest([held, missed]).sentence == (
        "1 of 2 forecasts of sizes held back (n = 300, 1,000) lay inside their 90 % interval."
    )


def test_no_lights_without_a_curve() -> None:
    assert find_trust(analyse(study().rows(N == 10)), [], classical=True) == ()
