"""Signed REST calls about order groups."""

from typing import Any

from aiohttp import web

from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.rest import order_forms as forms
from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer, invalid, read_json
from kalshi_platform.trading.simserver.rest.limits import LimitsOfAccount
from kalshi_platform.trading.simserver.venue.groups import OrderGroups
from kalshi_platform.trading.simserver.venue.orders import OrderGroup
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

_GROUPS = f"{PREFIX}/portfolio/order_groups"
_LIMITS = {"contracts_limit": int, "contracts_limit_fp": str, "subaccount": int}


class GroupRoutes:
    """Handlers of the calls about order groups."""

    def __init__(self, venue: LiveVenue, groups: OrderGroups, limits: LimitsOfAccount) -> None:
        self._account, self._groups, self._limits = venue.account, groups, limits

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.get(_GROUPS, self.all_groups),
            web.post(f"{_GROUPS}/create", self.create_group),
            web.get(f"{_GROUPS}/{{group_id}}", self.one_group),
            web.put(f"{_GROUPS}/{{group_id}}/limit", self.limit_group),
            web.put(f"{_GROUPS}/{{group_id}}/reset", self.reset_group),
            web.put(f"{_GROUPS}/{{group_id}}/trigger", self.trigger_group),
            web.delete(f"{_GROUPS}/{{group_id}}", self.delete_group),
        ]

    async def all_groups(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/order_groups``."""
        number = forms.read_sub(request.query.get("subaccount"), self._account)
        found = [
            group_body(group) for group in self._account.groups.values() if number in (None, group.subaccount)
        ]
        return answer({"order_groups": found})

    async def create_group(self, request: web.Request) -> web.Response:
        """Answer ``POST /portfolio/order_groups/create``."""
        form = forms.read_form(await read_json(request), {**_LIMITS, "exchange_index": int}, ())
        shard = forms.read_shard(form.get("exchange_index")) or 0
        self._limits.write(shard)
        number = forms.read_sub(form.get("subaccount"), self._account) or 0
        group = self._groups.create(read_limit(form), shard, number)
        return answer({"order_group_id": group.group_id}, 201)

    async def one_group(self, request: web.Request) -> web.Response:
        """Answer ``GET /portfolio/order_groups/{group_id}``."""
        group = self._groups.find(request.match_info["group_id"])
        return answer(group_body(group) | {"orders": self._groups.orders_of(group)})

    async def limit_group(self, request: web.Request) -> web.Response:
        """Answer ``PUT /portfolio/order_groups/{group_id}/limit``."""
        group = self._group_to_change(request)
        form = forms.read_form(await read_json(request), _LIMITS, ())
        self._groups.set_limit(group, read_limit(form))
        return answer({})

    async def reset_group(self, request: web.Request) -> web.Response:
        """Answer ``PUT /portfolio/order_groups/{group_id}/reset``."""
        self._groups.reset(self._group_to_change(request))
        return answer({})

    async def trigger_group(self, request: web.Request) -> web.Response:
        """Answer ``PUT /portfolio/order_groups/{group_id}/trigger``."""
        self._groups.trigger(self._group_to_change(request))
        return answer({})

    async def delete_group(self, request: web.Request) -> web.Response:
        """Answer ``DELETE /portfolio/order_groups/{group_id}``."""
        self._groups.delete(self._group_to_change(request))
        return answer({})

    def _group_to_change(self, request: web.Request) -> OrderGroup:
        group = self._groups.find(request.match_info["group_id"])
        self._limits.write(group.exchange_index)
        return group


def read_limit(form: dict[str, Any]) -> int:
    """Return the limit of a group, 1e-2 contract, told as a whole number or as a count."""
    if ("contracts_limit" in form) == ("contracts_limit_fp" in form):
        raise invalid("give exactly one of contracts_limit and contracts_limit_fp")
    if "contracts_limit" in form:
        return int(form["contracts_limit"]) * 100
    return forms.read_count(form["contracts_limit_fp"])


def group_body(group: OrderGroup) -> dict[str, Any]:
    """One group of ``/portfolio/order_groups``."""
    return {
        "id": group.group_id,
        "order_group_id": group.group_id,
        "contracts_limit_fp": wire.count(group.limit_e2),
        "exchange_index": group.exchange_index,
        "subaccount": group.subaccount,
        "is_auto_cancel_enabled": not group.is_triggered,
    }
