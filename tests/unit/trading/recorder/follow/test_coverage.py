"""Coverage: shares worked by hand, and never more proven than wanted."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.trading.recorder.follow.coverage import MarketCoverage, RecordingCoverage, total_share
from kalshi_platform.trading.recorder.follow.live_book import Change

A, B = "KXA-1", "KXB-1"


def of(coverage: RecordingCoverage, now: int, ticker: str = A) -> MarketCoverage:
    (found,) = [m for m in coverage.markets(now) if m.ticker == ticker]
    return found


def test_a_market_is_covered_from_its_first_snapshot_less_its_holes():
    coverage = RecordingCoverage()
    coverage.want([A], 100)
    coverage.change(A, Change(110, True))  # 10 without a book
    coverage.change(A, Change(150, False))  # proven 40
    coverage.change(A, Change(175, True))  # a hole of 25
    # now 200: wanted 100, proven 40 + 25 = 65; one hole, of 25
    assert of(coverage, 200) == MarketCoverage(A, 100, 200, 100, 65, 1, 25, True, True)
    assert of(coverage, 200).share == 0.65


def test_a_hole_begins_where_the_connection_was_last_heard():
    coverage = RecordingCoverage()
    coverage.change(A, Change(100, True))
    coverage.lose([A], 140)  # found out at 160, say
    assert of(coverage, 160)[3:5] == (60, 40)


def test_an_outcome_ends_the_wanted_time():
    coverage = RecordingCoverage()
    coverage.change(A, Change(100, True))
    coverage.change(A, Change(150, True, ended=True))
    coverage.change(A, Change(160, False))
    assert of(coverage, 900)[2:5] == (150, 50, 50)


def test_a_market_that_was_left_out_for_a_while_is_not_wanted_then():
    coverage = RecordingCoverage()
    coverage.change(A, Change(100, True))
    coverage.unwant([A], 150)
    coverage.want([A], 400)
    coverage.change(A, Change(410, True))
    # wanted 50 + 100, proven 50 + 90
    assert of(coverage, 500)[3:5] == (150, 140)


def test_time_between_two_runs_counts_where_both_want_the_market():
    coverage = RecordingCoverage()
    for ticker in (A, B):
        coverage.change(ticker, Change(100, True))
    coverage.start_run(150)
    coverage.want([A], 300)
    coverage.change(A, Change(300, True))
    assert of(coverage, 400) == MarketCoverage(A, 100, 400, 300, 150, 1, 150, True, True)
    assert of(coverage, 400, B) == MarketCoverage(B, 100, 150, 50, 50, 1, 0, False, False)
    assert total_share(coverage.markets(400)) == 200 / 350


STEP = st.tuples(
    st.sampled_from(["want", "unwant", "prove", "gap", "lose", "end", "run"]), st.integers(0, 50)
)


@given(st.lists(STEP, max_size=30))
def test_proven_time_never_exceeds_wanted_time(steps):
    coverage, now = RecordingCoverage(), 0
    for name, passed in steps:
        now += passed
        match name:
            case "want":
                coverage.want([A], now)
            case "unwant":
                coverage.unwant([A], now)
            case "prove":
                coverage.change(A, Change(now, True))
            case "gap":
                coverage.change(A, Change(now, False))
            case "lose":
                coverage.lose([A], now - passed // 2)
            case "end":
                coverage.change(A, Change(now, False, ended=True))
            case _:
                coverage.start_run(now)
    for market in coverage.markets(now + 10):
        assert 0 <= market.proven_ns <= market.wanted_ns <= now + 10
        assert 0.0 <= market.share <= 1.0
