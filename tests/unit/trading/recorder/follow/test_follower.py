"""Follower: books and coverage from the frames and notes of a recording."""

import json
from typing import Any

from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder.follow.follower import Follower, NoteRow
from kalshi_platform.trading.recorder.follow.live_book import Top
from kalshi_platform.trading.recorder.segments import lines

S = 1_000_000_000
T0 = 1_795_400_000 * S
A, B = "KXDEMO-26DEC01-T50", "KXDEMO-26DEC01-T60"
PARAMS = {"channels": ["orderbook_delta"], "market_tickers": [A, B], "use_yes_price": True}


class Told:
    """A follower fed by seconds since T0."""

    def __init__(self) -> None:
        self.follower = Follower()

    def frame(self, second: float, kind: str, seq: int, msg: dict[str, Any], conn: int = 1) -> None:
        message = {"type": kind, "sid": 1, "seq": seq, "msg": msg}
        self.follower.frame(T0 + int(second * S), conn, json.dumps(message), message)

    def snapshot(self, second: float, seq: int, ticker: str = A, conn: int = 1) -> None:
        levels = {"yes_dollars_fp": [["0.4200", "75.00"]], "no_dollars_fp": [["0.4500", "40.00"]]}
        self.frame(second, "orderbook_snapshot", seq, {"market_ticker": ticker, **levels}, conn)

    def delta(self, second: float, seq: int, ticker: str = A, by: str = "1.00", conn: int = 1) -> None:
        msg = {"market_ticker": ticker, "price_dollars": "0.4300", "delta_fp": by, "side": "yes"}
        self.frame(second, "orderbook_delta", seq, msg, conn)

    def note(self, second: float, kind: str, conn: int = 1, **detail: Any) -> None:
        self.follower.note(NoteRow(T0 + int(second * S), conn, kind, detail))

    def subscribed(self, second: float, conn: int = 1) -> None:
        self.note(second, sink.SUBSCRIBED, conn, sid=1, channel="orderbook_delta", params=PARAMS)

    def shares(self, second: float) -> dict[str, tuple[float, float]]:
        """(wanted, proven) seconds by market."""
        self.follower.drain()
        found = self.follower.coverage.markets(T0 + int(second * S))
        return {m.ticker: (m.wanted_ns / S, m.proven_ns / S) for m in found}


def begun() -> Told:
    """Two markets, subscribed at 0, proven from 1 on."""
    told = Told()
    told.subscribed(0)
    told.snapshot(1, 1)
    told.snapshot(1, 2, B)
    return told


def test_the_book_is_that_of_the_stream_on_the_scale_that_the_subscription_tells():
    told = begun()
    told.delta(2, 3)
    told.follower.drain()
    # use_yes_price: the no side's 0.4500 is a YES ask of 0.45
    assert told.follower.books[A].top() == Top(4_300, 100, 4_500, 4_000)


def test_a_gap_spoils_every_book_of_the_subscription_until_its_own_snapshot():
    told = begun()
    told.delta(3, 3)
    told.delta(5, 9)
    told.snapshot(7, 10)
    told.snapshot(8, 11, B)
    # nobody knows when the missing ones came: the proof ends at the last frame before them
    assert told.shares(10) == {A: (10, 2 + 3), B: (10, 2 + 2)}
    assert told.follower.counters["sequence_gaps"] == 1


def test_a_level_below_zero_is_no_proof():
    told = begun()
    told.delta(4, 3, by="-1.00")
    assert told.shares(10)[A] == (10, 3)
    assert told.follower.books[A].below_zero == 1


def test_a_half_open_connection_proves_nothing_after_its_last_frame():
    told = begun()
    told.delta(5, 3)
    told.note(20, sink.HALF_OPEN, why="no pong")
    told.note(20, sink.DISCONNECTED, why="no pong", frames=3)
    told.subscribed(21, conn=2)
    told.snapshot(22, 1, conn=2)
    assert told.shares(30) == {A: (30, 4 + 8), B: (30, 4)}
    assert told.follower.holes == 1  # the disconnection; half open only says why


def test_a_lost_connection_ends_the_proof_of_its_own_books_only():
    told = begun()
    told.snapshot(3, 1, B, conn=2)
    told.note(5, sink.DISCONNECTED, conn=1, why="reset", code=1012, frames=2)
    assert told.shares(10) == {A: (10, 4), B: (10, 9)}


def test_frames_thrown_away_end_the_proof_at_the_first_of_them():
    told = begun()
    told.note(6, sink.OVERFLOW, frames=9, bytes=900, first_recv_ns=T0 + 4 * S, last_recv_ns=T0 + 6 * S)
    assert told.shares(10)[A] == (10, 3)


def test_a_killed_run_is_one_hole_from_its_last_acknowledged_line():
    told = begun()
    told.delta(5, 3)
    told.note(65, lines.RUN_STARTED, conn=0, run="r2", since_ns=T0 + 5 * S, clean=False, torn_bytes=17)
    told.subscribed(66, conn=2)
    told.snapshot(67, 1, conn=2)
    assert told.shares(70)[A] == (70, 4 + 3)
    assert told.follower.holes == 1
    assert [row.kind for row in told.follower.notes if row.is_hole] == [lines.RUN_STARTED]


def test_a_clean_stop_and_the_next_start_are_one_hole():
    told = begun()
    told.note(5, sink.DISCONNECTED, why="stopped", frames=2)
    told.note(5, lines.RUN_STOPPED, conn=0, why="asked")
    assert told.follower.holes == 0
    assert told.shares(5)[A] == (5, 4)
    told.note(25, lines.RUN_STARTED, conn=0, run="r2", since_ns=T0 + 5 * S, clean=True, torn_bytes=0)
    told.subscribed(26, conn=2)
    told.snapshot(27, 1, conn=2)
    assert told.follower.holes == 1
    assert told.shares(30)[A] == (30, 4 + 3)


def test_the_first_run_is_no_hole():
    told = Told()
    told.note(0, lines.RUN_STARTED, conn=0, run="r1")
    assert told.follower.holes == 0


def test_a_deleted_market_is_not_wanted_any_more():
    told = begun()
    params = {"sids": [1], "action": "delete_markets", "market_tickers": [B]}
    told.note(5, sink.UPDATED, sid=1, channel="orderbook_delta", action="delete_markets", params=params)
    assert told.shares(10) == {A: (10, 9), B: (5, 4)}


def test_the_book_of_a_market_whose_outcome_is_determined_is_let_go():
    told = begun()
    msg = {"market_ticker": A, "event_type": "determined", "result": "yes", "settlement_value": "1.0000"}
    told.frame(5, "market_lifecycle_v2", 3, msg)
    assert told.shares(10)[A] == (5, 4)
    assert set(told.follower.books) == {B}
    told.note(12, sink.DISCONNECTED, why="reset", frames=3)


def test_lines_of_a_segment_tell_the_same_as_the_live_feed():
    told, read = begun(), Follower()
    told.delta(5, 9)
    told.snapshot(7, 10)
    params = {"sid": 1, "channel": "orderbook_delta", "params": PARAMS}
    written = [lines.note_line(T0, 0, 1, sink.SUBSCRIBED, params)]
    for second, kind, seq, msg in (
        (1, "orderbook_snapshot", 1, {"market_ticker": A, "yes_dollars_fp": [["0.42", "75.00"]]}),
        (1, "orderbook_snapshot", 2, {"market_ticker": B}),
        (
            5,
            "orderbook_delta",
            9,
            {"market_ticker": A, "price_dollars": "0.43", "delta_fp": "1.00", "side": "yes"},
        ),
        (7, "orderbook_snapshot", 10, {"market_ticker": A}),
    ):
        raw = json.dumps({"type": kind, "sid": 1, "seq": seq, "msg": msg}).encode()
        written.append(lines.frame_line(T0 + second * S, 0, 1, raw, lines.parsed(raw), None, None))
    for line in written:
        read.line(json.loads(line))
    told.follower.drain()
    read.drain()
    now = T0 + 10 * S
    assert read.coverage.markets(now) == told.follower.coverage.markets(now)


def test_a_gap_that_shows_late_takes_back_the_quiet_time_before_it():
    told = begun()
    told.follower.drain()  # the live recorder drains four times a second
    told.delta(601, 9)  # 3 to 8 came some time within ten minutes, and were lost
    told.snapshot(602, 10)
    assert told.shares(612)[A] == (612, 0 + 10)


def test_a_subscription_that_vanished_proves_nothing_after_its_last_frame():
    told = begun()
    told.delta(5, 3)
    told.note(45, sink.TERMINAL, code=7, message="absent from list_subscriptions", sid=1)
    told.subscribed(46)
    levels = {"yes_dollars_fp": [], "no_dollars_fp": []}
    message = {
        "type": "orderbook_snapshot", "sid": 4, "seq": 1, "msg": {"market_ticker": A, **levels},
    }  # fmt: skip
    told.follower.frame(T0 + 47 * S, 1, json.dumps(message), message)
    assert told.shares(50) == {A: (50, 4 + 3), B: (50, 4)}
    assert told.follower.counters["resubscriptions"] == 1


def test_a_connection_without_a_closing_frame_proves_nothing_after_its_last_frame():
    told = begun()
    told.delta(5, 3)
    told.note(3_605, sink.DISCONNECTED, why="OSError: [Errno 104]", code=1006, frames=3)
    assert told.shares(3_610)[A] == (3_610, 4)


def test_a_connection_that_the_exchange_closed_is_proven_to_its_end():
    told = begun()
    told.note(9, sink.DISCONNECTED, why="going away", code=1001, frames=2)
    assert told.shares(10)[A] == (10, 8)


def test_a_silent_connection_proves_nothing_after_its_last_frame_however_it_ends():
    told = begun()
    told.note(31, sink.SILENT, silent_s=30.0)
    told.note(41, sink.DISCONNECTED, why="no answer to list_subscriptions", code=1000, frames=2)
    assert told.shares(50)[A] == (50, 0)


def test_an_unreadable_frame_ends_the_proof_of_every_book_that_it_may_have_been_about():
    told = begun()
    told.note(4, sink.UNREADABLE, why="no JSON object", beginning="{")
    told.snapshot(6, 3)
    assert told.shares(10) == {A: (10, 3 + 4), B: (10, 3)}


def test_a_market_that_comes_back_on_the_same_subscription_is_proven_by_its_new_snapshot():
    told = begun()
    told.note(5, sink.UPDATED, sid=1, channel="orderbook_delta", action="delete_markets",
              params={"sids": [1], "action": "delete_markets", "market_tickers": [A]})  # fmt: skip
    told.note(100, sink.UPDATED, sid=1, channel="orderbook_delta", action="add_markets",
              params={"sids": [1], "action": "add_markets", "market_tickers": [A]})  # fmt: skip
    told.snapshot(102, 3)
    assert told.shares(112)[A] == (5 + 12, 4 + 10)


def test_a_market_that_the_exchange_refused_is_wanted_and_not_covered():
    told = begun()
    params = {"sids": [1], "action": "add_markets", "market_tickers": ["KXNEW-1"]}
    told.note(5, sink.REFUSED, cmd="update_subscription", params=params, message="no such market", code=11)
    assert told.shares(10)["KXNEW-1"] == (5, 0)


def test_a_repeated_snapshot_that_nobody_can_read_is_no_error():
    told = begun()
    told.frame(2, "orderbook_snapshot", 3, {"market_ticker": 5})
    told.frame(3, "orderbook_snapshot", 3, {"market_ticker": 5})
    assert told.follower.counters["refused_frames"] == 1


def test_reconnections_leave_nothing_behind():
    told = begun()
    for conn in range(1, 50):
        told.snapshot(conn, 1, conn=conn)
        told.note(conn, sink.DISCONNECTED, conn=conn, why="reset", frames=1)
    assert (len(told.follower._numbers), len(told.follower._carried)) == (0, 0)


def test_a_subscription_that_was_given_up_wants_its_markets_no_longer():
    told = begun()
    detail = {"sid": 1, "channel": "orderbook_delta", "action": "unsubscribe", "params": {"sids": [1]}}
    told.note(5, sink.UPDATED, **detail, market_tickers=[A, B])
    assert told.shares(100) == {A: (5, 4), B: (5, 4)}


def test_every_hole_is_one_row_from_where_frames_may_be_missing_to_where_that_showed():
    told = begun()
    told.delta(3, 3)
    told.delta(5, 9)
    told.note(5, sink.GAP, sid=1, expected=4, got=9)
    told.delta(6, 10)
    told.note(9, sink.SILENT, silent_s=3)
    told.note(20, sink.HALF_OPEN, why="no pong")
    told.note(21, sink.DISCONNECTED, why="half-open")
    told.note(22, sink.CONNECTED, conn=2)
    told.subscribed(22, conn=2)
    told.snapshot(23, 1, conn=2)
    told.note(25, sink.DISCONNECTED, conn=2, why="closed", code=1001)  # the exchange said goodbye
    told.note(30, lines.DISK_OVERFLOW, conn=3, frames=4, bytes=9, first_recv_ns=T0 + 27 * S)
    told.note(40, lines.RUN_STARTED, conn=0, run="r", since_ns=T0 + 31 * S)
    told.note(41, sink.DISCONNECTED, conn=4, why="stopped")
    rows = [(r.kind, (r.since_ns - T0) / S, (r.shown_ns - T0) / S, r.conn) for r in told.follower.hole_rows]
    assert rows == [
        ("gap", 3, 5, 1),
        ("disconnected", 6, 21, 1),
        ("disconnected", 25, 25, 2),
        ("disk_overflow", 27, 30, 3),
        ("run_started", 30, 40, 0),
    ]
    assert told.follower.holes == len(rows)


def test_a_drift_takes_the_proof_back_to_where_rest_agreed_last():
    told = begun()
    told.delta(5, 3)
    told.note(6, lines.MISMATCH, conn=0, ticker=A, drift=False, agreed_ns=T0 + 3 * S)
    assert told.shares(6)[A] == (6, 5)
    told.note(8, lines.MISMATCH, conn=0, ticker=A, drift=True, agreed_ns=T0 + 3 * S)
    told.note(8, lines.MISMATCH, conn=0, ticker=B, drift=True, agreed_ns=None)  # they never agreed
    assert told.shares(10) == {A: (10, 2), B: (10, 0)}
    assert not told.follower.books[A].proven
    told.snapshot(11, 4)
    assert told.shares(12) == {A: (12, 3), B: (12, 0)}
