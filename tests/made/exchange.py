"""A client of the exchange in a test: a clock that is held, keys, and REST answers from a function."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.http_pool import (
    HttpAnswer,
    HttpRequest,
    LostAnswerError,
    NotSentError,
)
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import RequestSigner

Result = TypeVar("Result")
KEY_ID = "a952bcbe-ec3b-4b5b-b8f9-11dae589608c"
URL = "https://exchange.test/trade-api/v2"
START_NS = 1_795_400_000 * NS_PER_SECOND  # 2026-11-23T02:13:20Z


class HeldClock:
    """Time that passes only while somebody sleeps, at once."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.skew_ns = 0
        self.slept: list[float] = []

    def wall_ns(self) -> int:
        return START_NS + self.now_ns + self.skew_ns

    def mono_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(max(seconds, 0.0) * NS_PER_SECOND)
        await asyncio.sleep(0)


def ed25519_pem() -> bytes:
    """Private key of its own."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signer() -> RequestSigner:
    return RequestSigner(KEY_ID, ed25519_pem(), "test")


Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]]
#: Failures of a handler before a byte of the request would have left this machine.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HandlerPool:
    """Connections whose every request a function answers; requests and answers are httpx's records."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Answer of the handler."""
        asked = httpx.Request(
            request.method, httpx.URL(request.url), headers=dict(request.headers), content=request.body
        )
        try:
            found = self._handler(asked)
            answer = found if isinstance(found, httpx.Response) else await found
        except _NOT_SENT as err:
            raise NotSentError(f"{type(err).__name__}: {err}") from None
        except httpx.HTTPError as err:
            raise LostAnswerError(f"{type(err).__name__}: {err}") from None
        return HttpAnswer(answer.status_code, answer.headers, answer.content)

    async def close(self) -> None:
        """Nothing is open."""


def transport(handler: Handler, clock: HeldClock | None = None, **settings: object) -> RestTransport:
    """Transport whose every request ``handler`` answers; pauses between attempts are a millisecond."""
    quick = {"url": URL, "first_pause_s": 0.001, "longest_pause_s": 0.001, **settings}
    return RestTransport(
        RestSettings.parse(quick),
        signer(),
        clock or HeldClock(),
        np.random.default_rng(7),
        HandlerPool(handler),
    )


def run(work: Awaitable[Result], limit_s: float = 120.0) -> Result:
    """Result of ``work``; a test that hangs fails."""

    async def bounded() -> Result:
        return await asyncio.wait_for(work, limit_s)

    return asyncio.run(bounded())
