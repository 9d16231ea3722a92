"""Facts about markets from the exchange's metadata: specification, and, kept apart, settlement.

Read from flat records (``markets.parquet``: one row a market) or REST answers (a list of events with
nested markets, ``{"markets": [...]}``, ``{"market": {...}}``, ``{"events": [...]}``).

A record that contradicts itself costs the fact, never the build; counted are
  outcome_contradicts_result               "no" that paid 1.0000, say: the outcome is unknown
  close_before_open                        both times are unknown
  expiration_before_open                   the expiration is unknown
  zero_times_read_as_absent                0001-01-01T00:00:00Z, 1970-01-01T00:00:00Z: blanks of writers
  times_outside_2015_2099_read_as_unknown  9999-12-31, say
  not_a_number_read_as_absent              NaN, the blank of a column of floats
  flag_unreadable:NAME                     neither true nor false: unknown

Told: an answer with ``known_ns`` beside it (``{"known_ns": ..., "market": {...}}``: when a recorder got it)
tells facts from that time on. The first such answer of a market makes its specification, as it was known
before anybody knew the outcome; of several answers the last tells the outcome, which counts as known from the
first answer on that told it: a recorder that heard an outcome late has no rows that may know it earlier.

Fees: a record keeps what its source says of the market's own fees and of its event's override
(``fee_meta.py``); its specification carries fees only once ``domain/fee_history.py`` weighed every source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.clock import EXCHANGE, SCHEDULE, UNITS_NS, unit_like, utc_text
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.fee_meta import overriding_fees, own_fees
from kalshi_platform.data.market_data.frames import price_bands
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTelling, told_once
from kalshi_platform.domain.market import (
    WHOLE_CENTS,
    MarketSpec,
    PriceBand,
    Settlement,
    contradicts,
    settlement_value_e4,
)
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND, parse_price, parse_rfc3339

_SHOWN_CHARS: Final = 80
_TICKER: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Times by which some writers say that there is none, ns: the first instant of the calendar, and of Unix.
_ZERO_TIMES_NS: Final = (-62_135_596_800 * NS_PER_SECOND, 0)
#: Fields of a specification that answers of known time tell from their own time on (:class:`TimedFacts`).
_TIMED: Final = {"open_ns", "close_ns", "expected_expiration_ns", "can_close_early"}
#: Texts of a flag in tables, lower case: CSV has true and false, SQLite 1 and 0, pandas 1.0 beside a blank.
_FLAGS: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
#: Grids to infer from, coarse to fine, where the metadata declares none. Finer ones (0.01 cent: combos and a
#: few others) must be declared, so that a wrong price does not make its own grid.
_GRIDS: Final = (
    WHOLE_CENTS,
    (
        PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
        PriceBand(start_e4=1_000, end_e4=9_000, step_e4=100),
        PriceBand(start_e4=9_000, end_e4=10_000, step_e4=10),
    ),
    (PriceBand(start_e4=0, end_e4=10_000, step_e4=10),),
)


class TimedFacts(NamedTuple):
    """Facts of a market that were known from ``known_ns`` on."""

    known_ns: int
    facts: MarketFacts


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """Facts that one metadata source tells of one market."""

    spec: MarketSpec
    settlement: Settlement | None
    grid_declared: bool  # False: the source does not say on which grid the market trades
    expiration_ns: int | None = None  # by then, at the latest, the outcome is public
    last_price_e4: int | None = None  # of the last trade the source knows, YES scale; None where none traded
    own_fees: tuple[FeeTelling, ...] = ()  # the market's own fee fields, in the order of the sources
    event_fees: tuple[FeeTelling, ...] = ()  # the override of its event, told beside the market
    told: tuple[TimedFacts, ...] = ()  # facts of answers of known time, in order of it
    is_foresight: bool = False  # the specification was told before the outcome was known
    heard_ns: int | None = None  # when an answer of known time first told the outcome that holds

    @property
    def known_ns(self) -> int | None:
        """Time at which the outcome was public for certain; None if no time bounds it or it is unknown.

        This is when a recorder heard it, where one did. Else it is the time of determination, else the latest
        expiration, which is later (often by days): never a time at which the outcome may still be open.
        """
        if self.settlement is None:
            return None
        if self.heard_ns is not None:
            return self.heard_ns
        if self.settlement.determined_ns is not None or self.expiration_ns is None:
            return self.settlement.determined_ns
        return max(self.expiration_ns, self.spec.close_ns or 0)


def is_ticker(text: str) -> bool:
    """True for a text that can be a ticker."""
    return _TICKER.fullmatch(text) is not None


def check_ticker(ticker: object, where: str) -> str:
    """``ticker`` if it can be one; DataError otherwise."""
    if isinstance(ticker, str) and is_ticker(ticker):
        return ticker
    shown = ascii(ticker) if len(str(ticker)) <= _SHOWN_CHARS else f"{str(ticker)[:_SHOWN_CHARS]!a}..."
    raise DataError(
        f"{where}: ticker {shown}; expected 1..128 letters, digits, '.', '_' or '-'; correct it in the source"
    )


def inferred_event(ticker: str) -> str:
    """Event of a market without metadata: its ticker up to the last '-'."""
    return ticker.rpartition("-")[0] or ticker


def unknown_market(ticker: str) -> MarketRecord:
    """Record of a market of which only the ticker is known."""
    return MarketRecord(MarketSpec(ticker=ticker, event=inferred_event(ticker)), None, grid_declared=False)


def coarsest_grid(prices_e4: np.ndarray) -> tuple[PriceBand, ...]:
    """Coarsest grid that holds every price (YES scale, 1e-4 dollar); 0.1 cent where none does."""
    for bands in _GRIDS:
        if grid_table(bands)[prices_e4].all():
            return bands
    return _GRIDS[-1]


@lru_cache(maxsize=256)
def grid_table(price_ranges: tuple[PriceBand, ...]) -> np.ndarray:
    """YES prices that a market with these bands may have, (10_001,) bool."""
    table = np.zeros(DOLLAR_E4 + 1, np.bool_)
    for band in price_ranges:
        table[band.start_e4 : band.end_e4 + 1 : band.step_e4] = True
    table.flags.writeable = False
    return table


def records_from_rows(
    rows: Iterable[Mapping[str, Any]], source: str, counters: Counter[str]
) -> Iterator[MarketRecord]:
    """Flat metadata records (``market_ticker``, ``event_ticker``, ...) to market records."""
    for number, row in enumerate(rows):
        where = f"{source}: row {number}"
        yield _record(row, check_ticker(row.get("market_ticker"), where), {}, where, counters)


def is_rest_document(document: Any) -> bool:
    """True for a REST answer (or a list of events) that describes markets."""
    return any(True for _ in _rest_markets(document))


def records_from_rest(document: Any, source: str, counters: Counter[str]) -> Iterator[MarketRecord]:
    """REST answer with markets, nested in events or not, to market records."""
    for number, (event, market, known_ns) in enumerate(_rest_markets(document)):
        where = f"{source}: market {number}"
        record = _record(market, check_ticker(market.get("ticker"), where), event, where, counters)
        yield record if known_ns is None else _timed(record, known_ns)


def _timed(record: MarketRecord, known_ns: int) -> MarketRecord:
    """``record`` as an answer that was got at ``known_ns``."""
    spec = record.spec
    facts = MarketFacts(
        open_ns=spec.open_ns,
        close_ns=spec.close_ns,
        expected_expiration_ns=spec.expected_expiration_ns,
        can_close_early=spec.can_close_early,
        price_ranges=spec.price_ranges if record.grid_declared else None,
    )
    told = (TimedFacts(known_ns, facts),)
    is_open = record.settlement is None
    return replace(record, told=told, is_foresight=is_open, heard_ns=None if is_open else known_ns)


def _rest_markets(
    document: Any, known_ns: int | None = None
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], int | None]]:
    """(event or empty, market, time at which the answer was got or None) of a REST answer."""
    if isinstance(document, list):
        for entry in document:
            yield from _rest_markets(entry, known_ns)
    elif isinstance(document, dict):
        noted = document.get("known_ns")
        known_ns = noted if type(noted) is int and EXCHANGE.holds(noted) else known_ns
        if isinstance(document.get("event"), dict) or isinstance(document.get("events"), list):
            inner = document.get("event") or document.get("events") or {}
            for event in inner if isinstance(inner, list) else [{**inner, **_nested(document)}]:
                yield from _rest_markets(event, known_ns)
        elif isinstance(document.get("market"), dict):
            yield from _rest_markets(document["market"], known_ns)
        elif isinstance(document.get("markets"), list):
            event = document if "event_ticker" in document else {}
            found = [m for m in document["markets"] if isinstance(m, dict) and "ticker" in m]
            yield from ((event, market, known_ns) for market in found)
        elif "ticker" in document and "event_ticker" in document:
            yield {}, document, known_ns
        else:  # answers kept inside an object of somebody's own
            for value in document.values():
                if isinstance(value, dict | list):
                    yield from _rest_markets(value, known_ns)


def _nested(document: Mapping[str, Any]) -> dict[str, Any]:
    """Markets that lie beside the event in a REST answer."""
    return {"markets": document["markets"]} if isinstance(document.get("markets"), list) else {}


def _record(
    row: Mapping[str, Any], ticker: str, event: Mapping[str, Any], where: str, counters: Counter[str]
) -> MarketRecord:
    """Record of one market; a field that ``row`` lacks is read from ``event``."""
    event_ticker = row.get("event_ticker") or event.get("event_ticker")
    if not event_ticker:
        counters["event_inferred"] += 1
        event_ticker = inferred_event(ticker)
    of_event = row if "mutually_exclusive" in row else event
    raw_bands = row.get("price_ranges")
    try:
        open_ns, close_ns, expiration_ns = _schedule(row, counters)
        expected_ns = _after(open_ns, _time(row, "expected_expiration_time", counters), counters)
        spec = MarketSpec(
            ticker=ticker,
            event=check_ticker(event_ticker, where),
            series=_name("series_ticker", row, event),
            category=_name("category", row, event),
            open_ns=open_ns,
            close_ns=close_ns,
            expected_expiration_ns=expected_ns,
            can_close_early=_flag(row, "can_close_early", counters),
            price_ranges=price_bands(raw_bands) if raw_bands else WHOLE_CENTS,
            mutually_exclusive=_flag(of_event, "mutually_exclusive", counters),
        )
        settlement = _settlement(row, ticker, counters)
        last_price = _present(row, "last_price_dollars", counters)
        last_e4 = 0 if last_price is None else parse_price(last_price)
        fees = own_fees(row, where, counters), overriding_fees(row, event, where, counters)
    except DataError as err:
        raise DataError(f"{where} ({ticker}): {err}; correct the metadata") from None
    # the exchange answers a last price of 0 where nothing traded
    return MarketRecord(spec, settlement, bool(raw_bands), expiration_ns, last_e4 or None, *fees)


def _schedule(row: Mapping[str, Any], counters: Counter[str]) -> tuple[int | None, int | None, int | None]:
    """Times of opening, closing and latest expiration, ns; those that contradict are unknown."""
    open_ns, close_ns = _time(row, "open_time", counters), _time(row, "close_time", counters)
    expiration_ns = _time(row, "latest_expiration_time", counters)
    if expiration_ns is None:
        expiration_ns = _time(row, "expiration_time", counters)
    expiration_ns = _after(open_ns, expiration_ns, counters)
    if open_ns is not None and close_ns is not None and close_ns < open_ns:
        counters["close_before_open"] += 1
        open_ns = close_ns = None
    return open_ns, close_ns, expiration_ns


def _after(open_ns: int | None, expiration_ns: int | None, counters: Counter[str]) -> int | None:
    """Time of an expiration; None, counted, where it lies before the opening."""
    if open_ns is None or expiration_ns is None or expiration_ns >= open_ns:
        return expiration_ns
    counters["expiration_before_open"] += 1
    return None


def _name(key: str, row: Mapping[str, Any], event: Mapping[str, Any]) -> str | None:
    """Text that the market or its event gives under ``key``; None where neither gives any."""
    value = row.get(key) or event.get(key) or None
    if value is not None and not isinstance(value, str):
        raise DataError(f"{key} = {str(value)[:40]}; expected text")
    return value


def _flag(row: Mapping[str, Any], key: str, counters: Counter[str]) -> bool | None:
    """True or false under ``key``, from its text too; None where it is absent, or, counted, neither."""
    value = _present(row, key, counters)
    if value is None or isinstance(value, bool):
        return value
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        counters[f"flag_unreadable:{key}"] += 1
    return flag


def _present(row: Mapping[str, Any], key: str, counters: Counter[str]) -> Any:
    """Value of a field; None where it is absent, empty or no number (NaN)."""
    value = row.get(key)
    if isinstance(value, float) and isnan(value):
        counters["not_a_number_read_as_absent"] += 1
        return None
    return None if value == "" else value


def _time(row: Mapping[str, Any], key: str, counters: Counter[str]) -> int | None:
    """Time of a market, ns, from RFC 3339 text; None where there is none, or none that can be."""
    value = _present(row, key, counters)
    if value is None:
        return None
    if not isinstance(value, str):
        raise DataError(_no_text(key, value))
    time_ns = parse_rfc3339(value)
    if SCHEDULE.holds(time_ns):
        return time_ns
    zero = time_ns in _ZERO_TIMES_NS
    counters["zero_times_read_as_absent" if zero else "times_outside_2015_2099_read_as_unknown"] += 1
    return None


def _no_text(key: str, value: object) -> str:
    """Sentence about a time that is no text: the unit that a number looks like, and the text to write."""
    seems = " is no time"
    if isinstance(value, int) and (like := unit_like(value, SCHEDULE)):
        seems = f" looks like {like} since 1970; write {utc_text(value * UNITS_NS[like])}"
    return f"{key} = {str(value)[:40]}{seems}; expected RFC 3339 text with a zone"


def _settlement(row: Mapping[str, Any], ticker: str, counters: Counter[str]) -> Settlement | None:
    """Settlement where the record tells it, else None.

    A result that names no value (void, say) is counted and stays unknown.
    """
    value = _present(row, "settlement_value_dollars", counters)
    result = row.get("result")
    if value is None and result not in ("yes", "no", "", None):
        counters["settlement_unreadable"] += 1
        return None
    paid_e4 = None if value is None else parse_price(value)
    counters["outcome_contradicts_result"] += int(contradicts(result, paid_e4))
    value_e4 = settlement_value_e4(result, paid_e4)
    if value_e4 is None:
        return None
    return Settlement(ticker=ticker, value_e4=value_e4, determined_ns=_time(row, "settlement_ts", counters))


def merge_records(
    first: MarketRecord, second: MarketRecord, where: str, other: str = "another metadata file"
) -> MarketRecord:
    """Everything that two sources know of one market; ``where`` and ``other`` name second and first.

    DataError where their outcomes or events contradict each other.
    """
    a, b = first.settlement, second.settlement
    heard_ns = _heard_ns(first, second)
    if b is not None and first.told and second.told:
        a = None  # the exchange determined the market anew: its later answer holds
    if a is not None and b is not None and a.value_e4 != b.value_e4:
        raise DataError(
            f"{where}: market {first.spec.ticker} settled at {b.value_e4}, {other} says "
            f"{a.value_e4} (1e-4 dollar); leave one of the two files out"
        )
    if first.spec.event != second.spec.event:
        raise DataError(
            f"{where}: market {first.spec.ticker} belongs to event {second.spec.event}, {other} "
            f"says {first.spec.event}; leave one of the two files out"
        )
    known = {k: v for k, v in second.spec.model_dump().items() if v is not None}
    if second.told:  # what it tells otherwise, and what it tells first, holds from its own time on
        fills = {k for k in known if getattr(first.spec, k) is None} - _TIMED
        known = {k: v for k, v in known.items() if k in fills or k == "price_ranges"}
    for name in ("fee_type", "fee_multiplier_e6", *(["price_ranges"] if first.grid_declared else [])):
        known.pop(name, None)  # a record's specification tells no fees: these would be defaults
    spec = MarketSpec.parse({**first.spec.model_dump(), **known})
    if a is not None and b is not None and a.determined_ns is None:
        a = b
    expirations = [r.expiration_ns for r in (first, second) if r.expiration_ns is not None]
    prices = (second, first) if second.told else (first, second)  # an answer of known time is the newer one
    last_e4 = next((r.last_price_e4 for r in prices if r.last_price_e4 is not None), None)
    declared = first.grid_declared or second.grid_declared
    fees = told_once(first.own_fees + second.own_fees), told_once(first.event_fees + second.event_fees)
    return MarketRecord(
        spec, a or b, declared, max(expirations, default=None), last_e4, *fees,
        told=first.told + second.told, is_foresight=_is_foresight(first, second), heard_ns=heard_ns,
    )  # fmt: skip


def _is_foresight(first: MarketRecord, second: MarketRecord) -> bool:
    """True where the specification of two sources was told before the outcome: an answer changes no times."""
    before = bool(second.told) and first.settlement is None and second.settlement is not None
    return first.is_foresight or (before and first.spec.close_ns is not None)


def _heard_ns(first: MarketRecord, second: MarketRecord) -> int | None:
    """Time at which answers first told the outcome that holds after a merge; None where none told it."""
    a, b = first.settlement, second.settlement
    if a is None or b is None or a.value_e4 != b.value_e4:
        return (second if b is not None else first).heard_ns
    return min((ns for ns in (first.heard_ns, second.heard_ns) if ns is not None), default=None)
