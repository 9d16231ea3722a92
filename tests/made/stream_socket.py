"""A client's end of a stream to an ASGI application, in process."""

import asyncio
import json
from typing import Any

OPEN = json.dumps({"type": "open", "decision_interval_ms": 0, "probabilities": True})


class Socket:
    """One connection; ``task`` is the application's side of it."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._takes = asyncio.Event()
        self._takes.set()
        self._in.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket", "path": "/v1/stream", "raw_path": b"/v1/stream", "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("app", 80), "scheme": "ws", "subprotocols": [],
            "extensions": {"websocket.http.response": {}}, "asgi": {"version": "3.0"}, "root_path": "",
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._in.get, self._take))

    async def _take(self, message: dict[str, Any]) -> None:
        await self._takes.wait()
        self._out.put_nowait(message)

    def stop_reading(self) -> None:
        """Take no more messages: the application waits, as where the buffers of a connection are full."""
        self._takes.clear()

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._out.get(), 60)

    async def read(self) -> dict[str, Any]:
        """The next message, which must be text of JSON; where markets were placed is passed over."""
        while True:
            message = await self.next()
            assert message["type"] == "websocket.send", message
            told = json.loads(message["text"])
            if told["type"] != "placed":
                return dict(told)

    def send(self, text: str) -> None:
        self.give({"type": "websocket.receive", "text": text})

    def give(self, message: dict[str, Any]) -> None:
        """Give the application a message of the connection as it is."""
        self._in.put_nowait(message)

    async def opened(self, opening: str = OPEN) -> dict[str, Any]:
        assert (await self.next())["type"] == "websocket.accept"
        self.send(opening)
        return await self.read()

    async def leave(self) -> None:
        self.give({"type": "websocket.disconnect", "code": 1000})
        await self.task
