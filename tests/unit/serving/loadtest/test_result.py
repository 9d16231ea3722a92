"""What a load test found, worked out from the times of its requests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.loadtest.result import (
    ANSWERED,
    EDGES_MS,
    LoadConfig,
    Percentiles,
    Timings,
    summarise,
)

MS = 1_000_000
CONSTANT = LoadConfig(
    url="http://x", rate_per_s=100, duration_s=2, warm_up_s=0, arrivals="constant", target_ms=50
)


def test_the_warm_up_is_in_no_figure_and_the_generators_own_lateness_is_told():
    config = CONSTANT.replace(rate_per_s=1, warm_up_s=2, duration_s=4)
    due = np.arange(6) * 1_000 * MS
    lag = np.array([900, 900, 0, 0, 3, 0]) * MS
    took = np.array([900, 900, 10, 20, 30, 40]) * MS
    timings = Timings(
        due, due + lag, due + took, [ANSWERED] * 6, ["tier_3"] * 6, [()] * 6, [{"fill": 1.5}] * 6
    )
    found = summarise(config, 0, timings)
    assert found.intended == 4
    assert found.latency.max_ms == 40
    assert found.service.max_ms == 40  # 30 - 3 is less
    assert found.late_share == 0.25
    assert not found.is_trusted
    assert "25.0% of the requests left more than 1 ms late" in found.problem
    # Four answers from the first meant (2,000 ms) to the last done (5,040 ms).
    assert found.throughput_per_s == round(4 / 3.04, 2)
    assert found.stages["fill"].p50_ms == 1.5
    assert sum(moment.answered for moment in found.moments) == 4


def test_nothing_answered_is_a_problem_and_no_percentile():
    due = np.arange(3) * MS
    timings = Timings(due, due + 1, due * 0, ["timeout"] * 3, [""] * 3, [()] * 3, [{}] * 3)
    found = summarise(CONSTANT, 0, timings)
    assert found.latency is None
    assert found.within_target == 0
    assert found.problem == "no request was answered"


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=300))
def test_a_percentile_is_a_value_that_was_seen_and_not_exceeded_by_its_share(values):
    array = np.round(np.array(values), 4)
    found = Percentiles.of(array)
    for share, value in ((0.5, found.p50_ms), (0.9, found.p90_ms), (0.99, found.p99_ms)):
        assert value in array
        assert (array <= value).mean() >= share - 1e-12
        assert (array < value).mean() < share


@given(st.lists(st.floats(0, 1e5), max_size=200))
def test_the_histogram_counts_every_answer_once(values):
    due = np.arange(len(values), dtype=np.int64)
    done = due + np.round(np.array(values) * MS).astype(np.int64)
    n = len(values)
    timings = Timings(due, due + 1, done, [ANSWERED] * n, [""] * n, [()] * n, [{}] * n)
    found = summarise(CONSTANT, 0, timings)
    assert sum(found.histogram) == n
    assert len(found.histogram) == len(EDGES_MS) + 1


def test_too_many_requests_are_refused_with_the_number():
    with pytest.raises(ContractError, match="8,640,000,000 requests"):
        CONSTANT.replace(rate_per_s=100_000, duration_s=86_400)
