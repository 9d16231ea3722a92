"""The exchange client against the plainest loop, on the same frames from a loopback socket.

client_decode   frames a second of the whole way: socket, receive times, queue, sequence of every sid,
                decoder, door of every market; 60,000 frames of 20 markets (snapshots and deltas)
client_receive  the same without decoder and door: what the recorder does before it writes
..._deflate     both on compressed frames (permessage-deflate, window of 4 KiB), as is the peer's loop
Peer            ``async for text in websockets.connect(...)``: json.loads(text), nothing else
Server          another process that writes prepared bytes, so that it is never the one waited for
Run by hand     python benchmarks/client_decode.py [--record]
Checked         every frame arrives in order; the last books of our rows equal those of the peer's messages
"""

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import websockets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kalshi_platform.data.market_data.schema import DELTA, FLAG_START, SNAPSHOT, MarketRows
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.decoding import DecodingSink
from kalshi_platform.trading.exchange.signing import RequestSigner
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.simserver.stream.connection import framed
from kalshi_platform.trading.simserver.stream.deflate import Deflater

FRAMES, MARKETS, ROUNDS, DRAIN_EVERY = 60_000, 20, 7, 4_096
#: First price of either side, both on the YES scale, 1e-4 dollar, and the price levels above it.
SIDES, RANGE = {"yes": 3_000, "no": 5_500}, range(0, 1_500, 100)
#: Compression as the client's library asks for it.
_AGREED = "permessage-deflate; server_max_window_bits=12"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Books = dict[tuple[str, int], dict[int, int]]  # (ticker, side) -> price_e4 -> qty_e2


def frames() -> list[str]:
    """Fixed frames: an answer to the subscription, a snapshot a market, then deltas."""
    rng, seq = np.random.default_rng(15), 0
    tickers = [f"KXBENCH-26DEC01-T{i:02d}" for i in range(MARKETS)]
    texts = [text({"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}})]
    sizes: dict[tuple[str, str, int], int] = {}
    for ticker in tickers:
        seq += 1
        levels = {side: [[dollars(first + p), "100.00"] for p in RANGE] for side, first in SIDES.items()}
        sizes |= {(ticker, side, first + p): 10_000 for side, first in SIDES.items() for p in RANGE}
        msg = {"market_ticker": ticker, "market_id": "m", **{f"{s}_dollars_fp": v for s, v in levels.items()}}
        texts.append(text({"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": msg}))
    while len(texts) < FRAMES:
        seq += 1
        ticker, side = tickers[rng.integers(MARKETS)], ("yes", "no")[rng.integers(2)]
        price, time_ms = SIDES[side] + RANGE[rng.integers(len(RANGE))], 1_795_400_000_000 + seq
        place = (ticker, side, price)
        change = int(rng.integers(-sizes[place], 10_000))
        sizes[place] += change
        msg = {
            "market_ticker": ticker, "market_id": "5b1c3a52-0d1b-4f0e-9b52-7a4d2c9e1f10", "side": side,
            "price_dollars": dollars(price), "delta_fp": f"{change / 100:.2f}", "ts_ms": time_ms,
        }  # fmt: skip
        texts.append(
            text({"type": "orderbook_delta", "sid": 1, "seq": seq, "sending_ts_ms": time_ms, "msg": msg})
        )
    return texts


def text(message: dict[str, Any]) -> str:
    """JSON as the exchange writes it."""
    return json.dumps(message, separators=(",", ":"))


def dollars(price_e4: int) -> str:
    """Dollar string of 4 decimals."""
    return f"{price_e4 / 10_000:.4f}"


# The server


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, agreed: str
) -> None:
    """Shake hands, wait for a first frame, write everything."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    key = {name.lower(): value for name, value in lines.items()}[b"sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + (f"Sec-WebSocket-Extensions: {agreed}\r\n".encode() if agreed else b"")
        + b"Sec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )
    await reader.read(1)
    for start in range(0, len(data), 1 << 16):
        writer.write(data[start : start + (1 << 16)])
        await writer.drain()
    await reader.read()
    writer.close()


async def serve(path: Path) -> None:
    """Serve the bytes of ``path`` to every connection; prints the port."""
    data = path.read_bytes()
    agreed = _AGREED if path.suffix == ".deflate" else ""
    server = await asyncio.start_server(lambda r, w: answer(r, w, data, agreed), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def on_wire(texts: list[str], deflates: bool) -> bytes:
    """Texts as unmasked WebSocket frames."""
    return framed(texts, Deflater(_AGREED) if deflates else None)


@contextmanager
def server_of(texts: list[str], deflates: bool) -> Iterator[str]:
    """URL of a server of ``texts`` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("frames.deflate" if deflates else "frames")
        path.write_bytes(on_wire(texts, deflates))
        command = [sys.executable, __file__, "--serve", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"ws://127.0.0.1:{process.stdout.readline().strip()}/trade-api/ws/v2"
            finally:
                process.kill()


# The two clients


async def plain(url: str, compression: str | None) -> tuple[float, list[dict[str, Any]]]:
    """(frames a second, messages) of the plainest loop."""
    messages: list[dict[str, Any]] = []
    # The server answers no closing handshake: without the short wait each round would cost ten idle seconds.
    options = {"max_size": None, "compression": compression, "proxy": None, "close_timeout": 0.1}
    async with websockets.connect(url, **options) as socket:
        await socket.send("{}")
        first_s = 0.0
        async for each in socket:
            first_s = first_s or time.perf_counter()
            messages.append(json.loads(each))
            if len(messages) == FRAMES:
                break
        return FRAMES / (time.perf_counter() - first_s), messages


class Timed:
    """Sink that says when it has everything; with ``decodes`` frames go through decoder and door."""

    def __init__(self, decodes: bool) -> None:
        self.decoding = DecodingSink() if decodes else None
        self.done = asyncio.Event()
        self.n, self.valid, self.first_s, self.last_s = 0, 0, 0.0, 0.0
        self.rows: list[tuple[str, MarketRows]] = []
        self.raws: list[bytes] = []
        self.troubles: list[str] = []

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        raise AssertionError("the stream hands over parsed frames")

    def message(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: Any) -> None:
        self.first_s = self.first_s or time.perf_counter()
        self.n += 1
        if self.decoding is None:
            self.raws.append(raw)
        else:
            self.decoding.message(conn, recv_ns, mono_ns, raw, message)
            if self.n % DRAIN_EVERY == 0 or self.n == FRAMES:
                self.rows += self.decoding.rows()
        if self.n == FRAMES:
            self.last_s = time.perf_counter()
            self.valid = len(self.decoding.valid) if self.decoding else 0
            self.done.set()

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        if kind not in ("connected", "subscribed", "disconnected"):
            self.troubles.append(f"{kind} {detail}")
        if self.decoding is not None:
            self.decoding.note(conn, recv_ns, mono_ns, kind, detail)


async def ours(url: str, compression: str | None, decodes: bool) -> tuple[float, Timed]:
    """(frames a second, sink) of the exchange client."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    settings = ExchangeStreamSettings.parse({
        "url": url, "market_channels": ("orderbook_delta",), "global_channels": (), "queue_frames": FRAMES,
        "compression": compression,
    })  # fmt: skip
    sink = Timed(decodes)
    signer = RequestSigner("benchmark", pem, "benchmark")
    stream = ExchangeStream(settings, signer, sink, SystemClock(), np.random.default_rng(0))
    await stream.add([f"KXBENCH-26DEC01-T{i:02d}" for i in range(MARKETS)])
    running = asyncio.create_task(stream.run())
    async with asyncio.timeout(60):
        await sink.done.wait()
    await stream.stop()
    await running
    assert sink.troubles == [], sink.troubles[:3]
    return FRAMES / (sink.last_s - sink.first_s), sink


# Their answers


def books_of_messages(messages: list[dict[str, Any]]) -> Books:
    """Last books of the plain loop's messages, by dictionaries."""
    books: Books = defaultdict(lambda: defaultdict(int))
    for message in messages:
        msg = message["msg"]
        for side, name in enumerate(("yes", "no")):
            if message["type"] == "orderbook_snapshot":
                for price, size in msg[f"{name}_dollars_fp"]:
                    books[msg["market_ticker"], side][exact(price, 4)] = exact(size, 2)
            elif message["type"] == "orderbook_delta" and msg["side"] == name:
                books[msg["market_ticker"], side][exact(msg["price_dollars"], 4)] += exact(msg["delta_fp"], 2)
    return books


def exact(number: str, places: int) -> int:
    """Decimal text as an integer."""
    return int(number.replace(".", "")) if number[-places - 1] == "." else int(number + "0" * places)


def books_of_rows(rows: list[tuple[str, MarketRows]]) -> Books:
    """Last books of our rows: the scale of NO prices was YES, so they come back as their own."""
    books: Books = defaultdict(lambda: defaultdict(int))
    for ticker, part in rows:
        for kind, side, price_e4, qty_e2, flags in zip(
            part.kind, part.side, part.price_e4, part.qty_e2, part.flags, strict=True
        ):
            if kind in (SNAPSHOT, DELTA) and not flags & FLAG_START:
                price = int(price_e4) if side == 0 else 10_000 - int(price_e4)
                books[ticker, int(side)][price] += int(qty_e2)
    return books


def without_empty(books: Books) -> Books:
    """Books without levels of size zero."""
    return {place: {p: q for p, q in levels.items() if q} for place, levels in books.items()}


def main() -> Iterator[dict[str, Any]]:
    """Measure plain frames, then compressed ones."""
    for compression in (None, "deflate"):
        yield from measured(compression)


def measured(compression: str | None) -> Iterator[dict[str, Any]]:
    """Measure both clients in turn."""
    texts = frames()
    speeds: dict[str, list[float]] = {"plain": [], "decode": [], "receive": []}
    with server_of(texts, deflates=compression is not None) as url:
        asyncio.run(ours(url, compression, decodes=True))  # compiles the door's kernel
        for _ in range(ROUNDS):
            speed, messages = asyncio.run(plain(url, compression))
            speeds["plain"].append(speed)
            speed, decoded = asyncio.run(ours(url, compression, decodes=True))
            speeds["decode"].append(speed)
            speed, received = asyncio.run(ours(url, compression, decodes=False))
            speeds["receive"].append(speed)
            assert [raw.decode() for raw in received.raws] == texts
            assert decoded.valid == MARKETS
            assert without_empty(books_of_rows(decoded.rows)) == without_empty(books_of_messages(messages))
    for name in ("decode", "receive"):
        value, peer = median(speeds[name]), median(speeds["plain"])
        yield {
            "bench": f"client_{name}" + ("" if compression is None else "_deflate"),
            "value": round(value),
            "unit": "frames/s",
            "peer": f"websockets {websockets.__version__} and json.loads, nothing else",
            "peer_value": round(peer),
            "ratio": round(value / peer, 3),
            "frames": FRAMES,
            "bytes_per_frame": round(len(on_wire(texts, compression is not None)) / FRAMES),
            "rounds": ROUNDS,
        }


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve(Path(sys.argv[-1])))
    else:
        from run import RESULTS, machine, section

        about, started = machine(), time.perf_counter()
        found = list(main())
        print(*map(json.dumps, found), sep="\n", flush=True)
        if "--record" in sys.argv:
            with RESULTS.open("a") as file:
                file.write(section(found, [], about, time.perf_counter() - started))
