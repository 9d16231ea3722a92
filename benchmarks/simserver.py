"""Frames a second of the simulated exchange to one client, its memory, and what an order costs it.

simserver_frames  frames received by a plain websockets client that reads every frame and checks every number;
                  the server's CPU with and without compression (--compression deflate)
simserver_orders  orders a second through the desk alone: forms, cash, matching core, records; no HTTP

Usage   python benchmarks/simserver.py [--speed 250] [--events 6] [--seconds 20]
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made.raw_exchange import RawKey, raw_rest, raw_socket

from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.keys import make_keys
from kalshi_platform.trading.simserver.server import Server
from kalshi_platform.trading.simserver.venue.desk import WantedOrder

N_ORDERS = 2_000


async def read_frames(
    served: dict[str, Any], key: RawKey, process: psutil.Process, seconds: float, compression: str | None
) -> dict[str, Any]:
    """Subscribe to everything and read for ``seconds``."""
    async with raw_rest(served["url"], key) as rest:
        tickers = [m["ticker"] for m in await rest.all("/markets", "markets", status="open", limit=1000)]
    async with raw_socket(served["ws_url"], key, compression) as ws:
        await ws.send(1, "subscribe", channels=["trade", "ticker", "market_lifecycle_v2"])
        await ws.send(2, "subscribe", channels=["orderbook_delta"], market_tickers=tickers)
        n, n_bytes, last, gaps = 0, 0, 0, 0
        begin, cpu = time.monotonic(), sum(process.cpu_times()[:2])
        before = process.memory_info().rss
        while time.monotonic() - begin < seconds:
            text = await ws.socket.recv()
            n, n_bytes = n + 1, n_bytes + len(text)
            frame = json.loads(text)
            if frame["type"] == "market_lifecycle_v2" and frame["msg"]["event_type"] == "created":
                new = frame["msg"]["market_ticker"]
                await ws.send(9, "update_subscription", sids=[4], action="add_markets", market_tickers=[new])
            if frame.get("sid") == 4 and "seq" in frame:
                gaps += frame["seq"] != last + 1
                last = frame["seq"]
        spent = time.monotonic() - begin
    return {
        "value": round(n / spent), "unit": "frames/s", "megabytes_a_second": round(n_bytes / spent / 1e6, 2),
        "gaps": gaps, "server_cores": round((sum(process.cpu_times()[:2]) - cpu) / spent, 3),
        "rss_mb": [round(before / 1e6), round(process.memory_info().rss / 1e6)],
    }  # fmt: skip


def frames(speed: float, events: int, seconds: float, keys: Path, compression: str | None) -> dict[str, Any]:
    """Serve in another process and read from it."""
    program = Path(sys.executable).with_name("kalshi-platform")
    wanted = ["--keys", keys, "--speed", str(speed), "--events", str(events), "--tier", "prestige", "--json"]
    server = subprocess.Popen(
        [program, "simexchange", "serve", *wanted],
        stdout=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        served = json.loads(server.stdout.readline())
        found = asyncio.run(
            read_frames(served, RawKey(keys), psutil.Process(server.pid), seconds, compression)
        )
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
    name = "simserver_frames" + ("_deflate" if compression else "")
    return {"bench": name, "speed": speed, "events": events, **found}


def orders(keys: Path) -> dict[str, Any]:
    """Rest, and cancel, orders in a server whose world stands still."""
    server = Server(ServerConfig.parse({"n_events": 1, "cash_usd": 1e6}), keys)
    market = server.venue.all_markets()[0]
    wanted = WantedOrder(market, "bid", 100, 100, "good_till_canceled", "maker")
    server.desk.cancel(server.desk.create(wanted))
    begin = time.process_time()
    for _ in range(N_ORDERS):
        server.desk.cancel(server.desk.create(wanted))
    spent = time.process_time() - begin
    assert server.venue.account.primary.reserved_on(0) == 0
    return {
        "bench": "simserver_orders",
        "value": round(2 * N_ORDERS / spent),
        "unit": "commands/s",
        "clock": "cpu",
    }


def main() -> Iterator[dict[str, Any]]:
    """Yield two result lines."""
    given = argparse.ArgumentParser()
    given.add_argument("--speed", type=float, default=250)
    given.add_argument("--events", type=int, default=6)
    given.add_argument("--seconds", type=float, default=20)
    given.add_argument("--compression", choices=["deflate"])
    wanted = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        make_keys(keys)
        yield orders(keys)
        yield frames(wanted.speed, wanted.events, wanted.seconds, keys, wanted.compression)


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line), flush=True)
