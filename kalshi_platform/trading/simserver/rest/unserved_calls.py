"""REST calls of the exchange that this server has no model of: refused by name, or answered as truly empty.

Refused    quotes and block trades (``/communications``), making combos (``/multivariate_event_collections``).
Empty      the historical calls: nothing has moved there, as ``/historical/cutoff`` says.
"""

from typing import Final

from aiohttp import web

from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer, missing, not_modelled

#: Path below ``/historical`` -> key of its list.
_LISTS: Final = {
    "markets": "markets", "trades": "trades", "fills": "fills", "orders": "orders",
    "positions": "market_positions",
}  # fmt: skip


class UnservedRoutes:
    """Handlers of calls without a model."""

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.route("*", f"{PREFIX}/communications{{rest:.*}}", self.quotes),
            web.route("*", f"{PREFIX}/multivariate_event_collections{{rest:.*}}", self.collections),
            web.get(f"{PREFIX}/historical/{{name}}", self.historical),
            web.get(f"{PREFIX}/historical/markets/{{rest:.*}}", self.no_market),
        ]

    async def quotes(self, request: web.Request) -> web.Response:
        """Refuse requests for quotes and block trades."""
        raise not_modelled("there are no quotes and no block trades here")

    async def collections(self, request: web.Request) -> web.Response:
        """Refuse to make combos."""
        raise not_modelled("combos come by the seed here (setting combos); none can be made")

    async def historical(self, request: web.Request) -> web.Response:
        """Answer a historical list: nothing has moved there."""
        key = _LISTS.get(request.match_info["name"])
        if key is None:
            raise missing(request.path)
        return answer({key: [], "cursor": ""})

    async def no_market(self, request: web.Request) -> web.Response:
        """Answer a historical market: there is none."""
        raise missing(request.match_info["rest"])
