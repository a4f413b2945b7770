"""Prices where nobody timed the runs."""

from __future__ import annotations

import numpy as np
import pytest

import reconscale as rs

CURVE = rs.infer(rs.Points(n=np.repeat([50, 100, 200, 400], 3), y=np.tile([0.0, 0.01, -0.01], 4)
                           + 25 + np.log10(np.repeat([50, 100, 200, 400], 3)), metric="psnr"))  # fmt: skip


def test_images_alone_have_a_price() -> None:
    price = CURVE.price(rs.Costs(per_image=5, currency="EUR"))
    assert price.total is not None and price.total.median == pytest.approx(5 * price.images.median)
    assert "EUR" in price.sentence and "of training" not in price.sentence


def test_nothing_at_all_has_a_price() -> None:
    price = CURVE.price(rs.Costs())
    assert price.total is None and price.images.median > 0 and "needs" in price.sentence


def test_hours_that_nobody_knows_have_none() -> None:
    with pytest.raises(rs.UserError, match="the hours of a run are not known; give hours=hours_of"):
        rs.Costs(per_hour=2)
