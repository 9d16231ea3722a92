"""A WebSocket connection that hands each message over the moment the socket gave it, and queues none itself.

Why     the library's own queue stops reading the socket where nobody fetches: the exchange would then see a
        slow reader. A message fetched later would also carry a later receive time. And a queue less is a
        third less work for each message.
Leans   on ``process_event`` of websockets, which its subclasses override; pyproject.toml bounds the
        versions, and tests send messages in fragments, around control frames.
"""

from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

_TEXT, _BINARY, _MORE = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
#: Takes one whole message.
TakeMessage = Callable[[bytes], None]


class TimedConnection(ClientConnection):
    """Client connection whose messages go to ``take_message``, text and binary alike, as bytes."""

    def __init__(self, protocol: Any, take_message: TakeMessage, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._take_message = take_message
        self._parts: list[bytes] = []  # of a message that comes in fragments

    def process_event(self, event: Any) -> None:
        """Take a frame of data; leave the handshake and control frames to the library."""
        opcode = event.opcode if isinstance(event, Frame) and self.response is not None else None
        if opcode is not _TEXT and opcode is not _MORE and opcode is not _BINARY:
            super().process_event(event)
            return
        data = event.data if isinstance(event.data, bytes) else bytes(event.data)
        if event.fin and not self._parts:
            self._take_message(data)
            return
        self._parts.append(data)
        if event.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._take_message(whole)

    async def ended(self) -> str:
        """Wait for the end of the connection, and return its reason in words."""
        await self.wait_closed()
        error = self.protocol.close_exc
        return words_of_end(error)


def words_of_end(error: Exception) -> str:
    """Kind and text of an error of the connection."""
    if isinstance(error, ConnectionClosed) and error.rcvd is None and error.__cause__ is not None:
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
