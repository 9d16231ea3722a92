"""Scale of the NO prices of a recording (``use_yes_price``): what was said, or what the recording shows.

Two readings  "as read" takes the NO prices of the rows as they are; "mirrored" takes 1 - price. One of them
              is the truth. With the own ladder of NO, the best NO bid is the highest price as read; mirrored
              it is the lowest.
Evidence      an observation that exactly one reading explains: a snapshot that is crossed in the other one; a
              ticker, or a print of a YES taker, at the ask of this one and not of the other; a market that
              stays crossed in the other one. The last counts where two markets show it or an observation of
              another kind agrees: one market alone may have lost a message. Crossed snapshots count where at
              least one in twenty of those with both sides is: in the wrong reading nearly every deep book is
              crossed, in the right one a lost message crosses a snapshot now and then.
Decided       for each connection. One reading has evidence, the other none (or less than a twentieth): that
              one. Neither has any: the rows stay as read, and that is counted. Both have: refused.
Units         prices 1e-4 dollar, times ns.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.facts import BookConnection
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    SNAPSHOT,
    TICKER,
    TRADE,
    YES,
    MarketRows,
    take,
)
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NS_PER_MS

#: The readings.
AS_READ, MIRRORED = 0, 1
#: Kinds of evidence, rows of its table (6, 2); CROSSED counts crossed snapshots, SIDED snapshots that show
#: both sides (in both columns): they are no evidence.
SNAPSHOTS, TICKERS, PRINTS, MARKETS, CROSSED, SIDED = range(6)
_WORDS: Final = ("snapshots", "tickers", "prints", "markets that stay crossed otherwise")
_KINDS: Final = 6
#: A crossing that lasts longer is no passing one.
_LASTING_NS: Final = 50 * NS_PER_MS
#: Evidence of one reading that is this many times the other's outweighs it.
_OUTWEIGHS: Final = 20

#: Places in the state of :func:`weigh`: best YES bid, highest and lowest NO price, the asks of both readings
#: before the last change, since when each reading alone is crossed; NO_PRICE or -1 where there is none.
_BID, _HIGH, _LOW, _ASK_BEFORE, _BID_BEFORE, _SINCE, _VALID = 0, 1, 2, 3, 5, 6, 8

Stretches = Sequence[tuple[int, BookConnection]]
"""From which row on which connection carries the book."""


@inline_kernel
def _ask(state: np.ndarray, reading: int) -> int:
    """YES ask in one reading, NO_PRICE where NO has no bid."""
    if state[_HIGH] == NO_PRICE:
        return NO_PRICE
    return DOLLAR_E4 - state[_HIGH] if reading == AS_READ else state[_LOW]


@inline_kernel
def _is_crossed(state: np.ndarray, reading: int) -> bool:
    """True where the bid is above the ask in one reading."""
    ask = _ask(state, reading)
    return ask != NO_PRICE and state[_BID] > ask


@inline_kernel
def _at_ask(state: np.ndarray, reading: int, price_e4: int) -> bool:
    """True for a price at the ask of one reading, now or before the book's last change."""
    return price_e4 != NO_PRICE and (
        price_e4 == _ask(state, reading) or price_e4 == state[_ASK_BEFORE + reading]
    )


@inline_kernel
def _is_bid(state: np.ndarray, price_e4: int) -> bool:
    """True for the best YES bid, now or before its last change; NO_PRICE is that of a side without bids."""
    return price_e4 == state[_BID] or (state[_BID_BEFORE] != NO_PRICE and price_e4 == state[_BID_BEFORE])


@inline_kernel
def _find_tops(depth: np.ndarray, state: np.ndarray) -> None:
    """Walk the tops of the book on to the next price levels that hold a size."""
    while state[_BID] >= 0 and depth[YES, state[_BID]] == 0:
        state[_BID] -= 1
    while state[_HIGH] >= 0 and depth[NO, state[_HIGH]] == 0:
        state[_HIGH] -= 1
    if state[_HIGH] < 0:
        state[_HIGH] = state[_LOW] = NO_PRICE
    while state[_LOW] >= 0 and depth[NO, state[_LOW]] == 0:
        state[_LOW] += 1


@inline_kernel
def _change(depth: np.ndarray, state: np.ndarray, side: int, price_e4: int, qty_e2: int) -> None:
    """Add a size to a price level, which never falls below zero, and keep the tops."""
    depth[side, price_e4] = max(depth[side, price_e4] + qty_e2, 0)
    if depth[side, price_e4] > 0:
        if side == YES:
            state[_BID] = max(state[_BID], price_e4)
        else:
            state[_LOW] = price_e4 if state[_LOW] == NO_PRICE else min(state[_LOW], price_e4)
            state[_HIGH] = max(state[_HIGH], price_e4)
    _find_tops(depth, state)


@inline_kernel
def _apply(
    depth: np.ndarray, state: np.ndarray, is_delta: bool, side: int, price_e4: int, qty_e2: int
) -> None:
    """Add one row of the book; a delta leaves behind the tops that it moves."""
    as_read, mirrored, bid = _ask(state, AS_READ), _ask(state, MIRRORED), state[_BID]
    _change(depth, state, side, price_e4, qty_e2)
    if is_delta and (as_read != _ask(state, AS_READ) or mirrored != _ask(state, MIRRORED)):
        state[_ASK_BEFORE + AS_READ], state[_ASK_BEFORE + MIRRORED] = as_read, mirrored
    if is_delta and bid != state[_BID]:
        state[_BID_BEFORE] = bid


@kernel
def weigh(
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    depth: np.ndarray,
    state: np.ndarray,
    found: np.ndarray,
) -> None:
    """Add the evidence of one market's rows (n,) to ``found`` (6, 2) i8: kind of evidence, reading.

    depth (2, 10_001) i8 and state (9,) i8 are scratch.
    """
    depth[:] = 0
    state[:] = -1
    state[_VALID] = 0
    ticker_bid = NO_PRICE
    for i in range(kind.size):
        for reading in range(2):
            since = state[_SINCE + reading]
            if since >= 0 and recv_ns[i] - since > _LASTING_NS:
                found[MARKETS, 1 - reading] = 1
        if kind[i] == GAP:
            state[:] = -1
            state[_VALID] = 0
        elif kind[i] == SNAPSHOT and flags[i] & FLAG_START != 0:
            depth[:] = 0
            state[:] = -1
            state[_VALID] = 1
        elif (kind[i] == SNAPSHOT or kind[i] == DELTA) and state[_VALID] == 1:
            if 0 <= price_e4[i] <= DOLLAR_E4 and side[i] <= NO:
                _apply(depth, state, kind[i] == DELTA, side[i], price_e4[i], qty_e2[i])
        elif kind[i] == TRADE and side[i] == YES and flags[i] & FLAG_BLOCK == 0:
            _weigh_price(state, price_e4[i], found[PRINTS])
        elif kind[i] == TICKER and side[i] == YES:
            ticker_bid = price_e4[i]
        elif kind[i] == TICKER and price_e4[i] != NO_PRICE and _is_bid(state, ticker_bid):
            _weigh_price(state, DOLLAR_E4 - price_e4[i], found[TICKERS])
        if flags[i] & FLAG_LAST != 0 and (kind[i] == SNAPSHOT or kind[i] == DELTA):
            _weigh_crossing(recv_ns[i], kind[i] == SNAPSHOT, state, found)


@inline_kernel
def _weigh_price(state: np.ndarray, price_e4: int, found: np.ndarray) -> None:
    """Count a price that stands at the ask of one reading only."""
    as_read, mirrored = _at_ask(state, AS_READ, price_e4), _at_ask(state, MIRRORED, price_e4)
    if state[_VALID] == 1 and as_read != mirrored:
        found[MIRRORED if mirrored else AS_READ] += 1


@inline_kernel
def _weigh_crossing(now_ns: int, snapshot: bool, state: np.ndarray, found: np.ndarray) -> None:
    """Count a snapshot that is crossed in one reading only; note since when one reading alone is crossed."""
    as_read, mirrored = _is_crossed(state, AS_READ), _is_crossed(state, MIRRORED)
    if snapshot:
        if state[_BID] >= 0 and state[_HIGH] != NO_PRICE:
            found[SIDED, AS_READ] += 1
            found[SIDED, MIRRORED] += 1
        found[CROSSED, AS_READ] += as_read
        found[CROSSED, MIRRORED] += mirrored
        if as_read != mirrored:
            found[SNAPSHOTS, AS_READ if mirrored else MIRRORED] += 1
    for reading in range(2):
        alone = (as_read and not mirrored) if reading == AS_READ else (mirrored and not as_read)
        if not alone:
            state[_SINCE + reading] = -1
        elif state[_SINCE + reading] < 0:
            state[_SINCE + reading] = now_ns


def settle_scales(
    books: Mapping[str, tuple[MarketRows, Stretches]], where: str, counters: Counter[str]
) -> dict[str, MarketRows]:
    """Rows of every market of one recording with NO prices on NO's own scale.

    DataError where a connection shows evidence of both scales, or only of the one that was not given.
    """
    found: dict[BookConnection, np.ndarray] = defaultdict(lambda: np.zeros((_KINDS, 2), np.int64))
    depth, state = np.zeros((2, DOLLAR_E4 + 1), np.int64), np.zeros(9, np.int64)
    has_no_prices: set[BookConnection] = set()
    for rows, carried in books.values():
        for part, connection in _parts(rows, carried):
            stretch = take(rows, part)
            columns = (
                getattr(stretch, n) for n in ("recv_ns", "kind", "side", "price_e4", "qty_e2", "flags")
            )
            of_market = np.zeros((_KINDS, 2), np.int64)
            weigh(*columns, depth, state, of_market)
            found[connection] += of_market
            if _no_prices(stretch).any():
                has_no_prices.add(connection)
    mirrored = _decide(found, has_no_prices, where, counters)
    return {ticker: _read(rows, carried, mirrored) for ticker, (rows, carried) in books.items()}


def _decide(
    found: Mapping[BookConnection, np.ndarray],
    has_no_prices: set[BookConnection],
    where: str,
    counters: Counter[str],
) -> set[BookConnection]:
    """Connections whose NO prices are to be mirrored; counts how each scale became known."""
    readings = {connection: _reading(table, connection, where) for connection, table in found.items()}
    known = {
        reading if c.use_yes_price is None else int(c.use_yes_price)
        for c, reading in readings.items()
        if reading is not None or c.use_yes_price is not None
    }
    mirrored = set()
    for connection, shown in readings.items():
        reading = shown
        if shown is None and connection.use_yes_price is None and len(known) == 1:
            reading = next(iter(known))  # one recorder subscribes all its connections alike
        counters["crossed_snapshots"] += int(found[connection][CROSSED, reading or AS_READ])
        if connection.use_yes_price is not None or connection not in has_no_prices:
            continue
        if reading is None:
            counters["use_yes_price_unknown_assumed_false"] += 1
            continue
        counters[f"use_yes_price_found_out:{'true' if reading == MIRRORED else 'false'}"] += 1
        counters["use_yes_price_evidence_outweighed"] += int(_weights(found[connection])[1 - reading])
        if reading == MIRRORED:
            mirrored.add(connection)
    return mirrored


def _weights(table: np.ndarray) -> np.ndarray:
    """Evidence for each reading, (2,)."""
    often = table[SNAPSHOTS] * _OUTWEIGHS >= table[SIDED]
    plain = np.where(often, table[SNAPSHOTS], 0) + table[[TICKERS, PRINTS]].sum(axis=0)
    markets = table[MARKETS]
    weights: np.ndarray = plain + np.where((plain > 0) | (markets > 1), markets, 0)
    return weights


def _reading(table: np.ndarray, connection: BookConnection, where: str) -> int | None:
    """Reading that the evidence of one connection shows, None where it shows none; DataError for both."""
    weights = _weights(table)
    better = int(weights[MIRRORED] > weights[AS_READ])
    given = connection.use_yes_price
    if weights[better] == 0 or (given is not None and better == AS_READ):
        return None if given is None else AS_READ
    said = {reading: (reading == MIRRORED) != bool(given) for reading in (AS_READ, MIRRORED)}
    texts = {
        reading: f"use_yes_price={str(said[reading]).lower()}: {_words(table[:, reading])}"
        for reading in said
    }
    if given is not None:
        if weights[AS_READ] > 0:
            return AS_READ
        raise DataError(
            f"{where}: connection {connection.conn} is given as use_yes_price={str(given).lower()}, and all "
            f"it shows speaks for {texts[MIRRORED]}; leave the setting out, or correct it "
            "(--use-yes-price, --no-use-yes-price, or the note in the file)"
        )
    if weights[1 - better] * _OUTWEIGHS > weights[better]:
        raise DataError(
            f"{where}: connection {connection.conn} shows both price scales: for {texts[AS_READ]}; for "
            f"{texts[MIRRORED]}; say how the book channel was subscribed: --use-yes-price, "
            f'--no-use-yes-price, or a line {{"conn": {connection.conn}, "use_yes_price": true or false}} '
            "before the frames of each connection"
        )
    return better


def _words(counts: np.ndarray) -> str:
    """Evidence for one reading in words."""
    return ", ".join(f"{n} {word}" for n, word in zip(counts, _WORDS, strict=False) if n)


def _parts(rows: MarketRows, carried: Stretches) -> list[tuple[slice, BookConnection]]:
    """Stretches of the rows with the connection that carries the book there."""
    cuts = [*(row for row, _ in carried), len(rows.kind)]
    return [
        (slice(begin, end), connection)
        for (begin, end), (_, connection) in zip(pairwise(cuts), carried, strict=True)
    ]


def _no_prices(rows: MarketRows) -> np.ndarray:
    """Mask (n,) of the rows whose price the scale decides."""
    mask: np.ndarray = (rows.side == NO) & ((rows.kind == SNAPSHOT) | (rows.kind == DELTA))
    return mask


def _read(rows: MarketRows, carried: Stretches, mirrored: set[BookConnection]) -> MarketRows:
    """Rows with the NO prices of those connections mirrored."""
    turned = np.zeros(len(rows.kind), np.bool_)
    for part, connection in _parts(rows, carried):
        turned[part] = connection in mirrored
    turned &= _no_prices(rows)
    if not turned.any():
        return rows
    return rows._replace(price_e4=np.where(turned, DOLLAR_E4 - rows.price_e4, rows.price_e4).astype("i4"))
