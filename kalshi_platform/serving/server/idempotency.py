"""Answers kept by request id, so that a client that asks again gets the answer it may have missed.

Units      time ns of a clock that does not go back.
Invariant  an answer is given only to its own owner, for the same body, at most ``keep_s`` after it was made;
           kept answers never exceed ``max_answers`` nor ``max_bytes``.
Not        requests that failed: they are forgotten, the next one is tried anew.
Threads    one: the event loop that serves.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND

#: Longest request id, characters.
MAX_ID: Final = 128

#: Makes the answer to a request, at once or later.
Make = Callable[[], bytes | Awaitable[bytes]]
Key = tuple[str, str]


class IdempotencyConfig(Config):
    """Bounds of the kept answers: number, size and age."""

    max_answers: int = Field(20_000, gt=0)
    max_bytes: int = Field(64 * 1024 * 1024, gt=0, description="of answers with their owners and ids")
    keep_s: float = Field(60.0, gt=0, description="a retry comes within seconds; a decision ages faster")


class RequestIdReusedError(ContractError):
    """The same request id came with another body (HTTP 409)."""


class StoredAnswer(NamedTuple):
    """Answer to a request, made for it or for an earlier one."""

    body: bytes
    repeated: bool  # made for an earlier request with the same id, or for one in flight beside it


class Counts(NamedTuple):
    """Counts since the start of the process."""

    made: int  # answers made
    repeated: int  # answers given again from what was kept
    shared: int  # requests that waited for an equal one in flight
    refused: int  # ids used with another body
    dropped: int  # answers dropped before their time: too many or too large
    kept: int  # answers kept now
    kept_bytes: int


class _Kept(NamedTuple):
    digest: bytes
    body: bytes
    made_ns: int
    size: int


class _InFlight(NamedTuple):
    digest: bytes
    task: "asyncio.Task[bytes]"


class Answers:
    """Answers by client and request id; each is made once."""

    def __init__(self, config: IdempotencyConfig, clock: Callable[[], int]) -> None:
        """Begin empty; ``clock`` gives ns, e.g. ``time.monotonic_ns``."""
        self.config = config
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()  # oldest first
        self._in_flight: dict[Key, _InFlight] = {}
        self._bytes = 0
        self._made = self._repeated = self._shared = self._refused = self._dropped = 0

    @property
    def counts(self) -> Counts:
        """Counts so far, for metrics."""
        return Counts(
            self._made,
            self._repeated,
            self._shared,
            self._refused,
            self._dropped,
            len(self._kept),
            self._bytes,
        )

    async def once(self, owner: str, request_id: str, body: bytes, make: Make) -> StoredAnswer:
        """Answer ``body``: with a kept answer, one in flight, or one that ``make`` makes for all who ask.

        An awaitable from ``make`` runs as a task of its own: a client that goes away neither stops it nor
        takes the answer from those who wait beside it, and finds it kept when it asks again. All who wait get
        an exception of ``make``, and it is not kept. RequestIdReusedError where the id came with another
        body, ContractError where it is empty or longer than MAX_ID characters.
        """
        if not 1 <= len(request_id) <= MAX_ID:
            raise ContractError(f"request id of {len(request_id)} characters is outside 1..{MAX_ID}")
        key, digest = (owner, request_id), hashlib.sha256(body).digest()
        self._expire()
        if kept := self._kept.get(key):
            self._require_same(kept.digest, digest, request_id)
            self._repeated += 1
            return StoredAnswer(kept.body, repeated=True)
        if found := self._in_flight.get(key):
            self._require_same(found.digest, digest, request_id)
            self._shared += 1
            return StoredAnswer(await asyncio.shield(found.task), repeated=True)
        answer = make()
        if isinstance(answer, bytes):
            return StoredAnswer(self._made_now(key, digest, answer), repeated=False)
        task = asyncio.create_task(self._make(key, digest, answer))
        self._in_flight[key] = _InFlight(digest, task)
        task.add_done_callback(lambda done: self._landed(key, done))
        return StoredAnswer(await asyncio.shield(task), repeated=False)

    async def _make(self, key: Key, digest: bytes, answer: Awaitable[bytes]) -> bytes:
        return self._made_now(key, digest, await answer)

    def _made_now(self, key: Key, digest: bytes, body: bytes) -> bytes:
        self._made += 1
        self._keep(key, _Kept(digest, body, self._clock(), len(body) + len(key[0]) + len(key[1])))
        return body

    def _landed(self, key: Key, task: "asyncio.Task[bytes]") -> None:
        del self._in_flight[key]
        if not task.cancelled():
            task.exception()  # those who wait have it; read here, else asyncio warns that nobody did

    def _keep(self, key: Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._bytes += kept.size
        while self._bytes > self.config.max_bytes or len(self._kept) > self.config.max_answers:
            self._drop_oldest()
            self._dropped += 1

    def _expire(self) -> None:
        oldest_ns = self._clock() - round(self.config.keep_s * NS_PER_SECOND)
        while self._kept and next(iter(self._kept.values())).made_ns < oldest_ns:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, gone = self._kept.popitem(last=False)
        self._bytes -= gone.size

    def _require_same(self, known: bytes, digest: bytes, request_id: str) -> None:
        if known != digest:
            self._refused += 1
            raise RequestIdReusedError(
                f"request id {request_id!r} was used for another body within the last "
                f"{self.config.keep_s:g} s; a repeated request must be equal byte for byte, a new one needs "
                "a new id"
            )
