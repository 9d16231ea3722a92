"""Public REST calls about the exchange itself."""

from typing import Any, Final

from aiohttp import web

from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.config import N_SHARDS
from kalshi_platform.trading.simserver.rest.answers import PREFIX, answer
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

#: Weekly pauses that the schedule names.
_WINDOWS: Final = 4
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class ExchangeRoutes:
    """Handlers of the public calls about status, schedule and freshness."""

    def __init__(self, venue: LiveVenue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Paths and handlers."""
        return [
            web.get(f"{PREFIX}/exchange/status", self.status),
            web.get(f"{PREFIX}/exchange/schedule", self.schedule),
            web.get(f"{PREFIX}/exchange/user_data_timestamp", self.fresh),
            web.get(f"{PREFIX}/exchange/announcements", self.announcements),
            web.get(f"{PREFIX}/historical/cutoff", self.cutoff),
        ]

    async def status(self, request: web.Request) -> web.Response:
        """Answer ``GET /exchange/status``."""
        states = self._venue.shard_status
        statuses = [
            {
                "exchange_index": shard,
                "exchange_active": states[shard] != "FULL_PAUSE",
                "trading_active": states[shard] == "RUNNING",
            }
            for shard in range(N_SHARDS)
        ]
        body: dict[str, Any] = {
            "exchange_active": all(each["exchange_active"] for each in statuses),
            "trading_active": all(each["trading_active"] for each in statuses),
            "exchange_index_statuses": statuses,
        }
        if self._venue.resume_ns is not None:
            body["exchange_estimated_resume_time"] = wire.rfc3339(self._venue.resume_ns)
        return answer(body)

    async def schedule(self, request: web.Request) -> web.Response:
        """Answer ``GET /exchange/schedule``: around the clock, and the next weekly pauses where they come."""
        day = [{"open_time": "00:00", "close_time": "00:00"}]
        hours: dict[str, Any] = dict.fromkeys(_DAYS, day)
        hours |= {"start_time": "2026-01-01T00:00:00Z", "end_time": "2036-01-01T00:00:00Z"}
        windows = self._windows() if self._venue.config.weekly_pause else []
        return answer({"schedule": {"standard_hours": [hours], "maintenance_windows": windows}})

    def _windows(self) -> list[dict[str, str]]:
        """Next weekly pauses, the one under way too."""
        found, at_ns = [], self._venue.clock.now_ns
        for _ in range(_WINDOWS):
            start_ns = int(pause_start_ns(at_ns))
            at_ns = start_ns + PAUSE_NS
            times = {"start_datetime": wire.rfc3339(start_ns), "end_datetime": wire.rfc3339(at_ns)}
            found.append(times)
        return found

    async def fresh(self, request: web.Request) -> web.Response:
        """Answer ``GET /exchange/user_data_timestamp``: reads are as fresh as the last slice."""
        return answer({"as_of_time": wire.rfc3339(self._venue.clock.now_ns)})

    async def announcements(self, request: web.Request) -> web.Response:
        """Answer ``GET /exchange/announcements``: none."""
        return answer({"announcements": []})

    async def cutoff(self, request: web.Request) -> web.Response:
        """Answer ``GET /historical/cutoff``: nothing has moved to the historical calls."""
        start = wire.rfc3339(self._venue.clock.start_ns)
        return answer({"market_settled_ts": start, "trades_created_ts": start, "orders_updated_ts": start})
