"""REST calls about the account's limits and keys."""

from aiohttp import web

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.simserver.auth import RequestAuth
from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer
from kalshi_platform.trading.simserver.rest.limits import LimitsOfAccount, costs_body
from kalshi_platform.trading.simserver.venue.venue import LiveVenue


class AccountRoutes:
    """Handlers of the calls about limits and keys."""

    def __init__(self, venue: LiveVenue, limits: LimitsOfAccount, auth: RequestAuth) -> None:
        self._venue, self._limits, self._auth = venue, limits, auth

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.get(f"{PREFIX}/account/limits", self.limits),
            web.get(f"{PREFIX}/account/endpoint_costs", self.costs),
            web.get(f"{PREFIX}/api_keys", self.keys),
        ]

    async def limits(self, request: web.Request) -> web.Response:
        """Answer ``GET /account/limits``."""
        return answer(self._limits.body())

    async def costs(self, request: web.Request) -> web.Response:
        """Answer ``GET /account/endpoint_costs``."""
        return answer(costs_body())

    async def keys(self, request: web.Request) -> web.Response:
        """Answer ``GET /api_keys``; the region of this exchange does not expire for ten years."""
        listed = [
            {"api_key_id": key.key_id, "name": key.name, "scopes": list(key.scopes)}
            for key in self._auth.keys.values()
        ]
        expires = self._venue.clock.start_ns // NS_PER_SECOND + 10 * 365 * 86_400
        return answer({"api_keys": listed, "api_key_region_expiration_ts": expires})
