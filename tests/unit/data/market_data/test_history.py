"""Facts as they became known: frames beat metadata, hindsight stays out of features, matching has the truth.

Times are small numbers: only their order matters.
"""

from collections import Counter

import pytest

from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.history import (
    history_of,
    joined_tellings,
    record_before,
    steps_of,
    told_fees,
)
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, ToldFees
from kalshi_platform.domain.fee_schedule import terms_at
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.market_history import constant_history

SPEC = MarketSpec(ticker="M", event="E", open_ns=1, close_ns=100)
OUTCOME = Settlement(ticker="M", value_e4=10_000, determined_ns=120)


def record(settled: bool = True, **changes: object) -> MarketRecord:
    return MarketRecord(SPEC.replace(**changes), OUTCOME if settled else None, grid_declared=False)


def test_metadata_alone_are_taken_for_known_since_the_opening_and_that_is_counted() -> None:
    counters = Counter[str]()
    history = history_of(record(), [], counters)
    assert [(k.known_ns, k.close_ns, k.clock_ns) for k in history.known] == [(None, 100, 100)]
    assert history.close_ns == 100
    assert +counters == {"close_assumed_known_since_open": 1}


def test_the_real_end_of_a_market_that_closed_early_is_no_feature() -> None:
    counters = Counter[str]()
    early = record(can_close_early=True, expected_expiration_ns=500)
    (known,) = history_of(early, [], counters).known
    assert (known.close_ns, known.clock_ns) == (None, 500)
    assert history_of(early, [], counters).close_ns == 100  # matching knows better
    assert counters["early_close_kept_from_features"] == 2


@pytest.mark.parametrize(("settled", "first"), [(True, None), (False, 100)])
def test_a_close_that_frames_tell_holds_from_its_frame_on(settled: bool, first: int | None) -> None:
    told = [Told(3, 40, MarketFacts(close_ns=300)), Told(5, 70, MarketFacts(close_ns=80))]
    history = history_of(record(settled), told, Counter())
    assert [k.close_ns for k in history.known] == [first, 300, 80]
    assert [k.known_ns for k in history.known] == [None, 40, 70]
    assert history.close_ns == (100 if settled else 80)


def test_trading_ends_with_the_determination_at_the_latest() -> None:
    told = [Told(0, 40, MarketFacts(close_ns=300)), Told(9, 90, MarketFacts(close_ns=300, determined_ns=88))]
    assert history_of(record(False), told, Counter()).close_ns == 88


def test_two_recorders_tell_one_story() -> None:
    first = [Told(0, 10, MarketFacts(open_ns=1)), Told(4, 30, MarketFacts(open_ns=1, close_ns=7))]
    second = [Told(2, 20, MarketFacts(close_ns=9))]
    joined, numbers = joined_tellings([first, second])
    assert [t.facts for t in joined] == [
        MarketFacts(open_ns=1),
        MarketFacts(open_ns=1, close_ns=9),
        MarketFacts(open_ns=1, close_ns=7),
    ]
    assert numbers == [[1, 3], [2]]


def test_a_close_told_before_the_opening_makes_both_unknown_and_is_counted() -> None:
    open_late = SPEC.replace(open_ns=50, close_ns=100)
    told = [Told(3, 60, MarketFacts(close_ns=40)), Told(5, 70, MarketFacts(close_ns=90))]
    counters = Counter[str]()
    history = history_of(MarketRecord(open_late, None, grid_declared=False), told, counters)
    assert [(k.open_ns, k.close_ns) for k in history.known] == [(50, 100), (None, None), (50, 90)]
    assert counters["close_before_open"] == 1
    assert history.close_ns == 90  # the last telling agrees again
    history = history_of(MarketRecord(open_late, None, grid_declared=False), told[:1], Counter())
    assert history.close_ns is None  # nobody knows the end


def test_fees_come_from_the_market_and_from_what_is_told_of_its_series_and_event() -> None:
    spec = SPEC.replace(series="KXA", event="KXA-1", open_ns=5)
    own = FeeTelling(fee_multiplier_e6=500_000)
    override = FeeTelling(fee_multiplier_e6=0, at_ns=50)
    maker = FeeTelling(fee_type="quadratic_with_maker_fees")
    table = FeeTable({"KXA": (maker,), "KXB": (own,)}, {"KXA-1": (override,), "KXA-2": (own,)})
    fees = steps_of(spec, told_fees(MarketRecord(spec, None, True, own_fees=(own,)), table))
    found = [(terms_at(fees, t).fee_type, terms_at(fees, t).fee_multiplier_e6) for t in (49, 50)]
    assert found == [("quadratic_with_maker_fees", 500_000), ("quadratic_with_maker_fees", 0)]
    bare = MarketRecord(
        MarketSpec(ticker="KXB-9-A", event="KXB-9"), None, False
    )  # the event names its series
    assert terms_at(steps_of(bare.spec, told_fees(bare, table)), 0).fee_multiplier_e6 == 500_000


def test_a_record_of_a_market_that_was_built_before_tells_the_fees_that_were_told() -> None:
    own = FeeTelling(fee_multiplier_e6=500_000)
    told = ToldFees(event=(FeeTelling(at_ns=50, fee_multiplier_e6=0),), own=(own,))
    spec = SPEC.replace(fee_multiplier_e6=500_000)
    history = constant_history(spec).replace(fees=steps_of(spec, told), fees_told=told)
    before = record_before(spec, None, history, False)
    assert (before.event_fees, before.own_fees) == (told.event, told.own)
    assert before.spec.fee_multiplier_e6 == 1_000_000  # a record's specification carries no fees
    # An earlier version kept the steps alone: they count as told by the market itself.
    silent = history.replace(fees_told=ToldFees())
    again = record_before(spec, None, silent, False)
    assert again.event_fees == ()
    for at_ns in (49, 50, 60):
        terms = terms_at(steps_of(spec, told_fees(again, FeeTable())), at_ns)
        assert terms.fee_multiplier_e6 == terms_at(history.fees, at_ns).fee_multiplier_e6
    plain = constant_history(SPEC).replace(fees=steps_of(SPEC, ToldFees()))
    assert record_before(SPEC, None, plain, False).own_fees == ()  # defaults were told by nobody
