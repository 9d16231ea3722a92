"""The desk: commands of the account reach the matching core of the right event, or are refused in its words.

Refusals   the core's reasons become the exchange's error codes (matching/reasons.py). A refusal leaves
           everything as it was; a refused order is forgotten, its ``client_order_id`` is free again. Only
           that of a killed fill-or-kill is used up, as live accounts have seen.
Sweep      a cancel-all also cancels what is left of an order that is placed within ``sweep_s`` after it, with
           the next slice: the exchange warns that it may. Its fills stand.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.matching import reasons
from kalshi_platform.simulation.matching.exchange import CoreAnswer
from kalshi_platform.simulation.matching.records import NEVER_NS, NONE
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.rest.answers import ApiError, missing, not_modelled
from kalshi_platform.trading.simserver.venue.groups import OrderGroups
from kalshi_platform.trading.simserver.venue.market import ServedMarket
from kalshi_platform.trading.simserver.venue.orders import AccountOrder
from kalshi_platform.trading.simserver.venue.rows import OutsideCause
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

_CODES: Final = {reasons.NAMES[int(code)]: words for code, words in reasons.API_CODES.items()}


@dataclass(frozen=True, slots=True)
class WantedOrder:
    """A new order as the client wants it."""

    market: ServedMarket
    side: str
    price_e4: int
    qty_e2: int
    tif: str
    stp: str
    client_order_id: str = ""
    subaccount: int = 0
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    expiry_s: int | None = None
    group_id: str | None = None


def refusal(reason: str) -> ApiError:
    """Error of the exchange for a reason of the core."""
    if reason == "CORE_FULL":  # a plain refusal: 5xx would leave the client in doubt about an order
        reason = "OPEN_ORDER_LIMIT"
    if reason not in _CODES:
        return ApiError(503, "service_unavailable", "the simulated exchange is full", reason)
    code, details = _CODES[reason]
    status = 404 if code == "not_found" else 409 if code in reasons.CONFLICTS else 400
    return ApiError(status, code, code.replace("_", " "), details or reason)


class OrderDesk:
    """Commands of the account."""

    def __init__(self, venue: LiveVenue, groups: OrderGroups) -> None:
        self._venue, self._groups = venue, groups
        self._account = venue.account

    # Finding

    def order(self, order_id: str, subaccount: int | None = None) -> AccountOrder:
        """Return an order by its id; ApiError 404 where there is none, or none of the ``subaccount``."""
        found = self._account.orders.get(order_id)
        if found is None or subaccount not in (None, found.subaccount):
            raise missing(order_id)
        return found

    def _account_of(self, order: AccountOrder) -> int:
        """Return the number of an order's account in the exchange of its event."""
        live = order.market.event.live
        assert live is not None  # the callers have refused others
        return live.first_outside + order.subaccount

    def _require_live(self, market: ServedMarket) -> None:
        if market.event.live is None or market.status in (
            "initialized",
            "determined",
            "amended",
            "finalized",
        ):
            raise refusal("MARKET_INACTIVE")

    # Commands

    def create(self, wanted: WantedOrder) -> AccountOrder:
        """Take a new order; returns it as it stands afterwards."""
        account, market = self._account, wanted.market
        if market.legs:
            raise not_modelled("combos are listed, not traded, here")
        self._require_unused(wanted.client_order_id)
        self._require_live(market)
        account.n_tags += 1
        order = AccountOrder(
            order_id=wire.uuid_text(wire.ORDER_ID, 0, account.n_tags), tag=account.n_tags,
            client_order_id=wanted.client_order_id, subaccount=wanted.subaccount, market=market,
            side=wanted.side, price_e4=wanted.price_e4,
            initial_e2=wanted.qty_e2, left_e2=wanted.qty_e2, stp=wanted.stp,
            created_ns=self._venue.clock.now_ns, cancel_on_pause=wanted.cancel_on_pause,
            group_id=wanted.group_id, updated_ns=self._venue.clock.now_ns,
            expiry_ns=None if wanted.expiry_s is None else wanted.expiry_s * NS_PER_SECOND,
        )  # fmt: skip
        account.by_tag[order.tag] = order
        try:
            self._submit(order, wanted)
        except ApiError:
            account.by_tag.pop(order.tag)
            raise
        finally:
            self._groups.spread()
        if order.status == "resting" and self._venue.clock.now_ns < account.swept_until_ns:
            self._venue.at(self._venue.clock.now_ns, partial(self._sweep, order))
        return order

    def _submit(self, order: AccountOrder, wanted: WantedOrder) -> None:
        """Send a new order to its core and note it where it is taken."""
        account, market, event = self._account, wanted.market, wanted.market.event
        with self._venue.outside(event, _cause(order)) as exchange:
            group = NONE
            if wanted.group_id is not None:
                group = self._groups.core_id(wanted.group_id, event, wanted.subaccount)
            answer = exchange.submit(
                self._account_of(order), market.number, wanted.side, wanted.price_e4, wanted.qty_e2,
                time_in_force=wanted.tif, self_trade_prevention=wanted.stp, post_only=wanted.post_only,
                reduce_only=wanted.reduce_only, cancel_on_pause=wanted.cancel_on_pause, group_id=group,
                expiry_ns=NEVER_NS if order.expiry_ns is None else order.expiry_ns - event.open_ns,
                client=order.tag, at_ns=self._venue.core_ns(event),
            )  # fmt: skip
            if answer.reason == "FOK_INSUFFICIENT_VOLUME" and order.client_order_id:
                account.burn(order.client_order_id)
            if not answer.ok:
                raise refusal(answer.reason)
            account.orders[order.order_id] = order
            if order.client_order_id:
                account.by_client[order.client_order_id] = order

    def cancel(self, order: AccountOrder) -> int:
        """Cancel an order; returns the size taken away, 1e-2 contract."""
        market = order.market
        if market.event.live is None or market.status not in ("active", "inactive"):
            raise refusal("MARKET_INACTIVE")
        with self._venue.outside(market.event, _cause(order)) as exchange:
            answer = exchange.cancel(
                self._account_of(order), order.core_id, market=market.number,
                at_ns=self._venue.core_ns(market.event),
            )  # fmt: skip
        return self._done(answer).reduced_e2

    def _require_unused(self, client_order_id: str) -> None:
        """Refuse a client id that the account has used."""
        if client_order_id and self._account.has_used(client_order_id):
            raise ApiError(409, "order_already_exists", "order already exists", client_order_id)

    def cancel_all(self) -> int:
        """Cancel every resting order of all subaccounts on all shards; returns their number.

        ApiError where one of them rests on a shard that is fully paused: then none is cancelled.
        """
        resting = [event for event in self._venue.open_now if self._account.rests_in(event)]
        if any(self._venue.shard_status[event.exchange_index] == "FULL_PAUSE" for event in resting):
            raise refusal("EXCHANGE_PAUSED")
        n = 0
        for event in resting:
            assert event.live is not None  # orders rest there
            with self._venue.outside(event) as exchange:
                for sub in self._account.subs:
                    account = event.live.first_outside + sub.number
                    n += exchange.cancel_all(account, self._venue.core_ns(event)).reduced_e2
        sweep_ns = round(self._venue.config.sweep_s * NS_PER_SECOND)
        self._account.swept_until_ns = self._venue.clock.now_ns + sweep_ns
        return n

    def _sweep(self, order: AccountOrder) -> None:
        """Cancel an order that came so soon after a cancel-all that this one takes it too."""
        if order.status == "resting":
            with suppress(ApiError):  # the market closes, or the exchange pauses, at this very moment
                self.cancel(order)

    def amend(
        self,
        order: AccountOrder,
        side: str,
        price_e4: int,
        count_e2: int,
        *,
        expiry_s: int | None,
        client: str | None,
    ) -> AccountOrder:
        """Change an order; ``count_e2`` is filled plus wanted, ``expiry_s`` 0 clears, None leaves it."""
        market, event = order.market, order.market.event
        self._require_live(market)
        if client and client != order.client_order_id:
            self._require_unused(client)
        expiry = {None: NONE, 0: NEVER_NS}.get(expiry_s, (expiry_s or 0) * NS_PER_SECOND - event.open_ns)
        with self._venue.outside(event, _cause(order)) as exchange:
            answer = exchange.amend(
                self._account_of(order), order.core_id, market.number, side, price_e4,
                count_e2, expiry_ns=expiry, at_ns=self._venue.core_ns(event),
            )  # fmt: skip
            if answer.ok:
                order.initial_e2 = count_e2
                order.update_reason = "Amend"
                if expiry_s is not None:
                    order.expiry_ns = expiry_s * NS_PER_SECOND or None
                if client:
                    self._rename(order, client)
        self._groups.spread()
        self._done(answer)
        return order

    def _rename(self, order: AccountOrder, client: str) -> None:
        if order.client_order_id:
            self._account.burn(order.client_order_id)
        order.client_order_id = client
        self._account.by_client[client] = order

    def decrease(self, order: AccountOrder, *, by_e2: int | None, to_e2: int | None) -> AccountOrder:
        """Make an order smaller."""
        market, event = order.market, order.market.event
        self._require_live(market)
        with self._venue.outside(event, _cause(order)) as exchange:
            answer = exchange.decrease(
                self._account_of(order), order.core_id, by_e2=by_e2, to_e2=to_e2,
                at_ns=self._venue.core_ns(event),
            )  # fmt: skip
            order.update_reason = "Decrease" if answer.ok else order.update_reason
        self._done(answer)
        return order

    def ahead_e2(self, order: AccountOrder) -> int:
        """Contracts that are filled before a resting order at its own price."""
        live = order.market.event.live
        found = live.exchange.order(order.core_id) if live is not None and order.status == "resting" else None
        if found is None:
            raise missing(order.order_id)
        return found["ahead_e2"]

    def _done(self, answer: CoreAnswer) -> CoreAnswer:
        if not answer.ok:
            raise refusal(answer.reason)
        return answer


def _cause(order: AccountOrder) -> OutsideCause:
    """Return what the deltas of a command about an order tell of it."""
    return OutsideCause(order.client_order_id, order.subaccount)
