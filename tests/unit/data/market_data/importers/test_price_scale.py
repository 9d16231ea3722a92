"""Price scale: evidence of each reading, the decision a connection, and the rows that follow from it."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from made.wire import M, Wire

from kalshi_platform.data.market_data.importers.price_scale import (
    AS_READ,
    CROSSED,
    MARKETS,
    MIRRORED,
    PRINTS,
    SIDED,
    SNAPSHOTS,
    TICKERS,
    settle_scales,
    weigh,
)
from kalshi_platform.data.market_data.schema import DELTA, NO, SNAPSHOT, MarketRows
from kalshi_platform.domain.errors import DataError

#: A book on the YES scale that neither reading contradicts: an ask at 0.45 reads as a NO bid at 0.45.
QUIET: dict[str, Any] = {"yes_dollars_fp": [["0.4300", "5.00"]], "no_dollars_fp": [["0.4500", "9.00"]]}


def settled(wire: Wire) -> tuple[dict[str, MarketRows], Counter[str]]:
    books = {t: (b.rows()[0], tuple(b.carried)) for t, b in wire.decoder.markets.items()}
    counters: Counter[str] = Counter()
    rows = settle_scales(books, "f.jsonl", counters)
    return rows, +counters


def no_prices(rows: MarketRows) -> list[int]:
    return rows.price_e4[(rows.side == NO) & np.isin(rows.kind, (SNAPSHOT, DELTA))].tolist()


def evidence(wire: Wire, compiled: bool = True) -> dict[int, tuple[int, ...]]:
    rows = wire.decoder.markets[M].rows()[0]
    found = np.zeros((6, 2), np.int64)
    columns = (rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags)
    run = weigh if compiled else weigh.py_func
    run(*columns, np.zeros((2, 10_001), np.int64), np.zeros(9, np.int64), found)
    return {kind: tuple(n) for kind, n in enumerate(found.tolist()) if any(n) and kind != SIDED}


def ticker(wire: Wire, bid: str, ask: str) -> None:
    wire.send("ticker", 3, None, {"market_ticker": M, "yes_bid_dollars": bid, "yes_ask_dollars": ask})


@pytest.mark.parametrize("compiled", [True, False])
def test_a_snapshot_speaks_for_the_reading_that_is_not_crossed(compiled: bool) -> None:
    wire = Wire()
    # asks at 0.45 and 0.70; read as NO bids the best one is 0.70, an ask of 0.30 under the bid of 0.43
    wire.snapshot(1, yes_dollars_fp=[["0.4300", "5.00"]], no_dollars_fp=[["0.4500", "1"], ["0.7000", "1"]])
    # NO bids at 0.10 and 0.55; as asks they begin at 0.10
    wire.snapshot(2, yes_dollars_fp=[["0.4300", "5.00"]], no_dollars_fp=[["0.1000", "1"], ["0.5500", "1"]])
    # crossed in both: it speaks for neither
    wire.snapshot(3, yes_dollars_fp=[["0.6000", "5.00"]], no_dollars_fp=[["0.5500", "1"]])
    wire.snapshot(4, **QUIET)
    assert evidence(wire, compiled) == {SNAPSHOTS: (1, 1), CROSSED: (2, 2)}


@pytest.mark.parametrize("compiled", [True, False])
def test_prints_and_tickers_speak_for_the_reading_whose_ask_they_show(compiled: bool) -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.trade(1, taker_side="yes", yes_price_dollars="0.4500")  # the ask, mirrored
    wire.trade(2, taker_side="yes", yes_price_dollars="0.5500")  # the ask, as read
    wire.trade(3, taker_side="yes", yes_price_dollars="0.5000")  # neither
    wire.trade(4, taker_side="no", yes_price_dollars="0.4500")  # at the bid side: tells nothing
    wire.trade(5, taker_side="yes", yes_price_dollars="0.4500", is_block_trade=True)
    ticker(wire, "0.4300", "0.4500")
    ticker(wire, "0.2000", "0.5500")  # of another moment: its bid is not the book's
    assert evidence(wire, compiled) == {PRINTS: (1, 1), TICKERS: (0, 1)}


@pytest.mark.parametrize("compiled", [True, False])
def test_a_print_may_come_after_the_change_that_it_caused(compiled: bool) -> None:
    wire = Wire()
    wire.snapshot(1, yes_dollars_fp=QUIET["yes_dollars_fp"], no_dollars_fp=[["0.4500", "9"], ["0.4700", "9"]])
    wire.delta(2, side="no", price_dollars="0.4500", delta_fp="-9.00")
    wire.trade(1, taker_side="yes", yes_price_dollars="0.4500")
    assert evidence(wire, compiled) == {PRINTS: (0, 1)}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("wait_ns", "lasts"), [(50_000_000, False), (60_000_000, True)])
def test_only_a_crossing_that_lasts_speaks_against_a_reading(
    wait_ns: int, lasts: bool, compiled: bool
) -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.delta(2, side="no", price_dollars="0.6000")  # an ask at 0.60, or a NO bid that crosses 0.43
    wire.at += wait_ns - 1
    wire.trade(1, taker_side="no", yes_price_dollars="0.4300")
    assert evidence(wire, compiled) == ({MARKETS: (0, 1)} if lasts else {})


@pytest.mark.parametrize("compiled", [True, False])
def test_a_gap_ends_what_is_known_of_the_book(compiled: bool) -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.delta(5, side="no", price_dollars="0.6000")
    wire.trade(1, taker_side="yes", yes_price_dollars="0.4500")
    assert evidence(wire, compiled) == {}


def test_one_reading_with_evidence_is_the_scale() -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.delta(2, side="no", price_dollars="0.4600")
    ticker(wire, "0.4300", "0.4500")
    rows, counters = settled(wire)
    assert no_prices(rows[M]) == [5_500, 5_400]
    assert counters == {"use_yes_price_found_out:true": 1}


def test_the_scale_of_a_recording_that_shows_nothing_is_said_to_be_unknown() -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.snapshot(2, "YES-ONLY", yes_dollars_fp=[["0.4300", "5.00"]])
    rows, counters = settled(wire)
    assert no_prices(rows[M]) == [4_500]
    assert counters == {"use_yes_price_unknown_assumed_false": 1}


def test_one_market_that_stays_crossed_decides_nothing_and_two_do() -> None:
    wire = Wire()
    for n, name in enumerate(("A", "B"), start=1):
        wire.snapshot(2 * n - 1, name, **QUIET)
        wire.delta(2 * n, name, side="no", price_dollars="0.6000")
    wire.at += 10**9
    wire.trade(1, "A", taker_side="no")
    _, counters = settled(wire)
    assert counters == {"use_yes_price_unknown_assumed_false": 1}
    wire.trade(2, "B", taker_side="no")
    rows, counters = settled(wire)
    assert no_prices(rows["A"]) == [5_500, 4_000]
    assert counters == {"use_yes_price_found_out:true": 1}


def test_each_connection_is_decided_on_its_own_and_a_silent_one_follows_the_others() -> None:
    wire = Wire()
    crossed: dict[str, Any] = {**QUIET, "no_dollars_fp": [["0.4500", "1"], ["0.9900", "1"]]}
    wire.snapshot(1, "A", conn=1, **crossed)
    wire.snapshot(1, "B", conn=2, **QUIET)
    rows, counters = settled(wire)
    assert (no_prices(rows["A"]), no_prices(rows["B"])) == ([5_500, 100], [5_500])
    wire.snapshot(1, "C", conn=3, **{**QUIET, "no_dollars_fp": [["0.0100", "1"], ["0.5500", "1"]]})
    rows, counters = settled(wire)
    assert [no_prices(rows[t]) for t in "ABC"] == [[5_500, 100], [4_500], [100, 5_500]]
    assert counters == {
        "use_yes_price_found_out:true": 1,
        "use_yes_price_found_out:false": 1,
        "use_yes_price_unknown_assumed_false": 1,
    }


def test_evidence_of_both_scales_is_refused_with_what_to_do() -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    ticker(wire, "0.4300", "0.4500")
    wire.trade(1, taker_side="yes", yes_price_dollars="0.5500")
    with pytest.raises(
        DataError,
        match=r"f\.jsonl: connection 1 shows both price scales: for use_yes_price=false: 1 prints; for "
        r"use_yes_price=true: 1 tickers; .*--use-yes-price, --no-use-yes-price, or a line \{\"conn\": 1",
    ):
        settled(wire)


def test_a_twentieth_of_the_evidence_does_not_count() -> None:
    wire = Wire()
    wire.snapshot(1, **QUIET)
    wire.trade(1, taker_side="yes", yes_price_dollars="0.5500")
    for _ in range(20):
        ticker(wire, "0.4300", "0.4500")
    _, counters = settled(wire)
    assert counters == {"use_yes_price_found_out:true": 1, "use_yes_price_evidence_outweighed": 1}


@pytest.mark.parametrize("given", [False, True])
def test_a_given_scale_is_followed_unless_all_evidence_speaks_against_it(given: bool) -> None:
    wire = Wire(use_yes_price=given)
    wire.snapshot(1, **QUIET)
    wire.trade(1, taker_side="yes", yes_price_dollars="0.4500" if given else "0.5500")
    ticker(wire, "0.4300", "0.5500" if given else "0.4500")  # one against one: nothing is refused
    rows, counters = settled(wire)
    assert no_prices(rows[M]) == [5_500 if given else 4_500]
    assert not counters
    wrong = Wire(use_yes_price=given)
    wrong.snapshot(1, **QUIET)
    ticker(wrong, "0.4300", "0.5500" if given else "0.4500")
    with pytest.raises(DataError, match=f"given as use_yes_price={str(given).lower()}, and all it shows .*"):
        settled(wrong)


def test_readings_have_the_numbers_that_the_table_uses() -> None:
    assert (AS_READ, MIRRORED) == (0, 1)


@pytest.mark.parametrize(("quiet", "turned"), [(18, True), (20, False)])
def test_crossed_snapshots_decide_only_where_they_are_not_rare(quiet: int, turned: bool) -> None:
    wire = Wire()
    both_sides = {"yes_dollars_fp": [["0.4200", "5.00"]], "no_dollars_fp": [["0.5500", "9.00"]]}
    for seq in range(1, quiet + 1):
        wire.snapshot(seq, f"{M}-{seq}", **both_sides)
    # a bid at 0.46 over the ask of 0.45: a lost message, or asks at 0.50 and 0.55 of the other scale
    crossed = {"yes_dollars_fp": [["0.4600", "5.00"]], "no_dollars_fp": [["0.5500", "1"], ["0.5000", "1"]]}
    wire.snapshot(quiet + 1, **crossed)
    rows, counters = settled(wire)
    assert (no_prices(rows[M]) == [4_500, 5_000]) == turned
    said = "use_yes_price_found_out:true" if turned else "use_yes_price_unknown_assumed_false"
    assert counters[said] == 1
