"""Attacks on a service, each run in a process of its own until it is told to end (`make overload`).

    PYTHONPATH=.:tests:tests/drills python tests/drills/attacks.py NAME URL [TOKEN_FILE]

Says ``ready`` on stdout once the attack is at its height; on SIGTERM prints its counts as one JSON line.
Findings   H2 a/b/c, H3, H4 and M8 are those of the audit `attack.md`, the others were tried after it.
Cores      an attacker has the lowest priority: on one machine it must not win by the processor's time, which
           a client elsewhere would not take.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
from attackers import AGAIN_S, Attacker, again, attacker, handshake, head, held
from websockets.asyncio.client import ClientConnection

from kalshi_platform.serving.loadtest.bodies import varied_bodies

#: One more than HAProxy's 4,096 connections would do; some are refused while others end.
MANY = 4_300
#: Frames between two looks for the other side's answers.
BURST = 64
T0_NS = 1_700_000_000_000_000_000


class Attack(NamedTuple):
    """One way to attack; ``run`` returns when the attack is at its height, and what it began goes on."""

    finding: str
    words: str
    has_token: bool
    run: Callable[[Attacker], Awaitable[None]]


async def slow_bodies(who: Attacker) -> None:
    asked = head(who, "POST", "/v1/decide", "Content-Type: application/json", "Content-Length: 1000") + b"{"

    async def begin(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(asked)

    await held(who, 100, begin)


async def trickled_bodies(who: Attacker) -> None:
    asked = head(who, "POST", "/v1/decide", "Content-Type: application/json", "Content-Length: 1000")
    await held(who, 100, _trickling(asked, b" "))


async def trickled_chunks(who: Attacker) -> None:
    asked = head(who, "POST", "/v1/decide", "Content-Type: application/json", "Transfer-Encoding: chunked")
    await held(who, 100, _trickling(asked, b"1\r\n \r\n"))


async def half_headers(who: Attacker) -> None:
    half = head(who, "GET", "/v1/readyz")[:-2] + b"X-Half: "

    async def begin(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(half)

    await held(who, MANY, begin)


async def trickled_headers(who: Attacker) -> None:
    await held(who, MANY, _trickling(head(who, "GET", "/v1/readyz")[:-2], b"X-A: b\r\n", every_s=4.0))


async def idle_connections(who: Attacker) -> None:
    asked = head(who, "GET", "/-/healthz")

    async def begin(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(asked)

    await held(who, MANY, begin)


async def silent_sockets(who: Attacker) -> None:
    asked = handshake(who)

    async def begin(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(asked)

    await held(who, 110, begin)


async def error_bombs(who: Attacker) -> None:
    """Four bodies of 4 MB with two million wrong groups each; the next four when these are answered."""
    bomb = b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":[' + b"1," * 2_090_000 + b"1]}"

    async def volleys() -> None:
        async with _asking(who) as session:
            while True:
                await asyncio.gather(*(_ask(who, session, bomb) for _ in range(4)))

    _keep(volleys())


async def large_requests(who: Attacker) -> None:
    """Eight connections that ask for 128 groups, four bodies in turn, one request after the other."""
    async with _asking(who) as session, session.get(f"{who.url}/v1/example?packed=true") as found:
        example = await found.json()
    groups = [body["groups"][0] for body in varied_bodies(example, 4 * 128, 0.3, seed=1)]
    bodies = [{**example, "groups": groups[k * 128 : (k + 1) * 128]} for k in range(4)]
    texts = [json.dumps(body | {"request_id": "@"}) for body in bodies]

    async def ask(number: int) -> None:
        async with _asking(who) as session:
            for k in range(10**9):
                text = texts[k % 4].replace('"@"', f'"large-{number}-{k}"')
                await _ask(who, session, text.encode())

    for number in range(8):
        _keep(ask(number))


def _asking(who: Attacker) -> aiohttp.ClientSession:
    """Session of requests of which each is given two minutes."""
    headers = {**who.headers, "Content-Type": "application/json"}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=120))


async def _ask(who: Attacker, session: aiohttp.ClientSession, body: bytes) -> None:
    """Ask for a decision, and count the answer."""
    try:
        async with session.post(f"{who.url}/v1/decide", data=body) as answer:
            await answer.read()
            who.counts[str(answer.status)] += 1
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        who.counts[type(error).__name__] += 1


async def fast_stream(who: Attacker) -> None:
    _keep(again(who, _frames(who, reads=True), opens=True))


async def fast_streams(who: Attacker) -> None:
    for _ in range(4):
        _keep(again(who, _frames(who, reads=True), opens=True))


async def unread_streams(who: Attacker) -> None:
    for _ in range(20):
        _keep(again(who, _frames(who, reads=False), opens=True))


async def many_sessions(who: Attacker) -> None:
    async def stay(socket: ClientConnection) -> None:
        async for _ in socket:
            pass

    for _ in range(200):
        _keep(again(who, stay, opens=True))


async def tiny_frames(who: Attacker) -> None:
    async def send(socket: ClientConnection) -> None:
        reading = asyncio.create_task(_read(socket))
        try:
            while True:
                for _ in range(BURST):
                    await socket.send("{}")
                who.counts["frames"] += BURST
                await asyncio.sleep(0)
        finally:
            reading.cancel()

    _keep(again(who, send, opens=True))


async def ping_flood(who: Attacker) -> None:
    async def send(socket: ClientConnection) -> None:
        reading = asyncio.create_task(_read(socket))
        try:
            while True:
                for _ in range(BURST):
                    await socket.ping()
                who.counts["pings"] += BURST
                await asyncio.sleep(0)
        finally:
            reading.cancel()

    _keep(again(who, send, opens=True))


ATTACKS: dict[str, Attack] = {
    "slow_bodies": Attack("H2a", "100 bodies of which one byte comes", True, slow_bodies),
    "silent_sockets": Attack("H2b", "110 WebSockets that never open", True, silent_sockets),
    "half_headers": Attack("H2c", f"{MANY:,} connections with half a header", False, half_headers),
    "idle_connections": Attack("H2c", f"{MANY:,} connections after one request", False, idle_connections),
    "error_bombs": Attack("H3", "four bodies of 4 MB, two million errors each", True, error_bombs),
    "large_requests": Attack("new", "eight connections that ask for 128 groups", True, large_requests),
    "fast_stream": Attack("H4", "one stream at full speed", True, fast_stream),
    "fast_streams": Attack("H4", "four streams at full speed", True, fast_streams),
    "unread_streams": Attack("H4", "20 streams at full speed that never read", True, unread_streams),
    "many_sessions": Attack("M8", "200 streams of one client", True, many_sessions),
    "trickled_headers": Attack("new", f"{MANY:,} heads, a line every 4 s", False, trickled_headers),
    "trickled_bodies": Attack("new", "100 bodies, a byte a second", True, trickled_bodies),
    "trickled_chunks": Attack("new", "100 chunked bodies, a byte a second", True, trickled_chunks),
    "tiny_frames": Attack("new", "one stream of frames of two bytes", True, tiny_frames),
    "ping_flood": Attack("new", "one stream of pings", True, ping_flood),
}  # fmt: skip

_KEPT: set["asyncio.Task[None]"] = set()


def _keep(work: Awaitable[None]) -> None:
    _KEPT.add(asyncio.ensure_future(work))


def _trickling(
    begin_with: bytes, each: bytes, every_s: float = 1.0
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Make a beginning that sends ``each`` every so many seconds, for ever."""

    async def begin(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin_with)
        while True:
            await asyncio.sleep(every_s)
            writer.write(each)
            await writer.drain()

    return begin


def _frames(who: Attacker, *, reads: bool) -> Callable[[ClientConnection], Awaitable[None]]:
    """Make the work of a stream that sends changes of one market as fast as it can."""

    async def send(socket: ClientConnection) -> None:
        reading = asyncio.create_task(_read(socket)) if reads else None
        try:
            await socket.send(frame(0))
            for k in range(1, 10**9):
                await socket.send(frame(k))
                if k % BURST == 0:
                    who.counts["frames"] += BURST
                    await asyncio.sleep(0)
        finally:
            if reading is not None:
                reading.cancel()

    return send


def frame(k: int) -> str:
    """Capture line ``k`` of one market: its book, then a change of 1 contract, up and down in turn."""
    msg: dict[str, object] = {"market_ticker": "KXTEST-1-A"}
    if k == 0:
        msg |= {"yes_dollars_fp": [["0.4000", "10.00"]], "no_dollars_fp": [["0.5000", "10.00"]]}
    else:
        msg |= {"price_dollars": "0.4000", "delta_fp": "1.00" if k % 2 else "-1.00", "side": "yes"}
    kind = "orderbook_snapshot" if k == 0 else "orderbook_delta"
    raw = json.dumps({"type": kind, "sid": 1, "seq": k + 1, "msg": msg})
    return json.dumps({"recv_ns": T0_NS + k * 1_000_000, "conn": 1, "raw": raw})


async def _read(socket: ClientConnection) -> None:
    with contextlib.suppress(Exception):  # the sender sees the end, too
        async for _ in socket:
            pass


async def main(name: str, url: str, token_file: str | None) -> None:
    os.nice(19)
    attack = ATTACKS[name]
    token = Path(token_file).read_text().strip() if token_file and attack.has_token else ""
    who, ended = attacker(url, token), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    running = asyncio.create_task(_begin(attack, who))
    await ended.wait()
    running.cancel()
    print(json.dumps(dict(who.counts)), flush=True)
    os._exit(0)  # thousands of connections need no farewell


async def _begin(attack: Attack, who: Attacker) -> None:
    await attack.run(who)
    await asyncio.sleep(AGAIN_S)
    print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
