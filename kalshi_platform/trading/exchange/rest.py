"""REST transport: one signed request, its tokens, its deadline, and the meaning of what came back.

Reads     are repeated after a lost connection, 429 and 5xx, with growing pauses; each attempt takes tokens
          and a fresh signature. ExchangeError where the exchange refuses, or fails to the end.
Writes    are sent once. Their outcomes are values (outcomes.py); nothing here repeats a write.
Paths     values are percent-encoded, and the path is signed exactly as it is sent.
Secret    neither errors nor logs hold a header.
Not here  connections (http_pool.py), the calls (public_calls.py, account_calls.py, order_calls.py).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import stamina
from pydantic import Field, field_validator
from pydantic_core import from_json

from kalshi_platform import __version__
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.addresses import checked_address
from kalshi_platform.trading.exchange.buckets import RateLimits
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.exchange.error_bodies import words_of
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.http_pool import (
    AiohttpPool,
    HttpAnswer,
    HttpPool,
    HttpRequest,
    LostAnswerError,
    NotSentError,
)
from kalshi_platform.trading.exchange.outcomes import TOO_MANY, Accepted, Refused, Unknown, WriteOutcome
from kalshi_platform.trading.exchange.signing import RequestSigner
from kalshi_platform.trading.exchange.skew import SkewWatch

Answer = TypeVar("Answer")
Params = Mapping[str, str | int | bool | list[str] | None]
_LOG: Final = logging.getLogger(__name__)

_BAD_REQUEST, _SERVER_ERROR = 400, 500
_NO_CONTENT: Final = 204
#: 4xx that do not say whether the request was carried out: the server gave up waiting for the rest of it.
_UNDECIDED: Final = frozenset({408, 425, 499})


class RestSettings(Config):
    """Address of the exchange's REST interface, and the client's patience with it."""

    url: str = Field("https://external-api.kalshi.com/trade-api/v2", description="root of the calls")
    proxy: str | None = Field(None, description="HTTP proxy; the environment's proxies are not used")
    connect_timeout_s: float = Field(5.0, gt=0)
    read_timeout_s: float = Field(10.0, gt=0, description="silence of a read's answer after which it is lost")
    write_deadline_s: float = Field(5.0, gt=0, description="from then on a write's outcome is unknown")
    attempts: int = Field(5, ge=1, description="of one read")
    retry_for_s: float = Field(45.0, gt=0, description="from the first to the last attempt of a read")
    first_pause_s: float = Field(0.2, gt=0, description="before the second attempt; doubles each time")
    longest_pause_s: float = Field(5.0, gt=0)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        return checked_address(url, ("http", "https"))


class RestTransport:
    """Client of one exchange's REST interface: enter ``async with``; ``signer`` None asks public calls
    only."""

    def __init__(
        self,
        settings: RestSettings,
        signer: RequestSigner | None,
        clock: ExchangeClock,
        rng: np.random.Generator,
        http: HttpPool | None = None,
    ) -> None:
        """``http`` replaces the connection pool, in a test."""
        self._settings, self._signer, self._clock, self._rng = settings, signer, clock, rng
        self.limits = RateLimits(clock)
        self.skew = SkewWatch(_warn_of_skew)
        self.leaving: Callable[[str], None] = lambda method: None  # called as a signed request leaves
        self._http = http or AiohttpPool(settings.connect_timeout_s, settings.read_timeout_s, settings.proxy)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    @property
    def clock(self) -> ExchangeClock:
        """Clock of this client."""
        return self._clock

    # Reads

    async def get(
        self, endpoint: str, values: Mapping[str, str] | None = None, params: Params | None = None
    ) -> AnswerFields:
        """Answer to ``GET endpoint``, such as ``/markets/{ticker}`` with ``values`` {"ticker": ...}.

        Parameters that are None are left out; lists repeat their key. ExchangeError where the exchange
        refuses or cannot be reached, DataError where its answer is no JSON object.
        """
        failures = 0

        def pause_s(error: Exception) -> float | bool:
            nonlocal failures
            if not (isinstance(error, ExchangeError) and error.is_passing):
                return False
            failures += 1
            return self._pause_s(failures)

        settings = self._settings
        async for attempt in stamina.retry_context(
            on=pause_s, attempts=settings.attempts, timeout=settings.retry_for_s
        ):
            with attempt:
                return await self._get_once(endpoint, values or {}, params or {})
        raise AssertionError("stamina raises the last error itself")

    def _pause_s(self, failures: int) -> float:
        """Seconds before the next attempt: doubling, half of it drawn, so that clients do not march in
        step."""
        settings = self._settings
        longest = min(settings.first_pause_s * 2.0 ** (failures - 1), settings.longest_pause_s)
        return longest * float(self._rng.uniform(0.5, 1.0))

    async def _get_once(self, endpoint: str, values: Mapping[str, str], params: Params) -> AnswerFields:
        """One attempt of a read; ExchangeError says whether another can help."""
        await self.limits.take_read(self.limits.cost("GET", endpoint))
        request = self._request("GET", endpoint, values, params, None)
        where = f"GET {endpoint}"
        try:
            answer = await self._send(request)
        except (NotSentError, LostAnswerError) as err:
            raise ExchangeError(f"{where}: {err}", is_passing=True) from None
        status = answer.status
        if status >= _BAD_REQUEST or status < 200 or status >= 300:
            if status == TOO_MANY:
                self.limits.refused(None, write=False)
            words = words_of(answer.content)
            raise ExchangeError(
                f"{where}: {status} {words.text}",
                status=status,
                code=words.code,
                is_passing=status == TOO_MANY or status >= _SERVER_ERROR,
            )
        return AnswerFields(_json_of(answer, where), where)

    # Writes

    async def write(
        self,
        method: str,
        endpoint: str,
        values: Mapping[str, str],
        body: Mapping[str, Any] | None,
        read: Callable[[AnswerFields], Answer],
        *,
        params: Params | None = None,
        cost: int | None = None,
        shard: int | None = None,
        hindrance: Callable[[], str] = lambda: "",
    ) -> WriteOutcome[Answer]:
        """Send one write, once; ``read`` makes its typed answer.

        cost: tokens, None: as the exchange says; shard: ``exchange_index`` that pays, None: all; hindrance:
        words for why the write may not leave any more, asked when its tokens are there; "" lets it leave, and
        nothing is sent before.
        ContractError where the client has no key.
        """
        if self._signer is None:
            raise ContractError(f"{method} {endpoint} needs an API key: this client has none")
        price = self.limits.cost(method, endpoint) if cost is None else cost
        if words := await self.limits.take_write(price, shard, hindrance):
            return Refused(f"{method} {endpoint}: not sent: {words}", None, None, sent=False)
        request = self._request(method, endpoint, values, params or {}, body)
        deadline_s = self._settings.write_deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._send(request)
        except TimeoutError:
            return Unknown(f"{method} {endpoint}: no answer within {deadline_s:g} s")
        except NotSentError as err:
            return Refused(f"{method} {endpoint}: not sent: {err}", None, None, sent=False)
        except LostAnswerError as err:
            return Unknown(f"{method} {endpoint}: {err}")
        if answer.status == TOO_MANY:
            self.limits.refused(shard, write=True)
        return outcome_of(answer, f"{method} {endpoint}", read)

    # One request

    def _request(
        self,
        method: str,
        endpoint: str,
        values: Mapping[str, str],
        params: Params,
        body: Mapping[str, Any] | None,
    ) -> HttpRequest:
        """Signed request; the signature is made last, so that it is young when the request leaves."""
        url = self._settings.url + path_of(endpoint, values)
        headers = {"Accept": "application/json", "User-Agent": f"kalshi-platform/{__version__}"}
        # Some PUTs want a JSON body though they say nothing in it.
        content: bytes | None = None
        if body is not None or method in ("POST", "PUT"):
            content = json_text(dict(body or {}), tight=True).encode()
            headers["Content-Type"] = "application/json"
        if self._signer is not None:
            headers |= self._signer.headers(method, urlsplit(url).path, self._clock.wall_ns())
        return HttpRequest(method, url + _query_of(params), headers, content)

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        """Whole answer to a request; the exchange's clock is looked at on the way."""
        self.leaving(request.method)
        answer = await self._http.send(request)
        self.skew.observe(answer.headers.get("Date"), self._clock.wall_ns())
        return answer


def outcome_of(
    answer: HttpAnswer, where: str, read: Callable[[AnswerFields], Answer]
) -> WriteOutcome[Answer]:
    """Meaning of the answer to a write; an answer that is neither yes nor no is unknown."""
    status = answer.status
    if 200 <= status < 300:
        try:
            return Accepted(read(AnswerFields(_json_of(answer, where), where)), status)
        except DataError as err:
            return Unknown(f"{status}, but the answer cannot be read: {err}", status)
    words = words_of(answer.content)
    if _BAD_REQUEST <= status < _SERVER_ERROR and status not in _UNDECIDED:
        return Refused(f"{where}: {status} {words.text}", status, words.code)
    return Unknown(f"{where}: {status} {words.text}", status)


def path_of(endpoint: str, values: Mapping[str, str]) -> str:
    """``endpoint`` with ``values`` percent-encoded for its {names}; ContractError for an unfit value."""
    for name, value in values.items():
        if value in ("", ".", ".."):
            raise ContractError(
                f"{name} = {value!r} in {endpoint}: expected a name, such as a ticker or an id"
            )
    return endpoint.format(**{name: quote(value, safe="") for name, value in values.items()})


def _query_of(params: Params) -> str:
    """Query of the parameters that are not None, with its question mark; lists repeat their key."""
    pairs = [
        (name, str(each).lower() if isinstance(each, bool) else str(each))
        for name, value in params.items() if value is not None
        for each in (value if isinstance(value, list) else [value])
    ]  # fmt: skip
    return f"?{urlencode(pairs)}" if pairs else ""


def _json_of(answer: HttpAnswer, where: str) -> Any:
    """JSON value of an answer's body, an empty object for 204; DataError where it is no JSON."""
    if answer.status == _NO_CONTENT or not answer.content:
        return {}
    try:
        return from_json(answer.content)
    except ValueError as err:
        raise DataError(f"{where}: {answer.status} with a body that is no JSON ({err})") from None


def _warn_of_skew(skew_ns: int) -> None:
    """Log that the clocks differ."""
    _LOG.warning(
        "this machine's clock is %+.1f s from the exchange's; allowed is 5 s: set it by NTP, "
        "since signatures carry it",
        skew_ns / NS_PER_SECOND,
    )
