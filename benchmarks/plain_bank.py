"""The plain way to a bank: every market's rows in memory, then each array concatenated.

The peer of the ``open_cold`` benchmark, and the reference that tests compare the streamed bank with. It is
the builder of the versions before the streaming one, kept as it was; the newer facts of a segment
(``first_ns`` ... ``printed``) are read from the finished rows.
"""

from collections.abc import Sequence

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, Rows, find_segments
from kalshi_platform.domain.units import NO_PRICE
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_BURST_END,
    ROW_CROSSED,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    UNSETTLED,
    BankArrays,
    BankMarket,
    market_record,
)
from kalshi_platform.simulation.replay.terms import NO_CLOSE, terms_of_rows


def plain_arrays(
    markets: Sequence[BankMarket], feature_columns: Sequence[int], temporal_columns: Sequence[int]
) -> BankArrays:
    """Arrays of the bank of ``markets``, in memory."""
    segments: list[tuple[int, int, int, int, int, bool]] = []
    terms: list[np.ndarray] = []
    terms_at: list[int] = []
    places: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    offset = 0
    for m, market in enumerate(markets):
        n = market.rows.recv_ns.size
        terms_at.append(sum(part.size for part in terms))
        info = market.info
        own_terms, place = terms_of_rows(info.ticker, info.history, market.rows.known, market.rows.recv_ns)
        terms.append(own_terms)
        places.append(place)
        age = np.full(n, -1, np.int32)
        for start, stop in zip(*find_segments(market.rows.valid), strict=True):
            age[start:stop] = np.arange(stop - start)
            tradable_later = market.rows.valid[stop:].any()
            settles = bool(market.settlement_e4 != UNSETTLED and not tradable_later)
            times = _end_times_ns(market, int(stop), int(own_terms["close_ns"][place[stop - 1]]))
            segments.append((offset + int(start), offset + int(stop), *times, m, settles))
        ages.append(age)
        offset += n
    features, temporal = (
        np.concatenate([x.rows.features[:, list(picked)] for x in markets]).astype(np.float32, copy=False)
        for picked in (feature_columns, temporal_columns)
    )
    rows = np.zeros(offset, ROW_DTYPE)
    made = {"terms": places, "state": [_state(x.rows) for x in markets]}
    for name in ROW_DTYPE.names or ():
        rows[name] = np.concatenate(made.get(name) or [getattr(x.rows, name) for x in markets])
    facts = [
        market_record(x.info.provenance, at, x.info.history.close_ns, x.settlement_e4)
        for x, at in zip(markets, terms_at, strict=True)
    ]
    return BankArrays(
        rows=rows,
        features=np.ascontiguousarray(features),
        temporal=np.ascontiguousarray(temporal),
        age=np.concatenate(ages),
        segments=_with_facts_of_rows(segments, rows),
        markets=np.array(facts, MARKET_DTYPE),
        terms=np.concatenate(terms),
    )


def _with_facts_of_rows(segments: list[tuple[int, int, int, int, int, bool]], rows: np.ndarray) -> np.ndarray:
    found = np.zeros(len(segments), SEGMENT_DTYPE)
    named = np.array(segments, np.int64).T
    for name, column in zip(("start", "stop", "end_ns", "news_ns", "market", "settles"), named, strict=True):
        found[name] = column
    found["first_ns"], found["last_ns"] = rows["recv_ns"][named[0]], rows["recv_ns"][named[1] - 1]
    shown = rows["print_px_e4"] != NO_PRICE
    for name, column in (("traded_e2", np.where(shown, rows["print_qty_e2"], 0)), ("printed", shown)):
        summed = np.concatenate([[0], np.cumsum(column)])
        found[name] = np.minimum(summed[named[1]] - summed[named[0]], 1 if name == "printed" else 1 << 62)
    return found


def _state(rows: Rows) -> np.ndarray:
    return np.where(rows.valid == CROSSED, ROW_CROSSED, 0) | np.where(rows.burst_end, ROW_BURST_END, 0)


def _end_times_ns(market: BankMarket, stop: int, known_close_ns: int) -> tuple[int, int]:
    recv_ns, close_ns = market.rows.recv_ns, market.info.history.close_ns
    close_ns = min(known_close_ns, NO_CLOSE if close_ns is None else close_ns)
    last_ns = int(recv_ns[stop - 1])
    if stop < recv_ns.size:
        end_ns = min(int(recv_ns[stop]), close_ns)
        return end_ns, end_ns
    return min(last_ns + 1, close_ns), last_ns if close_ns == NO_CLOSE else close_ns
