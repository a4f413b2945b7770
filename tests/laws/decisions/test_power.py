import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, norm, t

from reconscale.errors import UserError
from reconscale.laws import METRICS, Points, decide, size_test_set
from reconscale.laws.decisions.power import compute_power, contributions, count_needed, resolve_difference
from reconscale.laws.decisions.resolution import compare_sizes, judge_test_set, pair_methods, pair_runs
from reconscale.laws.unit_values import UnitValues, mean_by_group


@pytest.mark.parametrize(
    ("effect", "power", "level", "paired", "units"),
    [  # G*Power 3.1 and R's power.t.test, in every textbook
        (0.5, 0.8, 0.05, True, 34),
        (0.5, 0.9, 0.05, True, 44),
        (0.2, 0.8, 0.05, True, 199),
        (0.8, 0.8, 0.05, True, 15),
        (0.5, 0.8, 0.05, False, 64),
        (0.2, 0.8, 0.05, False, 394),
        (0.8, 0.8, 0.05, False, 26),
        (0.5, 0.9, 0.05, False, 86),
    ],
)
def test_published_sizes(effect, power, level, paired, units):
    assert count_needed(effect, 1.0, power=power, significance=level, paired=paired) == units


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 3000), st.floats(1e-3, 5.0), st.sampled_from([0.01, 0.05, 0.2]), st.booleans())
def test_power_is_that_of_the_noncentral_t(units, effect, level, paired):
    dof = units - 1 if paired else 2 * units - 2
    shift = effect * np.sqrt(units if paired else units / 2)
    bound = t.isf(level / 2, dof)
    expected = nct.sf(bound, dof, shift) + nct.cdf(-bound, dof, shift)
    if np.isfinite(expected):  # its lower tail is not, for large noncentralities
        assert compute_power(effect, 1.0, units, significance=level, paired=paired) == pytest.approx(expected, abs=3e-6)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.02, 0.6), st.floats(0.8, 0.99), st.floats(0.001, 0.1), st.booleans())  # the far tail is left out
def test_size_is_near_the_closed_form(effect, power, level, paired):
    """Guenther (1981): (z_alpha/2 + z_beta)^2 / effect^2 with z^2/2 (z^2/4 of two groups) for the unknown spread."""
    z = norm.isf(level / 2)
    closed = ((z + norm.ppf(power)) / effect) ** 2 * (1 if paired else 2) + z**2 / (2 if paired else 4)
    needed = count_needed(effect, 1.0, power=power, significance=level, paired=paired)
    assert abs(needed - closed) <= 2 + 0.003 * closed


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 500), st.floats(0.55, 0.99), st.floats(0.001, 0.2), st.booleans(), st.floats(1e-6, 1e6))
def test_what_is_resolved_has_the_power_and_scales(units, power, level, paired, sd):
    resolved = resolve_difference(sd, units, power=power, significance=level, paired=paired)
    assert compute_power(resolved, sd, units, significance=level, paired=paired) == pytest.approx(power, abs=1e-6)
    assert count_needed(resolved * 1.001, sd, power=power, significance=level, paired=paired) <= units


def test_power_is_that_of_simulated_tests():
    rng = np.random.default_rng(0)
    sets = rng.standard_normal((20000, 13)) + 1.0
    seen = np.mean(np.abs(sets.mean(1) / sets.std(1, ddof=1) * np.sqrt(13)) > t.isf(0.025, 12))
    assert compute_power(1.0, 1.0, 13) == pytest.approx(seen, abs=0.02)


@pytest.mark.parametrize("metric", ["psnr", "ssim", "error", "nmse", "accuracy"])
def test_contributions_average_to_the_gain(metric):
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.2, 0.3, 50), rng.uniform(0.18, 0.28, 50)
    one, other = contributions(first, second, METRICS[metric])
    known = METRICS[metric]
    before, after = (known.to_error(values.mean()) for values in (first, second))
    assert other.mean() - one.mean() == pytest.approx(float(known.gain(before, after)))


def test_error_of_a_gain_in_per_cent_is_that_of_bootstrap():
    rng = np.random.default_rng(1)
    first = rng.gamma(4.0, 1.0, 200)
    second = 0.9 * first * np.exp(0.2 * rng.standard_normal(200))
    again = rng.integers(0, 200, (4000, 200))
    gains = 100 * (1 - second[again].mean(1) / first[again].mean(1))
    one, other = contributions(first, second, METRICS["error"])
    assert (other - one).std(ddof=1) / np.sqrt(200) == pytest.approx(gains.std(), rel=0.05)


def test_groups_count_and_not_slices():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(12), 30)
    first = 30 + 2 * rng.standard_normal(360)
    second = first + 0.1 + (0.3 * rng.standard_normal(12))[patient] + 0.05 * rng.standard_normal(360)
    slices = size_test_set(first, second, metric="psnr", difference=0.1)
    patients = size_test_set(first, second, metric="psnr", difference=0.1, groups=patient, noun="patients")
    assert (slices.units, patients.units) == (360, 12)
    assert slices.enough and not patients.enough and patients.resolves > 3 * slices.resolves
    assert "12 patients can tell" in patients.sentence


def test_unpaired_needs_far_more():
    rng = np.random.default_rng(0)
    first = 30 + 2 * rng.standard_normal(60)
    second = first + 0.1 + 0.1 * rng.standard_normal(60)
    paired, unpaired = (size_test_set(first, second, metric="psnr", difference=0.1, paired=word) for word in (1, 0))
    assert paired.needed < 30 and unpaired.needed > 5000
    assert "in each test set" in unpaired.sentence
    assert size_test_set(first, second[:40], metric="psnr", paired=False).units == 40


def test_few_units_and_skewness_are_said():
    rng = np.random.default_rng(0)
    few = size_test_set(rng.normal(30, 1, 5), rng.normal(30, 1, 5), metric="psnr")
    assert [item.code for item in few.findings] == ["few-test-units"]
    assert few.needed_low < few.needed < few.needed_high
    told = float(few.findings[0].text.split()[-1])  # the interval that is said beside it lies within that factor
    assert few.needed_high <= 1.05 * told * few.needed and few.needed <= 1.05 * told * few.needed_low
    first = rng.normal(30, 1, 40)
    skewed = size_test_set(first, first + rng.exponential(0.1, 40) ** 2 * 10, metric="psnr", difference=0.1)
    assert [item.code for item in skewed.findings] == ["skewed-differences"]
    assert "sees them more often" in skewed.findings[0].text


@pytest.mark.parametrize(
    ("first", "second", "options", "words"),
    [
        ([30.0], [31.0], {}, "found 1 image; nothing says how another one would differ"),
        ([30.0, 31.0], [31.0, 32.0], {}, "differ by the same on all"),
        ([30.0, 31.0], [31.0, 33.0, 34.0], {}, "found 2 and 3 images"),
        ([30.0, 31.0], [31.0, 33.0], {"difference": 0}, "a difference above 0 is expected"),
        ([30.0, 31.0], [31.0, 33.0], {"difference": float("nan")}, "a difference above 0"),
        ([30.0, 31.0], [31.0, 33.0], {"power": 1.0}, "a chance from 0.5 to below 1"),
        ([30.0, 31.0], [31.0, 33.0], {"significance": 0}, "a chance above 0"),
        ([30.0, 31.0], [31.0, float("inf")], {}, "not finite"),
        ([30.0, 31.0], [31.0, 33.0], {"groups": ["a"]}, "found 1 for 2 images"),
        ([30.0, 31.0], [31.0, 33.0], {"groups": ["a", "a"]}, "found 1 image"),
        ([0.1, -0.1], [0.2, 0.3], {"metric": "error"}, "an error below 0"),
    ],
)
def test_refused(first, second, options, words):
    with pytest.raises(UserError, match=words):
        size_test_set(first, second, **{"metric": "psnr", **options})


def test_more_units_than_there_are_images_in_the_world():
    with pytest.raises(UserError, match="no test set tells that apart"):
        count_needed(1e-6, 1.0)
    rng = np.random.default_rng(0)
    made = size_test_set(rng.normal(30, 9, 9), rng.normal(30, 9, 9), metric="psnr", difference=1e-5)
    assert made.needed == 10**9 and "takes more than 1,000,000,000 images" in made.sentence


def measured(sd, gain, *, seeds=1, wobble=0.0, noun="images", units=40, metric="psnr"):
    """Runs at 100, 200, 400: each doubling gains ``gain`` dB on average, with ``sd`` over images."""
    rng = np.random.default_rng(0)
    base, step = 28 + 2 * rng.standard_normal(units), gain + sd * rng.standard_normal(units)
    n = np.repeat([100.0, 200.0, 400.0], seeds)
    rows = [base + step * np.log2(size / 100) + wobble * rng.standard_normal(units) for size in n]
    values = UnitValues(np.array(rows), tuple(f"unit {k}" for k in range(units)), noun)
    return Points(n, values.values.mean(1), np.tile(np.arange(seeds), 3), metric=metric, per_unit=values)


def test_too_small_a_test_set_is_found_and_said():
    points = measured(0.5, 0.1, noun="patients", units=12)
    found = judge_test_set(points, 0.1)
    assert [item.code for item in found] == ["test-set-too-small"]
    assert "12 patients of the test set can tell" in found[0].text
    answer = decide(points, worthwhile=0.1)
    assert "test-set-too-small" in [item.code for item in answer.findings]
    assert "Note that the 12 patients" in answer.sentence


def test_large_gains_are_no_alarm_but_noise_of_seeds_is():
    assert judge_test_set(measured(0.4, 1.5), 0.1) == ()  # images differ in proportion to the gain
    assert judge_test_set(measured(0.05, 0.1), 0.1) == ()
    assert judge_test_set(measured(0.4, 1.5), 0.0) == ()
    noisy = measured(0.4, 1.5, seeds=2, wobble=0.5)
    assert compare_sizes(noisy, 200.0, 400.0).floor == pytest.approx(0.5, rel=0.15)
    assert [item.code for item in judge_test_set(noisy, 0.1)] == ["test-set-too-small"]


def test_one_patient_says_nothing_of_others():
    found = judge_test_set(measured(0.1, 0.2, noun="patients", units=1), 0.1)
    assert "the test set is one patient (unit 0)" in found[0].text
    with pytest.raises(UserError, match="found 1 patient"):
        pair_runs(measured(0.1, 0.2, noun="patients", units=1))[0].size("psnr")


def test_points_without_images_say_nothing():
    points = Points([10, 30, 100], [28.0, 29.0, 29.5], metric="psnr")
    assert judge_test_set(points, 0.1) == ()
    with pytest.raises(UserError, match="no values of single images"):
        pair_runs(points)


def test_images_of_a_table_are_read_as_values():
    rng = np.random.default_rng(0)
    psnr = 30 + rng.standard_normal((2, 30))
    points = Points([10, 30], psnr.mean(1), metric="psnr", images=10 ** (-psnr / 10))
    pair = pair_runs(points)[0]
    assert np.allclose(pair.values, psnr) and (pair.first, pair.second) == ("n = 10", "n = 30")


def test_pairs_of_sizes_widths_and_seeds():
    rng = np.random.default_rng(0)
    n, width, seed = (
        np.array(c) for c in zip(*[(a, w, s) for a in (10, 30) for w in (8, 16) for s in (0, 1)], strict=True)
    )
    y = 28 + np.log10(n) + 0.01 * width
    units = UnitValues(y[:, None] + rng.normal(0, 0.1, (8, 20)), tuple(map(str, range(20))))
    points = Points(n, y, seed, width=width, validation=y, metric="psnr", per_unit=units)
    names = [(pair.first, pair.second) for pair in pair_runs(points)]
    assert names == [("n = 10", "n = 30"), ("width 8", "width 16"), ("seed 0", "seed 1")]
    rows = points.rows(points.n == 30)
    assert rows.per_unit is not None and np.array_equal(rows.per_unit.values, units.values[points.n == 30])
    with pytest.raises(UserError, match="8, as many as n has"):
        Points(n, y, metric="psnr", per_unit=units.rows([0, 1]))


def test_methods_are_matched_by_the_names_of_units():
    one, other = (UnitValues(np.array([v]), names) for v, names in (([1.0, 2.0], ("a", "b")), ([4.0, 3.0], ("b", "a"))))
    assert pair_methods(one, other, ("x", "y")).values.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(UserError, match="such as 'a'"):
        pair_methods(one, UnitValues(np.array([[4.0, 3.0]]), ("b", "c")), ("x", "y"))


def test_means_by_group():
    means, names = mean_by_group(np.array([[1.0, 3.0, 10.0]]), ["p1", "p1", "p2"])
    assert means.tolist() == [[2.0, 10.0]] and names == ("p1", "p2")
