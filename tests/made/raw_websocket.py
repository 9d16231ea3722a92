"""A WebSocket client that sends what it likes: frames by hand over a plain connection."""

import asyncio
from contextlib import suppress
from typing import Self

from websockets.frames import Frame, Opcode

#: An empty text, masked.
EMPTY_TEXT = Frame(Opcode.TEXT, b"").serialize(mask=True)
EMPTY_PING = Frame(Opcode.PING, b"").serialize(mask=True)


def text_frame(text: bytes, *, fin: bool = True, opcode: Opcode = Opcode.TEXT) -> bytes:
    """Bytes of one masked frame."""
    return Frame(opcode, text, fin=fin).serialize(mask=True)


class RawWebSocket:
    """One connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, token: str = "", path: str = "/v1/stream") -> Self:
        """Connect to ``port`` of loopback; fails where the server does not accept."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        lines = [
            f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
        ]  # fmt: skip
        if token:
            lines.append(f"Authorization: Bearer {token}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert b" 101 " in head.split(b"\r\n")[0], head
        return cls(reader, writer)

    async def send(self, frames: bytes) -> None:
        """Send bytes; a server that has closed meanwhile is no error."""
        self.writer.write(frames)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def next(self) -> tuple[Opcode, bytes]:
        """Opcode and payload of the next frame."""
        first, second = await asyncio.wait_for(self._reader.readexactly(2), 60)
        size = second & 127
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8))
        return Opcode(first & 15), await self._reader.readexactly(size)

    async def close_code(self) -> int:
        """Code by which the server ends the connection, 0 where it is cut off; passes earlier frames over."""
        while True:
            try:
                opcode, payload = await self.next()
            except (ConnectionError, asyncio.IncompleteReadError):
                return 0
            if opcode is Opcode.CLOSE:
                return int.from_bytes(payload[:2])

    def abort(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()
