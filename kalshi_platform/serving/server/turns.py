"""Turns of streams on the event loop: in one round of the loop at most one stream takes a step.

Why        a stream whose frames lie ready would never let go of the loop, and twenty of them would each take
           a step in every round: requests, which need a few rounds, would wait for all of them.
Rule       first come, first served. Where no other stream took a step in this round, a turn costs nothing.
Threads    one: the event loop that serves.
"""

import asyncio
from collections import deque


class Turns:
    """Steps of many streams, one a round of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False

    async def take(self) -> None:
        """Return when it is the caller's turn; what it does until it next awaits is its step."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._next)
            return
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _next(self) -> None:
        """Give the turn of this round to the stream that has waited longest."""
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():  # its connection was ended meanwhile
                first.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._is_taken = False
