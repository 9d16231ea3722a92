"""Lifecycle frames of markets and events: the facts that a message tells, each field read on its own.

Invariant  no message is refused: a field that cannot be read tells nothing and is counted by its name, an
           outcome that cannot be read makes the outcome unknown.
Not here   the facts themselves (``facts.py``), the rows of a market (``decode.py``).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.facts import EventFeeTold, EventTold, MarketFacts
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import (
    STATUS_ACTIVE,
    STATUS_DETERMINED,
    STATUS_PAUSED,
    STATUS_SETTLED,
)
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import settlement_value_e4
from kalshi_platform.domain.units import DOLLAR_E4, NO_TIME, parse_price

_STATUS: Final = {
    "activated": STATUS_ACTIVE,
    "deactivated": STATUS_PAUSED,
    "determined": STATUS_DETERMINED,
    "settled": STATUS_SETTLED,
}
_TIMES: Final = {"open_ns": "open_ts", "close_ns": "close_ts", "determined_ns": "determination_ts"}
#: Payment of one YES that a plain result stands for.
_PAYS: Final = {"yes": DOLLAR_E4, "no": 0}


class ToldFacts:
    """Facts of markets, and facts and fees of events, as the frames of one recording told them so far."""

    def __init__(self, counters: Counter[str]) -> None:
        """Begin without facts; fields that cannot be read are counted in ``counters``."""
        self._counters = counters
        self._events: dict[str, EventTold] = {}
        self.facts: dict[str, MarketFacts] = {}
        self.fees: dict[str, list[EventFeeTold]] = {}

    def take_market(
        self, ticker: str, frame: Frame, msg: Mapping[str, Any], markets: Mapping[str, RowBuffer]
    ) -> None:
        """Take a ``market_lifecycle_v2`` message of a market that ``markets`` holds."""
        self._tell(ticker, frame, facts_of(msg, self._counters), markets)

    def take_event(self, frame: Frame, msg: Mapping[str, Any], markets: Mapping[str, RowBuffer]) -> list[str]:
        """Take an ``event_lifecycle`` message; returns the markets known already, which learn of it now."""
        event = _event_of(msg)
        series, collateral = msg.get("series_ticker"), msg.get("collateral_return_type")
        self._events[event] = EventTold(
            series if isinstance(series, str) and series else None,
            collateral if isinstance(collateral, str) else None,
        )
        known = [ticker for ticker, facts in self.facts.items() if facts.event == event]
        for ticker in known:
            self._tell(ticker, frame, {}, markets)
        return known

    def take_fee(self, frame: Frame, msg: Mapping[str, Any]) -> None:
        """Take an ``event_fee_update`` message; DataError where a value cannot be.

        An override that is absent or null is none: the series' own fee holds again.
        """
        event = _event_of(msg)
        kind, multiplier = msg.get("fee_type_override"), msg.get("fee_multiplier_override")
        if kind is not None and not isinstance(kind, str):
            raise DataError(f"fee_type_override = {shown_value(kind)}; expected a fee type or null")
        multiplier_e6 = None if multiplier is None else wire.multiplier_e6(multiplier)
        self.fees.setdefault(event, []).append(EventFeeTold(frame.recv_ns, kind or None, multiplier_e6))

    def _tell(
        self, ticker: str, frame: Frame, news: dict[str, Any], markets: Mapping[str, RowBuffer]
    ) -> None:
        """Add news to the facts of a market, with those that are known of its event."""
        before = self.facts.get(ticker, MarketFacts())
        facts = replace(before, **news)
        event = self._events.get(facts.event) if facts.event is not None else None
        if event is not None:
            facts = replace(facts, series=event.series, collateral=event.collateral)
        self.facts[ticker] = facts
        if facts != before:
            markets[ticker].tell(frame.recv_ns, facts, frame.line)


def time_of(msg: Mapping[str, Any], counters: Counter[str]) -> int:
    """Exchange's own time of a message, ns; NO_TIME, counted, where it cannot be read."""
    try:
        return wire.exchange_time_ns(msg)
    except DataError:
        counters["lifecycle_field_unreadable:ts"] += 1
        return NO_TIME


def status_of(msg: Mapping[str, Any]) -> int | None:
    """Trading state that a message brings about; None where it changes none."""
    event_type = msg.get("event_type")
    return _STATUS.get(event_type) if isinstance(event_type, str) else None


def facts_of(msg: Mapping[str, Any], counters: Counter[str]) -> dict[str, Any]:
    """Return the fields of MarketFacts that one message gives, by name; others are absent."""
    told: dict[str, Any] = {}

    def take(
        name: str, key: str, source: Mapping[str, Any], read: Callable[[Mapping[str, Any], str], Any]
    ) -> None:
        """Read one field, if the message has it; count it where it cannot be read."""
        if source.get(key) in (None, "", 0, []):
            return
        try:
            told[name] = read(source, key)
        except DataError:
            counters[f"lifecycle_field_unreadable:{key}"] += 1

    for name, key in _TIMES.items():
        take(name, key, msg, wire.seconds_ns)
    take("price_ranges", "price_ranges", msg, lambda source, key: wire.price_bands(source[key]))
    more = msg.get("additional_metadata")
    if isinstance(more, dict):
        event, early = more.get("event_ticker"), more.get("can_close_early")
        if isinstance(event, str) and event:
            told["event"] = event
        if isinstance(early, bool):
            told["can_close_early"] = early
        take("expected_expiration_ns", "expected_expiration_ts", more, wire.seconds_ns)
    if msg.get("settlement_value") is not None or msg.get("result"):
        told["settlement_e4"] = _outcome(msg, counters)
    return told


def _outcome(msg: Mapping[str, Any], counters: Counter[str]) -> int | None:
    """Payment of one YES, 1e-4 dollar; None, counted, where the message gives none that can be read."""
    result, value = msg.get("result"), msg.get("settlement_value")
    try:
        paid_e4 = None if value is None else parse_price(_text(value))
        found = settlement_value_e4(result if isinstance(result, str) or not result else "?", paid_e4)
    except DataError:
        counters["lifecycle_outcome_unreadable"] += 1
        return None
    expected = _PAYS.get(result) if isinstance(result, str) else None
    if expected is not None and found != expected:
        counters["lifecycle_result_against_value"] += 1
        return None
    return found


def _text(value: Any) -> str:
    """Decimal text of a price given as text or as a number; DataError for anything else."""
    if isinstance(value, str):
        return value
    if type(value) in (int, float):
        return repr(value)
    raise DataError(f"settlement_value = {shown_value(value)}; expected a dollar string")


def _event_of(msg: Mapping[str, Any]) -> str:
    """Event that a message names; DataError where it names none."""
    event = msg.get("event_ticker")
    if not isinstance(event, str) or not event:
        raise DataError(f"event_ticker = {shown_value(event)}; expected an event's ticker")
    return event
