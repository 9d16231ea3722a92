"""Connections of streams: each is watched, and ended where it holds a place and does nothing with it.

Ends       a connection that has no session after ``open_s``, because its first message does not come or its
           client used up its share; one that sends nothing for ``idle_s``; one that takes no answer for
           ``unread_s``; where more than ``unopened`` have no session, the oldest of the client that has the
           most of them; and the older one of two that feed one session.
Units      seconds on the event loop's clock.
Threads    one: the event loop that serves. One timer looks at all connections, so that a frame costs two
           assignments and no timer of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config

TAKEN_OVER, TRY_LATER = 4000, 1013
#: Characters of a frame that cost one frame.
_CHARS_A_FRAME: Final = 4_096
_LONGEST_LOOK_S: Final = 1.0
#: Ended connections whose clients get time to take the last words; further ones get none.
CLOSING: Final = 32


class SocketArgs(Config):
    """When a connection of a stream ends, and how many may be without a session."""

    open_s: float = Field(5.0, gt=0, le=3_600, description="longest time without a session")
    idle_s: float = Field(
        900.0, gt=0, le=86_400, description="longest silence of a client that has a session"
    )
    unread_s: float = Field(
        10.0, gt=0, le=3_600, description="longest time for which a client takes no answer"
    )
    unopened: int = Field(
        32, ge=1, description="connections that have no session yet; the oldest gives way to more"
    )


def frame_cost(chars: int) -> int:
    """Frames that a text of ``chars`` characters costs its client."""
    return 1 + chars // _CHARS_A_FRAME


class SocketStage(Enum):
    """Things that a connection can wait for."""

    OPENING = "opening"
    LISTENING = "listening"
    WORKING = "working"  # for this server
    DECIDING = (
        "deciding"  # what is decided then is the session's, also where another connection has it by now
    )
    SENDING = "sending"


class Ending(NamedTuple):
    """Reason for which this server ends a connection."""

    kind: str  # as metrics name it
    words: str
    code: int = TRY_LATER


TAKEN: Final = Ending(
    "stream-taken-over",
    "a newer connection took this session over: one connection feeds a session",
    TAKEN_OVER,
)


@dataclass(eq=False, slots=True)
class HeldSocket:
    """One connection."""

    client: str
    clock: asyncio.Timeout
    stage: SocketStage
    since_s: float
    ending: Ending | None = None

    def begin(self, stage: SocketStage) -> None:
        """Begin to wait for something else; the end that waited for a decision comes now."""
        self.stage, self.since_s = stage, asyncio.get_running_loop().time()
        if self.ending is not None and not self.clock.expired():
            self.clock.reschedule(0.0)

    def end(self, ending: Ending) -> None:
        """End what the connection waits for, by TimeoutError; a decision that is under way comes first."""
        if self.ending is None:
            self.ending = ending
            if self.stage is not SocketStage.DECIDING:
                self.clock.reschedule(0.0)


class StreamSockets:
    """Connections of one replica."""

    def __init__(self, args: SocketArgs) -> None:
        self.args = args
        self._held: dict[HeldSocket, None] = {}  # oldest first
        self._feeding: dict[str, HeldSocket] = {}  # session id -> the connection that feeds it
        self._timer: asyncio.TimerHandle | None = None
        self._limits_s = {
            SocketStage.OPENING: args.open_s,
            SocketStage.LISTENING: args.idle_s,
            SocketStage.SENDING: args.unread_s,
        }

    def __len__(self) -> int:
        """Number of connections held now."""
        return len(self._held)

    @contextmanager
    def hold(self, client: str, clock: asyncio.Timeout) -> Iterator[HeldSocket]:
        """Hold a new connection, which waits for its first message; ``clock`` has been entered."""
        held = HeldSocket(client, clock, SocketStage.OPENING, asyncio.get_running_loop().time())
        self._held[held] = None
        self._make_room()
        if self._timer is None:
            self._look_again()
        try:
            yield held
        finally:
            del self._held[held]
            if not self._held and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def feed(self, session: str, held: HeldSocket) -> None:
        """Let ``held`` feed ``session`` from now on; the connection that fed it until now ends."""
        older = self._feeding.get(session)
        self._feeding[session] = held
        if older is not None:
            older.end(TAKEN)

    def leave(self, session: str, held: HeldSocket) -> None:
        """Forget that ``held`` feeds ``session``, unless another one does by now."""
        if self._feeding.get(session) is held:
            del self._feeding[session]

    def _make_room(self) -> None:
        unopened = [each for each in self._held if each.stage is SocketStage.OPENING and each.ending is None]
        if len(unopened) <= self.args.unopened:
            return
        most = Counter(each.client for each in unopened).most_common(1)[0][0]
        words = f"{self.args.unopened} connections have no session yet: send the first message at once"
        next(each for each in unopened if each.client == most).end(Ending("stream-gave-way", words))

    def _look_again(self) -> None:
        after_s = min(_LONGEST_LOOK_S, *(limit_s / 4 for limit_s in self._limits_s.values()))
        self._timer = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for each in self._held:
            limit_s = self._limits_s.get(each.stage)
            if limit_s is not None and now_s - each.since_s > limit_s:
                each.end(self._ending(each.stage, limit_s))
        self._look_again()

    @staticmethod
    def _ending(stage: SocketStage, limit_s: float) -> Ending:
        if stage is SocketStage.OPENING:
            words = (
                f'no session was opened within {limit_s:g} s: send {{"type": "open"}} first; who sent too '
                "much waits for it"
            )
            return Ending("stream-unopened", words)
        if stage is SocketStage.LISTENING:
            words = f"nothing came for {limit_s:g} s: connect again, the session is kept a while"
            return Ending("stream-idle", words)
        return Ending("stream-unread", f"no answer was taken for {limit_s:g} s: read them as they come")
