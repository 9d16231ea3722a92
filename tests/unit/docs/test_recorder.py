"""The recorder in docs/formats.md: signed and subscribed as the exchange asks, and its file is imported."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from made.foreign_files import M
from made.market_files import load
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
(RECORDER,) = re.findall(r"```python recorder.py\n(.*?)```", PAGE, re.DOTALL)
TRADE = {
    "trade_id": "a1", "market_ticker": M, "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800",
    "count_fp": "1.00", "taker_outcome_side": "no", "taker_book_side": "ask", "is_block_trade": False,
}  # fmt: skip


def frames(at_ms: int) -> list[dict]:
    """One connection: the answer, a snapshot, a trade with its delta, a ticker."""
    book = {
        "market_ticker": M,
        "yes_dollars_fp": [["0.4200", "75.00"]],
        "no_dollars_fp": [["0.5500", "40.00"]],
    }
    delta = {
        "market_ticker": M,
        "price_dollars": "0.4200",
        "delta_fp": "-1.00",
        "side": "yes",
        "ts_ms": at_ms,
    }
    ticker = {"market_ticker": M, "yes_bid_dollars": "0.4200", "yes_ask_dollars": "0.4500", "ts_ms": at_ms}
    return [
        {"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": book},
        {"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": delta},
        {"type": "trade", "sid": 2, "seq": 1, "msg": {**TRADE, "ts_ms": at_ms}},
        {"type": "ticker", "sid": 3, "msg": ticker},
    ]


def verify(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, text: bytes, signature: bytes) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        key.public_key().verify(signature, text, pss, hashes.SHA256())
    else:
        key.public_key().verify(signature, text)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_the_recorder_writes_a_file_that_a_build_reads_and_comes_back(tmp_path: Path, kind: str) -> None:
    made = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    key = made[kind]()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "recorder.py").write_text(RECORDER)
    seen: list[tuple[dict, dict]] = []

    async def exchange(socket: ServerConnection) -> None:
        asked = socket.request
        assert asked is not None
        assert asked.path == "/trade-api/ws/v2"
        seen.append((dict(asked.headers.raw_items()), json.loads(await socket.recv())))
        for frame in frames(time.time_ns() // 1_000_000):
            await socket.send(json.dumps(frame))
        if len(seen) > 1:  # the first connection is lost, the second stays
            done.set()
            with suppress(ConnectionClosed):
                await socket.wait_closed()

    async def run() -> None:
        async with serve(exchange, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            environment = {
                **os.environ,
                "KALSHI_WS_URL": f"ws://127.0.0.1:{port}/trade-api/ws/v2",
                "KALSHI_KEY_FILE": "key.pem",
                "KALSHI_KEY_ID": "key-1",
            }
            words = [sys.executable, "recorder.py", "capture.jsonl", M]
            recorder = await asyncio.create_subprocess_exec(
                *words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE
            )
            try:
                await asyncio.wait_for(done.wait(), 240)
                while (tmp_path / "capture.jsonl").read_text().count('"ticker') < 2:  # flushed line by line
                    await asyncio.sleep(0.05)
            finally:
                recorder.send_signal(signal.SIGINT)
                await recorder.communicate()

    done = asyncio.Event()
    asyncio.run(run())

    for sent, asked in seen:
        headers = {name.upper(): value for name, value in sent.items()}
        assert headers["KALSHI-ACCESS-KEY"] == "key-1"
        now = headers["KALSHI-ACCESS-TIMESTAMP"]
        assert abs(int(now) - time.time_ns() // 1_000_000) < 120_000
        signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
        verify(key, f"{now}GET/trade-api/ws/v2".encode(), signature)
        assert asked["cmd"] == "subscribe"
        assert asked["params"]["channels"] == ["orderbook_delta", "trade", "ticker"]
        assert asked["params"]["market_tickers"] == [M]
        assert asked["params"]["use_yes_price"] is False
    lines = [json.loads(line) for line in (tmp_path / "capture.jsonl").read_text().splitlines()]
    assert len({line["conn"] for line in lines}) == 2
    market = load(tmp_path / "capture.jsonl")[0][M]
    assert market.rows.kind.size > 6  # two snapshots of two levels, the deltas, the trades
