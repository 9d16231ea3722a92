"""Signed REST calls that change orders (V2): create, cancel, amend, decrease, in batches, all at once."""

from typing import Any

from aiohttp import web

from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.rest import order_forms as forms
from kalshi_platform.trading.simserver.rest.answers import (
    PREFIX,
    ApiError,
    answer,
    invalid,
    missing,
    read_json,
)
from kalshi_platform.trading.simserver.rest.limits import DEFAULT_COST, LimitsOfAccount
from kalshi_platform.trading.simserver.venue.desk import OrderDesk, WantedOrder
from kalshi_platform.trading.simserver.venue.orders import AccountOrder
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

ORDERS = f"{PREFIX}/portfolio/events/orders"
CANCEL_COST = 2


class OrderRoutes:
    """Handlers of the calls that change orders."""

    def __init__(self, venue: LiveVenue, desk: OrderDesk, limits: LimitsOfAccount) -> None:
        self._venue, self._desk, self._limits = venue, desk, limits

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.post(ORDERS, self.create),
            web.post(f"{ORDERS}/batched", self.create_many),
            web.delete(f"{ORDERS}/batched", self.cancel_many),
            web.delete(ORDERS, self.cancel_all),
            web.delete(f"{ORDERS}/{{order_id}}", self.cancel),
            web.post(f"{ORDERS}/{{order_id}}/amend", self.amend),
            web.post(f"{ORDERS}/{{order_id}}/decrease", self.decrease),
        ]

    # One order

    async def create(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/events/orders``."""
        form = forms.read_form(await read_json(request), forms.CREATE_FIELDS, forms.CREATE_REQUIRED)
        self._limits.write(forms.read_shard(form.get("exchange_index")))
        return answer(self._created(form), 201)

    def _created(self, form: dict[str, Any]) -> dict[str, Any]:
        market = self._venue.find(form["ticker"])
        shard = forms.read_shard(form.get("exchange_index"))
        if market is None or (shard is not None and shard != market.event.exchange_index):
            raise missing(form["ticker"])
        tif, stp = forms.read_choices(form)
        wanted = WantedOrder(
            market=market, side=forms.read_side(form), price_e4=forms.read_price(form),
            qty_e2=forms.read_count(form["count"]), tif=tif, stp=stp,
            client_order_id=forms.read_client_id(form),
            subaccount=forms.read_sub(form.get("subaccount"), self._venue.account) or 0,
            post_only=form.get("post_only", False), reduce_only=form.get("reduce_only", False),
            cancel_on_pause=form.get("cancel_order_on_pause", False),
            expiry_s=forms.read_expiry(form), group_id=form.get("order_group_id"),
        )  # fmt: skip
        return self._stand(self._desk.create(wanted))

    def _stand(self, order: AccountOrder) -> dict[str, Any]:
        """Answer about an order as it stands after a command."""
        body: dict[str, Any] = {"order_id": order.order_id}
        if order.client_order_id:
            body["client_order_id"] = order.client_order_id
        body["fill_count"] = wire.count(order.filled_e2)
        body["remaining_count"] = wire.count(order.left_e2)
        if order.filled_e2:
            cost = order.taker_cost_e6 + order.maker_cost_e6
            own_e6 = cost * 100 // order.filled_e2
            fees = order.taker_fees_e6 + order.maker_fees_e6
            body["average_fill_price"] = wire.cash(own_e6 if order.side == "bid" else 1_000_000 - own_e6)
            body["average_fee_paid"] = wire.cash(fees * 100 // order.filled_e2)
        return body | {"ts_ms": self._venue.clock.now_ns // NS_PER_MS}

    async def cancel(self, request: web.Request) -> web.Response:
        """Answer ``DELETE /portfolio/events/orders/{order_id}``; no market and no shard mean shard 0."""
        ticker, named = request.query.get("market_ticker"), request.query.get("exchange_index")
        shard = forms.read_shard(named)
        if ticker:
            market = self._venue.find(ticker)
            self._limits.write(shard if market is None else market.event.exchange_index, CANCEL_COST)
        else:
            self._limits.write(shard if named else 0, CANCEL_COST)
        number = request.query.get("subaccount")
        return answer(self._canceled(request.match_info["order_id"], ticker, named, number))

    def _order_of(self, order_id: str, number: Any) -> AccountOrder:
        """Return an order of the subaccount that a request names, of number 0 where it names none."""
        return self._desk.order(order_id, forms.read_sub(number, self._venue.account) or 0)

    def _canceled(self, order_id: str, ticker: str | None, named: Any, number: Any) -> dict[str, Any]:
        order = self._order_of(order_id, number)
        if ticker and ticker != order.market.ticker:
            raise missing(order_id)
        shard = forms.read_shard(named) if named not in (None, "") else (None if ticker else 0)
        if shard is not None and shard != order.market.event.exchange_index:
            raise missing(order_id)
        reduced = self._desk.cancel(order)
        body: dict[str, Any] = {"order_id": order_id}
        if order.client_order_id:
            body["client_order_id"] = order.client_order_id
        return body | {"reduced_by": wire.count(reduced), "ts_ms": self._venue.clock.now_ns // NS_PER_MS}

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Answer ``DELETE /portfolio/events/orders``: every resting order on all shards."""
        self._limits.write(None, CANCEL_COST)
        self._desk.cancel_all()
        return web.Response(status=204)

    async def amend(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/events/orders/{order_id}/amend``."""
        form = forms.read_form(await read_json(request), forms.AMEND_FIELDS, forms.AMEND_REQUIRED)
        self._limits.write(forms.read_shard(form.get("exchange_index")))
        order = self._order_of(request.match_info["order_id"], _named_sub(request, form))
        told = forms.read_client_id(form)
        if told and told != order.client_order_id:
            raise ApiError(400, "order_id_and_client_order_id_mismatch", details=told)
        if form["ticker"] != order.market.ticker:
            raise ApiError(400, "order_ticker_mismatch", details=form["ticker"])
        changed = self._desk.amend(
            order, forms.read_side(form), forms.read_price(form), forms.read_count(form["count"]),
            expiry_s=forms.read_expiry(form),
            client=forms.read_client_id(form, "updated_client_order_id"),
        )  # fmt: skip
        return answer(self._stand(changed))

    async def decrease(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/events/orders/{order_id}/decrease``."""
        form = forms.read_form(await read_json(request), forms.DECREASE_FIELDS, ())
        self._limits.write(forms.read_shard(form.get("exchange_index")))
        if ("reduce_by" in form) == ("reduce_to" in form):
            raise invalid("give exactly one of reduce_by and reduce_to")
        order = self._order_of(request.match_info["order_id"], _named_sub(request, form))
        if form.get("market_ticker", order.market.ticker) != order.market.ticker:
            raise ApiError(400, "order_ticker_mismatch", details=form["market_ticker"])
        by = forms.read_count(form["reduce_by"]) if "reduce_by" in form else None
        to = forms.read_count(form["reduce_to"]) if "reduce_to" in form else None
        return answer(self._stand(self._desk.decrease(order, by_e2=by, to_e2=to)))

    # Many orders

    async def create_many(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/events/orders/batched``: every order is billed and answered separately."""
        orders = self._listed(await read_json(request))
        self._limits.write(0, DEFAULT_COST * len(orders))
        return answer({"orders": [self._create_one(each) for each in orders]}, 201)

    def _create_one(self, body: Any) -> dict[str, Any]:
        try:
            return self._created(forms.read_form(body, forms.CREATE_FIELDS, forms.CREATE_REQUIRED))
        except ApiError as refused:
            client = body.get("client_order_id") if isinstance(body, dict) else None
            return {"client_order_id": client, "error": error_of(refused)}

    async def cancel_many(self, request: web.Request) -> web.Response:
        """Answer ``DELETE /portfolio/events/orders/batched``."""
        orders = self._listed(await read_json(request))
        self._limits.write(0, CANCEL_COST * len(orders))
        return answer({"orders": [self._cancel_one(each) for each in orders]})

    def _cancel_one(self, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict) or not isinstance(body.get("order_id"), str):
            return {"order_id": "", "reduced_by": "0.00", "error": error_of(invalid("order_id is no string"))}
        try:
            named = (body.get(name) for name in ("market_ticker", "exchange_index", "subaccount"))
            return self._canceled(body["order_id"], *named)
        except ApiError as refused:
            return {"order_id": body["order_id"], "reduced_by": "0.00", "error": error_of(refused)}

    def _listed(self, body: Any) -> list[Any]:
        orders = body.get("orders") if isinstance(body, dict) else None
        if not isinstance(orders, list) or not orders:
            raise invalid("orders is no list of orders")
        if len(orders) > self._limits.most_in_batch:
            raise invalid(f"{len(orders)} orders; at most {self._limits.most_in_batch} fit the write bucket")
        return orders


def _named_sub(request: web.Request, form: dict[str, Any]) -> Any:
    """Subaccount of a change: a parameter of the query as documented, taken from the body too."""
    return request.query.get("subaccount") or form.get("subaccount")


def error_of(refused: ApiError) -> dict[str, str]:
    """Error of one entry of a batch."""
    return {"code": refused.code, "message": refused.message, "details": refused.details}
