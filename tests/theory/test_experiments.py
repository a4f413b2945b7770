import csv
from pathlib import Path

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import (
    SETTINGS,
    Converged,
    Subspace,
    best_descent,
    experiment,
    experiments,
    power_fit,
    sample,
    summaries,
)


def test_a_draw_depends_on_nothing_but_its_case_run_and_seed():
    model, other = Subspace(3, 40, 0.1), Subspace(3, 41, 0.1)
    together = experiments([(model, 5), (other, 5), (model, 20)], runs=2, seed=4)
    assert experiment(model, 20, run=1, seed=4) == together[-1]
    assert [(e.model, e.n, e.run) for e in together[:3]] == [(model, 5, 0), (model, 5, 1), (other, 5, 0)]
    assert len({e.early_stopped for e in together}) == 6
    assert experiment(model, 20, run=1, seed=5) != together[-1]


def test_workers_change_nothing():
    cases = [(Subspace(3, 40, 0.1), n) for n in (1, 3, 40, 90)]
    told = []
    two = experiments(cases, runs=2, workers=2, progress=lambda done, of: told.append((done, of)))
    assert two == experiments(cases, runs=2, workers=1)
    assert told == [(done, 8) for done in range(1, 9)]


def test_large_cases_take_the_band_and_agree_with_the_whole():
    """The same case by both ways: means of 40 draws within four standard errors."""
    model, n = Subspace(2, 900, 0.1), 700
    band = [experiment(model, n, run=run) for run in range(40)]
    assert {e.how for e in band} == {"band of 16 blocks"}
    rng = np.random.default_rng(0)
    paths = [sample(model, n, rng) for _ in range(40)]
    early, end = [best_descent(path, model.step(n)).risk for path in paths], [path.risk(Converged()) for path in paths]
    pairs = (([e.early_stopped for e in band], early), ([e.converged for e in band], end))
    for ours, theirs in pairs:
        error = np.hypot(np.std(ours), np.std(theirs)) / np.sqrt(40)
        assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error


def test_a_million_images_of_a_million_pixels():
    found = experiment(Subspace(10, 10**6, 0.1), 10**6)
    assert found.how.startswith("band")
    assert found.model.floor < found.early_stopped < found.pca < found.converged


def test_settings_are_the_papers():
    assert [s.name for s in SETTINGS] == ["10,100,0.2", "10,100,0.1", "10,100,0.05", "10,1000,0.1", "10,10000,0.1",
                                          "50,1000,0.1", "100,1000,0.1", "10,1000,0.05"]  # fmt: skip
    for setting in SETTINGS:
        assert {*setting.early_stopped, *setting.pca} <= set(setting.n)


def test_power_fit_refuses_what_was_not_measured():
    with pytest.raises(UserError, match="n = 5 was not measured"):
        power_fit([1, 10], [1.0, 0.1], 5, 10)
    with pytest.raises(UserError, match="holds 1 n"):
        power_fit([1, 10], [1.0, 0.1], 10, 10)


def test_infinite_means_are_medians():
    model = Subspace(2, 12, 0.1)
    rows = summaries(experiments([(model, n) for n in (11, 12, 13, 14)], runs=5))
    assert [row.converged[1] is None for row in rows] == [True, True, True, False]


def test_printed_means_of_the_official_notebook(shared):
    """Every mean of 5 printed runs within 4 standard errors of ours (40 runs); their fit within .2 of the printed one.

    The standard error is that of the difference, from our runs' spread; converged at n = ambient has no mean.
    """
    path = Path(shared) / "data/learning_curves/official_theory_d10_n100_s0.05.csv"
    printed = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        printed.setdefault((row["estimator"], int(row["N"])), []).append(float(row["risk"]))
    setting = SETTINGS[2]
    ours = experiments([(setting.model, n) for n in setting.n], runs=40)
    names = {"early_stopped": "gd_early_stopped", "converged": "gd_converged", "pca": "pca"}
    for n in setting.n:
        for mine, theirs in names.items():
            if (mine, n) == ("converged", 100):
                continue
            values = np.array([getattr(e, mine) for e in ours if e.n == n])
            error = np.hypot(values.std(ddof=1) * np.sqrt(1 / 5 + 1 / 40), 1e-8)
            assert abs(np.mean(printed[theirs, n]) - values.mean()) < 4 * error, (mine, n)
    rows = summaries(ours)
    for part, exponent in (("early_stopped", -3.658), ("pca", -1.931)):
        stretch = getattr(setting, part)
        fitted = power_fit([row.n for row in rows], [getattr(row, part)[0] for row in rows], *stretch)
        assert fitted.exponent == pytest.approx(exponent, abs=0.2)


@pytest.mark.parametrize(("words", "said"), [({"seed": -1}, "seed: found -1"), ({"run": 0.5}, "run: found 0.5")])
def test_draws_are_named_by_whole_numbers(words, said):
    with pytest.raises(UserError, match=said):
        experiment(Subspace(2, 9, 0.1), 4, **words)
