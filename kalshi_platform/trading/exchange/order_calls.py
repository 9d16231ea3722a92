"""Writes: create, cancel, amend, decrease, the batches, cancel-all, and order groups. Each is sent once.

Outcome  Accepted, Refused or Unknown (outcomes.py); an unknown one is read back, never repeated.
Shard    every call names the shard of its market, or lets the exchange find it, which is slower and billed
         to all buckets. A cancel without ticker and shard would go to shard 0 only: it is not possible here.
Subs     an order of a numbered subaccount is changed by naming it (``subaccount``): without, the exchange
         looks among those of number 0 and answers 404.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.units import CONTRACT_E2
from kalshi_platform.trading.exchange import account_answers as answers
from kalshi_platform.trading.exchange.error_bodies import ErrorWords, words_in
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.new_orders import Amendment, NewOrder, count_text
from kalshi_platform.trading.exchange.outcomes import WriteOutcome
from kalshi_platform.trading.exchange.rest import RestTransport

_ORDERS = "/portfolio/events/orders"
_ORDER = "/portfolio/events/orders/{order_id}"
_BATCH = "/portfolio/events/orders/batched"
_GROUPS = "/portfolio/order_groups"
_GROUP = "/portfolio/order_groups/{order_group_id}"
_MOST_LIMIT_E2 = 1_000_000 * CONTRACT_E2


@dataclass(frozen=True, slots=True)
class BatchItem:
    """Answer to one order of a batch: its cancel, or the words of its refusal."""

    order_id: str
    cancelled: answers.CancelledOrder | None
    error: ErrorWords | None


class OrderCalls:
    """Writes that need a key of scope ``write::trade``; an acknowledgement of another order is no answer."""

    def __init__(self, transport: RestTransport) -> None:
        self._rest = transport

    async def create(
        self, order: NewOrder, hindrance: Callable[[], str] = lambda: ""
    ) -> WriteOutcome[answers.PlacedOrder]:
        """Place one order, unless ``hindrance`` has words against it once the order has its tokens."""
        read, shard = _placed_as("client_order_id", order.client_order_id), order.exchange_index
        return await self._rest.write(
            "POST", _ORDERS, {}, order.body(), read, shard=shard, hindrance=hindrance
        )

    async def cancel(
        self, order_id: str, ticker: str, shard: int | None, *, subaccount: int | None = None
    ) -> WriteOutcome[answers.CancelledOrder]:
        """Cancel one order of the market ``ticker`` on ``shard``."""
        return await self._rest.write(
            "DELETE",
            _ORDER,
            {"order_id": order_id},
            None,
            _cancelled_as(order_id),
            params={"market_ticker": ticker, "exchange_index": shard, "subaccount": subaccount},
            shard=shard,
        )

    async def amend(
        self, order_id: str, change: Amendment, *, subaccount: int | None = None
    ) -> WriteOutcome[answers.PlacedOrder]:
        """Change price or size of a resting order."""
        values, shard = {"order_id": order_id}, change.exchange_index
        return await self._rest.write(
            "POST",
            f"{_ORDER}/amend",
            values,
            change.body(),
            _placed_as("order_id", order_id),
            params={"subaccount": subaccount},
            shard=shard,
        )

    async def decrease(
        self, order_id: str, ticker: str, shard: int | None, *, to_e2: int, subaccount: int | None = None
    ) -> WriteOutcome[answers.PlacedOrder]:
        """Leave ``to_e2`` (1e-2 contract) of a resting order; its place in the queue stays.

        A size to decrease to is safe where a fill comes between; a size to decrease by is not, and not
        offered.
        """
        if to_e2 < 0:
            raise ContractError(f"to_e2 = {to_e2}; expected 0 or more")
        body: dict[str, str | int] = {"reduce_to": count_text(to_e2), "market_ticker": ticker}
        if shard is not None:
            body |= {"exchange_index": shard}
        values, read = {"order_id": order_id}, _placed_as("order_id", order_id)
        return await self._rest.write(
            "POST",
            f"{_ORDER}/decrease",
            values,
            body,
            read,
            params={"subaccount": subaccount},
            shard=shard,
        )

    async def cancel_batch(self, orders: Sequence[tuple[str, str]]) -> WriteOutcome[tuple[BatchItem, ...]]:
        """Cancel orders, given as (order id, ticker), each answered for itself.

        ContractError where the batch costs more than the write bucket holds.
        """
        if not orders:
            raise ContractError("an empty batch; give at least one order")
        body = {"orders": [{"order_id": order_id, "market_ticker": ticker} for order_id, ticker in orders]}
        cost = len(orders) * self._rest.limits.cost("DELETE", _ORDER)
        return await self._rest.write("DELETE", _BATCH, {}, body, _read_batch, cost=cost, shard=0)

    async def cancel_all(self) -> WriteOutcome[None]:
        """Cancel every order on every shard; orders placed within the next minute may be cancelled too."""
        return await self._rest.write("DELETE", _ORDERS, {}, None, _read_nothing)

    async def create_group(self, limit_e2: int, shard: int | None) -> WriteOutcome[str]:
        """Make an order group that cancels itself after ``limit_e2`` in 15 seconds; returns its id."""
        body: dict[str, str | int] = {"contracts_limit_fp": _limit_text(limit_e2)}
        if shard is not None:
            body |= {"exchange_index": shard}
        return await self._rest.write("POST", f"{_GROUPS}/create", {}, body, _read_group_id, shard=shard)

    async def limit_group(self, group_id: str, limit_e2: int, shard: int | None) -> WriteOutcome[None]:
        """Set another limit of a group, 1e-2 contract in 15 seconds."""
        return await self._group(
            "PUT", "/limit", group_id, shard, {"contracts_limit_fp": _limit_text(limit_e2)}
        )

    async def reset_group(self, group_id: str, shard: int | None) -> WriteOutcome[None]:
        """Let a triggered group take orders again."""
        return await self._group("PUT", "/reset", group_id, shard)

    async def trigger_group(self, group_id: str, shard: int | None) -> WriteOutcome[None]:
        """Cancel all orders of a group, and refuse new ones until it is reset: a kill switch."""
        return await self._group("PUT", "/trigger", group_id, shard)

    async def delete_group(self, group_id: str, shard: int | None) -> WriteOutcome[None]:
        """Delete a group and cancel its orders."""
        return await self._group("DELETE", "", group_id, shard)

    async def _group(
        self, method: str, action: str, group_id: str, shard: int | None, body: dict[str, str] | None = None
    ) -> WriteOutcome[None]:
        """One write to a group."""
        values, params = {"order_group_id": group_id}, {"exchange_index": shard}
        endpoint = f"{_GROUP}{action}"
        return await self._rest.write(
            method, endpoint, values, body, _read_nothing, params=params, shard=shard
        )


def _placed_as(name: str, wanted: str) -> Callable[[AnswerFields], answers.PlacedOrder]:
    """Reader of an acknowledgement that must be about the order whose ``name`` is ``wanted``."""

    def read(answer: AnswerFields) -> answers.PlacedOrder:
        _check_same(answer, name, wanted)
        return answers.read_placed(answer)

    return read


def _cancelled_as(order_id: str) -> Callable[[AnswerFields], answers.CancelledOrder]:
    """Reader of the acknowledgement of a cancel of ``order_id``."""

    def read(answer: AnswerFields) -> answers.CancelledOrder:
        _check_same(answer, "order_id", order_id)
        return answers.read_cancelled(answer)

    return read


def _check_same(answer: AnswerFields, name: str, wanted: str) -> None:
    """Refuse an answer about another order: in May 2026 bodies described one (a fault of the exchange)."""
    told = answer.maybe_text(name)
    if told not in (None, "", wanted):
        raise DataError(f"{answer.where}: {name} is {told!r}; asked was {wanted!r}")


def _read_nothing(_answer: AnswerFields) -> None:
    """Take an answer that says nothing more."""


def _read_group_id(answer: AnswerFields) -> str:
    """Id of a group that was made."""
    return answer.text("order_group_id")


def _read_batch(answer: AnswerFields) -> tuple[BatchItem, ...]:
    """Answers to the orders of a batch of cancels."""
    return tuple(map(_read_item, answer.objects("orders")))


def _read_item(each: AnswerFields) -> BatchItem:
    """Answer to one order of a batch."""
    error = each.raw.get("error")
    if error is not None:
        return BatchItem(each.text("order_id"), None, words_in(error))
    return BatchItem(each.text("order_id"), answers.read_cancelled(each), None)


def _limit_text(limit_e2: int) -> str:
    """Text of a group's limit; ContractError outside 1 to 1,000,000 contracts."""
    if not CONTRACT_E2 <= limit_e2 <= _MOST_LIMIT_E2:
        raise ContractError(f"limit_e2 = {limit_e2}; expected {CONTRACT_E2} to {_MOST_LIMIT_E2}")
    return count_text(limit_e2)
