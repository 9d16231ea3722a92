"""Faults that strike at once, and the schedule of all: connections are cut, the world is changed.

A fault of one market that names none takes the first open one; where nothing fits, that is listed as a miss.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from kalshi_platform.domain.fee_schedule import FeeTerms
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.simexchange.contracts import TAPERED
from kalshi_platform.trading.simserver.faults.forms import (
    FRAME_KINDS,
    REST_KINDS,
    FaultSchedule,
    PlantedFault,
    RandomFault,
)
from kalshi_platform.trading.simserver.faults.frames import Faults
from kalshi_platform.trading.simserver.stream.commands import SocketCommands
from kalshi_platform.trading.simserver.stream.connection import ServedConnection
from kalshi_platform.trading.simserver.stream.hub import FrameHub
from kalshi_platform.trading.simserver.stream.socket import Sockets
from kalshi_platform.trading.simserver.venue.market import ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.pauses import ALL_SHARDS, ShardPauses
from kalshi_platform.trading.simserver.venue.venue import LiveVenue


class FaultActs:
    """Planter of faults in one server."""

    def __init__(
        self,
        venue: LiveVenue,
        pauses: ShardPauses,
        hub: FrameHub,
        sockets: Sockets,
        commands: SocketCommands,
        faults: Faults,
    ) -> None:
        self._venue, self._pauses, self._hub, self._sockets = venue, pauses, hub, sockets
        self._commands, self._faults = commands, faults
        self._acts: dict[str, Callable[[PlantedFault], None]] = {
            "overflow": partial(self._end_subs, code=25),
            "channel_error": partial(self._end_subs, code=10),
            "disconnect": self._disconnect,
            "half_open": self._half_open,
            "pause": self._pause,
            "maintenance": self._maintenance,
            "market_pause": self._market_pause,
            "tick_change": self._tick_change,
            "early_close": self._early_close,
            "redetermine": self._redetermine,
            "fee_change": self._fee_change,
            "drift": self._drift,
            "clock_skew": self._clock_skew,
        }

    def plant(self, fault: PlantedFault) -> None:
        """Let a fault strike, or wait, at its time."""
        at_ns = self._venue.clock.start_ns + round(fault.at_s * NS_PER_SECOND)
        if at_ns > self._venue.clock.now_ns:
            self._venue.at(at_ns, partial(self._now, fault))
        else:
            self._now(fault)

    def plant_all(self, schedule: FaultSchedule) -> None:
        """Plant a schedule."""
        for fault in schedule.faults:
            self.plant(fault)
        for number, each in enumerate(schedule.random):
            self._plan_next(each, np.random.default_rng([schedule.seed, number]))

    def _plan_next(self, each: RandomFault, rng: np.random.Generator) -> None:
        wait_ns = round(rng.exponential(3_600 / each.per_hour) * NS_PER_SECOND)

        def strike() -> None:
            self._now(each.fault)
            self._plan_next(each, rng)

        self._venue.at(self._venue.clock.now_ns + wait_ns, strike)

    def _now(self, fault: PlantedFault) -> None:
        if fault.kind in (*FRAME_KINDS, *REST_KINDS):
            self._faults.arm(fault)
        else:
            self._acts[fault.kind](fault)

    # Connections

    def _connections(self, fault: PlantedFault) -> list[ServedConnection]:
        """Connections that a fault means: with its channel where it names one, the first ``count``."""
        found = [c for c in self._hub.connections.values() if fault.channel in (None, *c.by_channel)]
        if not found:
            self._miss(fault)
        return found[: fault.count]

    def _end_subs(self, fault: PlantedFault, code: int) -> None:
        for connection in self._connections(fault):
            for sub in [s for s in connection.subs.values() if fault.channel in (None, s.channel)]:
                self._commands.overflow(connection, sub, code)
                self._faults.strike(
                    fault.kind, connection=connection.number, sid=sub.sid, channel=sub.channel
                )

    def _disconnect(self, fault: PlantedFault) -> None:
        for connection in self._connections(fault):
            self._faults.strike(fault.kind, connection=connection.number)
            self._sockets.abort(connection)

    def _half_open(self, fault: PlantedFault) -> None:
        for connection in self._connections(fault):
            self._faults.strike(fault.kind, connection=connection.number)
            self._sockets.mute(connection)

    # The world

    def _event(self, fault: PlantedFault) -> ServedEvent | None:
        """Open event that a fault means."""
        for event in self._venue.open_now:
            tickers = [event.ticker, *(market.ticker for market in event.markets)]
            if fault.ticker in (None, *tickers):
                return event
        self._miss(fault)
        return None

    def _miss(self, fault: PlantedFault) -> None:
        self._faults.strike("missed", wanted=fault.kind, ticker=fault.ticker, channel=fault.channel)

    def _later(self, fault: PlantedFault, act: Callable[[], None]) -> None:
        self._venue.at(self._venue.clock.now_ns + round(fault.seconds * NS_PER_SECOND), act)

    def _pause(self, fault: PlantedFault) -> None:
        shards = ALL_SHARDS if fault.shard is None else (fault.shard,)
        status = "FULL_PAUSE" if fault.full else "TRADING_PAUSE"
        until_ns = self._venue.clock.now_ns + round(fault.seconds * NS_PER_SECOND)
        self._pauses.begin(shards, status, until_ns)
        self._faults.strike(fault.kind, shards=list(shards), status=status)

    def _maintenance(self, fault: PlantedFault) -> None:
        """Pause as the weekly maintenance does: trading or all, and every connection is cut."""
        self._pause(fault)
        self._sockets.abort_all()

    def _market_pause(self, fault: PlantedFault) -> None:
        event = self._event(fault)
        if event is not None:
            self._set_status(event, "INACTIVE")
            self._later(fault, partial(self._set_status, event, "ACTIVE"))
            self._faults.strike(fault.kind, ticker=event.ticker)

    def _set_status(self, event: ServedEvent, status: str) -> None:
        if not event.trades_now:  # closed meanwhile: a pause that ends must not open it again
            return
        with self._venue.outside(event) as exchange:
            for market in event.markets:
                exchange.set_market_status(market.number, status, self._venue.core_ns(event))

    def _tick_change(self, fault: PlantedFault) -> None:
        event = self._event(fault)
        if event is not None and event.live is not None:
            with self._venue.outside(event) as exchange:
                for market in event.markets:
                    exchange.set_bands(market.number, TAPERED, self._venue.core_ns(event))
            event.live.world.state["fine_grid"] = 1
            self._faults.strike(fault.kind, ticker=event.ticker)

    def _early_close(self, fault: PlantedFault) -> None:
        event = self._event(fault)
        if event is not None:
            close_ns = self._venue.clock.now_ns + round(fault.seconds * NS_PER_SECOND)
            self._venue.move_close(event, close_ns)
            self._venue.at(close_ns, partial(self._venue.close, event))
            self._faults.strike(fault.kind, ticker=event.ticker, close_ns=close_ns)

    def _redetermine(self, fault: PlantedFault) -> None:
        """Change the result of a determined market now, else of the event's markets once they have one."""
        waiting = [m for m in self._venue.all_markets() if m.status in ("determined", "amended")]
        waiting = [m for m in waiting if fault.ticker in (None, m.ticker, m.event.ticker)]
        if waiting:
            self._turn(waiting[0])
        elif (event := self._event(fault)) is not None:
            self._venue.after_result[event.ticker] = partial(
                self._later, fault, partial(self._turn, event.markets[0])
            )

    def _turn(self, market: ServedMarket) -> None:
        if market.value_e4 is not None and market.status != "finalized":
            self._venue.determine(market, DOLLAR_E4 - market.value_e4)
            self._faults.strike("redetermine", ticker=market.ticker, value_e4=market.value_e4)
        else:
            self._faults.strike("missed", wanted="redetermine", ticker=market.ticker)

    def _fee_change(self, fault: PlantedFault) -> None:
        event = self._event(fault)
        if event is not None:
            terms = FeeTerms(fee_type="quadratic_with_maker_fees", fee_multiplier_e6=fault.fee_multiplier_e6)
            with self._venue.outside(event) as exchange:
                for market in event.markets:
                    exchange.set_fees(market.number, terms, self._venue.core_ns(event))
            event.fee_type, event.fee_multiplier_e6 = terms.fee_type, terms.fee_multiplier_e6
            event.fees_since_ns = self._venue.clock.now_ns
            self._venue.feed.fees(event)
            self._faults.strike(fault.kind, ticker=event.ticker)

    def _drift(self, fault: PlantedFault) -> None:
        event = self._event(fault)
        if event is not None:
            named = [m for m in event.markets if m.ticker == fault.ticker] or event.markets[:1]
            self._faults.drift_e2[named[0].ticker] = fault.qty_e2
            self._faults.strike(fault.kind, ticker=named[0].ticker, qty_e2=fault.qty_e2)

    def _clock_skew(self, fault: PlantedFault) -> None:
        self._venue.clock.skew_ns = fault.skew_ms * NS_PER_MS
        self._faults.strike(fault.kind, skew_ms=fault.skew_ms)
