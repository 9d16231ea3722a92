"""A server and a Prometheus of a drill's own, and ways to make trouble for them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
import yaml
from made.prometheus import DOCKER, program, scrape_config
from made.scripts import ROOT
from made.stream_texts import T0_NS, delta, line, snapshot
from test_serving import ADMIN, registered
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from serve_deployments.local import free_port

#: Requests in flight of one load; a machine that cannot keep up is not buried under more.
MOST_WAITING = 30


class Place(NamedTuple):
    """Where everything runs."""

    out: Path
    url: str
    prometheus: str
    registry: Registry
    models: list[str]
    child: subprocess.Popen[str]


def started(out: Path, prometheus_port: int) -> tuple[Place, subprocess.Popen[bytes]]:
    """Start server and Prometheus; returns when the server is ready."""
    registry = Registry(out / "registry")
    models = [registered(registry, 0), registered(registry, 1), registered(registry, 2, broken=True)]
    rival = registered(registry, 3)
    registry.promote(CHAMPION, models[0], reason="first", evidence="e" * 12)
    registry.promote(CHALLENGER, rival, reason="to be compared")
    (out / "admins").write_text(ADMIN)
    args = {
        "registry": str(out / "registry"), "shadow": CHALLENGER,
        "access": {"require_token": False, "admin_token_file": str(out / "admins")},
        "limits": {"rates": {"rate_per_s": 10_000, "burst": 10_000}},
        "check": {"min_agreement": 0.0, "latency_factor": 100.0},
        "watch": {"max_p99_ms": 5_000.0, "worse_p99_ms": 5_000.0},
        "replicas": 2, "replica_cpus": 0, "tier_3_cpus": 0, "deadline_ms": 1_000.0, "inference_ttl_ms": 0,
        "tier_3_inside_ms": 0.0,
        "poll_s": 3_600.0,  # a replica looks when it is told to: so two of them can disagree
    }  # fmt: skip
    (out / "args.json").write_text(json.dumps(args))
    port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    log = (out / "serve.log").open("w")
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/integration/serve_child.py"), str(out / "args.json"), str(port),
         str(metrics_port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    own = f"127.0.0.1:{prometheus_port}"
    config = scrape_config(f"127.0.0.1:{metrics_port}", own, DOCKER / "alerts.yml")
    (out / "prometheus.yml").write_text(yaml.safe_dump(config))
    prometheus = subprocess.Popen(
        [program("prometheus"), f"--config.file={out / 'prometheus.yml'}",
         f"--storage.tsdb.path={out / 'prometheus'}", f"--web.listen-address={own}"],
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    if not child.stdout.readline().startswith("ready"):
        prometheus.terminate()
        raise SystemExit(f"serve did not start: {out / 'serve.log'} says why")
    return Place(out, f"http://127.0.0.1:{port}", f"http://{own}", registry, models, child), prometheus


def replica(place: Place, deployment: str) -> int | None:
    """Process id of a replica of our own server, the oldest; None where none is alive."""
    found = []
    for process in psutil.Process(place.child.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[:1] and f"ServeReplica:policy:{deployment}" in process.cmdline()[0]:
                found.append((process.create_time(), process.pid))
    return min(found)[1] if found else None


@contextlib.asynccontextmanager
async def beside(work: Any) -> AsyncIterator[None]:
    """Run the coroutine ``work`` while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            print(f"          a provocation ended by itself: {ended!r}", flush=True)


async def stall(pid: int, stopped_s: float, of_s: float) -> None:
    """Stop a process ``stopped_s`` of every ``of_s`` seconds, as a machine that is shared does."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(stopped_s)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(of_s - stopped_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def load(place: Place, rate: float, **more: Any) -> None:
    """Send requests at ``rate`` a second, whatever becomes of those before."""
    async with aiohttp.ClientSession(place.url, timeout=aiohttp.ClientTimeout(total=10)) as session:
        async with session.get("/v1/example") as found:
            body = await found.json()
        waiting: set[asyncio.Task[None]] = set()

        async def ask(number: int) -> None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(
                    "/v1/decide", json={**body, **more, "request_id": f"{rate}-{number}"}
                ) as answer:
                    await answer.read()

        for number in range(10**9):
            if len(waiting) < MOST_WAITING:
                task = asyncio.create_task(ask(number))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            await asyncio.sleep(1 / rate)


async def admin(place: Place, path: str, **body: Any) -> int:
    """Status of a call of the administrator; of no JSON where ``body`` is empty."""
    async with (
        aiohttp.ClientSession(place.url, headers={"Authorization": f"Bearer {ADMIN}"}) as session,
        session.post(path, **({"json": body} if body else {})) as found,
    ):
        return found.status


def stream(place: Place) -> connect:
    """A connection to the stream, by ``async with``."""
    return connect(f"{place.url.replace('http', 'ws', 1)}/v1/stream", proxy=None, max_queue=None)


OPEN = json.dumps(
    {"type": "open", "decision_interval_ms": 0, "accept_missing_inputs": True, "allow_simulated": True}
)


async def again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    """Begin ``work`` again where its connection is lost."""
    while True:
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            await work()
        await asyncio.sleep(1)


async def silent_stream(place: Place) -> None:
    """Open a stream and send no frame."""
    async with stream(place) as socket:
        await socket.send(OPEN)
        async for _ in socket:
            pass


async def stale_stream(place: Place, rate: float) -> None:
    """Send changes of one market, 40 minutes after the last message of the other market of its group."""
    later = T0_NS + 40 * 60 * 10**9
    async with stream(place) as socket:
        await socket.send(OPEN)
        await socket.send(line(T0_NS, snapshot(ticker="KXTEST-1-A", sid=1)))
        await socket.send(line(T0_NS + 10**9, snapshot(ticker="KXTEST-1-B", sid=2)))
        for k in range(10**9):
            change = "-1.00" if k % 2 else "1.00"
            raw = delta(2 + k, change=change, ticker="KXTEST-1-B", sid=2)
            await socket.send(line(later + k * 5 * 10**7, raw))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / rate):
                    while True:
                        await socket.recv()


async def kill_all_the_time(place: Place, deployment: str) -> None:
    """Kill a deployment's replica twice a second: it crashes as soon as it is there."""
    while True:
        if (pid := replica(place, deployment)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.5)
