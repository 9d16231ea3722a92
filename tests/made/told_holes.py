"""Time without a proven book that a recording tells: until a first whole book, in holes, after a drift."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kalshi_platform.domain.json_text import json_value
from kalshi_platform.trading.recorder.follow.coverage import MarketCoverage
from kalshi_platform.trading.recorder.follow.follower import Follower
from kalshi_platform.trading.recorder.segments.lines import MISMATCH
from kalshi_platform.trading.session.report.session_replay import session_lines


def assert_only_told_holes(out: Path, run: str, proven_ns: int, wanted_ns: int) -> None:
    """Fail unless the books of one run were proven always but in its told holes, to the nanosecond.

    The share of the holes depends on the machine: one that stands still for longer than the recorder waits
    for a pong loses its connection.
    """
    lines = [*session_lines(out, run)]
    follower = Follower()
    for line in lines:
        follower.line(line)
    follower.drain()
    markets = follower.coverage.markets(follower.last_ns)
    assert wanted_ns == sum(m.wanted_ns for m in markets) > 0
    assert proven_ns == sum(m.proven_ns for m in markets) > 0
    unproven_ns, told_ns = {m.ticker: m.wanted_ns - m.proven_ns for m in markets}, _told_ns(lines, markets)
    # A lost connection takes every book with it. A drift takes its own: REST contradicts a book whose frames
    # do not come. Other holes are a subscription's, and take the books that it carried: no others.
    if {row.kind for row in follower.hole_rows} <= {"disconnected", "run_started"}:
        assert unproven_ns == told_ns
    else:
        assert all(unproven_ns[ticker] <= told_ns[ticker] for ticker in told_ns), list(follower.hole_rows)


def _told_ns(lines: list[Mapping[str, Any]], markets: list[MarketCoverage]) -> dict[str, int]:
    """Time that each market waited for a whole book: since it was wanted, each hole, and each drift."""
    told_ns = {m.ticker: 0 for m in markets}
    proven_since_ns: dict[str, int] = {}
    waits_since_ns = {m.ticker: m.first_ns for m in markets}
    until_ns = {m.ticker: m.last_ns for m in markets}
    follower = Follower()  # for where its holes begin

    def end_wait(ticker: str, at_ns: int) -> None:
        since_ns = waits_since_ns.pop(ticker)
        told_ns[ticker] += max(min(at_ns, until_ns[ticker]) - since_ns, 0)
        proven_since_ns[ticker] = at_ns

    for line in lines:
        n_holes = follower.holes
        follower.line(line)
        if follower.holes > n_holes:
            since_ns = follower.hole_rows[-1].since_ns
            waits_since_ns |= {t: max(since_ns, at_ns) for t, at_ns in proven_since_ns.items()}
            proven_since_ns.clear()
        elif line.get("note") == MISMATCH and line["detail"]["drift"]:
            ticker = line["detail"]["ticker"]
            if (at_ns := proven_since_ns.pop(ticker, None)) is not None:
                waits_since_ns[ticker] = max(line["detail"]["agreed_ns"] or 0, at_ns)
        elif "raw" in line and (ticker := _whole_book_of(line["raw"])) in waits_since_ns:
            end_wait(ticker, line["recv_ns"])
    for ticker in [*waits_since_ns]:
        end_wait(ticker, until_ns[ticker])
    return told_ns


def _whole_book_of(raw: str) -> str:
    """Market whose whole book a frame tells, else empty."""
    message = json_value(raw)
    is_whole = message.get("type") == "orderbook_snapshot"
    return message["msg"]["market_ticker"] if is_whole else ""
