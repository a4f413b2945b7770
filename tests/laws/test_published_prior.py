"""Published curves as prior knowledge: what is taken, what is tested, and what is refused."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, infer
from reconscale.laws.published_curves import published_curves
from reconscale.laws.published_prior import backtest_like, curves_like, infer_like

OWN = published_curves()["lodopab-200-fbp-unet-psnr"].points


def test_own_curve_is_not_its_own_prior():
    names = [curve.name for curve in curves_like(["ct"], OWN)]
    assert "lodopab-200-learnedgd-psnr" in names and "lodopab-200-fbp-unet-psnr" not in names
    with pytest.raises(UserError, match="only your own curve"):
        curves_like(["lodopab-200-fbp-unet-psnr"], OWN)
    for metric in ("lpips", "error"):
        with pytest.raises(UserError, match=f"values are an error .{metric}., and published curves are not"):
            curves_like(["ct"], Points([10, 30], [0.3, 0.2], metric=metric))


def test_largest_size_is_not_seen():
    """What is forecast for it does not depend on its value."""
    other = Points(OWN.n, [*OWN.y[:-1], 20.0], metric="psnr", unit="slices")
    curves = curves_like(["lodopab-200-learnedgd-psnr"], OWN)
    one, two = backtest_like(OWN, curves), backtest_like(other, curves)
    assert one.like.median == two.like.median and one.alone.median == two.alone.median
    assert one.error_like < two.error_like
    assert one.alone == infer(OWN).backtest()[0]
    made = infer_like(OWN.rows(OWN.n < 35_820), curves).forecast([35_820])
    assert float(made.median[0]) == one.like.median


def test_helped_is_the_closer_one():
    tested = backtest_like(OWN, curves_like(["denoising"], OWN))
    off = [abs(row.median - row.measured) for row in (tested.like, tested.alone)]
    assert tested.helped == (off[0] < off[1])


def test_what_n_counts_does_not_matter():
    curves = curves_like(["lodopab-200-learnedpd-psnr"], OWN)
    volumes = Points(OWN.n, OWN.y, metric="psnr", unit="volumes")
    made = [infer_like(points, curves).forecast([70_000]).median for points in (OWN, volumes)]
    np.testing.assert_array_equal(*made)


def test_three_sizes_are_too_few_to_test():
    assert backtest_like(OWN.rows(OWN.n < 3_000), curves_like(["ct"], OWN)) is None
