"""Simulated events as capture lines: the frames a WebSocket client would have received, verbatim.

Owns    the wire text of the exchange's frames (docs/exchange.md, "Frames"), with ``use_yes_price=false``: NO
        levels have NO prices.
Streams one connection an event; ``sid`` 1 carries the books, ``sid`` 2 the trades, ``sid`` 3 pauses and new
price bands where there are any, each with its own ``seq``. ``ok`` answers use up numbers of sid 1, as on
the wire. Messages lost from the book stream leave a hole in its numbers; new snapshots follow.
Mark    every line, outside its frame, says "simulated" and names the world, so that nobody takes a part of
        the file for a recording.
"""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from kalshi_platform.data.market_data.capture import SIMULATED_MARK
from kalshi_platform.data.market_data.schema import DELTA, FLAG_FILL, FLAG_LAST, FLAG_START, YES
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.market import PriceBand
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.simulation.simexchange.generate import (
    BOOK_SID,
    LIFECYCLE_SID,
    TRADE_SID,
    Announced,
    SimEvent,
)

_SIDES: Final = ("yes", "no")
_MARKET_ID, _TRADE_ID = 1, 2


def _uuid(kind: int, event: int, number: int) -> str:
    return str(UUID(int=(kind << 96) | (event << 48) | number, version=4))


def _dollars(price_e4: int) -> str:
    return f"{price_e4 // 10_000}.{price_e4 % 10_000:04d}"


def _count(qty_e2: int) -> str:
    return f"{'-' if qty_e2 < 0 else ''}{abs(qty_e2) // 100}.{abs(qty_e2) % 100:02d}"


def _snapshot(seq: int, market: str, levels: tuple[list[str], list[str]]) -> str:
    # a side without orders is absent, as on the wire
    sides = [f'"{_SIDES[s]}_dollars_fp":[{",".join(levels[s])}]' for s in (0, 1) if levels[s]]
    body = ",".join([market, *sides])
    return f'{{"type":"orderbook_snapshot","sid":{BOOK_SID},"seq":{seq},"msg":{{{body}}}}}'


def _acks(tickers: list[str], has_lifecycle: bool) -> tuple[list[str], list[str]]:
    """Frames before everything else, and the ``ok`` list of each further market (without its numbers)."""
    channels = [("orderbook_delta", BOOK_SID), ("trade", TRADE_SID)]
    if has_lifecycle:
        channels.append(("market_lifecycle_v2", LIFECYCLE_SID))
    acks = [
        f'{{"id":{i},"type":"subscribed","msg":{{"channel":"{channel}","sid":{sid}}}}}'
        for i, (channel, sid) in enumerate(channels, start=1)
    ]
    return acks, [json_text(tickers[: i + 1]) for i in range(1, len(tickers))]


def capture_lines(event: SimEvent, world: str) -> Iterator[str]:
    """Every line of one event's recording of ``world`` (``domain/worlds.py``), newline included."""
    mark = f'{SIMULATED_MARK},"world":"{world}"'
    for recv_ns, conn, frame in capture_frames(event):
        yield f'{{"recv_ns":{recv_ns},"conn":{conn},{mark},"raw":{json_text(frame)}}}\n'


def capture_frames(event: SimEvent) -> Iterator[tuple[int, int, str]]:
    """(receive time in ns, connection, frame) of everything that was received of one event."""
    conn, tickers = event.index + 1, [spec.ticker for spec in event.specs]
    head = [
        f'"market_ticker":"{ticker}","market_id":"{_uuid(_MARKET_ID, event.index, m)}"'
        for m, ticker in enumerate(tickers)
    ]
    acks, oks = _acks(tickers, bool(event.told))
    to_tell = list(event.told)[::-1]
    wire, n_ok, n_trades = event.wire, 0, 0
    rows = wire.rows
    for ack in acks:
        yield int(rows.recv_ns[0]), conn, ack
    columns = (
        rows.recv_ns,
        rows.exch_ns,
        rows.seq,
        rows.kind,
        rows.side,
        rows.price_e4,
        rows.qty_e2,
        rows.flags,
    )
    levels: tuple[list[str], list[str]] = ([], [])
    for m, recv_ns, exch_ns, seq, kind, side, price, qty, flags in zip(
        wire.market.tolist(), *(c.tolist() for c in columns), strict=True
    ):
        while to_tell and to_tell[-1].recv_ns <= recv_ns:
            n_told = len(tickers) * (len(event.told) - len(to_tell))
            yield from _told(event, to_tell.pop(), n_told, tickers)
        if kind == DELTA:
            ts_ms = exch_ns // NS_PER_MS
            yield recv_ns, conn, _delta(seq + n_ok, head[m], side, price, qty, ts_ms)
            if flags & FLAG_FILL:
                n_trades += 1
                trade_id = _uuid(_TRADE_ID, event.index, n_trades)
                yield recv_ns, conn, _trade(n_trades, trade_id, tickers[m], side, price, -qty, ts_ms)
            continue
        if flags & FLAG_START:
            levels = ([], [])
            if 0 < m == n_ok + 1:
                n_ok += 1
                ok = f'"type":"ok","sid":{BOOK_SID},"seq":{seq + n_ok - 1}'
                ok = f'{{"id":{n_ok + 2},{ok},"msg":{{"market_tickers":{oks[m - 1]}}}}}'
                yield recv_ns, conn, ok
        else:
            levels[side].append(f'["{_dollars(price)}","{_count(qty)}"]')
        if flags & FLAG_LAST:
            yield recv_ns, conn, _snapshot(seq + n_ok, head[m], levels)


def _told(
    event: SimEvent, told: Announced, n_told: int, tickers: list[str]
) -> Iterator[tuple[int, int, str]]:
    """Lifecycle frames of every market of an event about one thing, after ``n_told`` such frames."""
    bands = ""
    if told.event_type == "price_level_structure_updated":
        told_bands = ",".join(_band(band) for band in event.specs[0].price_ranges)
        bands = f',"price_level_structure":"tapered_deci_cent","price_ranges":[{told_bands}]'
    for m, ticker in enumerate(tickers):
        msg = f'"market_ticker":"{ticker}","event_type":"{told.event_type}"{bands}'
        head = f'"type":"market_lifecycle_v2","sid":{LIFECYCLE_SID},"seq":{n_told + m + 1}'
        yield told.recv_ns, event.index + 1, f'{{{head},"msg":{{{msg}}}}}'


def _band(band: PriceBand) -> str:
    start, end, step = (_dollars(price) for price in (band.start_e4, band.end_e4, band.step_e4))
    return f'{{"start":"{start}","end":"{end}","step":"{step}"}}'


def _delta(seq: int, market: str, side: int, price_e4: int, change_e2: int, ts_ms: int) -> str:
    return (
        f'{{"type":"orderbook_delta","sid":{BOOK_SID},"seq":{seq},"msg":{{{market},'
        f'"price_dollars":"{_dollars(price_e4)}","delta_fp":"{_count(change_e2)}",'
        f'"side":"{_SIDES[side]}","ts_ms":{ts_ms}}}}}'
    )


def _trade(seq: int, trade_id: str, ticker: str, rested: int, price_e4: int, qty_e2: int, ts_ms: int) -> str:
    yes_e4 = price_e4 if rested == YES else 10_000 - price_e4
    taker = 1 - rested
    return (
        f'{{"type":"trade","sid":{TRADE_SID},"seq":{seq},"msg":{{"trade_id":"{trade_id}",'
        f'"market_ticker":"{ticker}","yes_price_dollars":"{_dollars(yes_e4)}",'
        f'"no_price_dollars":"{_dollars(10_000 - yes_e4)}","count_fp":"{_count(qty_e2)}",'
        f'"taker_side":"{_SIDES[taker]}","taker_outcome_side":"{_SIDES[taker]}",'
        f'"taker_book_side":"{("bid", "ask")[taker]}","is_block_trade":false,'
        f'"ts":{ts_ms // 1_000},"ts_ms":{ts_ms}}}}}'
    )
