"""Points from results: what each column is."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.results.measurements import points_from_results
from reconscale.study import runs_of

from .synthetic import result_of, study_of


@pytest.mark.parametrize(
    ("profile", "error"),
    [
        ("psnr-rgb-clip", lambda v: 10 ** (-v / 10)),
        ("psnr-y", lambda v: 10 ** (-v / 10)),
        ("ssim-uniform7", lambda v: 1 - v),
    ],
)
def test_errors_of_images_are_in_the_metric_of_the_profile(profile, error):
    results = [result_of(run) for run in runs_of(study_of())[:3]]
    made = points_from_results(results, profile=profile, test_set="test")
    values = np.array([[image[profile] for image in result.images["test"].values()] for result in results])
    assert made.images is not None
    np.testing.assert_allclose(made.images, error(values), rtol=1e-12)
