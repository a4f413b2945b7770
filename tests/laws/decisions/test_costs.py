import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Costs, Hours, decide, hours_of, price

COSTS = Costs(Hours(0.01, 1.0), per_hour=2.0, per_image=5.0, currency="EUR")


def test_hours_are_a_power_law_of_what_was_measured():
    n, p = (column.ravel() for column in np.meshgrid([10.0, 100.0, 1000.0], [1e4, 1e5, 1e6]))
    made = hours_of(n, 3600 * 0.002 * n**0.8 * p**0.3, p)
    assert (made.scale, made.by_n, made.by_p) == pytest.approx((0.002, 0.8, 0.3))
    assert made(50, 2e5) == pytest.approx(0.002 * 50**0.8 * 2e5**0.3)


def test_what_hours_do_not_show_is_assumed():
    steps = hours_of([100.0, 100.0], [3600.0, 3600.0], [1e4, 2e4])
    assert (steps.by_n, steps.by_p) == pytest.approx((0.0, 0.0))
    one_p = hours_of([100.0, 200.0], [3600.0, 7200.0], [1e4, 1e4])
    assert (one_p.by_n, one_p.by_p) == pytest.approx((1.0, 1.0))
    assert one_p(100, 2e4) == pytest.approx(2.0)
    assert hours_of([100.0, 200.0], [10.0, 5.0]).by_n == 0


def test_a_bill_counts_only_the_images_that_are_missing():
    bill = COSTS.bill(1000, None, have=600, runs=3)
    assert (bill.images, bill.hours, bill.total) == (400, 30, 2060)
    assert str(bill) == "2,100 EUR (400 more images and 30 GPU-hours)"
    assert Costs(COSTS.hours, have=5000).bill(1000, None, have=600).images == 0
    assert str(Costs(COSTS.hours).bill(100, None, have=600)) == "1.0 GPU-hours"


def test_the_price_of_a_step_on_a_law_without_noise(make):
    made = price(make(0.0, 1.0, 0.5, metric="psnr", noise=0.0), COSTS)
    assert (made.step, made.unit) == (0.1, "dB")
    assert made.n.median == pytest.approx(3000 * 10**0.02, rel=0.01)
    assert made.images.median == pytest.approx(3000 * (10**0.02 - 1), rel=0.2)
    assert made.hours.median == pytest.approx(0.01 * made.n.median)
    assert made.total.median == pytest.approx(5 * made.images.median + 2 * made.hours.median)


def test_what_no_data_bring_has_an_infinite_price(make):
    made = price(make(0.2, 1.0, 1.5, metric="psnr", noise=0.002), COSTS)
    assert made.images.median == np.inf
    assert made.total.never == made.n.never > 0.5
    assert "is not expected from more data (the chance that more data never brings it is" in made.sentence


def test_without_the_price_of_an_hour_there_is_no_total(make):
    made = price(make(0.1, 1.0, 0.5, metric="ssim", unit="slices"), Costs(Hours(1.0, 0.0)))
    assert made.total is None
    assert made.step == 0.01
    assert made.hours.median in (1.0, np.inf)


def test_decide_says_what_each_doubling_costs(make):
    answer = decide(make(0.0, 1.0, 0.5, metric="psnr"), costs=COSTS)
    assert (answer.cost_n.images, answer.cost_n.hours) == (3000, 60)
    assert answer.sentence.endswith("Doubling n costs 15,000 EUR (3,000 more images and 60 GPU-hours).")
    assert answer.cost_p is None


def test_refusals(make):
    for wrong in ({"per_hour": -1}, {"per_hour": np.nan}, {"per_hour": 1, "per_image": -2}, {"have": np.inf}):
        with pytest.raises(UserError, match="0 or more is expected"):
            Costs(Hours(1, 1), **wrong)
    with pytest.raises(UserError, match="say what an hour of training costs too"):
        Costs(Hours(1, 1), per_image=3)
    with pytest.raises(UserError, match="0 or more hours are expected"):
        price(make(0.0, 1.0, 0.5), Costs(lambda n, p: float("nan")))
    with pytest.raises(UserError, match="hours_of, seconds: found shape"):
        hours_of([1, 2], [1])
    with pytest.raises(UserError, match="leave out runs without a time"):
        hours_of([1, 2], [1, np.nan])
