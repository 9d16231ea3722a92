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
    # One of four: by hand, 1 - (1 - low)^4 = 0.025, so low = 1 - 0.975^(1/4) = 0.0063: 1 % is not excluded.
    assert found.late_low == pytest.approx(1 - 0.975**0.25)
    assert found.is_trusted
    assert found.late_words.startswith("1 of 4 requests (25.0%, 95 % interval 0.6% to 80.6%) left more than")
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


def sent_late(n: int, late: int):
    """A test of ``n`` requests, all answered after 5 ms, of which ``late`` left 2 ms after their time."""
    due = np.arange(n) * 10 * MS
    lag = np.where(np.arange(n) < late, 2 * MS, 0)
    ends, tiers, notes = [ANSWERED] * n, ["tier_1"] * n, [()] * n
    return summarise(CONSTANT, 0, Timings(due, due + lag + 1, due + 5 * MS, ends, tiers, notes, [{}] * n))


def test_one_late_request_of_sixty_is_no_reason_to_fail_but_sixty_are_too_few_for_a_p99():
    found = sent_late(60, 1)  # 20 a second for 3 s
    assert found.problem is None
    assert found.cautions[0].startswith("too few requests to judge p99: 60 of 368 needed")
    assert found.latency.p99_high_ms is None
    assert found.latency.p50_low_ms == found.latency.p50_high_ms == 5


def test_lateness_is_a_problem_only_where_more_than_one_in_a_hundred_is_shown():
    assert sent_late(1_000, 0).cautions == ()
    # scipy.stats.binomtest(k, 1000).proportion_ci(0.95, "exact"): 10 -> 0.0048 to 0.0183; 18 -> 0.0107
    some = sent_late(1_000, 10)
    assert some.problem is None
    assert "is not settled" in some.cautions[0]
    many = sent_late(1_000, 18)
    assert "18 of 1,000 requests (1.8%, 95 % interval 1.1% to 2.8%)" in many.problem
    assert many.cautions == ()
    # Of few requests one in ten may be late, because their p50 is all that is judged: 8 of 60 are at least
    # 5.9 %, 16 of 60 at least 16.1 %.
    assert sent_late(60, 8).problem is None
    assert "16 of 60" in sent_late(60, 16).problem


def test_a_p99_has_an_interval_of_values_that_were_seen():
    values = np.arange(1.0, 1_001.0)
    found = Percentiles.of(np.random.default_rng(0).permutation(values))
    # scipy.stats.binom(1000, .99): P(B <= 982) = 0.0138, P(B <= 983) = 0.0264; P(B <= 994) = 0.9339,
    # P(B <= 995) = 0.9713, P(B <= 996) = 0.9900
    assert (found.p99_ms, found.p99_low_ms, found.p99_high_ms) == (990, 983, 997)
    # binom(1000, .5): P(B <= 468) = 0.0231, P(B <= 469) = 0.0268; P(B <= 531) = 0.9769
    assert (found.p50_ms, found.p50_low_ms, found.p50_high_ms) == (500, 469, 532)


def test_synthetic_rows_are_a_caution_and_rows_of_a_dataset_are_not():
    base = sent_late(1_000, 0)
    made_up = base.replace(rows={"kind": "synthetic", "words": "synthetic rows"})
    assert "says nothing about real traffic" in made_up.cautions[0]
    assert base.replace(rows={"kind": "dataset", "words": "rows"}).cautions == ()


def test_the_mark_of_the_model_that_answered_stands_with_the_figures():
    base = sent_late(1_000, 0)
    model = {"model": "m", "simulated": True, "cautions": ["simulated: judged on simulated data only"]}
    assert base.replace(model=model).mark == "simulated: judged on simulated data only"
    assert base.replace(model={**model, "simulated": False}).mark == ""
    assert "does not say" in base.mark


def test_only_one_source_of_requests_may_be_named():
    with pytest.raises(ContractError, match="--dataset and --bodies"):
        CONSTANT.replace(dataset="d", bodies_file="b")


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
