"""Books that contradict themselves, the prints or the tickers are ended; for a moment they may."""

from collections import Counter

import pytest
from made.market_rows import SPEC, MadeMarket, messages_of

from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_LAST,
    GAP,
    NO,
    QUOTE,
    SNAPSHOT,
    TICKER,
    TRADE,
    YES,
    MarketRows,
    concat,
    take,
)  # fmt: skip


def book(yes: int = 4_200, no: int = 5_500) -> MadeMarket:
    """A book of one bid a side: 0.42 to 0.45."""
    return MadeMarket().snapshot([(yes, 100)], [(no, 100)])


def after(market: MadeMarket) -> tuple[list[int], dict[str, int]]:
    """Kinds of the rows that pass after the first message, and the counters; equal one message at a time."""
    rows, counted = market.admit()
    door, counters, parts = Door(SPEC, True), Counter[str](), list[MarketRows]()
    every = market.rows()
    for message in messages_of(every):
        parts.append(door.admit(take(every, message), Origin("f", "row", 0), counters))
    assert counters == counted
    assert [c.tobytes() for c in concat(parts)] == [c.tobytes() for c in rows]
    return rows.kind.tolist()[3:], dict(counted)


# Crossed


def test_a_book_crossed_for_a_moment_is_only_counted() -> None:
    market = book().delta(YES, 4_600, 50).wait(49).delta(NO, 5_500, -100).wait(60).delta(YES, 4_600, 1)
    assert after(market) == ([DELTA] * 3, {"crossed_transient": 1})


@pytest.mark.parametrize("price", [4_500, 9_900], ids=["locked", "crossed"])
def test_a_book_that_stays_crossed_ends_at_the_next_message_and_begins_with_a_snapshot(price: int) -> None:
    market = book().delta(YES, price, 50).wait(51).delta(YES, 4_000, 1).delta(YES, 4_100, 1)
    market.snapshot([(4_300, 1)]).delta(YES, 4_300, 1)
    kinds, counted = after(market)
    assert kinds == [DELTA, GAP, SNAPSHOT, SNAPSHOT, DELTA]
    assert counted == {"books_ended:crossed": 1, "deltas_quarantined": 2}


def test_messages_while_crossed_do_not_set_the_clock_back() -> None:
    market = book().delta(YES, 4_600, 50).wait(40).delta(YES, 4_700, 1).wait(40).print(YES, 4_500)
    assert after(market) == ([DELTA, DELTA, GAP, TRADE], {"books_ended:crossed": 1})


def test_a_crossed_snapshot_starts_the_clock_and_one_that_uncrosses_late_comes_after_a_gap() -> None:
    market = book(4_600).wait(100).snapshot([(4_200, 1)])
    assert after(market) == ([GAP, SNAPSHOT, SNAPSHOT], {"books_ended:crossed": 1})


def test_a_gap_that_is_there_already_ends_a_crossed_book_by_itself() -> None:
    assert after(book().delta(YES, 4_600, 50).wait(100).gap()) == ([DELTA, GAP], {})


def test_crossed_quotes_follow_the_same_rule_and_prove_nothing_after_a_gap() -> None:
    market = MadeMarket().quote(4_200, 4_500).quote(4_600, 4_500).wait(30).quote(4_400, 4_500)
    market.quote(4_500, 4_500).wait(60).quote(4_600, 4_500).quote(4_300, 4_500)
    rows, counted = market.admit()
    assert rows.kind.tolist() == [QUOTE] * 8 + [GAP] + [QUOTE] * 2
    assert counted == {"crossed_transient": 1, "books_ended:crossed": 1, "quotes_quarantined": 2}


# Prints


def test_prints_through_a_best_price_that_stays_end_the_book() -> None:
    market = book().print(YES, 4_600).wait(10).print(YES, 4_700).wait(2_001).delta(YES, 4_000, 1)
    kinds, counted = after(market.print(YES, 4_600).delta(YES, 4_000, 1))
    assert kinds == [TRADE, TRADE, DELTA, GAP, TRADE]
    assert counted == {"books_ended:print_through": 1, "deltas_quarantined": 1}


def test_prints_of_a_taker_of_no_are_held_against_the_bid() -> None:
    kinds, _ = after(book().print(NO, 4_100).wait(2_001).print(NO, 4_100))
    assert kinds == [TRADE, GAP, TRADE]


@pytest.mark.parametrize(
    "market",
    [
        book().print(YES, 4_600).wait(1_990).print(YES, 4_600),  # within the bound
        book().print(YES, 4_500).wait(5_000).print(YES, 4_400),  # at the ask, and better than it
        book().print(YES, 4_600).delta(NO, 5_500, -100).delta(NO, 5_400, 1).wait(5_000).print(YES, 4_600),
        book().print(YES, 4_600).print(YES, 4_500).wait(5_000).print(YES, 4_600),  # one that agrees
        book()
        .print(YES, 4_600, FLAG_LAST | FLAG_BLOCK)
        .wait(5_000)
        .print(YES, 4_600, FLAG_LAST | FLAG_BLOCK),
        book().print(YES, 4_600).wait(5_000).print(NO, 4_200),  # the other side's
        MadeMarket().snapshot([(100, 1)]).print(YES, 4_600).wait(5_000).print(YES, 4_600),  # no ask
    ],
)
def test_other_prints_end_nothing(market: MadeMarket) -> None:
    rows, counted = market.admit()
    assert GAP not in rows.kind
    assert not counted


def test_prints_beside_quotes_or_without_a_book_are_not_held_against_anything() -> None:
    for market in (MadeMarket().quote(4_200, 4_500), MadeMarket()):
        rows, counted = market.print(YES, 9_000).wait(5_000).print(YES, 9_000).admit()
        assert GAP not in rows.kind
        assert not counted


# Tickers


def test_tickers_that_differ_from_the_same_best_price_for_long_end_the_book() -> None:
    market = book().ticker(4_300, 4_500).wait(2_001).ticker(4_300, 4_500).delta(YES, 4_200, 1)
    kinds, counted = after(market)
    assert kinds == [GAP]
    assert counted == {"books_ended:ticker_disagrees": 1, "tickers_checked": 2, "deltas_quarantined": 1}


@pytest.mark.parametrize(
    "market",
    [
        book().ticker(4_300, 4_500).wait(1_990).ticker(4_300, 4_500),  # within the bound
        book().ticker(4_300, 4_500).ticker(4_200, 4_500).wait(3_000).ticker(4_300, 4_500),  # one agrees
        book().ticker(4_300, 4_500).delta(YES, 4_300, 1).wait(3_000).ticker(4_200, 4_500),  # the book moved
        book().ticker(4_200, 4_500).wait(3_000).ticker(4_200, 4_500),
        book().ticker(4_300, 4_500).gap().wait(3_000).ticker(4_300, 4_500),
        MadeMarket().snapshot([(4_200, 1)]).ticker(4_200, 10_000).wait(3_000).ticker(4_200, -1),  # no ask
    ],
)
def test_tickers_that_agree_or_trail_end_nothing_and_no_ticker_passes(market: MadeMarket) -> None:
    rows, counted = market.admit()
    assert TICKER not in rows.kind
    assert not [name for name in counted if name.startswith("books_ended")]


def test_a_ticker_before_any_book_is_dropped_and_counted() -> None:
    rows, counted = MadeMarket().ticker(4_200, 4_500).admit()
    assert (rows.kind.size, counted) == (0, {"tickers_without_book": 1})
