"""Answers about the exchange and its markets, typed: no account stands in any of them.

Owns     one frozen record a kind of object, with the fields that somebody here uses; ``raw`` keeps all of it,
         in the form that ``data/market_data/market_meta.py`` and ``fee_meta.py`` read.
Units    ``_e4`` 1e-4 dollar, ``_e2`` 1e-2 contract, ``_e6`` 1e-6, ``_ns`` ns since 1970 UTC.
Unknown  values of open lists (status, price level structure, fee type) stay text: a new one is no error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kalshi_platform.data.market_data.frames import multiplier_e6
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.fields import AnswerFields

Raw = Mapping[str, Any]
Levels = tuple[tuple[int, int], ...]
"""((own-side price_e4, qty_e2), ...), best bid last."""

#: Rows of a level in the REST book: price and count.
_LEVEL_PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """State of one shard."""

    exchange_index: int
    exchange_active: bool
    trading_active: bool


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """State of the exchange: ``trading_active`` False is a pause in which cancels work."""

    exchange_active: bool
    trading_active: bool
    resume_ns: int | None  # estimated
    shards: tuple[ShardStatus, ...]
    raw: Raw


def read_status(answer: AnswerFields) -> ExchangeStatus:
    """Read ``GET /exchange/status``."""
    shards = tuple(
        ShardStatus(each.shard("exchange_index"), each.flag("exchange_active"), each.flag("trading_active"))
        for each in answer.objects("exchange_index_statuses")
    )
    resume_ns = answer.maybe_time_ns("exchange_estimated_resume_time")
    active, trading = answer.flag("exchange_active"), answer.flag("trading_active")
    return ExchangeStatus(active, trading, resume_ns, shards, answer.raw)


@dataclass(frozen=True, slots=True)
class ExchangeSchedule:
    """Announced maintenance, ns; the hours of trading (in New York's time) stay in ``raw``."""

    maintenance_ns: tuple[tuple[int, int], ...]  # (start, end)
    raw: Raw


def read_schedule(answer: AnswerFields) -> ExchangeSchedule:
    """Read ``GET /exchange/schedule``."""
    schedule = answer.object("schedule")
    windows = tuple(
        (each.time_ns("start_datetime"), each.time_ns("end_datetime"))
        for each in schedule.objects("maintenance_windows")
    )
    return ExchangeSchedule(windows, schedule.raw)


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """One series: the template of its events."""

    ticker: str
    title: str | None
    category: str | None
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    fee_type: str | None
    fee_multiplier_e6: int | None
    exchange_index: int | None
    raw: Raw


def read_series(each: AnswerFields) -> SeriesAnswer:
    """Read one series."""
    return SeriesAnswer(
        ticker=each.text("ticker"),
        title=each.maybe_text("title"),
        category=each.maybe_text("category"),
        categories=each.texts("categories"),
        tags=each.texts("tags"),
        fee_type=each.maybe_text("fee_type"),
        fee_multiplier_e6=_multiplier(each, "fee_multiplier"),
        exchange_index=each.maybe_shard("exchange_index"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class MarketAnswer:
    """One market as REST tells it."""

    ticker: str
    event: str
    status: str
    open_ns: int | None
    close_ns: int | None
    expected_expiration_ns: int | None
    latest_expiration_ns: int | None
    can_close_early: bool | None
    yes_bid_e4: int | None
    yes_bid_e2: int | None
    yes_ask_e4: int | None
    yes_ask_e2: int | None
    last_price_e4: int | None
    volume_e2: int | None
    open_interest_e2: int | None
    result: str | None
    settlement_value_e4: int | None
    settlement_ns: int | None
    price_level_structure: str | None
    exchange_index: int | None
    is_provisional: bool
    raw: Raw


def read_market(each: AnswerFields) -> MarketAnswer:
    """Read one market."""
    return MarketAnswer(
        ticker=each.text("ticker"),
        event=each.text("event_ticker"),
        status=each.text("status"),
        open_ns=each.maybe_time_ns("open_time"),
        close_ns=each.maybe_time_ns("close_time"),
        expected_expiration_ns=each.maybe_time_ns("expected_expiration_time"),
        latest_expiration_ns=each.maybe_time_ns("latest_expiration_time"),
        can_close_early=each.maybe_flag("can_close_early"),
        yes_bid_e4=each.maybe_price_e4("yes_bid_dollars"),
        yes_bid_e2=each.maybe_qty_e2("yes_bid_size_fp"),
        yes_ask_e4=each.maybe_price_e4("yes_ask_dollars"),
        yes_ask_e2=each.maybe_qty_e2("yes_ask_size_fp"),
        last_price_e4=each.maybe_price_e4("last_price_dollars"),
        volume_e2=each.maybe_qty_e2("volume_fp"),
        open_interest_e2=each.maybe_qty_e2("open_interest_fp"),
        result=each.maybe_text("result"),
        settlement_value_e4=each.maybe_price_e4("settlement_value_dollars"),
        settlement_ns=each.maybe_time_ns("settlement_ts"),
        price_level_structure=each.maybe_text("price_level_structure"),
        exchange_index=each.maybe_shard("exchange_index"),
        is_provisional=each.maybe_flag("is_provisional") or False,
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """One event; ``markets`` is empty unless they were asked for."""

    ticker: str
    series: str | None
    title: str | None
    category: str | None
    mutually_exclusive: bool | None
    collateral_return_type: str | None
    exchange_index: int | None
    markets: tuple[MarketAnswer, ...]
    raw: Raw


def read_event(each: AnswerFields) -> EventAnswer:
    """Read one event with the markets nested in it."""
    return EventAnswer(
        ticker=each.text("event_ticker"),
        series=each.maybe_text("series_ticker"),
        title=each.maybe_text("title"),
        category=each.maybe_text("category"),
        mutually_exclusive=each.maybe_flag("mutually_exclusive"),
        collateral_return_type=each.maybe_text("collateral_return_type"),
        exchange_index=each.maybe_shard("exchange_index"),
        markets=tuple(map(read_market, each.objects("markets"))),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class BookAnswer:
    """Whole book of one market: bids of YES and of NO, each at its own side's price, best bid last."""

    ticker: str
    yes: Levels
    no: Levels


def read_book(ticker: str, answer: AnswerFields) -> BookAnswer:
    """Read ``orderbook_fp``; levels are sorted here, since the exchange promises no order."""
    book = answer.object("orderbook_fp")
    return BookAnswer(ticker, _levels(book, "yes_dollars"), _levels(book, "no_dollars"))


def _levels(book: AnswerFields, name: str) -> Levels:
    """Price levels of one side that hold anything."""
    levels = []
    for i, pair in enumerate(book.list_of(name)):
        where = f"{book.where}: {name}[{i}]"
        parts = pair if isinstance(pair, list) and len(pair) == _LEVEL_PARTS else [None, None]
        level = AnswerFields({"price": parts[0], "count": parts[1]}, where)
        levels.append((level.price_e4("price"), level.qty_e2("count")))
    return tuple(sorted(level for level in levels if level[1]))


@dataclass(frozen=True, slots=True)
class TradeAnswer:
    """One public trade, price on the YES scale."""

    trade_id: str
    ticker: str
    yes_price_e4: int
    qty_e2: int
    taker_side: str  # the outcome that the taker bought: yes, no
    is_block: bool
    exch_ns: int
    raw: Raw


def read_trade(each: AnswerFields) -> TradeAnswer:
    """Read one trade."""
    return TradeAnswer(
        trade_id=each.text("trade_id"),
        ticker=each.text("ticker"),
        yes_price_e4=each.price_e4("yes_price_dollars"),
        qty_e2=each.qty_e2("count_fp"),
        taker_side=each.maybe_text("taker_outcome_side") or each.text("taker_side"),
        is_block=each.maybe_flag("is_block_trade") or False,
        exch_ns=each.time_ns("created_time"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class CandleAnswer:
    """One candle: end, last trade price, closing quotes, volume and open interest; the rest in ``raw``."""

    ticker: str
    end_ns: int
    close_e4: int | None  # None: no trade in it
    yes_bid_close_e4: int | None
    yes_ask_close_e4: int | None
    volume_e2: int
    open_interest_e2: int
    raw: Raw


def read_candle(ticker: str, each: AnswerFields) -> CandleAnswer:
    """Read one candle, live or historical: the latter's fields lack the suffixes."""
    price, bid, ask = (each.object(name) for name in ("price", "yes_bid", "yes_ask"))
    suffix, count = ("", "") if "volume" in each.raw else ("_dollars", "_fp")
    return CandleAnswer(
        ticker=ticker,
        end_ns=each.whole("end_period_ts") * NS_PER_SECOND,
        close_e4=price.maybe_price_e4(f"close{suffix}"),
        yes_bid_close_e4=bid.maybe_price_e4(f"close{suffix}"),
        yes_ask_close_e4=ask.maybe_price_e4(f"close{suffix}"),
        volume_e2=each.qty_e2(f"volume{count}"),
        open_interest_e2=each.qty_e2(f"open_interest{count}"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class FeeChange:
    """Announced change of the fees of a series or of an event; both values None: an override is cleared."""

    ticker: str  # of the series or of the event
    fee_type: str | None
    fee_multiplier_e6: int | None
    from_ns: int
    raw: Raw


def read_series_fee(each: AnswerFields) -> FeeChange:
    """Read one change of a series' fees."""
    multiplier = _multiplier(each, "fee_multiplier")
    ticker, at_ns = each.text("series_ticker"), each.time_ns("scheduled_ts")
    return FeeChange(ticker, each.text("fee_type"), multiplier, at_ns, each.raw)


def read_event_fee(each: AnswerFields) -> FeeChange:
    """Read one change of an event's override."""
    multiplier = _multiplier(each, "fee_multiplier_override")
    ticker, at_ns = each.text("event_ticker"), each.time_ns("scheduled_ts")
    return FeeChange(ticker, each.maybe_text("fee_type_override"), multiplier, at_ns, each.raw)


@dataclass(frozen=True, slots=True)
class HistoricalCutoff:
    """Times before which data have moved to the historical endpoints, ns."""

    market_settled_ns: int
    trades_created_ns: int
    orders_updated_ns: int


def read_cutoff(answer: AnswerFields) -> HistoricalCutoff:
    """Read ``GET /historical/cutoff``."""
    return HistoricalCutoff(
        answer.time_ns("market_settled_ts"),
        answer.time_ns("trades_created_ts"),
        answer.time_ns("orders_updated_ts"),
    )


def _multiplier(each: AnswerFields, name: str) -> int | None:
    """Fee multiplier in 1e-6; None where absent."""
    value = each.raw.get(name)
    try:
        return None if value is None else multiplier_e6(value)
    except DataError as err:
        raise DataError(f"{each.where}: {name}: {err}") from None
