"""One simulated event: its contracts, its trading day, its settlement, and the recording of it.

Owns       the random streams (one an event, named by seed and index), names, times, lost messages.
Units      times ns UTC in whole microseconds (level-2 files keep no more); fair values 1e-4 dollar.
Invariants recv_ns strictly increases from message to message over all markets of an event; seq counts
           the messages of the event's subscription and skips exactly those that were lost.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.gaps import NOTHING_MISSING, put_before
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    NO_SIDE,
    SNAPSHOT,
)
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.matching.engine import Tape, new_book, new_tape
from kalshi_platform.simulation.simexchange.agents import Params, new_agents
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.contracts import (
    Contract,
    Family,
    draw_contracts,
    draw_grid,
    grid_prices_e4,
    names_of,
)
from kalshi_platform.simulation.simexchange.kernel import trade_event

#: Opening of event 0: 2026-01-05 14:00 UTC.
FIRST_OPEN_NS: Final = 1_767_621_600 * NS_PER_SECOND
#: Time from the close of trading to the determination of the result.
DETERMINATION_NS: Final = 3_600 * NS_PER_SECOND
BOOK_SID: Final = 1
TRADE_SID: Final = 2
LIFECYCLE_SID: Final = 3

_SERIES: Final[dict[Family, str]] = {"single": "SIMONE", "nested": "SIMTOP", "brackets": "SIMBKT"}
_ORDERS_A_MARKET: Final = 128
_NETWORK_US: Final = 9_000
#: A shorter recording has no room for a hole with rows on both sides.
_LEAST_WITH_GAP: Final = 10


class SimMarket(NamedTuple):
    """One market: its recording and, for oracles and tests only, its fair value."""

    spec: MarketSpec
    settlement: Settlement
    rows: schema.MarketRows
    fair_e4: np.ndarray  # (messages,) f8: fair YES value at each row with FLAG_LAST


class Wire(NamedTuple):
    """Rows of all markets of one event in the order they were received: SNAPSHOT and DELTA only.

    Fills imply TRADE rows, ``lost`` implies GAP rows: see :func:`market_rows`.
    """

    rows: schema.MarketRows
    market: np.ndarray  # (n,) i4
    fair_e4: np.ndarray  # (n,) f8
    lost: np.ndarray  # (n,) i8: messages lost before the row, at the market's first row after a hole; else 0


class Announced(NamedTuple):
    """One thing that the exchange tells of every market of an event beside its books: captures show it."""

    recv_ns: int
    event_type: str  # as in market_lifecycle_v2: deactivated, activated, price_level_structure_updated


@dataclass(frozen=True, slots=True)
class SimEvent:
    """One generated event: contracts, specifications, settlements and the rows that were received."""

    index: int
    event: str
    family: Family
    contracts: list[Contract]
    specs: list[MarketSpec]
    settlements: list[Settlement]
    wire: Wire
    told: tuple[Announced, ...] = ()

    @property
    def n_messages(self) -> int:
        """Messages received: snapshots and deltas of all markets."""
        return int(np.count_nonzero(self.wire.rows.flags & FLAG_LAST))


def _params(config: SimConfig, resolved: float) -> Params:
    rates = np.cumsum(
        [
            config.maker_rate,
            config.lean_rate,
            config.noise_limit_rate,
            config.noise_cancel_rate,
            config.noise_market_rate,
            config.informed_market_rate,
        ]
    )
    shares = (rates / rates[-1]).tolist()
    return Params(
        error_sd_e4=100.0 * config.mispricing_sd_cents,
        # revisions come as a Poisson stream: correlation over n messages is exp(-(1 - memory) n / spacing)
        error_memory=max(
            0.0, 1.0 - config.revision_messages * float(np.log(2.0)) / config.half_life_messages
        ),
        revision_messages=config.revision_messages,
        news_messages=config.news_messages,
        resolved=resolved,
        lean=config.lean,
        signal_noise=config.signal_noise,
        n_makers=config.n_makers,
        maker_levels=config.maker_levels,
        half_spread_e4=100.0 * config.half_spread_cents,
        maker_e2=100.0 * config.maker_contracts,
        informed_e2=100.0 * config.informed_contracts,
        noise_e2=100.0 * config.noise_contracts,
        rates=(shares[0], shares[1], shares[2], shares[3], shares[4], shares[5]),
        snipe_share=config.snipe_share,
    )


def draw_family(rng: np.random.Generator, single_share: float, nested_share: float) -> Family:
    """Family of an event's markets."""
    u = rng.random()
    if u < single_share:
        return "single"
    return "nested" if u < single_share + nested_share else "brackets"


def _specs(
    config: SimConfig, rng: np.random.Generator, index: int, family: Family, contracts: list[Contract]
) -> list[MarketSpec]:
    duration_ns = int(rng.integers(config.min_duration_s, config.max_duration_s + 1)) * NS_PER_SECOND
    open_ns = FIRST_OPEN_NS + index * config.stagger_s * NS_PER_SECOND
    bands = draw_grid(rng, config.fine_grid_share)
    event = f"{_SERIES[family]}-{index:05d}"
    return [
        MarketSpec(
            ticker=f"{event}-{name}",
            event=event,
            series=_SERIES[family],
            category="Simulated",
            open_ns=open_ns,
            close_ns=open_ns + duration_ns,
            price_ranges=bands,
            mutually_exclusive=family == "brackets",
        )
        for name in names_of(contracts)
    ]


def _message_times_us(rng: np.random.Generator, n: int, duration_ns: int) -> np.ndarray:
    """Times at which the n messages may come, us since the opening, (n,) i8.

    They get denser toward the close.
    """
    span_us = duration_ns // 1_000 - 20_000_000
    return (1_000_000 + np.sort(rng.random(n)) ** 0.8 * span_us).astype("i8")


def _snapshot(
    depth: np.ndarray, grid: np.ndarray, market: int, recv_ns: int, seq: int, fair_e4: float
) -> tuple[schema.MarketRows, np.ndarray, np.ndarray]:
    """Rows of one snapshot message of ``depth`` (2, G), with their market and fair columns."""
    side, level = np.nonzero(depth)
    rows = schema.empty(side.size + 1)
    rows.recv_ns[:] = recv_ns
    rows.sid[:] = BOOK_SID
    rows.seq[:] = seq
    rows.kind[:] = SNAPSHOT
    rows.side[0], rows.price_e4[0], rows.flags[0] = NO_SIDE, NO_PRICE, FLAG_START
    rows.side[1:], rows.price_e4[1:], rows.qty_e2[1:] = side, grid[level], depth[side, level]
    rows.flags[-1] |= FLAG_LAST
    return rows, np.full(rows.kind.size, market, "i4"), np.full(rows.kind.size, fair_e4)


def _deltas(
    tape: Tape, part: slice, grid: np.ndarray, open_ns: int, delay_us: np.ndarray, first_seq: int
) -> schema.MarketRows:
    """Delta rows of a stretch of the tape."""
    n = part.stop - part.start
    rows = schema.empty(n)
    rows.recv_ns[:] = open_ns + tape.time_us[part] * 1_000
    rows.exch_ns[:] = (rows.recv_ns - delay_us[part] * 1_000) // NS_PER_MS * NS_PER_MS
    rows.sid[:] = BOOK_SID
    rows.seq[:] = first_seq + np.arange(n)
    rows.kind[:] = DELTA
    rows.side[:] = tape.side[part]
    rows.price_e4[:] = grid[tape.level[part]]
    rows.qty_e2[:] = tape.change[part]
    rows.flags[:] = FLAG_LAST | np.where(tape.is_fill[part] == 1, FLAG_FILL, 0)
    return rows


class _Recorder:
    """A recorder that turns a tape into the rows it received, with at most one stretch of lost messages."""

    def __init__(self, tape: Tape, opening: np.ndarray, grid: np.ndarray, open_ns: int, delay_us: np.ndarray):
        self._tape, self._depth, self._grid = tape, opening.copy(), grid
        self._open_ns, self._delay_us = open_ns, delay_us
        self._at, self._seq = 0, 1
        self._lost = np.zeros(opening.shape[0], "i8")  # by market, until its next row tells
        self._parts: list[tuple[schema.MarketRows, np.ndarray, np.ndarray, np.ndarray]] = []

    def _add(self, rows: schema.MarketRows, market: np.ndarray, fair_e4: np.ndarray) -> None:
        lost = np.zeros(market.size, "i8")
        for m in np.flatnonzero(self._lost):
            if (own := np.flatnonzero(market == m)).size:
                lost[own[0]], self._lost[m] = self._lost[m], 0
        self._parts.append((rows, market, fair_e4, lost))

    def _advance(self, until: int) -> slice:
        part = slice(self._at, until)
        tape = self._tape
        np.add.at(self._depth, (tape.market[part], tape.side[part], tape.level[part]), tape.change[part])
        self._at = until
        return part

    def receive(self, until: int) -> None:
        """Receive the deltas up to tape row ``until``."""
        part = self._advance(until)
        rows = _deltas(self._tape, part, self._grid, self._open_ns, self._delay_us, self._seq)
        self._add(rows, self._tape.market[part], self._tape.fair[part] * DOLLAR_E4)
        self._seq += part.stop - part.start

    def snapshots(self, first_fair: np.ndarray) -> None:
        """Receive a snapshot of every market, before the next delta."""
        tape, n = self._tape, self._depth.shape[0]
        for market in range(n):
            earlier = np.flatnonzero(tape.market[: self._at] == market)
            fair = tape.fair[earlier[-1]] if earlier.size else first_fair[market]
            recv_ns = self._open_ns + (tape.time_us[self._at] - n + market) * 1_000
            rows = _snapshot(self._depth[market], self._grid, market, recv_ns, self._seq, fair * DOLLAR_E4)
            self._add(*rows)
            self._seq += 1

    def lose(self, until: int) -> None:
        """Lose the deltas up to tape row ``until``; the next message shows the hole in the numbers."""
        part = self._advance(until)
        self._seq += part.stop - part.start
        self._lost[:] = part.stop - part.start

    def wire(self) -> Wire:
        """All rows received so far."""
        rows, *columns = zip(*self._parts, strict=True)
        return Wire(schema.concat(list(rows)), *(np.concatenate(c) for c in columns))


def record_tape(
    rng: np.random.Generator, tape: Tape, opening: np.ndarray, first_fair: np.ndarray, grid: np.ndarray,
    open_ns: int, delay_us: np.ndarray, *, gap_share: float, max_lost: int,
) -> Wire:  # fmt: skip
    """Rows that a recorder received: snapshots, deltas and, in some events, a hole and new snapshots.

    The rows of the tape are more than one us a market apart: a snapshot is stamped just before the delta that
    follows it. ``delay_us`` (n,) i8: from when it happened to when it was received.
    """
    n = tape.time_us.size
    recorder = _Recorder(tape, opening, grid, open_ns, delay_us)
    recorder.snapshots(first_fair)
    if rng.random() < gap_share and n >= _LEAST_WITH_GAP:
        at = int(rng.uniform(0.1, 0.8) * n)
        found = min(at + int(rng.integers(1, max_lost + 1)), n - 2)
        recorder.receive(at)
        recorder.lose(found)
        recorder.receive(min(found + int(rng.integers(1, 6)), n - 1))
        recorder.snapshots(first_fair)
    recorder.receive(n)
    return recorder.wire()


def simulate_event(config: SimConfig, index: int) -> SimEvent:
    """Event ``index`` of the exchange that ``config`` describes; it depends on nothing else."""
    rng = np.random.default_rng([config.seed, index])
    family = draw_family(rng, config.single_share, config.nested_share)
    n_markets = 1 if family == "single" else int(rng.integers(config.min_markets, config.max_markets + 1))
    contracts = draw_contracts(rng, family, n_markets)
    specs = _specs(config, rng, index, family, contracts)
    open_ns, close_ns = int(specs[0].open_ns or 0), int(specs[0].close_ns or 0)
    grid = grid_prices_e4(specs[0].price_ranges)
    n_messages = int(config.messages_per_market * n_markets * rng.uniform(0.75, 1.25))
    params = _params(
        config, float(np.exp(rng.uniform(np.log(config.min_resolved), np.log(config.max_resolved))))
    )
    lower, upper = np.array([c.bounds for c in contracts]).T.copy()
    book = new_book(n_markets, grid.size, n_markets * _ORDERS_A_MARKET)
    tape = new_tape(n_markets, n_messages)
    opening = np.zeros_like(book.depth)
    times_us = _message_times_us(rng, n_messages, close_ns - open_ns)
    agents = new_agents(n_markets, params.n_makers)
    forecast, variance = trade_event(rng, book, tape, agents, params, grid, lower, upper, times_us, opening)
    final = forecast + np.sqrt(variance) * rng.standard_normal()
    settlements = [
        Settlement(
            ticker=spec.ticker,
            value_e4=DOLLAR_E4 if low < final <= high else 0,
            determined_ns=close_ns + DETERMINATION_NS,
        )
        for spec, low, high in zip(specs, lower, upper, strict=True)
    ]
    tape.time_us[:] += (np.arange(tape.time_us.size) + 1) * n_markets  # room for the snapshots
    first_fair = np.array([tape.fair[np.flatnonzero(tape.market == m)[0]] for m in range(n_markets)])
    delay_us = _NETWORK_US + rng.integers(0, 4_000, tape.time_us.size)
    wire = record_tape(
        rng, tape, opening, first_fair, grid, open_ns, delay_us,
        gap_share=config.gap_share, max_lost=config.max_lost,
    )  # fmt: skip
    return SimEvent(index, specs[0].event, family, contracts, specs, settlements, wire)


def market_rows(wire: Wire, market: int, spec: MarketSpec) -> tuple[schema.MarketRows, np.ndarray]:
    """Rows of one market as an importer would give them, and its fair values, one a FLAG_LAST row (f8).

    This function puts in GAPs and prints and passes the rows through the market's door, which leaves out
    deltas between a GAP and the next snapshot.
    """
    index = np.flatnonzero(wire.market == market)
    lost = wire.lost[index]
    missing = np.where(lost > 0, lost, NOTHING_MISSING)
    rows, source = put_before(schema.take(wire.rows, index), missing)
    origin = Origin("simulation", "row", np.arange(source.size))
    rows, passed = Door(spec, declared=True).trace(rows, origin, Counter())
    fair_e4 = wire.fair_e4[index][source][passed]
    return rows, fair_e4[rows.flags & FLAG_LAST != 0]


def generate_event(config: SimConfig, index: int) -> list[SimMarket]:
    """Markets of event ``index`` in memory, with the values of the files that :func:`simulate` writes."""
    return markets_of(simulate_event(config, index))


def markets_of(event: SimEvent) -> list[SimMarket]:
    """Markets of an event of any world, as an importer would give them."""
    return [
        SimMarket(spec, settlement, *market_rows(event.wire, m, spec))
        for m, (spec, settlement) in enumerate(zip(event.specs, event.settlements, strict=True))
    ]
