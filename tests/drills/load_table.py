"""How a service answers its clients: quiet, while others attack it, and after that (`make overload`).

    PYTHONPATH=.:tests:tests/integration:tests/drills python tests/drills/load_table.py OUT
        [--only ATTACK]... [--code CHECKOUT] [--limits JSON]

Starts the application behind HAProxy (one replica, client tokens, settings as they come) and sends RATE
requests a second, open loop: on a quiet machine, beside each attack of ``attacks.py``, and after it. The
attackers have a token of their own, or none. Into OUT go load.json and load.md (p50, p99, failures, memory of
the replica, and whether another client's stream opened meanwhile). ``--code`` serves by another checkout,
``--limits`` are set in place of those that come: ``{"deciding": {"rate_per_s": 1e8, "burst": 1e8}}``.

Exit status 1 where the service did not answer its clients after an attack.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from attackers import OPEN
from attacks import ATTACKS
from made.scripts import ROOT
from own_server import Server, serving
from test_serving import registered
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.api.tokens import bearer
from kalshi_platform.serving.loadtest.bodies import Bodies, varied_bodies
from kalshi_platform.serving.loadtest.connections import connected
from kalshi_platform.serving.loadtest.result import LoadConfig, LoadResult
from kalshi_platform.serving.loadtest.run import HttpSender, measure

RATE, QUIET_S, BESIDE_S, AFTER_S, WARM_UP_S, TIMEOUT_S = 100, 10, 6, 4, 1, 5.0
#: Longest wait for an attack to be at its height; it is measured as it stands then.
HEIGHT_S = 30.0


class Figures(NamedTuple):
    """How the clients fared for a while."""

    p50_ms: float | None
    p99_ms: float | None
    answered: int
    failed: dict[str, int]
    resident_mb: float  # the most that the replica had

    @property
    def n_failed(self) -> int:
        return sum(self.failed.values())

    @property
    def words(self) -> str:
        """Cells of the table: p50, p99, failed, memory."""
        cells = ["-" if x is None else f"{x:.1f}" for x in (self.p50_ms, self.p99_ms)]
        total = self.answered + self.n_failed
        return " | ".join([*cells, f"{self.n_failed} of {total}", f"{self.resident_mb:.0f}"])


class Row(NamedTuple):
    """One attack: the clients beside it and after it, and what it reached."""

    name: str
    beside: Figures
    after: Figures
    other_stream: str  # how another client's stream opened during the attack
    attackers: dict[str, int]


class Place(NamedTuple):
    """The service and its client."""

    server: Server
    sender: HttpSender
    token: str
    attacker_token: Path


def settings(out: Path, limits: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Settings of the served application, as they come but for ``limits``, and its client's token."""
    registry = Registry(out / "registry")
    registry.promote(CHAMPION, registered(registry, 0), reason="first", evidence="e" * 12)
    client, other = secrets.token_hex(16), secrets.token_hex(16)
    (out / "tokens").write_text(f"{client}\n{other}\n")
    (out / "attacker").write_text(other)
    args = {
        "registry": str(out / "registry"), "access": {"token_file": str(out / "tokens")},
        "replica_cpus": 0, "tier_3_cpus": 0, "limits": limits,
    }  # fmt: skip
    return args, client


async def fared(place: Place, seconds: float, seed: int) -> Figures:
    """Send RATE requests a second for ``seconds`` and say how they fared."""
    config = LoadConfig(
        url=place.server.url, rate_per_s=RATE, duration_s=seconds, warm_up_s=WARM_UP_S, seed=seed,
        timeout_s=TIMEOUT_S,
    )  # fmt: skip
    most = [place.server.resident_mb()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.5)
            most.append(await asyncio.to_thread(place.server.resident_mb))

    watching = asyncio.create_task(watch())
    found: LoadResult = await measure(config, place.sender)
    watching.cancel()
    latency = found.latency
    p50, p99 = (latency.p50_ms, latency.p99_ms) if latency else (None, None)
    return Figures(p50, p99, found.answered, found.errors, max(most))


async def opened(place: Place) -> str:
    """Open a stream as another client; returns the ms that it took, or why it did not open."""
    begun = time.monotonic()
    url = f"ws{place.server.url.removeprefix('http')}/v1/stream"
    try:
        async with asyncio.timeout(TIMEOUT_S), connect(
            url, proxy=None, additional_headers=bearer(place.token)
        ) as socket:  # fmt: skip
            await socket.send(OPEN)
            said = json.loads(await socket.recv())
    except TimeoutError:
        return f"not within {TIMEOUT_S:g} s"
    except (WebSocketException, OSError, EOFError) as error:
        return str(error)[:100] or type(error).__name__
    if said.get("type") != "opened":
        return str(said)[:100]
    return f"{(time.monotonic() - begun) * 1e3:.0f} ms"


@contextlib.asynccontextmanager
async def attacked(place: Place, name: str, counts: dict[str, int]) -> AsyncIterator[None]:
    """Run an attack beside the block, from its height on; ``counts`` tells at the end what it reached."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("attacks.py")), name, place.server.url,
        str(place.attacker_token), stdout=asyncio.subprocess.PIPE, limit=2**20,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'drills'}"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.stdout.readline(), HEIGHT_S)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError, ValueError):
            told = await asyncio.wait_for(process.stdout.read(), 10)
            counts.update(json.loads(told.splitlines()[-1]) if told else {})
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def row(place: Place, name: str, seed: int) -> Row:
    """Measure one attack."""
    counts: dict[str, int] = {}
    async with attacked(place, name, counts):
        beside = await fared(place, BESIDE_S, seed)
        stream = await opened(place)
    await asyncio.sleep(1)
    found = Row(name, beside, await fared(place, AFTER_S, seed + 1), stream, counts)
    print(f"{name:18} {found.beside.words} | {found.after.words} | {stream} | {counts}", flush=True)
    return found


async def measured(server: Server, token: str, out: Path, names: list[str]) -> tuple[Figures, list[Row]]:
    """Quiet figures, and those of every attack."""
    config = LoadConfig(url=server.url, timeout_s=TIMEOUT_S)
    async with connected(config, bearer(token)) as connections:
        async with connections.of(0).get(f"{server.url}/v1/example?packed=true") as found:
            example = await found.json()
        sender = HttpSender(connections, server.url, Bodies(varied_bodies(example, 1_024, 0.2, 0)))
        place = Place(server, sender, token, out / "attacker")
        quiet = await fared(place, QUIET_S, 0)
        print(f"{'quiet':18} {quiet.words}", flush=True)
        rows = [await row(place, name, 10 * k) for k, name in enumerate(names, 1)]
    return quiet, rows


def table(quiet: Figures, rows: list[Row]) -> str:
    """Markdown of the figures."""
    head = [
        f"{RATE} requests a second, {QUIET_S} s quiet, {BESIDE_S} s beside each attack and {AFTER_S} s after "
        f"it; ms from when a request was due; a request without an answer in {TIMEOUT_S:g} s failed; memory "
        "of the replica in MB.",
        "",
        "| beside the clients | finding | p50 | p99 | failed | MB | another stream opens in | after it: p50 "
        "| p99 | failed | MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        f"| nobody | | {quiet.words} | | | | | |",
    ]
    body = [
        f"| {ATTACKS[r.name].words} | {ATTACKS[r.name].finding} | {r.beside.words} | {r.other_stream} | "
        f"{r.after.words} |"
        for r in rows
    ]
    return "\n".join([*head, *body, ""])


def as_json(quiet: Figures, rows: list[Row]) -> dict[str, Any]:
    return {
        "rate_per_s": RATE,
        "quiet": quiet._asdict(),
        "attacks": [{**r._asdict(), "beside": r.beside._asdict(), "after": r.after._asdict()} for r in rows],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", action="append", choices=ATTACKS, help="this attack; repeat for more")
    parser.add_argument(
        "--code", type=Path, default=ROOT, help="checkout whose service is attacked [this one]"
    )
    parser.add_argument("--limits", type=json.loads, default={}, help="in place of those that come [{}]")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    args, token = settings(asked.out, asked.limits)
    with serving(asked.out, args, asked.code.resolve()) as server:
        quiet, rows = asyncio.run(measured(server, token, asked.out, asked.only or list(ATTACKS)))
    (asked.out / "load.json").write_text(json.dumps(as_json(quiet, rows), indent=1))
    (asked.out / "load.md").write_text(table(quiet, rows))
    print(table(quiet, rows))
    lost = [r.name for r in rows if r.after.n_failed]
    if lost:
        print(f"the clients were not all answered after: {', '.join(lost)}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
