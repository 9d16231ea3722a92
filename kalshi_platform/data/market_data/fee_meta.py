"""Statements of fees read from metadata, from answers of the exchange about series, and from frames.

Documents   ``/series`` and ``/series/{ticker}`` (``{"series": ...}``), ``/series/fee_changes``
            (``series_fee_change_arr``) and ``/events/fee_changes`` (``event_fee_changes``); they may lie in a
            mapping or list of documents. Markets and events have fee fields of their own.
Counted     ``fee_type_unreadable:TYPE``: the exchange publishes no table for it (``flat``, say); quadratic
            with multiplier 1 is assumed. ``fee_waivers_ignored``: nobody knows what a waiver does.
Not here    which statement holds when (``domain/fee_history.py``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, get_args

from kalshi_platform.data.market_data.clock import SCHEDULE
from kalshi_platform.data.market_data.frames import MAX_FEE_MULTIPLIER
from kalshi_platform.domain.bounded import counter_name, shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, told_once
from kalshi_platform.domain.fee_schedule import FULL_MULTIPLIER_E6
from kalshi_platform.domain.market import FeeType
from kalshi_platform.domain.units import NS_PER_SECOND, parse_rfc3339

_READABLE: Final = frozenset(get_args(FeeType))
_MAX_DEPTH: Final = 4
_SERIES_CHANGES, _EVENT_CHANGES = "series_fee_change_arr", "event_fee_changes"
#: Names of (type, multiplier) in a series, a market or a change of a series; and in what overrides them.
_OWN: Final = ("fee_type", "fee_multiplier")
_OVERRIDE: Final = ("fee_type_override", "fee_multiplier_override")
#: Seconds of a time in digits: 2021 to 2100. The exchange has no fees from before.
_SECONDS: Final = (1_609_459_200, 4_102_444_800)


class FeeNotes:
    """Statements about series and events, collected from any number of documents."""

    def __init__(self, counters: Counter[str], before: FeeTable | None = None) -> None:
        """Begin with the statements ``before``; what cannot be read is counted in ``counters``."""
        self._counters = counters
        known = before or FeeTable()
        self._series = defaultdict(list, {name: list(told) for name, told in known.series.items()})
        self._events = defaultdict(list, {name: list(told) for name, told in known.events.items()})

    def read_document(self, document: Any, source: str) -> None:
        """Take every statement about series and events in ``document``; DataError for a broken one."""
        for kind, number, entry in _entries(document):
            where = f"{source}: {kind} {number}"
            if kind == _EVENT_CHANGES:
                ticker, fields, notes = entry.get("event_ticker"), _OVERRIDE, self._events
            elif kind == _SERIES_CHANGES:
                ticker, fields, notes = entry.get("series_ticker"), _OWN, self._series
            else:
                ticker, fields, notes = entry.get("ticker"), _OWN, self._series
            if not isinstance(ticker, str) or not ticker:
                raise DataError(
                    f"{where}: ticker {shown_value(ticker)}; expected text; correct it in the source"
                )
            at_ns = None if kind == "series" else _scheduled_ns(entry, where)
            notes[ticker].append(_telling(entry, fields, at_ns, where, self._counters))

    def table(self) -> FeeTable:
        """All statements so far."""
        return FeeTable(
            {name: told_once(told) for name, told in self._series.items()},
            {name: told_once(told) for name, told in self._events.items()},
        )


def is_fee_document(document: Any) -> bool:
    """True for an answer about the fees of series or events, an empty one included."""
    return any(True for _ in _lists(document))


def own_fees(row: Mapping[str, Any], where: str, counters: Counter[str]) -> tuple[FeeTelling, ...]:
    """Statement of a market's own row, if it makes one."""
    counters["fee_waivers_ignored"] += int(bool(row.get("fee_waiver_expiration_time")))
    told = _telling(row, _OWN, None, where, counters)
    return () if told.is_empty else (told,)


def overriding_fees(
    row: Mapping[str, Any], event: Mapping[str, Any], where: str, counters: Counter[str]
) -> tuple[FeeTelling, ...]:
    """Statement of an event's override, out of the market's row or the event around it, if there is one."""
    holder = row if any(row.get(name) is not None for name in _OVERRIDE) else event
    told = _telling(holder, _OVERRIDE, None, where, counters)
    return () if told.is_empty else (told,)


def with_frames(
    table: FeeTable,
    frames: Mapping[str, Sequence[tuple[int, str | None, int | None]]],
    counters: Counter[str],
) -> FeeTable:
    """``table`` with what frames told of events: (receive time, type, multiplier in 1e-6) by event."""
    events = dict(table.events)
    for event, told in frames.items():
        tellings = (_statement(kind, e6, at_ns, f"event {event}", counters) for at_ns, kind, e6 in told)
        events[event] = (*events.get(event, ()), *tellings)
    return FeeTable(table.series, events)


def _lists(document: Any, depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """(kind, entries) of every answer in ``document``, which may be a mapping or list of answers."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(document, list):
        for part in document:
            yield from _lists(part, depth + 1)
    elif isinstance(document, dict):
        for kind in (_SERIES_CHANGES, _EVENT_CHANGES):
            if isinstance(document.get(kind), list):
                yield kind, document[kind]
        series = document.get("series")
        found = series if isinstance(series, list) else [series]
        if any(isinstance(s, dict) and any(name in s for name in _OWN) for s in found):
            yield "series", found
        for name, part in document.items():
            if name not in ("series", "markets", _SERIES_CHANGES, _EVENT_CHANGES):
                yield from _lists(part, depth + 1)


def _entries(document: Any) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """(kind, number in its list, entry) of every entry that is an object."""
    for kind, entries in _lists(document):
        for number, entry in enumerate(entries):
            if isinstance(entry, dict):
                yield kind, number, entry


def _telling(
    row: Mapping[str, Any], fields: tuple[str, str], at_ns: int | None, where: str, counters: Counter[str]
) -> FeeTelling:
    """Statement in two fields of ``row``."""
    multiplier_e6 = _multiplier_e6(row.get(fields[1]), f"{where}: {fields[1]}")
    return _statement(row.get(fields[0]), multiplier_e6, at_ns, f"{where}: {fields[0]}", counters)


def _statement(
    kind: Any, multiplier_e6: int | None, at_ns: int | None, where: str, counters: Counter[str]
) -> FeeTelling:
    """Statement of a type and a multiplier; a type without a readable table becomes quadratic times 1."""
    if kind in (None, ""):
        return FeeTelling(at_ns=at_ns, fee_multiplier_e6=multiplier_e6)
    if not isinstance(kind, str):
        raise DataError(f"{where} = {shown_value(kind)}; expected text such as 'quadratic'")
    if kind in _READABLE:
        return FeeTelling.parse({"at_ns": at_ns, "fee_type": kind, "fee_multiplier_e6": multiplier_e6})
    counters[counter_name("fee_type_unreadable", kind)] += 1
    return FeeTelling(at_ns=at_ns, fee_type="quadratic", fee_multiplier_e6=FULL_MULTIPLIER_E6, readable=False)


def _multiplier_e6(value: Any, what: str) -> int | None:
    """Multiplier in 1e-6 from a number or text; None where there is none."""
    if value is None or value == "":
        return None
    try:
        scaled = Decimal(str(value)) * FULL_MULTIPLIER_E6  # no bool is a number: its text is 'True'
    except ArithmeticError:
        raise DataError(
            f"{what} = {shown_value(value)} is no number; expected one such as 1 or 0.5"
        ) from None
    if not scaled.is_finite() or not 0 <= scaled <= MAX_FEE_MULTIPLIER * FULL_MULTIPLIER_E6:
        raise DataError(
            f"{what} = {shown_value(value)}; expected 0..{MAX_FEE_MULTIPLIER}: it "
            "multiplies the exchange's fee"
        )
    if scaled != scaled.to_integral_value():
        raise DataError(f"{what} = {shown_value(value)} is finer than 1e-6; round it in the source")
    return int(scaled)


def _scheduled_ns(entry: Mapping[str, Any], where: str) -> int:
    """Time from which a scheduled change holds: RFC 3339 text or whole seconds."""
    value = entry.get("scheduled_ts")
    if isinstance(value, str):
        try:
            at_ns = parse_rfc3339(value)
        except DataError as err:
            raise DataError(f"{where}: scheduled_ts: {err}; correct it in the source") from None
        if SCHEDULE.holds(at_ns):
            return at_ns
    elif type(value) is int and _SECONDS[0] <= value < _SECONDS[1]:
        return value * NS_PER_SECOND
    raise DataError(
        f"{where}: scheduled_ts = {shown_value(value)}; expected RFC 3339 text (2026-07-03T17:00:00Z) or "
        f"seconds since 1970, not milliseconds, and {SCHEDULE.words}; a change without its time "
        "cannot be placed: leave it out"
    )
