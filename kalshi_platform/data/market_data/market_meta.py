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

Fees: a record keeps what its source says of the market's own fees and of its event's override
(``fee_meta.py``); its specification carries fees only once ``domain/fee_history.py`` weighed every source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from typing import Any, Final

import numpy as np

from kalshi_platform.data.market_data.clock import SCHEDULE, UNITS_NS, unit_like, utc_text
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

_TICKER: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Times by which some writers say that there is none, ns: the first instant of the calendar, and of Unix.
_ZERO_TIMES_NS: Final = (-62_135_596_800 * NS_PER_SECOND, 0)
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

    @property
    def known_ns(self) -> int | None:
        """Time at which the outcome was public for certain; None if no time bounds it or it is unknown.

        This is the time of determination where the source tells it, else the latest expiration, which is
        later (often by days): never a time at which the outcome may still have been open.
        """
        if self.settlement is None:
            return None
        if self.settlement.determined_ns is not None or self.expiration_ns is None:
            return self.settlement.determined_ns
        return max(self.expiration_ns, self.spec.close_ns or 0)


def check_ticker(ticker: object, where: str) -> str:
    """``ticker`` if it can be one; DataError otherwise."""
    if isinstance(ticker, str) and _TICKER.fullmatch(ticker):
        return ticker
    raise DataError(
        f"{where}: ticker {ticker!r}; expected 1..128 letters, digits, '.', '_' or '-'; "
        "correct it in the source"
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
    for number, (event, market) in enumerate(_rest_markets(document)):
        where = f"{source}: market {number}"
        yield _record(market, check_ticker(market.get("ticker"), where), event, where, counters)


def _rest_markets(document: Any) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(event or empty, market) pairs of a REST answer."""
    if isinstance(document, list):
        for entry in document:
            yield from _rest_markets(entry)
    elif isinstance(document, dict):
        if isinstance(document.get("event"), dict) or isinstance(document.get("events"), list):
            inner = document.get("event") or document["events"]
            for event in inner if isinstance(inner, list) else [{**inner, **_nested(document)}]:
                yield from _rest_markets(event)
        elif isinstance(document.get("market"), dict):
            yield from _rest_markets(document["market"])
        elif isinstance(document.get("markets"), list):
            event = document if "event_ticker" in document else {}
            yield from ((event, m) for m in document["markets"] if isinstance(m, dict) and "ticker" in m)
        elif "ticker" in document and "event_ticker" in document:
            yield {}, document
        else:  # answers kept inside an object of somebody's own
            for value in document.values():
                if isinstance(value, dict | list):
                    yield from _rest_markets(value)


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
    exclusive = row.get("mutually_exclusive", event.get("mutually_exclusive"))
    raw_bands = row.get("price_ranges")
    try:
        open_ns, close_ns, expiration_ns = _schedule(row, counters)
        spec = MarketSpec(
            ticker=ticker,
            event=check_ticker(event_ticker, where),
            series=row.get("series_ticker") or event.get("series_ticker") or None,
            category=row.get("category") or event.get("category") or None,
            open_ns=open_ns,
            close_ns=close_ns,
            price_ranges=price_bands(raw_bands) if raw_bands else WHOLE_CENTS,
            mutually_exclusive=exclusive if isinstance(exclusive, bool) else None,
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
    """Times of opening, closing and latest expiration, ns; those that contradict each other are unknown."""
    open_ns, close_ns = _time(row, "open_time", counters), _time(row, "close_time", counters)
    expiration_ns = _time(row, "latest_expiration_time", counters)
    if expiration_ns is None:
        expiration_ns = _time(row, "expiration_time", counters)
    if open_ns is not None and expiration_ns is not None and expiration_ns < open_ns:
        counters["expiration_before_open"] += 1
        expiration_ns = None
    if open_ns is not None and close_ns is not None and close_ns < open_ns:
        counters["close_before_open"] += 1
        open_ns = close_ns = None
    return open_ns, close_ns, expiration_ns


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
    for name in ("fee_type", "fee_multiplier_e6", *(["price_ranges"] if first.grid_declared else [])):
        known.pop(name)  # a record's specification tells no fees: these would be defaults
    spec = MarketSpec.parse({**first.spec.model_dump(), **known})
    if a is not None and b is not None and a.determined_ns is None:
        a = b
    expirations = [r.expiration_ns for r in (first, second) if r.expiration_ns is not None]
    last_e4 = second.last_price_e4 if first.last_price_e4 is None else first.last_price_e4
    declared = first.grid_declared or second.grid_declared
    fees = told_once(first.own_fees + second.own_fees), told_once(first.event_fees + second.event_fees)
    return MarketRecord(spec, a or b, declared, max(expirations, default=None), last_e4, *fees)
