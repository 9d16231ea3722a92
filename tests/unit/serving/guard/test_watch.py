"""Figures of a served model over a window, and when they are reason to take it back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.serving.guard.watch import Figures, Watch, WatchConfig, crossing

MS, S = 1_000_000, 1_000_000_000


def test_figures_rest_on_the_window_and_latency_on_what_was_answered():
    watch = Watch(WatchConfig(window_s=10))
    watch.add(0, 500 * MS, failed=True)  # too old at 10 s + 1 ns
    for k in range(101):  # 0, 1, ..., 100 ms: the 99th percentile is 99 ms
        watch.add(5 * S, k * MS, failed=False)
    watch.add(6 * S, 900 * MS, failed=True)
    assert watch.figures(10 * S + 1) == Figures(requests=102, errors=1, p99_ms=99.0)
    assert watch.figures(10 * S).errors == 2
    assert watch.figures(100 * S) == Figures(0, 0, 0.0)
    assert (watch.total, Figures(0, 0, 0.0).error_rate) == (103, 0.0)


@given(
    st.lists(st.tuples(st.integers(0, S), st.integers(0, 100), st.booleans()), max_size=50),
    st.integers(0, 30 * S),
)
def test_figures_are_those_of_the_latest_requests_in_the_window(requests, until_ns):
    config = WatchConfig(window_s=5, max_requests=200)
    watch, told, now = Watch(config), [], 0
    for k, (gap_ns, latency_ms, failed) in enumerate(requests * 5):
        now += gap_ns
        watch.add(now, latency_ms * MS, failed)
        told.append((now, latency_ms, failed, k))
    found = watch.figures(now + until_ns)
    wanted = [r for r in told[-200:] if r[0] >= now + until_ns - 5 * S]
    answered = [r[1] for r in wanted if not r[2]]
    assert (found.requests, found.errors) == (len(wanted), sum(r[2] for r in wanted))
    assert found.p99_ms == pytest.approx(np.percentile(answered, 99) if answered else 0.0)


GOOD = Figures(requests=1_000, errors=0, p99_ms=4.0)


@pytest.mark.parametrize(
    ("found", "before", "words"),
    [
        (Figures(300, 0, 4.0), GOOD, ""),
        (Figures(4, 4, 0.0), GOOD, ""),  # 4 errors are not judged
        (Figures(5, 5, 0.0), GOOD, "5 of 5 requests failed (100.0%), allowed 5.0%"),
        # 5 of 200 = 2.5 %: within the bound, more than 2 points above 0.0 %
        (Figures(200, 5, 4.0), GOOD, "0.0% before and 2.0% more allowed"),
        (Figures(250, 5, 4.0), GOOD, ""),  # 2.0 %
        # 10 % failed before, 10 % fail now: taking back would not help
        (Figures(200, 20, 4.0), Figures(200, 20, 4.0), ""),
        (Figures(200, 25, 4.0), Figures(200, 20, 4.0), "12.5%), allowed 5.0%; 10.0% before"),
        (Figures(199, 0, 99.0), GOOD, ""),  # too few for a p99
        (Figures(200, 0, 75.5), Figures(0, 0, 0.0), "75.5 ms, allowed 75 ms"),
        (Figures(200, 0, 80.0), Figures(500, 0, 90.0), ""),  # slow before, too
        # 4 ms before: 14 ms are allowed (10 more, which is more than 3 times as much)
        (Figures(200, 0, 14.0), GOOD, ""),
        (Figures(200, 0, 14.1), GOOD, "14.1 ms, allowed 14.0 ms after 4.0 ms before"),
        # 20 ms before: 60 ms are allowed
        (Figures(200, 0, 60.0), Figures(200, 0, 20.0), ""),
        (Figures(200, 0, 60.1), Figures(200, 0, 20.0), "allowed 60.0 ms after 20.0 ms"),
        (Figures(200, 0, 60.1), Figures(199, 0, 20.0), ""),  # too little is known of before
    ],
)
def test_a_model_is_taken_back_where_it_crosses_a_bound_and_the_one_before_did_better(found, before, words):
    said = crossing(found, before, WatchConfig())
    assert words in said
    assert bool(said) == bool(words)
