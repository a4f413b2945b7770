"""Parts of the model of a surface."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from reconscale.laws.surface.model import _log_sum


def test_the_log_of_a_sum_is_that_of_scipy_to_the_last_bit() -> None:
    logs = 30.0 * np.random.default_rng(0).standard_normal((200, 35))
    logs[0, :3] = logs[0].max()
    logs[1] -= 1e5
    np.testing.assert_array_equal(_log_sum(logs), logsumexp(logs, axis=1))
