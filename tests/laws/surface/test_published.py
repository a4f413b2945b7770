"""On the OLMo ladder: five sizes of network by five amounts of text, some twice."""

import numpy as np
import pytest

from reconscale.laws import Points, infer_surface

SPLITS = {
    "up to 760M": (lambda p, ratio: p < 8e8, 0.006),
    "up to 1.3B, up to twice the tokens": (lambda p, ratio: (p < 1.4e9) & (ratio <= 2), 0.0071),
    "all but 3B": (lambda p, ratio: p < 2e9, 0.006),
}
"""Which cells are seen, and the root mean square error of ln(loss) on the rest that is allowed.

The best of the published forms, fitted by least squares, has 0.0062, 0.0071 and 0.0056.
"""


@pytest.fixture
def ladder(shared, read):
    path = shared / "data" / "learning_curves" / "olmo_ladder_final_c4.csv"
    return read(path, "tokens", "N", "xC", "c4_loss")


@pytest.mark.parametrize("split", SPLITS)
def test_larger_networks_are_forecast(ladder, split):
    n, p, ratio, loss = ladder
    seen, allowed = SPLITS[split]
    seen = seen(p, ratio)
    made = infer_surface(Points(n[seen], loss[seen], p=p[seen]))
    away = np.log(made.median(n, p) / loss)
    assert np.sqrt((away[~seen] ** 2).mean()) <= allowed
    assert np.sqrt((away[p > 2e9] ** 2).mean()) <= allowed + 0.0005
    low, high = made.interval(n[~seen], p[~seen])
    assert ((low <= loss[~seen]) & (loss[~seen] <= high)).mean() >= 0.8
    assert made.couplings["additive"] < 0.2


def test_three_billion_from_a_quarter_of_that(ladder):
    n, p, _, loss = ladder
    made = infer_surface(Points(n[p < 8e8], loss[p < 8e8], p=p[p < 8e8]))
    large = p > 2e9
    assert np.sqrt((np.log(made.median(n[large], p[large]) / loss[large]) ** 2).mean()) <= 0.006
