"""What is said of prices, breaks, spreads and networks that grow with n."""

from __future__ import annotations

from reconscale.laws import Costs, Points, infer

GROWING = Points([1, 1, 2, 2, 4, 4], [25.0, 25.5, 26.6, 26.0, 27.2, 27.0], [0, 1] * 3,
                 [100, 100, 200, 200, 400, 400], "psnr")  # fmt: skip


def codes(points: Points) -> dict[str, str]:
    return {item.code: item.text for item in infer(points).forecast([8.0]).findings}


def test_networks_that_grow_with_n() -> None:
    said = codes(GROWING)
    assert "correlation 1.00" in said["p-follows-n"]
    assert "from p = 100 at n = 1 to p = 400 at n = 4" in said["p-assumed"]
    assert "selected-on-test" not in said, "there was no choice of networks at any n"
    one = codes(Points(GROWING.n, GROWING.y, GROWING.seed, [100] * 6, "psnr"))
    assert not {"p-follows-n", "p-assumed"} & set(one)


def test_networks_that_were_chosen_at_each_n() -> None:
    n, p = [1, 1, 2, 2, 4, 4], [100, 400, 100, 400, 100, 400]
    said = codes(Points(n, [25.0, 24, 26, 25.9, 26.1, 27], [0] * 6, p, "psnr"))
    assert "p-assumed" in said and "p-follows-n" not in said and "selected-on-test" in said


def test_no_break_is_placed_by_few_sizes() -> None:
    few = Points([10, 100, 1000], [25.0, 26, 26.5], [0] * 3, metric="psnr")
    assert set(infer(few).forecast([2000]).known) == {"exponent", "slope", "floor"}
    assert "break" in infer(Points([10, 30, 100, 300], [25.0, 26, 26.5, 27], metric="psnr")).forecast([600]).known


def test_no_spread_without_replicates() -> None:
    once = infer(Points([10, 100, 1000], [25.0, 26, 26.5], [0] * 3, metric="psnr")).decide()
    assert once.error_bar is None and "we measure 26.50 dB." in once.sentence
    assert "±" in infer(GROWING).decide().sentence


def test_images_are_whole_and_what_costs_nothing_is_not_priced() -> None:
    price = infer(GROWING).price(Costs(lambda n, p: 0.0, 0.0, 0.0))
    assert price.images.low >= 1 and "at a cost" not in price.sentence and " 0 to never" not in price.sentence
    assert "at a cost of 2.0" in infer(GROWING).price(Costs(lambda n, p: 0.0, 0.0, 2.0)).sentence
