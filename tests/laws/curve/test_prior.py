import copy
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.laws import forecast
from reconscale.laws.curve import posterior, prior
from reconscale.laws.curve.posterior import BETWEEN, belief_about
from reconscale.laws.curve.prior import GROUPS, MANY, mix_beliefs, parse_beliefs, read_beliefs, read_prior

QUICK = settings(derandomize=True, deadline=None, max_examples=30, database=None)


def test_the_file_says_where_it_comes_from():
    learnt = read_prior()
    assert learnt["command"] == "python benchmarks/learn_prior.py --write"
    assert set(learnt["start"]) == set(learnt["strength"]) == set(learnt["figures"]) == set(GROUPS)
    data_sets = [name for group in GROUPS for name in learnt["figures"][group]["start"]]
    assert sorted(data_sets) == sorted(learnt["curves"])
    assert min(learnt["curves"].values()) >= 4 and sum(learnt["curves"].values()) > 200


def test_figures_in_sample_and_left_out_stand_side_by_side():
    for figures in read_prior()["figures"].values():
        strengths = {name.split(",")[0] for name in figures if name != "start"}
        assert set(figures) == {"start"} | {f"{s}, {kind}" for s in strengths for kind in ("in sample", "left out")}
        for row in figures.values():
            assert set(row) == set(figures["start"])
            assert all(set(entry) == {"rmsle", "crps", "density"} for entry in row.values())
            assert all(np.isfinite(value) for entry in row.values() for value in entry.values())


def test_only_a_belief_that_held_on_data_sets_left_out_differs_from_the_start():
    learnt = read_prior()
    for group in GROUPS:
        assert (learnt["beliefs"][group] == learnt["start"][group]) == (learnt["strength"][group] == 0)
        if learnt["strength"][group]:
            figures = learnt["figures"][group]
            left_out = figures[f"strength {learnt['strength'][group]:g}, left out"]
            ratio = [np.log(left_out[name]["crps"] / figures["start"][name]["crps"]) for name in left_out]
            assert np.mean(ratio) < 0 and max(ratio) <= 0.02


def test_what_is_believed_depends_on_the_domain_and_on_the_number_of_sizes():
    known = read_beliefs()
    assert belief_about(4, "psnr") == belief_about(5, "ssim") == known["reconstruction few"]
    assert belief_about(4, "error") == known["other few"]
    many = belief_about(int(BETWEEN[1]), "psnr")
    assert many == belief_about(40, "error")
    np.testing.assert_allclose(many.curve.kinds, known[MANY].curve.kinds)
    assert many.noise.noise == pytest.approx(known[MANY].noise.noise)


@QUICK
@given(st.floats(0, 1))
def test_a_mixture_lies_between(share):
    known = read_beliefs()
    few, many = known["other few"], known[MANY]
    mixed = mix_beliefs(few, many, share)
    for part in ("curve", "noise"):
        for name, value in vars(getattr(mixed, part)).items():
            ends = np.array([getattr(getattr(end, part), name) for end in (few, many)])
            assert (np.array(value) >= ends.min(0) - 1e-12).all() and (np.array(value) <= ends.max(0) + 1e-12).all()
    assert sum(mixed.curve.kinds) == pytest.approx(1)
    assert np.log(mixed.noise.noise) == pytest.approx(
        (1 - share) * np.log(few.noise.noise) + share * np.log(many.noise.noise)
    )


WRONG = {
    "floor": (1.2, "found 1.2; it is a number above 0 to 1"),
    "exponent": (0, "found 0; it is a number above 0"),
    "second": (-0.1, "found -0.1; it is a number from 0 to 1"),
    "after": (float("nan"), "found nan; it is a number above 0"),
    "before": ("1", "found '1'; it is a number above 0"),
    "shift": (True, "found True; it is a number above 0 to 1"),
    "kinds": ([0.5, 0.3, 0.1, 0.2], "the sum of these probabilities is 1"),
    "kinds ": ([0.5, 0.5], "they are 4 probabilities"),
    "kinds  ": ([1.1, 0.1, -0.1, -0.1], "found 1.1; it is a number above 0 to 1"),
    "kinds   ": (0.25, "found 0.25; they are 4 probabilities"),
    "sharpness": (None, "found None; it is a number above 0"),
    "colour": (1.0, "and nothing else"),
}


@pytest.mark.parametrize(("name", "value", "said"), [(name, *told) for name, told in WRONG.items()])
def test_a_wrong_number_is_named(name, value, said):
    given_ = copy.deepcopy(read_prior()["beliefs"])
    given_["other few"]["curve"][name.strip()] = value
    with pytest.raises(UserError) as told:
        parse_beliefs("prior.json, beliefs", given_)
    assert str(told.value).startswith("prior.json, beliefs, other few, ")
    assert said in str(told.value)


@pytest.mark.parametrize("value", [None, [], 3, {"curve": {}}, {"curve": [], "noise": {}}])
def test_something_else_than_a_belief_is_refused(value):
    with pytest.raises(UserError, match="other few"):
        parse_beliefs("here", {**read_prior()["beliefs"], "other few": value})


def test_a_missing_belief_is_refused():
    with pytest.raises(UserError, match="reconstruction few, other few, many"):
        parse_beliefs("here", {MANY: read_prior()["beliefs"][MANY]})


def test_another_version_is_refused(tmp_path, monkeypatch):
    (tmp_path / "prior.json").write_text(json.dumps({**read_prior(), "version": 99}))
    monkeypatch.setattr(prior, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match="found version 99"):
        read_prior.__wrapped__()


def test_forecasts_follow_the_file(make, monkeypatch):
    """Without a floor in what is believed there is none in what is forecast."""
    points = make(0.3, 1, 0.5, metric="psnr")
    assert forecast(points, 1e4).known["floor"].probability > 0.5
    few = read_beliefs()["reconstruction few"]
    none = replace(few, curve=replace(few.curve, floor=1e-9))
    monkeypatch.setattr(posterior, "read_beliefs", lambda: {**read_beliefs(), "reconstruction few": none})
    assert forecast(points, 1e4).known["floor"].probability < 0.5


def test_nothing_is_read_at_import():
    code = "import reconscale.laws.curve.prior as p; import reconscale.laws; print(p.read_prior.cache_info().misses)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "0"
