"""The gate of REST: rate limits, signatures and planted faults before a call, error bodies after."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web

from kalshi_platform.trading.simserver.auth import RequestAuth, UnsignedRequest
from kalshi_platform.trading.simserver.config import ErrorBody
from kalshi_platform.trading.simserver.faults.forms import PlantedFault
from kalshi_platform.trading.simserver.faults.frames import Faults
from kalshi_platform.trading.simserver.rest.answers import PREFIX, ApiError
from kalshi_platform.trading.simserver.rest.limits import LimitsOfAccount
from kalshi_platform.trading.simserver.stream.socket import PATH, Sockets
from kalshi_platform.trading.simserver.venue.account import OutsideAccount

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_READS: Final = ("GET", "HEAD")
_SHOWN: Final = 200
_SIGNED: Final = (f"{PREFIX}/portfolio", f"{PREFIX}/api_keys", f"{PREFIX}/account/limits")


class RestGate:
    """Middleware of the exchange's own port."""

    def __init__(
        self,
        auth: RequestAuth,
        limits: LimitsOfAccount,
        faults: Faults,
        sockets: Sockets,
        account: OutsideAccount,
        form: ErrorBody,
    ) -> None:
        self._auth, self._limits, self._faults = auth, limits, faults
        self._sockets, self._account, self._form = sockets, account, form

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request."""
        if request.path == PATH:
            return await handler(request)
        try:
            return await self._answer(request, handler)
        except ApiError as refused:
            error = refused
        except UnsignedRequest as refused:
            error = ApiError(401, "unauthorized", "authentication_error", str(refused))
        except web.HTTPException as refused:
            if refused.status < 400:
                raise
            error = ApiError(refused.status, *_words_of(refused.status), request.path[:_SHOWN])
        return error.response(self._form)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_SIGNED):
            key = self._auth.key_of(request.headers, request.method, request.rel_url.raw_path)
            if request.method not in _READS and not key.may_write:
                raise ApiError(403, "insufficient_scope", details=f"key {key.name} has scopes {key.scopes}")
        if request.method in _READS:
            self._limits.read()
        found = await self._answer_wrongly(request, handler)
        self._sockets.flush_all()
        return found

    async def _answer_wrongly(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer as the first planted fault that fits wants; one that does not fit yet stays planted."""
        for fault in self._faults.request_faults(request.method, request.path):
            if fault.kind == "not_found_after_fill":
                self._deny_filled(request, fault)
            elif fault.kind == "partial_page":
                short = await self._short_page(request, handler, fault)
                if short is not None:
                    return short
            else:
                return await self._strike(request, handler, fault)
        return await handler(request)

    async def _strike(
        self, request: web.Request, handler: Handler, fault: PlantedFault
    ) -> web.StreamResponse:
        """Answer as a fault wants that fits every request."""
        self._faults.use(fault, request.method, request.path)
        if fault.kind == "http_429":
            raise ApiError(429, "too_many_requests")
        if fault.kind == "http_5xx":
            if fault.accepted:
                with suppress(ApiError):  # nobody hears that the exchange refused
                    await handler(request)
            raise ApiError(fault.status, "service_unavailable", "planted", fault.kind)
        if fault.kind == "timeout_refused":
            return await self._never(request, fault)
        if fault.kind == "timeout_accepted":
            with suppress(ApiError):
                await handler(request)
            self._sockets.flush_all()
            return await self._never(request, fault)
        try:
            return await handler(request)
        finally:  # late_ack: frames about the order leave before its answer, or its refusal
            self._sockets.flush_all()
            await asyncio.sleep(fault.seconds)

    async def _never(self, request: web.Request, fault: PlantedFault) -> web.StreamResponse:
        """Stay silent, then cut the connection."""
        await asyncio.sleep(fault.seconds)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _deny_filled(self, request: web.Request, fault: PlantedFault) -> None:
        """Raise 404 where the request reads an order that was filled."""
        order = self._account.orders.get(request.match_info.get("order_id", ""))
        if order is None or order.filled_e2 == 0 or request.method != "GET":
            return
        self._faults.use(fault, request.method, request.path, order_id=order.order_id)
        raise ApiError(404, "not_found", "not found", order.order_id)

    async def _short_page(
        self, request: web.Request, handler: Handler, fault: PlantedFault
    ) -> web.StreamResponse | None:
        """Show half of a page, with the cursor that goes on behind it; None where there is no page."""
        if request.method != "GET":
            return None  # asked twice, a write would be done twice
        rows = _rows_of(await handler(request))
        if rows is None or len(rows) < 2:
            return None
        self._faults.use(fault, request.method, request.path, shown=len(rows) // 2, of=len(rows))
        short = request.rel_url.update_query({"limit": str(len(rows) // 2)})
        return await handler(request.clone(rel_url=short))


def _words_of(status: int) -> tuple[str, str]:
    """Return code and message of an error that no handler worded."""
    phrase = HTTPStatus(status).phrase.lower()
    return phrase.replace(" ", "_"), phrase


def _rows_of(found: web.StreamResponse) -> list[object] | None:
    """Return the rows of an answer that has a cursor; None for any other answer."""
    if not isinstance(found, web.Response) or found.text is None:
        return None
    body = json.loads(found.text)
    if not isinstance(body, dict) or "cursor" not in body:
        return None
    return next((value for value in body.values() if isinstance(value, list)), None)
