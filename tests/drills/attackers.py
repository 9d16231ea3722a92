"""Connections and sockets of clients that attack a service, and what became of them.

Counted    opened, not let in (no connection), ended by the server, and the first line of every answer.
Again      a connection that ends is opened anew after a pause: an attack goes on as long as it is let.
Not        the attacks themselves (``attacks.py``), nor what they do to others (``load_table.py``).
"""

import asyncio
import base64
import contextlib
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

#: Pause before a connection that ended is opened again.
AGAIN_S = 1.0
#: Connections that one attacker opens at a time.
AT_ONCE = 64
OPEN = json.dumps(
    {"type": "open", "decision_interval_ms": 0, "accept_missing_inputs": True, "allow_simulated": True}
)

Begin = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Attacker(NamedTuple):
    """Somebody who attacks ``url``, with a client token or without one."""

    url: str
    token: str
    counts: Counter[str]
    room: asyncio.Semaphore

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)


def attacker(url: str, token: str) -> Attacker:
    return Attacker(url, token, Counter(), asyncio.Semaphore(AT_ONCE))


def head(who: Attacker, method: str, path: str, *more: str) -> bytes:
    """Bytes of a request's head, with ``more`` lines and the end of the head."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {who.place[0]}:{who.place[1]}"]
    lines += [f"{name}: {value}" for name, value in who.headers.items()]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def handshake(who: Attacker) -> bytes:
    """Bytes that ask for a WebSocket at the stream's path."""
    key = base64.b64encode(os.urandom(16)).decode()
    return head(
        who, "GET", "/v1/stream", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )  # fmt: skip


async def held(who: Attacker, n: int, begin: Begin, until_n_s: float = 20.0) -> None:
    """Open ``n`` connections that each ``begin`` and then wait; returns once all were tried, they go on."""
    tasks = [asyncio.create_task(_hold(who, begin)) for _ in range(n)]
    _KEPT.update(tasks)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(until_n_s):
            while who.counts["opened"] + who.counts["not let in"] < n:
                await asyncio.sleep(0.05)


#: Tasks are kept, or the garbage collector would end them.
_KEPT: set["asyncio.Task[None]"] = set()


async def _hold(who: Attacker, begin: Begin) -> None:
    while True:
        try:
            async with who.room:
                reader, writer = await asyncio.open_connection(*who.place)
        except OSError:
            who.counts["not let in"] += 1
            await asyncio.sleep(AGAIN_S)
            continue
        who.counts["opened"] += 1
        try:
            going = asyncio.create_task(_begun(begin, reader, writer))
            await _read_to_the_end(who, reader)
            going.cancel()
        finally:
            writer.close()
        await asyncio.sleep(AGAIN_S)


async def _begun(begin: Begin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await begin(reader, writer)


async def _read_to_the_end(who: Attacker, reader: asyncio.StreamReader) -> None:
    """Note the first line that the server says, and its end."""
    with contextlib.suppress(OSError):
        first = await reader.read(4096)
        if first.startswith(b"HTTP/"):
            who.counts[first.split(b"\r\n", 1)[0].decode("latin-1")[9:12]] += 1
        while first:
            first = await reader.read(4096)
    who.counts["ended by the server"] += 1


async def again(who: Attacker, work: Callable[[ClientConnection], Awaitable[None]], opens: bool) -> None:
    """Connect a stream and ``work`` on it, again and again; ``opens``: the open message is sent before."""
    place = f"ws{who.url.removeprefix('http')}/v1/stream"
    while True:
        try:
            async with connect(
                place, proxy=None, additional_headers=who.headers, compression=None, ping_interval=None,
                max_queue=4, open_timeout=30, close_timeout=1,
            ) as socket:  # fmt: skip
                who.counts["opened"] += 1
                if opens:
                    await socket.send(OPEN)
                await work(socket)
        except InvalidStatus as error:
            who.counts[str(error.response.status_code)] += 1
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else "no close frame"
            who.counts[f"closed {code}"] += 1
        except (WebSocketException, OSError, TimeoutError, EOFError):
            who.counts["not let in"] += 1
        await asyncio.sleep(AGAIN_S)
