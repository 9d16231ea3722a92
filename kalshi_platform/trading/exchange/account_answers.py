"""Answers about the own account, typed: limits, keys, cash, positions, fills, orders, groups, settlements.

Units    ``_e4`` 1e-4 dollar, ``_e2`` 1e-2 contract, ``_e6`` 1e-6 dollar, ``_ns`` ns since 1970 UTC.
Sides    ``book_side`` is bid (buys YES) or ask (sells YES, which is buying NO at 1 - p); prices stand on the
         YES scale. A position is signed: negative is NO.
Late     reads lag behind writes: ``GET /exchange/user_data_timestamp`` says how fresh they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.fields import AnswerFields

Raw = Mapping[str, Any]
_CENT_E6: Final = 10_000
_CENT_E4: Final = 100


@dataclass(frozen=True, slots=True)
class BucketLimit:
    """One token bucket: tokens that come back a second, and the most that it holds."""

    tokens_per_s: int
    capacity: int


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Limits of the account's tier."""

    tier: str
    read: BucketLimit
    write: BucketLimit
    raw: Raw


def read_limits(answer: AnswerFields) -> AccountLimits:
    """Read ``GET /account/limits``."""
    read, write = (
        BucketLimit(each.positive("refill_rate"), each.positive("bucket_capacity"))
        for each in (answer.object("read"), answer.object("write"))
    )
    return AccountLimits(answer.text("usage_tier"), read, write, answer.raw)


@dataclass(frozen=True, slots=True)
class EndpointCosts:
    """Tokens that a request costs: ``costs[(method, path)]``, else ``default``."""

    default: int
    costs: Mapping[tuple[str, str], int]


def read_costs(answer: AnswerFields) -> EndpointCosts:
    """Read ``GET /account/endpoint_costs``; paths as the exchange writes them, with {names}."""
    costs = {
        (each.text("method").upper(), each.text("path")): each.whole("cost")
        for each in answer.objects("endpoint_costs")
    }
    return EndpointCosts(answer.whole("default_cost"), costs)


@dataclass(frozen=True, slots=True)
class ApiKeyAnswer:
    """One API key: its id, name and what it may do."""

    key_id: str
    name: str | None
    scopes: tuple[str, ...]
    subaccount: int | None


@dataclass(frozen=True, slots=True)
class ApiKeysAnswer:
    """All keys, and the second after which keys cannot trade markets that need an attested location."""

    keys: tuple[ApiKeyAnswer, ...]
    region_expires_ns: int | None


def read_keys(answer: AnswerFields) -> ApiKeysAnswer:
    """Read ``GET /api_keys``."""
    keys = tuple(
        ApiKeyAnswer(
            each.text("api_key_id"),
            each.maybe_text("name"),
            each.texts("scopes"),
            each.maybe_whole("subaccount"),
        )
        for each in answer.objects("api_keys")
    )
    return ApiKeysAnswer(keys, answer.maybe_seconds_ns("api_key_region_expiration_ts"))


@dataclass(frozen=True, slots=True)
class BalanceAnswer:
    """Cash of the account, and of each shard: an order is paid from the shard of its market."""

    cash_e6: int
    portfolio_value_e6: int | None
    by_shard_e6: Mapping[int, int]
    updated_ns: int | None
    raw: Raw


def read_balance(answer: AnswerFields) -> BalanceAnswer:
    """Read ``GET /portfolio/balance``; ``balance`` in whole cents stands in where the exact text is
    absent."""
    exact, cents = answer.maybe_cash_e6("balance_dollars"), answer.maybe_whole("portfolio_value")
    return BalanceAnswer(
        cash_e6=exact if exact is not None else answer.whole("balance") * _CENT_E6,
        portfolio_value_e6=None if cents is None else cents * _CENT_E6,
        by_shard_e6=_by_shard(answer),
        updated_ns=answer.maybe_seconds_ns("updated_ts"),
        raw=answer.raw,
    )


def _by_shard(answer: AnswerFields) -> dict[int, int]:
    """Cash of each shard; DataError where one is told twice."""
    found: dict[int, int] = {}
    for each in answer.objects("balance_breakdown"):
        shard = each.shard("exchange_index")
        if shard in found:
            raise DataError(f"{each.where}: exchange_index {shard} is told twice; which of them is its cash?")
        found[shard] = each.cash_e6("balance")
    return found


@dataclass(frozen=True, slots=True)
class PositionAnswer:
    """Position in one market; ``position_e2`` is negative for NO."""

    ticker: str
    position_e2: int
    exposure_e6: int
    realized_pnl_e6: int
    fees_paid_e6: int
    exchange_index: int | None
    updated_ns: int | None
    raw: Raw


def read_position(each: AnswerFields) -> PositionAnswer:
    """Read one entry of ``market_positions``."""
    return PositionAnswer(
        ticker=each.name("ticker"),
        position_e2=each.qty_e2("position_fp"),
        exposure_e6=each.cash_e6("market_exposure_dollars"),
        realized_pnl_e6=each.cash_e6("realized_pnl_dollars"),
        fees_paid_e6=each.cash_e6("fees_paid_dollars"),
        exchange_index=each.maybe_shard("exchange_index"),
        updated_ns=each.maybe_time_ns("last_updated_ts"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class FillAnswer:
    """One fill of an own order; ``trade_id`` is the id that the stream's ``fill`` carries."""

    trade_id: str
    order_id: str
    ticker: str
    book_side: str
    yes_price_e4: int
    qty_e2: int
    fee_e6: int
    is_taker: bool
    exchange_index: int | None
    exch_ns: int
    raw: Raw


def read_fill(each: AnswerFields) -> FillAnswer:
    """Read one fill."""
    at_ns = each.maybe_time_ns("created_time")
    return FillAnswer(
        trade_id=each.name("trade_id"),
        order_id=each.name("order_id"),
        ticker=each.maybe_text("market_ticker") or each.name("ticker"),
        book_side=each.text("book_side"),
        yes_price_e4=each.price_e4("yes_price_dollars"),
        qty_e2=each.qty_e2("count_fp"),
        fee_e6=each.cash_e6("fee_cost"),
        is_taker=each.flag("is_taker"),
        exchange_index=each.maybe_shard("exchange_index"),
        exch_ns=at_ns if at_ns is not None else each.seconds_ns("ts"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """One own order: ``status`` is resting, canceled, executed, or a word that is newer than this code."""

    order_id: str
    client_order_id: str | None
    ticker: str
    book_side: str
    status: str
    yes_price_e4: int
    initial_e2: int
    filled_e2: int
    remaining_e2: int
    fees_e6: int  # of its fills, as taker and as maker
    group_id: str | None
    exchange_index: int | None
    created_ns: int | None
    updated_ns: int | None
    raw: Raw


def read_order(each: AnswerFields) -> OrderAnswer:
    """Read one order."""
    fees = (each.maybe_cash_e6(name) or 0 for name in ("taker_fees_dollars", "maker_fees_dollars"))
    return OrderAnswer(
        order_id=each.name("order_id"),
        client_order_id=each.maybe_text("client_order_id"),
        ticker=each.name("ticker"),
        book_side=each.text("book_side"),
        status=each.text("status"),
        yes_price_e4=each.price_e4("yes_price_dollars"),
        initial_e2=each.qty_e2("initial_count_fp"),
        filled_e2=each.qty_e2("fill_count_fp"),
        remaining_e2=each.qty_e2("remaining_count_fp"),
        fees_e6=sum(fees),
        group_id=each.maybe_text("order_group_id"),
        exchange_index=each.maybe_shard("exchange_index"),
        created_ns=each.maybe_time_ns("created_time"),
        updated_ns=each.maybe_time_ns("last_update_time"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class SettlementAnswer:
    """Payment for one settled market; ``value_e4`` is what one YES paid."""

    ticker: str
    event: str | None
    result: str
    yes_e2: int
    no_e2: int
    revenue_e6: int
    fee_e6: int
    value_e4: int | None
    settled_ns: int
    raw: Raw


def read_settlement(each: AnswerFields) -> SettlementAnswer:
    """Read one settlement: ``revenue`` and ``value`` come in whole cents."""
    cents = each.maybe_whole("value")
    if cents is not None and not 0 <= cents * _CENT_E4 <= DOLLAR_E4:
        raise DataError(f"{each.where}: value {cents} cents; one YES pays 0 to 100")
    return SettlementAnswer(
        ticker=each.name("ticker"),
        event=each.maybe_text("event_ticker"),
        result=each.text("market_result"),
        yes_e2=each.qty_e2("yes_count_fp"),
        no_e2=each.qty_e2("no_count_fp"),
        revenue_e6=each.whole("revenue") * _CENT_E6,
        fee_e6=each.cash_e6("fee_cost"),
        value_e4=None if cents is None else cents * _CENT_E4,
        settled_ns=each.time_ns("settled_time"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """One order group; ``limit_e2`` contracts in 15 seconds trigger it."""

    group_id: str
    limit_e2: int | None
    auto_cancel: bool
    exchange_index: int | None
    raw: Raw


def read_group(group_id: str, each: AnswerFields) -> GroupAnswer:
    """Read one order group."""
    return GroupAnswer(
        group_id=group_id,
        limit_e2=each.maybe_qty_e2("contracts_limit_fp"),
        auto_cancel=each.flag("is_auto_cancel_enabled"),
        exchange_index=each.maybe_shard("exchange_index"),
        raw=each.raw,
    )


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """The exchange's acknowledgement of a created, amended or decreased order, at the time of its engine."""

    order_id: str
    client_order_id: str | None
    filled_e2: int | None
    remaining_e2: int | None
    exch_ns: int | None
    raw: Raw


def read_placed(answer: AnswerFields) -> PlacedOrder:
    """Read the answer to a create, amend or decrease."""
    return PlacedOrder(
        answer.name("order_id"),
        answer.maybe_text("client_order_id"),
        answer.maybe_qty_e2("fill_count"),
        answer.maybe_qty_e2("remaining_count"),
        _engine_ns(answer),
        answer.raw,
    )


@dataclass(frozen=True, slots=True)
class CancelledOrder:
    """The exchange's acknowledgement of a cancel: the contracts that no longer rest."""

    order_id: str
    client_order_id: str | None
    reduced_e2: int
    exch_ns: int | None
    raw: Raw


def read_cancelled(answer: AnswerFields) -> CancelledOrder:
    """Read the answer to a cancel."""
    reduced_e2 = answer.qty_e2("reduced_by")
    order_id, client_id = answer.name("order_id"), answer.maybe_text("client_order_id")
    return CancelledOrder(order_id, client_id, reduced_e2, _engine_ns(answer), answer.raw)


def _engine_ns(answer: AnswerFields) -> int | None:
    """Time of the matching engine, ns; None where absent."""
    return answer.maybe_ms_ns("ts_ms")
