"""Connections to an exchange's REST interface: a request goes out once, and its end says whether it went out.

Ends       an answer; NotSentError: no byte of the request left this machine; LostAnswerError: it may have
           been carried out.
Once       aiohttp repeats a PUT or DELETE by itself where a kept connection had ended. The middleware below
           makes its errors ours before it can, so that nothing is sent twice.
Path       goes out exactly as it is given: a signature was made over it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp
import yarl

#: Idle connections are closed before the exchange would: a write on one that it closed would end unknown.
_KEPT_S: Final = 5.0


class HttpRequest(NamedTuple):
    """Request as it is sent."""

    method: str
    url: str  # percent-encoded
    headers: Mapping[str, str]
    body: bytes | None


class HttpAnswer(NamedTuple):
    """Whole answer; the names of headers are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class NotSentError(Exception):
    """No byte of the request left this machine."""


class LostAnswerError(Exception):
    """No whole answer came; the request may have been carried out."""


class HttpPool(Protocol):
    """Way of requests to the exchange and of answers back."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Whole answer to ``request``, which is sent once; NotSentError or LostAnswerError without one."""

    async def close(self) -> None:
        """Close every connection."""


class AiohttpPool:
    """Pool of aiohttp: no redirects, no cookies, nothing of the environment (a .netrc would add a header)."""

    def __init__(self, connect_timeout_s: float, read_timeout_s: float, proxy: str | None) -> None:
        """``read_timeout_s``: silence after which an answer is lost."""
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s, sock_read=read_timeout_s
        )
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None  # of the first request: it belongs to a loop

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Whole answer to ``request``, which is sent once; NotSentError or LostAnswerError without one."""
        session = self._session = self._session or self._new_session()
        try:
            async with session.request(
                request.method, yarl.URL(request.url, encoded=True), headers=request.headers,
                data=request.body, allow_redirects=False, proxy=self._proxy,
            ) as answer:  # fmt: skip
                return HttpAnswer(answer.status, answer.headers, await answer.read())
        except aiohttp.InvalidURL as err:
            raise NotSentError(_words(err)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise LostAnswerError(_words(err)) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        """Session without connections yet."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_KEPT_S), timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, middlewares=(_once,),
        )  # fmt: skip


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send one request; its failure is an error that aiohttp does not answer by sending it again."""
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as err:
        raise NotSentError(_words(err)) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as err:
        raise LostAnswerError(_words(err)) from None


def _words(error: Exception) -> str:
    """Kind and text of a failure."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
