"""One signed order to an exchange that answers at once: our REST transport beside httpx.

rest_write     CPU time of the client a request (the server runs in a process of its own), median of rounds in
               turn; both sign by the same key; CPU time, because other work on the machine shifts it little
Checked: both read the same answer, and the server saw every request once, with a signature.
Run            python benchmarks/run.py --only rest_write
Without a record  PYTHONPATH=tests python benchmarks/rest_write.py
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import httpx
import numpy as np
from aiohttp import web
from made.exchange import signer

from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.outcomes import Accepted
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import SIGNATURE_HEADER

REQUESTS, ROUNDS = 300, 5
ENDPOINT = "/portfolio/events/orders"
ORDER = {"ticker": "KXA-1", "side": "bid", "count": "1.00", "price": "0.5000", "client_order_id": "x" * 20}
ORDER_ID = "a" * 36


def serve(told: Connection) -> None:
    """Answer orders; tell the port, and how many came with a signature whenever asked."""

    async def run() -> None:
        signed = 0

        async def take(request: web.Request) -> web.Response:
            nonlocal signed
            signed += SIGNATURE_HEADER in request.headers and (await request.json()) == ORDER
            return web.json_response({"order_id": ORDER_ID})

        app = web.Application()
        app.router.add_post(ENDPOINT, take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        while not await asyncio.to_thread(told.recv):
            told.send(signed)

    asyncio.run(run())


async def timed(send: Callable[[], Awaitable[str]]) -> float:
    """CPU time of a request, ms."""
    begun_ns = time.process_time_ns()
    for _ in range(REQUESTS):
        if await send() != ORDER_ID:
            raise RuntimeError("an answer was read wrongly")
    return (time.process_time_ns() - begun_ns) / REQUESTS / 1e6


async def rounds(url: str) -> tuple[list[float], list[float]]:
    """CPU times of ours and of httpx's, a round each in turn; the first round opens the connections."""
    key, clock = signer(), SystemClock()
    transport = RestTransport(RestSettings.parse({"url": url}), key, clock, np.random.default_rng(0))
    ours, theirs = [], []
    async with transport, httpx.AsyncClient(trust_env=False) as client:

        async def send_ours() -> str:
            done = await transport.write(
                "POST", ENDPOINT, {}, ORDER, lambda found: found.text("order_id"), cost=0, shard=0
            )
            return done.answer if isinstance(done, Accepted) else ""

        async def send_theirs() -> str:
            headers = key.headers("POST", ENDPOINT, clock.wall_ns())
            return str((await client.post(url + ENDPOINT, json=ORDER, headers=headers)).json()["order_id"])

        for _ in range(ROUNDS + 1):
            ours.append(await timed(send_ours))
            theirs.append(await timed(send_theirs))
    return ours[1:], theirs[1:]


def main() -> Iterator[dict[str, Any]]:
    """Measure both."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    ours, theirs = asyncio.run(rounds(f"http://127.0.0.1:{here.recv()}"))
    here.send(False)
    if (signed := here.recv()) != (wanted := 2 * REQUESTS * (ROUNDS + 1)):
        raise RuntimeError(f"the server took {signed} signed orders of {wanted}")
    here.send(True)
    server.join(10)
    value, peer = statistics.median(ours), statistics.median(theirs)
    yield {
        "bench": "rest_write", "value": round(value, 3), "unit": "ms of CPU a request", "peer": "httpx",
        "peer_value": round(peer, 3), "ratio": round(peer / value, 2),
        "rounds_ms": [round(x, 3) for x in ours],
        "peer_rounds_ms": [round(x, 3) for x in theirs],
    }  # fmt: skip


if __name__ == "__main__":
    for result in main():
        print(result)
