"""Bodies that are still arriving: each has a deadline, all together have a bound, and the oldest gives way.

Why        a body that trickles in holds a place in the replica. Refusing the next one would let whoever fills
           the places stop everybody else; a body of an honest client is whole within milliseconds.
Rule       where there is no room for one more body or for its bytes, the oldest body of the client that has
           the most of them gives way. A client is a token or, where none is needed, an address.
Signs      a whole body whose signs show that it would take long to read is refused unread.
Units      bytes; seconds on the event loop's clock.
Threads    one: the event loop that serves.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import Field
from starlette.requests import ClientDisconnect, Request

from kalshi_platform.domain.config import Config
from kalshi_platform.serving.server.problems import Problem

#: A body that did not come in time may still be coming: nothing more is read of its connection.
_CLOSE: Final = {"Connection": "close"}

#: Objects that any body may have; lists that one may have; fields of no object in particular and of each,
#: colons in names included; members of one object or list.
_FEW_OBJECTS: Final = 1_000
_MOST_LISTS: Final = 50_000
_FEW_FIELDS, _FIELDS, _MEMBERS = 100, 16, 1_100


class ArrivalArgs(Config):
    """Bounds of bodies that are still arriving, in one replica."""

    body_s: float = Field(
        5.0, gt=0, le=3_600, description="longest time from a header to the end of its body"
    )
    bodies: int = Field(100, ge=1, description="bodies that arrive at a time; the oldest gives way to more")
    bytes: int = Field(64 * 2**20, ge=2**20, description="of bodies that arrive at a time, together")


@dataclass(eq=False, slots=True)
class _Arriving:
    """One body on its way."""

    client: str
    clock: asyncio.Timeout
    size: int = 0
    gave_way: bool = False

    @property
    def stays(self) -> bool:
        """True while nothing ends it; a clock that has run out takes no other time any more."""
        return not self.gave_way and not self.clock.expired()


class Arrivals:
    """Bodies on their way into one replica."""

    def __init__(self, args: ArrivalArgs) -> None:
        self.args = args
        self._here: dict[_Arriving, None] = {}  # oldest first
        self._bytes = 0

    def __len__(self) -> int:
        """Number of bodies on their way now."""
        return len(self._here)

    async def read(self, request: Request, client: str, limit: int) -> bytes:
        """Whole body of ``request``, which the gate let in as ``client``.

        Problem 413 as soon as the body is known to be longer than ``limit`` bytes, 408 where it did not come
        in time or gave way to others, 499 where the client left before its end: nobody reads that answer, it
        counts as refused.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
            raise _too_long(limit)
        parts: list[bytes] = []
        async with self._place(client) as place:
            try:
                async for part in request.stream():
                    self._grow(place, len(part))
                    if place.size > limit:
                        raise _too_long(limit)
                    parts.append(part)
            except ClientDisconnect:
                detail = f"the client left after {place.size} bytes of the body: send it whole"
                raise Problem(499, "client-left", detail) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @asynccontextmanager
    async def _place(self, client: str) -> AsyncIterator[_Arriving]:
        """Place of one body until it is whole; Problem 408 where it loses it."""
        clock = asyncio.timeout(self.args.body_s)
        place = _Arriving(client, clock)
        self._here[place] = None
        try:
            async with clock:
                self._make_room()
                yield place
        except TimeoutError:
            raise self._lost(place) from None
        finally:
            del self._here[place]
            self._bytes -= place.size

    def _grow(self, place: _Arriving, n: int) -> None:
        place.size += n
        self._bytes += n
        self._make_room()

    def _make_room(self) -> None:
        """Let bodies give way until those that stay are no more than there may be."""
        n, size = self._held()
        while n > self.args.bodies or size > self.args.bytes:
            self._end_one(by_bytes=size > self.args.bytes)
            n, size = self._held()

    def _held(self) -> tuple[int, int]:
        if len(self._here) <= self.args.bodies and self._bytes <= self.args.bytes:
            return len(self._here), self._bytes  # the usual case: nothing is counted
        stay = [place for place in self._here if place.stays]
        return len(stay), sum(place.size for place in stay)

    def _end_one(self, *, by_bytes: bool) -> None:
        """End the oldest body of the client that has the most bodies, or the most bytes of them, here."""
        stay = [place for place in self._here if place.stays]
        of_client: Counter[str] = Counter()
        for place in stay:
            of_client[place.client] += place.size if by_bytes else 1
        most = of_client.most_common(1)[0][0]
        place = next(place for place in stay if place.client == most)
        place.gave_way = True
        place.clock.reschedule(0.0)

    def _lost(self, place: _Arriving) -> Problem:
        if place.gave_way:
            detail = (
                f"the body gave way to others after {place.size} bytes: {self.args.bodies} bodies may be on "
                "their way at a time; send each at once"
            )
            return Problem(408, "body-gave-way", detail, headers=_CLOSE)
        detail = (
            f"the body was not whole after {self.args.body_s:g} s ({place.size} bytes came): send it at once"
        )
        return Problem(408, "body-too-slow", detail, headers=_CLOSE)


def _too_long(limit: int) -> Problem:
    return Problem(413, "body-too-long", f"the body is longer than {limit} bytes: send several requests")


def require_readable(body: bytes, groups: int, n_slots: int) -> None:
    """Raise Problem 413 for a body that would take long to read, before it is read.

    Counts the signs that begin objects, lists and fields, in names too: each costs a microsecond or more. A
    request of ``groups`` groups of ``n_slots`` markets has fewer, also where every name holds one.
    """
    objects, lists = body.count(b"{"), body.count(b"[")
    fields, members = body.count(b":"), body.count(b",")
    most = max(_FEW_OBJECTS, 1 + groups * (2 + 2 * n_slots))
    if objects > most:
        detail = f"the body has {objects} objects; {groups} groups and their markets are at most {most}: "
        raise Problem(413, "too-many-groups", detail + "send several requests")
    if lists > _MOST_LISTS:
        detail = f"the body has {lists} lists, at most {_MOST_LISTS} are read: pack rows and histories"
        raise Problem(413, "body-too-long", detail)
    if fields > _FEW_FIELDS + _FIELDS * objects or members > _MEMBERS * (1 + objects + lists):
        detail = (
            f"the body has {fields} colons and {members} commas in {objects} objects and {lists} lists, more "
            "than any request: see /docs"
        )
        raise Problem(413, "body-too-long", detail)
