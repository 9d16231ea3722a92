"""The number of blocks that shows an edge: against tables, and against this house's own interval."""

import numpy as np
import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, block_mean_interval
from kalshi_platform.evaluation.statistics.power import blocks_for_power, blocks_needed, power_at


def test_the_published_sizes_of_a_one_sample_t_test():
    # Cohen 1988, G*Power; two-sided 5 %, power 80 %: d = 0.5 needs 34, d = 0.2 needs 199, d = 0.8 needs 15.
    assert [blocks_needed(1.0, d) for d in (0.5, 0.2, 0.8)] == [34, 199, 15]
    # The normal approximation ((1.959964 + 0.841621) / 0.5)^2 = 31.4 is a little less.
    assert power_at(34, 1.0, 0.5) >= 0.8 > power_at(33, 1.0, 0.5)


def test_small_edges_need_the_normal_number():
    # ((1.959964 + 0.841621) / 0.01)^2 = 78,488.8
    assert blocks_needed(1.0, 0.01) == 78_489
    assert blocks_needed(0.02, 0.0002) == 78_489
    assert blocks_needed(1.0, 1e-5) is None


@pytest.mark.parametrize(("n", "edge"), [(20, 0.5), (60, 0.3)])
def test_our_own_interval_has_that_power(n, edge):
    config, found = BootstrapConfig(resamples=800), 0
    rng = np.random.default_rng([5, n])
    for _ in range(300):
        found += block_mean_interval(rng.normal(edge, 1.0, n), config).above_zero
    # binomial sd of 300 draws at 0.6 is 0.028
    assert found / 300 == pytest.approx(power_at(n, 1.0, edge), abs=0.085)


def test_a_sample_gives_its_own_spread():
    returns = np.array([0.02, -0.01, 0.05, 0.0])  # sd (ddof 1) = sqrt(.0021 / 3) = .0264575
    assert blocks_for_power(returns, 0.0132) == blocks_needed(0.0264575, 0.0132)
    assert blocks_for_power(returns[:2], 0.01) is None
    assert blocks_for_power(np.full(5, 0.02), 0.01) == 3


def test_more_power_and_more_confidence_need_more():
    assert blocks_needed(1.0, 0.5, 0.9) > blocks_needed(1.0, 0.5, 0.8)
    assert blocks_needed(1.0, 0.5, confidence=0.99) > blocks_needed(1.0, 0.5)
    assert power_at(2, 0.0, 1.0) == 0.0


@pytest.mark.parametrize("wrong", [{"edge": 0.0}, {"edge": -1.0}, {"spread": float("nan")}, {"power": 1.0}])
def test_what_has_no_answer_is_refused(wrong):
    with pytest.raises(ContractError):
        blocks_needed(**({"spread": 1.0, "edge": 0.5} | wrong))
