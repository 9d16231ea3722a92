"""A client of the exchange written from its facts alone: plain httpx and websockets, frames by hand.

It shares no code with ``trading/exchange`` nor with the server, so that each tests the other.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

WS_PATH = "/trade-api/ws/v2"


class RawKey:
    """A private key of the folder that ``simexchange keys`` wrote."""

    def __init__(self, folder: Path, name: str = "ed25519") -> None:
        listed = json.loads((folder / "keys.json").read_text())
        self.key_id = next(each["key_id"] for each in listed if each["name"] == name)
        self._key: Any = serialization.load_pem_private_key((folder / f"{name}.pem").read_bytes(), None)

    def headers(self, method: str, path: str, at_ms: int | None = None) -> dict[str, str]:
        stamp = str(int(time.time() * 1000) if at_ms is None else at_ms)
        text = f"{stamp}{method}{path}".encode()
        if isinstance(self._key, rsa.RSAPrivateKey):
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            signature = self._key.sign(text, pss, hashes.SHA256())
        else:
            signature = self._key.sign(text)
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }


class RawRest:
    """Signed requests."""

    def __init__(self, url: str, key: RawKey, client: httpx.AsyncClient) -> None:
        self.url, self.key, self.client = url, key, client

    async def send(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        whole = httpx.URL(self.url + path)
        headers = self.key.headers(method, whole.path)
        content = None if body is None else json.dumps(body)
        return await self.client.request(
            method, whole, params=query or None, content=content, headers=headers
        )

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.send("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def all(self, path: str, key: str, **query: Any) -> list[Any]:
        """Every row of a list that comes in pages."""
        rows, cursor = [], ""
        while True:
            page = await self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            rows += page[key]
            cursor = page["cursor"]
            if not cursor:
                return rows

    async def order(self, ticker: str, side: str, price: str, count: str, **more: Any) -> httpx.Response:
        body = {
            "ticker": ticker, "side": side, "price": price, "count": count,
            "time_in_force": "good_till_canceled", "self_trade_prevention_type": "taker_at_cross",
        }  # fmt: skip
        return await self.send("POST", "/portfolio/events/orders", body | more)


class RawSocket:
    """A WebSocket that keeps every frame."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    async def send(self, command_id: int, command: str, **params: Any) -> None:
        body: dict[str, Any] = {"id": command_id, "cmd": command}
        await self.socket.send(json.dumps(body | ({"params": params} if params else {})))

    async def until(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 60.0
    ) -> dict[str, Any]:
        """The next frame that is wanted; those before it are kept too."""
        async with asyncio.timeout(timeout_s):
            while True:
                frame = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if wanted(frame):
                    return frame

    async def answer(self, command_id: int) -> dict[str, Any]:
        return await self.until(lambda frame: frame.get("id") == command_id)

    async def listen(self, seconds: float) -> None:
        """Keep what comes within ``seconds``."""
        try:
            await self.until(lambda _: False, seconds)
        except TimeoutError:
            return


@asynccontextmanager
async def raw_rest(url: str, key: RawKey) -> AsyncIterator[RawRest]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield RawRest(url, key, client)


@asynccontextmanager
async def raw_socket(
    url: str, key: RawKey, compression: str | None = "deflate", **options: Any
) -> AsyncIterator[RawSocket]:
    async with websockets.connect(
        url, additional_headers=key.headers("GET", WS_PATH), max_size=None, proxy=None,
        compression=compression, **options,
    ) as socket:  # fmt: skip
        yield RawSocket(socket)
