"""Client of ``POST /v1/decide``: sends one request, and repeats it once where the first try got no answer.

Invariant  the client sends a request at most twice, both times with one ``request_id``: the server answers a
           repeated id as it did the first time, so nothing is decided twice.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import aiohttp

from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.serving.api.packed import packed_body
from kalshi_platform.serving.api.tokens import bearer

_BUSY: Final = 500


class ServiceError(PlatformError):
    """A service of this platform could not be reached, or it refused the request."""


class DecideClient:
    """Asks one server for decisions; ``async with`` keeps its connections open."""

    def __init__(
        self, url: str, token: str | None = None, timeout_s: float = 5.0, *, packed: bool = True
    ) -> None:
        """Prepare for the server at ``url`` (``http://127.0.0.1:8000``); ``timeout_s`` bounds each try.

        ``packed``: the client sends numbers as float32 in base64 (packed.py), which the server reads several
        times faster; it would round JSON numbers to float32 anyway. False sends numbers as they are given.
        """
        self._is_packed = packed
        self._url = url.rstrip("/") + "/v1/decide"
        self._headers = bearer(token)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections."""
        self._http = self._session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def decide(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for decisions and return the server's answer; a ``request`` without ``request_id`` gets one.

        After a failed connection, no answer in time, or a status of 500 or more the client tries once more,
        on a new connection: where a replica was lost, the proxy ends the idle connections too. ServiceError
        where the second try fails as well, or the server refuses the request; the error then quotes the
        server.
        """
        body = {"request_id": uuid4().hex, **(packed_body(request) if self._is_packed else request)}
        try:
            status, answer = await self._post(self._http, body)
        except (aiohttp.ClientError, TimeoutError):
            status, answer = _BUSY, {}
        if status >= _BUSY:
            try:
                async with self._session() as fresh:
                    status, answer = await self._post(fresh, body)
            except (aiohttp.ClientError, TimeoutError) as err:
                raise ServiceError(
                    f"{self._url}: no answer, asked twice ({type(err).__name__}: {err}); is the server up?"
                ) from None
        if status != 200:
            said = answer.get("detail") or answer
            raise ServiceError(f"{self._url} answered {status} to request {body['request_id']}: {said}")
        return answer

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)

    async def _post(
        self, http: aiohttp.ClientSession | None, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        if http is None:
            raise ContractError("ask inside `async with DecideClient(...)`: it is not open")
        async with http.post(self._url, json=body) as response:
            answer = await response.json(content_type=None)
            return response.status, answer if isinstance(answer, dict) else {"detail": answer}
