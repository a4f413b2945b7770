import numpy as np
import pytest

from reconscale.mistakes import Mistake
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.filters import Converged, Flow
from reconscale.theory.population import Population


@pytest.mark.parametrize("n", [1, 7, 19, 20, 21, 300])
def test_a_flow_of_no_time_leaves_the_power_and_an_endless_one_converges(n):
    variances = np.geomspace(1e-6, 2, 20)
    population = Population(variances, np.ones(20), 1 / (1 + variances), floor=0.3)
    equivalent = Equivalent(population, n)
    assert equivalent.risk(Flow(1e-30)) == pytest.approx(population.power, rel=1e-12)
    if n < 19:
        assert equivalent.risk(Flow(1e30)) == pytest.approx(equivalent.risk(Converged()), rel=1e-10)
    if n > 20:
        assert equivalent.risk(Flow(1e30)) == pytest.approx(0.3 * n / (n - 20), rel=1e-10)


def test_there_is_no_size_below_one():
    with pytest.raises(Mistake, match="1 or more"):
        Equivalent(Population([1], [1], [1], 0), 0.5)
