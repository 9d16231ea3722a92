"""The one door: rows have the same fate however they come, and live and replay agree on all of it."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.both_doors import (
    FATES,
    TICKER,
    assert_doors_agree,
    assert_same_rows,
    delta,
    imported,
    lifecycle,
    lived,
    one_connection,
    silence,
    snapshot,
    trade,
    write_frames,
)
from made.market_rows import CENTS, SPEC, TAPERED, TENTHS, MadeMarket, bands, messages_of, stretches

from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.faults import MAX_QTY_E2, Origin
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
    concat,
    take,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import UNKNOWN_QTY

# Fates


def kinds(rows: MarketRows) -> list[int]:
    return rows.kind.tolist()


def test_a_sound_market_passes_untouched() -> None:
    market = MadeMarket().snapshot([(4_200, 100)], [(5_500, 50)]).delta(NO, 5_500, -50)
    rows = market.add(TRADE, YES, 4_500, 50).rows()
    counters: Counter[str] = Counter()
    assert Door(SPEC, True).admit(rows, market.origin(), counters) is rows
    assert not counters


def test_a_level_below_zero_becomes_a_gap() -> None:
    market = MadeMarket().snapshot([(4_200, 100)]).delta(YES, 4_200, -101).delta(YES, 4_200, 5)
    rows, counted = market.snapshot([(4_000, 1)]).admit()
    assert kinds(rows) == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT, SNAPSHOT]
    gap = (rows.side[2], rows.price_e4[2], rows.qty_e2[2], rows.flags[2])
    assert gap == (NO_SIDE, -1, UNKNOWN_QTY, FLAG_LAST)
    assert counted == {"books_ended:level_below_zero": 1, "deltas_quarantined": 1}


def test_deltas_without_a_book_are_dropped_and_counted() -> None:
    market = MadeMarket().delta(YES, 4_200, 5).snapshot([(4_200, 100)]).gap()
    market.delta(YES, 4_200, -900).delta(NO, 100, 1)
    rows, counted = market.snapshot([(4_300, 7)]).delta(YES, 4_300, -7).admit()
    assert kinds(rows) == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT, SNAPSHOT, DELTA]
    assert counted == {"deltas_before_snapshot": 1, "deltas_quarantined": 2}


def test_a_print_whose_delta_is_dropped_ends_its_message() -> None:
    rows, _ = MadeMarket().fill(NO, 5_800, 5).admit()
    assert kinds(rows) == [TRADE]
    assert rows.flags.tolist() == [FLAG_LAST]


def test_a_gap_of_any_length_passes() -> None:
    rows, _ = MadeMarket().snapshot([(4_200, 100)]).gap(MAX_QTY_E2 * 5).admit()
    assert kinds(rows) == [SNAPSHOT, SNAPSHOT, GAP]


def test_a_lost_message_takes_the_book_with_it_unless_it_is_a_print() -> None:
    market = Door(SPEC, True)
    counters: Counter[str] = Counter()
    market.admit(MadeMarket().snapshot([(4_200, 100)]).rows(), Origin("f", "row", 1), counters)
    assert market.lose(MadeMarket().add(TRADE, YES, 4_250, 1).rows()) is None
    gap = market.lose(MadeMarket().delta(YES, 4_250, 1).rows())
    assert gap is not None
    assert kinds(gap) == [GAP]
    late = MadeMarket().delta(YES, 4_200, 1).rows()
    assert market.admit(late, Origin("f", "row", 2), counters).kind.size == 0
    assert counters == {"deltas_quarantined": 1}


# The grid in force


def test_an_undeclared_grid_follows_the_prices_and_a_declared_one_does_not() -> None:
    market = MadeMarket().snapshot([(10, 5)]).delta(YES, 4_210, 5)
    door = Door(SPEC, declared=False)
    door.admit(market.rows(), market.origin(), Counter())
    assert (door.spec.price_ranges, door.tick_e4, door.inferred) == (TENTHS, 10, TENTHS)
    with pytest.raises(DataError, match=r"line 101.*grid .*: 10;"):
        market.admit(SPEC, declared=True)


def test_a_price_finer_than_a_tenth_of_a_cent_makes_no_grid_of_its_own() -> None:
    door = Door(SPEC, declared=False)
    with pytest.raises(DataError, match="4211"):
        door.admit(MadeMarket().snapshot([(4_211, 5)]).rows(), Origin("f", "row", 1), Counter())
    assert (door.spec.price_ranges, door.inferred) == (CENTS, None)


def test_a_grid_that_frames_tell_holds_from_the_next_row_on_and_resting_orders_stay() -> None:
    door, counters = Door(SPEC.replace(price_ranges=TENTHS), True), Counter[str]()
    market = MadeMarket().snapshot([(4_210, 5), (4_200, 5)]).delta(YES, 4_200, -4).delta(YES, 4_210, 1)
    messages = [take(market.rows(), m) for m in messages_of(market.rows())]
    door.admit(messages[0], Origin("f", "row", 1), counters)
    door.take_facts(MarketFacts(price_ranges=CENTS))
    assert (door.spec.price_ranges, door.tick_e4) == (CENTS, 10)
    assert door.admit(messages[1], Origin("f", "row", 2), counters) is messages[1]
    with pytest.raises(DataError, match=r"row 3, .*4210"):
        door.admit(messages[2], Origin("f", "row", 3), counters)


# However the rows are cut

PRICE = st.sampled_from([100, 110, 4_200, 4_210, 4_300, 9_900])
MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), st.dictionaries(PRICE, st.integers(1, 4), max_size=3)),
        *[st.tuples(st.just("delta"), st.integers(0, 1), PRICE, st.integers(-4, 5))] * 3,
        st.tuples(st.just("fill"), st.integers(0, 1), PRICE, st.integers(1, 3)),
        st.tuples(st.just("gap")),
        st.tuples(st.just("wait"), st.sampled_from([30, 1_500])),
        st.tuples(st.just("print"), st.integers(0, 1), PRICE),
        st.tuples(st.just("ticker"), st.sampled_from([-1, 4_200]), st.sampled_from([-1, 5_700, 5_800])),
        st.tuples(st.just("quote"), PRICE, PRICE),
        st.tuples(st.just("tell"), st.sampled_from([CENTS, TAPERED, TENTHS, bands(0, 1, 10_000)])),
    ),
    min_size=1,
    max_size=40,
)


def made(messages: list[tuple[Any, ...]]) -> tuple[MadeMarket, list[tuple[int, MarketFacts]]]:
    """The market of ``messages``, and what was told at which row."""
    market, told = MadeMarket(), []
    for kind, *said in messages:
        if kind == "tell":
            told.append((len(market.buffer), MarketFacts(price_ranges=said[0])))
        elif kind == "snapshot":
            market.snapshot(list(said[0].items()))
        else:
            getattr(market, kind)(*said)
    return market, told


def passed(door: Door, parts: list[MarketRows]) -> tuple[MarketRows, Counter[str], str]:
    """What passes of ``parts`` that follow one another, and the words of the first refusal."""
    counters: Counter[str] = Counter()
    out = []
    try:
        for part in parts:
            out.append(door.admit(part, Origin("f", "row", part.seq), counters))
    except DataError as err:
        return concat(out), counters, str(err)
    return concat(out), counters, ""


@settings(max_examples=300)
@given(messages=MESSAGES, declared=st.booleans(), cuts=st.lists(st.integers(0, 50), max_size=5))
def test_rows_have_the_same_fate_however_they_are_cut(
    messages: list[tuple[Any, ...]], declared: bool, cuts: list[int]
) -> None:
    rows = made([m for m in messages if m[0] != "tell"])[0].rows()
    if rows.kind.size == 0:
        return
    ways = [[rows], list(stretches(rows, cuts)), [take(rows, m) for m in messages_of(rows)]]
    doors = [Door(SPEC, declared) for _ in ways]
    (whole, counted, refused), *others = [passed(d, p) for d, p in zip(doors, ways, strict=True)]
    if not refused:
        kept, refusals = Door(SPEC, declared).admit_recording(rows, Origin("f", "row", rows.seq), Counter())
        assert (refusals, kept.kind.tolist()) == ([], whole.kind.tolist())
    for door, (parts, counters, why) in zip(doors[1:], others, strict=True):
        assert bool(why) == bool(refused)
        if refused:
            continue
        assert counters == counted
        assert (door.spec, door.tick_e4) == (doors[0].spec, doors[0].tick_e4)
        for a, b in zip(parts, whole, strict=True):
            assert a.tobytes() == b.tobytes()


# Where the importer and live used to differ: live's answer holds for both


def test_a_level_below_zero_ends_the_book_until_the_next_snapshot_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    frames = one_connection(
        snapshot(1, {"0.4200": "75.00", "0.4300": "12.00"}),
        delta(2, "0.4300", "-20.00"),
        delta(3, "0.4200", "1.00"),
        snapshot(4, {"0.4200": "75.00", "0.4300": "12.00"}),
        delta(5, "0.4300", "-2.00"),
    )
    both = assert_doors_agree(write_frames(tmp_path / "c.jsonl", frames))
    assert both.rows[TICKER].valid.tolist() == [1, 0, 1, 1]
    assert both.rows[TICKER].bid_qty_e2[-1, 0] == 1_000
    assert both.counters["books_ended:level_below_zero"] == both.counters["deltas_quarantined"] == 1


def test_a_hole_of_any_length_is_a_gap(tmp_path: Path) -> None:
    frames = one_connection(
        snapshot(1, {"0.4200": "75.00"}), delta(10 * MAX_QTY_E2, "0.4200", "1.00"),
    )  # fmt: skip
    both = assert_doors_agree(write_frames(tmp_path / "c.jsonl", frames))
    assert both.markets[TICKER].rows.qty_e2[-1] == 10 * MAX_QTY_E2 - 2


# Random recordings

CENT = st.integers(1, 45).map(lambda cents: f"0.{cents:02d}00")  # yes + no < 1: no snapshot is crossed
TENTH = st.tuples(st.integers(1, 45), st.sampled_from("012")).map(lambda p: f"0.{p[0]:02d}{p[1]}0")
ANY_PRICE = st.one_of(CENT, CENT, TENTH)
NEAR = st.sampled_from(["0.4000", "0.4000", "0.4100", "0.4010"])
SIZE = st.integers(1, 5).map(lambda n: f"{n}.00")
TICKERS = (TICKER, "KXDEMO-26DEC01-T60")
WHO = st.sampled_from(TICKERS)
STEP = st.sampled_from([1] * 12 + [0, 2, 10**12])
FRAMES = st.lists(
    st.one_of(
        st.tuples(
            st.just("snapshot"), WHO, STEP, st.dictionaries(st.one_of(NEAR, ANY_PRICE), SIZE, max_size=3),
            st.dictionaries(ANY_PRICE, SIZE, min_size=1, max_size=2),
        ),
        *[
            st.tuples(
                st.just("delta"), WHO, STEP, NEAR, st.integers(-4, 5).map(lambda n: f"{n}.00"),
                st.sampled_from(["yes", "yes", "no"]),
            )
        ] * 4,
        st.tuples(st.just("trade"), WHO, ANY_PRICE, SIZE),
        st.tuples(st.just("delta"), WHO, STEP, st.just("0.6000"), SIZE, st.sampled_from(["yes", "no"])),
        st.tuples(st.just("wait"), st.sampled_from([30, 60, 3_000])),
        st.tuples(st.just("grid"), WHO, st.sampled_from([CENTS, TAPERED, TENTHS])),
        st.tuples(st.just("state"), WHO, st.sampled_from(["activated", "deactivated"])),
        st.tuples(st.just("reconnect")),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


def recording(steps: list[tuple[Any, ...]]) -> list[tuple[int, dict[str, Any]]]:
    """(connection, message) of every step; a trade of each market ends them, so that both are imported."""
    conn, seq = 1, 0
    frames: list[tuple[int, dict[str, Any]]] = []
    for n, (kind, *said) in enumerate(steps):
        if kind == "wait":
            frames.append(silence(*said))
        elif kind == "reconnect":
            conn, seq = conn + 1, 0
        elif kind == "snapshot":
            ticker, step, yes, no = said
            seq += step
            frames.append((conn, snapshot(seq, yes, no, ticker)))
        elif kind == "delta":
            ticker, step, price, qty, side = said
            seq += step
            frames.append((conn, delta(seq, price, qty, side, ticker)))
        elif kind == "trade":
            ticker, price, qty = said
            frames.append((conn, trade(n, price, qty, ticker)))
        elif kind == "grid":
            frames.append((conn, lifecycle("price_level_structure_updated", said[1], said[0])))
        else:
            frames.append((conn, lifecycle(said[1], None, said[0])))
    return frames + [(conn, trade(10**6 + n, "0.4000", "1.00", ticker)) for n, ticker in enumerate(TICKERS)]


@settings(max_examples=150, deadline=None)
@given(steps=FRAMES)
def test_any_recording_gives_the_same_rows_imported_and_live(steps: list[tuple[Any, ...]]) -> None:
    """Refused messages included: importing puts aside what a live session refuses."""
    with TemporaryDirectory() as folder:
        capture = write_frames(Path(folder) / "c.jsonl", recording(steps))
        replay, live = imported(capture), lived(capture)
        refused = sum(n for name, n in replay.counters.items() if name.startswith("rows_refused:"))
        assert bool(refused) == bool(live.refused)
        if replay.counters["markets_put_aside"]:
            return
        for ticker, rows in replay.rows.items():
            assert_same_rows(live.rows[ticker], rows, ticker)
        for name in (*FATES, "books_ended:crossed", "books_ended:print_through", "crossed_transient"):
            assert live.counters[name] == replay.counters[name], name
