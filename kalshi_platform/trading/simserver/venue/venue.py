"""The venue: events of the world that open, trade, close and are paid, one after another, by one clock.

Owns       all events, their timers, and the slices of time in which their worlds are advanced.
Invariant  what happens within a slice is told in order of time; a command from outside acts between two of
           them. ``n_events`` events are open or about to open at any time.
Memory     a paid event loses its exchange at once and its record when ``keep_events`` later ones are paid.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Final

import numpy as np

from kalshi_platform.domain.units import DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.simexchange.world.generate import Outside
from kalshi_platform.simulation.simexchange.world.live import LiveEvent
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.config import (
    MOST_SUBACCOUNTS,
    N_SHARDS,
    SHARD_OF_CATEGORY,
    ServerConfig,
)
from kalshi_platform.trading.simserver.venue.account import OutsideAccount
from kalshi_platform.trading.simserver.venue.feed import VenueFeed
from kalshi_platform.trading.simserver.venue.market import ServedEvent, ServedMarket, all_markets
from kalshi_platform.trading.simserver.venue.rows import OutsideCause, RowReader, value_text

#: Order groups that the account may have in one event.
_GROUPS: Final = 64
#: Time from the end of the agents' trading to the close, as the recorded files have it.
_CLOSE_NS: Final = 2 * NS_PER_SECOND
#: Slices in which the first events trade before the start.
_FIRST_SLICE_NS: Final = 60 * NS_PER_SECOND
#: A time that never comes, ns since 1970.
NEVER: Final = 2**62


class LiveVenue:
    """All events of one served exchange."""

    def __init__(self, config: ServerConfig, clock: SimClock, feed: VenueFeed) -> None:
        self.config, self.clock, self.feed = config, clock, feed
        self.account = OutsideAccount(feed, round(config.cash_usd * DOLLAR_E6))
        self.reader = RowReader(feed, self.account)
        self.events: OrderedDict[str, ServedEvent] = OrderedDict()
        self.markets: dict[str, ServedMarket] = {}
        self.open_now: list[ServedEvent] = []
        self.shard_status = ["RUNNING"] * N_SHARDS
        self.resume_ns: int | None = None
        self.after_result: dict[str, Callable[[], None]] = {}  # event -> done once its result is set
        self.before_outside: Callable[[ServedEvent], None] = _nothing
        self.after_slice: list[Callable[[], None]] = []
        self._world = config.world_config()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._next_index = config.first_event
        self._paid: deque[ServedEvent] = deque()
        self._begin_first()

    # Time

    def at(self, time_ns: int, act: Callable[[], None]) -> None:
        """Let ``act`` happen at a simulated time."""
        heappush(self._timers, (time_ns, next(self._order), act))

    def advance(self, until_ns: int) -> None:
        """Let everything happen that is due before ``until_ns``."""
        while self._timers and self._timers[0][0] <= until_ns:
            time_ns, _, act = heappop(self._timers)
            self._trade(max(time_ns, self.clock.now_ns))
            act()
        self._trade(until_ns)

    def _trade(self, until_ns: int) -> None:
        """Advance the worlds of all open events by one slice, and read what they told in order of time."""
        self.clock.now_ns = max(self.clock.now_ns, until_ns)
        told = []
        with_orders = [event for event in self.open_now if self.account.rests_in(event)]
        for event in self.open_now:
            if event.due_ns < until_ns and event.live is not None:
                told.append((event, self._advance_event(event, event.live, until_ns, event in with_orders)))
        self.reader.read_all(told)
        for event in with_orders:
            with self.outside(event) as exchange:  # its orders expire on time
                exchange.wait(self.core_ns(event))
        for act in self.after_slice:
            act()

    def _advance_event(
        self, event: ServedEvent, live: LiveEvent, until_ns: int, has_orders: bool
    ) -> np.ndarray:
        """Advance one world; what rests there from outside may be filled with the account's cash."""
        lent = self.account.lend(event) if has_orders else []
        if has_orders:
            self.before_outside(event)
        rows = live.advance(until_ns - event.open_ns)
        due = event.open_ns + min(live.next_ns, live.end_ns)
        event.due_ns = due if due >= until_ns else NEVER  # else the agents' day is over
        if has_orders:
            self.account.take_back(event, lent)
        return rows

    @contextmanager
    def outside(self, event: ServedEvent, cause: OutsideCause | None = None) -> Iterator[SimulatedExchange]:
        """Lend the account's cash to an event for commands from outside, and read what they did."""
        assert event.live is not None  # callers name events that still have their exchange
        lent = self.account.lend(event)
        self.before_outside(event)
        try:
            yield event.live.exchange
        finally:
            self.reader.read(event, event.live.read(), cause)
            self.account.take_back(event, lent)

    def core_ns(self, event: ServedEvent) -> int:
        """Return now in the event's own time."""
        return max(self.clock.now_ns - event.open_ns, 0)

    # Life of an event

    def _begin_first(self) -> None:
        """Open the first events, at different ages where the config says so, and let them trade until now."""
        n, now = self.config.n_events, self.clock.now_ns
        events = [self._make(now) for _ in range(n)]
        for number, event in enumerate(events):
            assert event.live is not None  # just made
            age = event.live.end_ns * number // n if self.config.begun else 0
            event.open_ns -= age
            event.created_ns = event.open_ns
            for market in event.markets:
                market.open_ns -= age
                market.close_ns -= age
                market.expected_ns -= age
        for event in sorted(events, key=lambda event: (event.open_ns, event.index)):
            self._add(event)
            self.at(event.open_ns, partial(self._open, event))
        self.clock.now_ns = min(event.open_ns for event in events)
        while self.clock.now_ns < now:
            self.advance(min(self.clock.now_ns + _FIRST_SLICE_NS, now))
        self.advance(now)

    def _make(self, open_ns: int) -> ServedEvent:
        """Next event of the world with its markets, not yet open."""
        outside = Outside(accounts=MOST_SUBACCOUNTS + 1, orders=self.config.most_orders, groups=_GROUPS)
        live = LiveEvent(self._world, self._next_index, outside)
        self._next_index += 1
        spec = live.specs[0]
        category = spec.category or ""
        event = ServedEvent(
            index=live.index, ticker=spec.event, series=spec.series or "", category=category,
            title=f"Simulated event {live.index}", exchange_index=SHARD_OF_CATEGORY.get(category, 0),
            mutually_exclusive=bool(spec.mutually_exclusive), open_ns=open_ns, live=live,
            created_ns=self.clock.now_ns, settle_s=self.config.settle_s,
        )  # fmt: skip
        announced = open_ns + int(live.plan.announced_s) * NS_PER_SECOND + _CLOSE_NS
        event.markets = [
            ServedMarket(
                ticker=s.ticker, market_id=wire.uuid_text(wire.MARKET_ID, live.index, m), event=event,
                number=m, open_ns=open_ns, close_ns=announced, expected_ns=announced,
                updated_ns=self.clock.now_ns,
            )
            for m, s in enumerate(live.specs)
        ]  # fmt: skip
        return event

    def _add(self, event: ServedEvent) -> None:
        self.events[event.ticker] = event
        self.markets.update({market.ticker: market for market in event.markets})

    def create(self) -> None:
        """Announce the next event; it opens ``lead_s`` later."""
        event = self._make(self.clock.now_ns + round(self.config.lead_s * NS_PER_SECOND))
        self._add(event)
        for market in event.markets:
            self.feed.lifecycle(market, "created", created_fields(market))
        self.feed.created(event)
        self.at(event.open_ns, partial(self._open, event))

    def _open(self, event: ServedEvent) -> None:
        """Open an event; the exchange sends no message about that, only the books' first orders."""
        live = event.live
        assert live is not None  # it ends later
        for market in event.markets:
            market.status = "active"
        self.open_now.append(event)
        self.reader.read(event, live.opening)
        if self.shard_status[event.exchange_index] != "RUNNING":
            self._follow_shard(event)
        event.due_ns = event.open_ns + live.next_ns
        self._plan_end(event)

    def _plan_end(self, event: ServedEvent) -> None:
        live = event.live
        assert live is not None  # just opened
        close_ns = event.open_ns + int(live.plan.end_s) * NS_PER_SECOND + _CLOSE_NS
        if close_ns < event.markets[0].close_ns - NS_PER_SECOND:
            self.at(close_ns - _CLOSE_NS, partial(self.move_close, event, close_ns))
        self.at(close_ns, partial(self.close, event))

    def move_close(self, event: ServedEvent, close_ns: int) -> None:
        """Announce another close of an open event."""
        if not event.trades_now:  # closed early
            return
        for market in event.markets:
            market.close_ns = close_ns
            self.feed.lifecycle(market, "close_date_updated", {"close_ts": close_ns // NS_PER_SECOND})

    def close(self, event: ServedEvent) -> None:
        """Close an event's markets by the clock, without a message, and announce the next event."""
        if not event.trades_now:  # closed early
            return
        with self.outside(event) as exchange:
            for market in event.markets:
                exchange.set_market_status(market.number, "CLOSED", self.core_ns(event))
        self.open_now.remove(event)
        self.create()
        determined = self.clock.now_ns + round(self.config.determine_s * NS_PER_SECOND)
        self.at(determined, partial(self._determine, event))

    def _determine(self, event: ServedEvent) -> None:
        assert event.live is not None  # it is paid later
        for market, value in zip(event.markets, event.live.end_early(), strict=True):
            self.determine(market, value)
        self.after_result.pop(event.ticker, _nothing)()
        self.at(self.clock.now_ns + self.config.settle_s * NS_PER_SECOND, partial(self._settle, event))

    def determine(self, market: ServedMarket, value_e4: int) -> None:
        """Set, or change, the result of a market."""
        market.status = "determined" if market.value_e4 is None else "amended"
        market.value_e4, market.determined_ns = value_e4, self.clock.now_ns
        market.updated_ns = self.clock.now_ns
        fields = {
            "determination_ts": self.clock.now_ns // NS_PER_SECOND,
            "result": market.result,
            "settlement_value": value_text(value_e4),
        }
        self.feed.lifecycle(market, "determined", fields)

    def _settle(self, event: ServedEvent) -> None:
        timer = self.config.settle_s * NS_PER_SECOND
        due = max((market.determined_ns or 0) for market in event.markets) + timer
        if due > self.clock.now_ns:  # a result was changed: the timer began anew
            self.at(due, partial(self._settle, event))
            return
        with self.outside(event) as exchange:
            for market in event.markets:
                assert market.value_e4 is not None  # determined before
                exchange.settle(market.number, market.value_e4, self.core_ns(event))
        for market in event.markets:
            market.status, market.settled_ns = "finalized", self.clock.now_ns
            market.updated_ns = self.clock.now_ns
            self.account.close_position(market, self.clock.now_ns)
            self.feed.lifecycle(market, "settled", {"settled_ts": self.clock.now_ns // NS_PER_SECOND})
        self._retire(event)

    def _retire(self, event: ServedEvent) -> None:
        """Give up the exchange of a paid event, and the records of the oldest of many."""
        self.account.forget(event)
        event.live = None
        self._paid.append(event)
        while len(self._paid) > self.config.keep_events:
            old = self._paid.popleft()
            del self.events[old.ticker]
            for market in old.markets:
                del self.markets[market.ticker]
                for sub in self.account.subs:
                    sub.positions.pop(market.ticker, None)
                market.trades.clear()  # orders and fills of the account keep the market itself
                market.minutes.clear()

    def set_shard(self, shard: int, status: str) -> None:
        """Pause the events of a shard, or let them run; later events follow when they open (pauses.py)."""
        self.shard_status[shard] = status
        for event in self.open_now:
            if event.exchange_index == shard:
                self._follow_shard(event)

    def _follow_shard(self, event: ServedEvent) -> None:
        status = self.shard_status[event.exchange_index]
        with self.outside(event) as exchange:
            exchange.set_shard_status(0, status, self.core_ns(event))

    # Reading

    def find(self, ticker: str) -> ServedMarket | None:
        """Return the market called ``ticker``, None where there is none any more."""
        return self.markets.get(ticker)

    def all_markets(self) -> list[ServedMarket]:
        """Markets of all events that are kept, in the order of their creation."""
        return list(all_markets(self.events))


def _nothing(*_: object) -> None:
    """Do nothing: nobody has order groups."""


def created_fields(market: ServedMarket) -> dict[str, object]:
    """Fields of a lifecycle frame about a new market."""
    event = market.event
    contract = event.live.contracts[market.number] if event.live else None
    extra: dict[str, object] = {
        "name": market.ticker.rpartition("-")[2],
        "title": event.title,
        "yes_sub_title": market.ticker.rpartition("-")[2],
        "no_sub_title": market.ticker.rpartition("-")[2],
        "rules_primary": "Simulated: decided by the seed.",
        "rules_secondary": "",
        "can_close_early": event.category == "Sports",
        "event_ticker": event.ticker,
        "expected_expiration_ts": market.expected_ns // NS_PER_SECOND,
    }
    if contract is not None:
        extra |= strikes(contract.lower, contract.upper)
    return {
        "exchange_index": event.exchange_index,
        "open_ts": market.open_ns // NS_PER_SECOND,
        "close_ts": market.close_ns // NS_PER_SECOND,
        "price_level_structure": market.structure,
        "additional_metadata": extra,
    }


def strikes(lower: float | None, upper: float | None) -> dict[str, object]:
    """Strike fields of a market that pays within (lower, upper]."""
    if lower is None:
        return {"strike_type": "less", "cap_strike": upper}
    if upper is None:
        return {"strike_type": "greater", "floor_strike": lower}
    return {"strike_type": "between", "floor_strike": lower, "cap_strike": upper}
