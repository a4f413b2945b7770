"""What others have published about these laws, on curves that are skipped where they are not."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.named.fit import point_fit

# RMSLE at 512 M sentence pairs of a fit to all smaller sizes. M1: Alabdulmohsin et al. 2022, table 2; M3: the exact
# minimum of the published sum of squares, which their alternating scheme stops short of.
PUBLISHED = {
    "6 Enc, 6 Dec": (0.26, 0.0176),
    "28 Enc, 6 Dec": (0.17, 0.0164),
    "6 Enc, 28 Dec": (0.23, 0.0099),
    "Dec-only": (0.25, 0.0164),
    "TEnc-LSTM": (0.19, 0.0060),
}


def curves(shared):
    """Model -> (n, loss to fit), (n, loss held out)."""
    rows = defaultdict(lambda: ({}, {}))
    with (shared / "data" / "learning_curves" / "revisiting_nsl_lang.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["Domain"] == "NMT":
                part = rows[row["Model"]][0 if row["Training"] == "1" else 1]
                part[float(row["Seen Examples"])] = float(row["Loss"])
    return rows


def rmsle(law, seen, held):
    made = point_fit(Points(list(seen), list(seen.values())), law).evaluate(list(held))
    return float(np.sqrt(np.mean((np.log(made) - np.log(list(held.values()))) ** 2)))


@pytest.mark.parametrize("model", sorted(PUBLISHED))
def test_translation_curves(shared, model):
    seen, held = curves(shared)[model]
    m1, m3 = PUBLISHED[model]
    assert round(rmsle("M1", seen, held), 2) == m1
    assert rmsle("M3", seen, held) == pytest.approx(m3, abs=5e-5)
