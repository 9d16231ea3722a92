"""Peers of the session's benchmark: a bare client of the stream, and a bare order behind one synced line.

bare feed    websockets, ``json.loads``, and a dict of levels a market; from the moment a frame leaves the
             socket to the level's change. No door, no recording, no features.
bare order   the same, then a line written and synced, a body, an Ed25519 signature; until the request is
             handed to the socket. No limits, no policy, no ledger. The exchange must take every order.
"""

import asyncio
import http.client
import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame

from kalshi_platform.data.market_data.capture import Frame as CaptureFrame
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.signing import RequestSigner

_CHANNELS: Final = ["orderbook_delta", "trade", "ticker"]
_ORDERS: Final = "/portfolio/events/orders"


class StampedConnection(ClientConnection):
    """Connection that stamps every message as it leaves the socket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stamps: deque[int] = deque()

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and self.response is not None and event.fin and event.opcode in (0, 1, 2):
            self.stamps.append(time.monotonic_ns())
        super().process_event(event)


class BareBooks:
    """Levels of every market: {(ticker, side): {price: size}}, in the exchange's own texts and floats."""

    def __init__(self) -> None:
        self.levels: dict[tuple[str, str], dict[str, float]] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Take one message."""
        msg = message.get("msg")
        if message.get("type") == "orderbook_snapshot":
            for side in ("yes", "no"):
                told = msg.get(f"{side}_dollars_fp") or ()
                self.levels[msg["market_ticker"], side] = {price: float(size) for price, size in told}
        elif message.get("type") == "orderbook_delta":
            levels = self.levels[msg["market_ticker"], msg["side"]]
            price = msg["price_dollars"]
            left = levels.get(price, 0.0) + float(msg["delta_fp"])
            if left > 0.0:
                levels[price] = left
            else:
                levels.pop(price, None)


class BareClient:
    """Client of the stream of a set of markets."""

    def __init__(self, served: dict[str, str], signer: RequestSigner, tickers: list[str]) -> None:
        self.served, self.signer, self.tickers = served, signer, tickers
        self.books, self.feed_ns, self.order_ns = BareBooks(), [], []
        self.raws: list[bytes] = []  # for :meth:`differences`
        self.taken, self.refused = 0, 0

    async def run(self, seconds: float, order_every: int = 0, log: Path | None = None) -> None:
        """Follow the markets for so long; with ``order_every`` one frame in so many is answered by an
        order."""
        url = self.served["ws_url"]
        headers = self.signer.headers("GET", urlsplit(url).path, time.time_ns())
        options = {"create_connection": StampedConnection, "compression": None, "max_queue": None}
        rest = urlsplit(self.served["url"])
        line = http.client.HTTPConnection(rest.hostname or "", rest.port)
        file = -1 if log is None else os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        async with connect(url, additional_headers=headers, **options) as socket:
            params = {"channels": _CHANNELS, "market_tickers": self.tickers, "use_yes_price": True}
            await socket.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))
            end, n = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                try:
                    raw = await asyncio.wait_for(socket.recv(), 0.5)
                except TimeoutError:
                    continue
                stamp = socket.stamps.popleft()
                message = json.loads(raw)
                self.books.take(message)
                self.feed_ns.append(time.monotonic_ns() - stamp)
                self.raws.append(raw.encode() if isinstance(raw, str) else raw)
                n += message.get("type") == "orderbook_delta"
                if order_every and message.get("type") == "orderbook_delta" and n % order_every == 0:
                    self._order(line, rest.path, message["msg"]["market_ticker"], file, stamp)
        line.close()
        if file >= 0:
            os.close(file)

    def differences(self) -> int:
        """Number of markets whose best prices differ from those that the session's own books make of the same
        frames."""
        house = LiveBooks(TradingConfig(n_slots=64), 0, use_yes_price=True)
        for number, raw in enumerate(self.raws, 1):
            house.feed(CaptureFrame(number, number, 1, raw.decode()), json.loads(raw))
        wrong = 0
        for ticker, place in house.places.items():
            row = house.groups[place.group].bank.rows[place.slot]
            yes, no = (self.books.levels.get((ticker, side), {}) for side in ("yes", "no"))
            best = max(map(_e4, yes), default=-1), min(map(_e4, no), default=-1)
            told = int(row["bid_px_e4"][0]), int(row["ask_px_e4"][0])
            is_live = house.groups[place.group].slots["state"][0, place.slot] == LIVE
            wrong += bool(is_live and yes and no and best != told)
        return wrong

    def _order(self, line: http.client.HTTPConnection, root: str, ticker: str, file: int, stamp: int) -> None:
        """Send one order that can fill nothing, behind a synced line."""
        name = f"peer-{time.monotonic_ns()}"
        body = json.dumps({
            "ticker": ticker, "side": "bid", "count": "1.00", "price": "0.0100", "client_order_id": name,
            "time_in_force": "immediate_or_cancel", "self_trade_prevention_type": "taker_at_cross",
        })  # fmt: skip
        if file >= 0:
            os.write(file, body.encode() + b"\n")
            os.fdatasync(file)
        headers = self.signer.headers("POST", root + _ORDERS, time.time_ns())
        headers["Content-Type"] = "application/json"
        self.order_ns.append(time.monotonic_ns() - stamp)
        line.request("POST", root + _ORDERS, body, headers)
        answer = line.getresponse()
        told = json.loads(answer.read())
        is_taken = answer.status == 201 and told.get("client_order_id", name) == name
        self.taken += is_taken
        self.refused += not is_taken


def _e4(price: str) -> int:
    """Price in 1e-4 dollar."""
    return round(float(price) * 10_000)


def sync_ms(folder: Path, n: int = 200) -> dict[str, float]:
    """Time of one synced line of 4 KiB in ``folder``, ms."""
    path, took = folder / "sync", []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for _ in range(n):
        os.write(file, bytes(4_096))
        begun = time.perf_counter_ns()
        os.fdatasync(file)
        took.append((time.perf_counter_ns() - begun) / 1e6)
        time.sleep(0.004)
    os.close(file)
    path.unlink()
    return {"p50": round(float(np.median(took)), 3), "p99": round(float(np.quantile(took, 0.99)), 3)}


def figures_ms(times_ns: list[int]) -> dict[str, float]:
    """p50 and p99, ms."""
    p50, p99 = np.percentile(times_ns, [50, 99]) / 1e6
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}
