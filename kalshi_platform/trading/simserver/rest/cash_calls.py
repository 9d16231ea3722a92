"""Signed REST calls that make subaccounts and move cash: between shards, and between subaccounts.

Positions  stay where they are: the call that moves one between subaccounts is refused, as is netting across
           the markets of an event, whose formula nobody has published.
"""

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.config import MOST_SUBACCOUNTS, N_SHARDS
from kalshi_platform.trading.simserver.rest import order_forms as forms
from kalshi_platform.trading.simserver.rest.answers import (
    PREFIX,
    ApiError,
    answer,
    invalid,
    not_modelled,
    page,
    read_json,
)
from kalshi_platform.trading.simserver.rest.limits import LimitsOfAccount
from kalshi_platform.trading.simserver.venue.subaccount import Subaccount
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

_P: Final = f"{PREFIX}/portfolio"
_SUBS: Final = f"{_P}/subaccounts"
_CENT_E6: Final = 10_000
#: 1e-4 dollar, the exchange's centicent.
_CENTICENT_E6: Final = 100


class CashRoutes:
    """Handlers of the calls that move cash."""

    def __init__(self, venue: LiveVenue, limits: LimitsOfAccount) -> None:
        self._venue, self._account, self._limits = venue, venue.account, limits
        self._transfers: dict[str, dict[str, Any]] = {}  # the client's id -> transfer between subaccounts

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.post(f"{_P}/intra_exchange_instance_transfer", self.between_shards),
            web.post(_SUBS, self.make),
            web.post(f"{_SUBS}/transfer", self.between_subs),
            web.post(f"{_SUBS}/positions/transfer", self.position),
            web.get(f"{_SUBS}/balances", self.balances),
            web.get(f"{_SUBS}/transfers", self.transfers),
            web.get(f"{_SUBS}/netting", self.netting),
            web.put(f"{_SUBS}/netting", self.set_netting),
        ]

    async def between_shards(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/intra_exchange_instance_transfer``: cash between shards, 1e-4 dollar."""
        self._limits.write(None)
        fields = {"source": int, "destination": int, "amount": int}
        form = forms.read_form(await read_json(request), {**fields, "subaccount": int}, tuple(fields))
        source, target = forms.read_shard(form["source"]), forms.read_shard(form["destination"])
        sub = self._sub(form.get("subaccount", 0))
        amount_e6 = form["amount"] * _CENTICENT_E6
        if source is None or target is None or source == target or amount_e6 <= 0:
            raise invalid("a transfer needs two shards and an amount above 0")
        if sub.free_on(source) < amount_e6:
            raise ApiError(400, "available_balance_too_low")
        sub.pay_in(source, -amount_e6)
        sub.pay_in(target, amount_e6)
        return answer({})

    # Subaccounts

    async def make(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/subaccounts``: the next one, without cash; above the basic tier only."""
        self._limits.write(None)
        if self._limits.tier == "basic":
            raise ApiError(403, "forbidden", details="subaccounts need the tier advanced or a higher one")
        if len(self._account.subs) > MOST_SUBACCOUNTS:
            raise invalid(f"the account has {MOST_SUBACCOUNTS} numbered subaccounts already")
        return answer({"subaccount_number": self._account.add_sub().number}, 201)

    async def between_subs(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/subaccounts/transfer``; the client's id of a transfer works once."""
        self._limits.write(None)
        fields = {
            "client_transfer_id": str, "from_subaccount": int, "to_subaccount": int, "amount_cents": int,
        }  # fmt: skip
        form = forms.read_form(await read_json(request), {**fields, "exchange_index": int}, tuple(fields))
        name = _uuid_of(form["client_transfer_id"])
        shard = forms.read_shard(form.get("exchange_index")) or 0
        source, target = self._sub(form["from_subaccount"]), self._sub(form["to_subaccount"])
        amount_e6 = form["amount_cents"] * _CENT_E6
        if source is target or amount_e6 <= 0:
            raise invalid("a transfer needs two subaccounts and an amount above 0")
        if name in self._transfers:
            raise ApiError(409, "transfer_already_exists", "transfer already exists", name)
        if source.free_on(shard) < amount_e6:
            raise ApiError(400, "available_balance_too_low")
        source.pay_in(shard, -amount_e6)
        target.pay_in(shard, amount_e6)
        self._transfers[name] = {
            "transfer_id": wire.uuid_text(wire.TRANSFER_ID, 0, len(self._transfers) + 1),
            "from_subaccount": source.number,
            "to_subaccount": target.number,
            "amount_cents": form["amount_cents"],
            "created_ts": self._venue.clock.now_ns // NS_PER_SECOND,
            "exchange_index": shard,
        }
        return answer({})

    async def position(self, request: web.Request) -> web.Response:
        """Refuse ``POST /portfolio/subaccounts/positions/transfer``."""
        raise not_modelled("positions are not moved between subaccounts here")

    async def balances(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/subaccounts/balances``: free cash of each on every shard."""
        now_s = self._venue.clock.now_ns // NS_PER_SECOND
        found = [
            {
                "subaccount_number": sub.number,
                "exchange_index": shard,
                "balance": wire.cash(sub.free_on(shard)),
                "updated_ts": now_s,
            }
            for sub in self._account.subs
            for shard in range(N_SHARDS)
        ]
        return answer({"subaccount_balances": found})

    async def transfers(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/subaccounts/transfers``, the newest first."""
        rows = list(enumerate(self._transfers.values(), start=1))
        shown = page(
            request.query, rows, "transfers", 1_000, 100,
            number=lambda row: row[0], body=lambda row: row[1], newest_first=True,
        )  # fmt: skip
        return answer(shown)

    async def netting(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/subaccounts/netting``: nowhere."""
        configs = [{"subaccount_number": sub.number, "enabled": False} for sub in self._account.subs]
        return answer({"netting_configs": configs})

    async def set_netting(self, request: web.Request) -> web.Response:
        """Answer ``PUT /portfolio/subaccounts/netting``: it can only be left off."""
        self._limits.write(None)
        fields = {"subaccount_number": int, "enabled": bool}
        form = forms.read_form(await read_json(request), fields, tuple(fields))
        self._sub(form["subaccount_number"])
        if form["enabled"]:
            raise not_modelled("collateral is not returned across markets here")
        return answer({})

    def _sub(self, number: Any) -> Subaccount:
        found = forms.read_sub(number, self._account)
        return self._account.subs[found or 0]


def _uuid_of(text: str) -> str:
    """Return the one spelling of a UUID; ApiError 400 where the text is none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid("client_transfer_id is no UUID") from None
