"""A market fed message by message gives the rows that importing its whole recording gives."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_BLOCK,
    FLAG_LAST,
    NO_SIDE,
    STATUS,
    TRADE,
    MarketRows,
    take,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.serving.live.market import LiveMarket

SPEC = MarketSpec(ticker="M-1", event="M", open_ns=0, close_ns=10**15)
LEVELS = st.dictionaries(st.integers(1, 99).map(lambda cents: cents * 100), st.integers(1, 500), max_size=4)
SIDE = st.integers(0, 1)
MESSAGES = st.one_of(
    st.tuples(st.just("snapshot"), LEVELS, LEVELS),
    *[st.tuples(st.just("delta"), SIDE, st.integers(38, 42), st.integers(-400, 400))] * 4,
    st.tuples(
        st.just("trade"), SIDE, st.integers(1, 99), st.integers(1, 400), st.sampled_from([0, FLAG_BLOCK])
    ),
    st.tuples(st.just("gap")),
    st.tuples(st.just("status"), st.integers(1, 5)),
)


def rows_of(messages: list[tuple], steps_ns: list[int]) -> MarketRows:
    buffer, now_ns = RowBuffer(), 1
    for seq, (what, *said) in enumerate(messages, start=1):
        now_ns += steps_ns[seq % len(steps_ns)]
        if what == "snapshot":
            buffer.add_snapshot(now_ns, 1, seq, list(said[0].items()), list(said[1].items()), seq)
        elif what == "delta":
            side, cents, qty = said
            buffer.add(now_ns, -1, 1, seq, DELTA, side, cents * 100, qty, FLAG_LAST, seq)
        elif what == "trade":
            side, cents, qty, block = said
            buffer.add(now_ns, -1, 2, seq, TRADE, side, cents * 100, qty, FLAG_LAST | block, seq)
        elif what == "gap":
            buffer.add_gap(now_ns, 1, seq, 3, seq)
        else:
            buffer.add_status(now_ns, -1, 3, seq, said[0], seq)
    return buffer.rows()[0]


def one_by_one(market: LiveMarket, rows: MarketRows) -> tuple[list[Rows], Counter[str]]:
    """Copies of the rows a market gives for its messages, and what it counted."""
    counters: Counter[str] = Counter()
    out = []
    begin = 0
    for end in (np.flatnonzero(rows.flags & FLAG_LAST) + 1).tolist():
        for row in market.apply(take(rows, slice(begin, end)), begin, counters):
            out.append(Rows(*(column.copy() for column in row)))
        begin = end
    return out, counters


@settings(max_examples=200)
@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=40),
    steps_ns=st.lists(st.sampled_from([0, 1, 10**6, 10**10]), min_size=1, max_size=5),
)
def test_rows_and_counts_equal_those_of_importing(messages: list[tuple], steps_ns: list[int]) -> None:
    rows = rows_of(messages, steps_ns)
    lines = np.arange(rows.kind.size)
    counted: Counter[str] = Counter()
    kept = Door(SPEC, True).admit(rows, Origin("f", "line", lines), counted)
    imported = build_rows(kept, SPEC)
    live, counters = one_by_one(LiveMarket(SPEC, True), rows)
    assert len(live) == imported.recv_ns.size
    for name, column in imported._asdict().items():
        if name == "burst_end":  # says where the next row stands: only matching in replay may know
            continue
        got = [getattr(row, name)[0] for row in live]
        np.testing.assert_array_equal(np.array(got, column.dtype).reshape(column.shape), column, err_msg=name)
    assert counters == counted


def message(kind: int, side: int, price_e4: int, qty_e2: int, now_ns: int = 5) -> MarketRows:
    buffer = RowBuffer()
    buffer.add(now_ns, -1, 1, 1, kind, side, price_e4, qty_e2, FLAG_LAST, 1)
    return buffer.rows()[0]


def snapshot(now_ns: int = 1) -> MarketRows:
    buffer = RowBuffer()
    buffer.add_snapshot(now_ns, 1, 1, [(4_000, 100)], [(5_000, 100)], 1)
    return buffer.rows()[0]


@pytest.mark.parametrize(
    ("bad", "valid_after"),
    [
        (message(DELTA, 0, 4_050, 1), 0),
        (message(DELTA, 7, 4_000, 1), 0),
        (message(STATUS, NO_SIDE, -1, 9), 0),
        (message(9, 0, 4_000, 1), 0),
        (message(TRADE, 0, 4_050, 1), None),
    ],
)
def test_a_refused_message_leaves_an_invalid_row_unless_no_book_can_have_changed(
    bad: MarketRows, valid_after: int | None
) -> None:
    market, rows = LiveMarket(SPEC, True), []
    assert [int(row.valid[0]) for row in market.apply(snapshot(), 1, Counter())] == [1]
    left = market.apply(bad, 2, Counter())
    with pytest.raises(DataError, match=r"stream: frame 2, market M-1"):
        rows.extend(int(row.valid[0]) for row in left)
    assert rows == ([] if valid_after is None else [valid_after])


def test_times_told_while_a_market_trades_hold_from_then_on() -> None:
    unknown = MarketSpec(ticker="M-1", event="M")
    late, early = LiveMarket(unknown, True), LiveMarket(unknown.replace(close_ns=10**15), True)
    list(late.apply(snapshot(), 1, Counter()))
    list(early.apply(snapshot(), 1, Counter()))
    facts = MarketFacts(close_ns=10**15)
    for market in (late, early):
        market.take_facts(facts, 4)
    told = [
        [row.features.copy() for row in market.apply(message(FACTS, NO_SIDE, -1, 1), 2, Counter())]
        for market in (late, early)
    ]
    np.testing.assert_array_equal(*told)


def test_a_lifecycle_frame_beats_what_the_metadata_said() -> None:
    market = LiveMarket(SPEC, True)
    market.take_facts(MarketFacts(open_ns=5, close_ns=7), 3)
    assert (market.spec.open_ns, market.spec.close_ns) == (5, 7)
    assert (market.known.known_ns, market.known.close_ns) == (3, 7)
