"""Strangers at a real Serve behind its HAProxy: whatever one client does, another is answered.

Each test attacks as one client, or as nobody, and asks as another all the while. Waits are hang guards: the
machine of the tests is loaded, and the bounds of the service are seconds here and there.
"""

import asyncio
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
import pytest
from made.raw_websocket import EMPTY_PING, EMPTY_TEXT, RawWebSocket, text_frame
from made.registry_models import made_policy, made_record
from made.stream_texts import T0_NS, delta, line, snapshot
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from kalshi_platform.models.registry.store import CHAMPION, Registry
from serve_deployments.local import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("serve_child.py")
HONEST, ATTACKER = "honest-client-token-1", "attacker-client-token"
#: HAProxy's connections here; an attack that fills them need not open thousands.
MAXCONN = 256
#: Longest wait for one answer beside an attack; nobody waits so long who waits at all.
ANSWER_S = 30.0
S = 1_000_000_000
OPEN = json.dumps({"type": "open", "decision_interval_ms": 0, "accept_missing_inputs": True})


class World(NamedTuple):
    """A served application, and what its replica's process takes of memory."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory_mib(self) -> float:
        """Resident memory of the replica."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("strangers")
    registry = Registry(folder / "registry")
    model = registry.add(*made_record(made_policy("tiny", 0)))
    registry.promote(CHAMPION, model.id, reason="first", evidence="e" * 12)
    (folder / "clients").write_text(f"{HONEST}\n{ATTACKER}\n")
    args = {
        "registry": str(folder / "registry"),
        "access": {"token_file": str(folder / "clients")},
        "limits": {
            "rates": {"rate_per_s": 10_000, "burst": 10_000},
            "arriving": {"body_s": 3.0},
            "sockets": {"open_s": 3.0, "unread_s": 3.0},
            "proxy": {"header_s": 3},
        },
        "max_ongoing_requests": 20, "replica_cpus": 0, "tier_3": False, "deadline_ms": 5_000.0,
        "watch": {"max_p99_ms": 60_000.0, "worse_p99_ms": 60_000.0}, "inference_ttl_ms": 0,
    }  # fmt: skip
    (folder / "args.json").write_text(json.dumps(args))
    port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder / "args.json"), str(port), str(metrics_port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_SERVE_HAPROXY_MAXCONN": str(MAXCONN)},
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        if not child.stdout.readline().startswith("ready"):
            pytest.fail(f"serve_child.py ended with {child.wait(60)}:\n{(folder / 'log').read_text()}")
        yield World(port, replica_of(child.pid))
    finally:
        child.stdin.close()
        child.wait(timeout=600)
        child.stdout.close()


def words_of(process: psutil.Process) -> list[str]:
    """Command line of a process; nothing where it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def replica_of(parent: int) -> int:
    """Process id of the ingress replica below ``parent``."""
    below = psutil.Process(parent).children(recursive=True)
    found = [each.pid for each in below if "Ingress" in " ".join(words_of(each))]
    assert len(found) == 1, found
    return found[0]


class Honest:
    """A client of good will: asks for a decision all the while, and looks at the readiness."""

    def __init__(self, world: World, session: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        self._world, self._session, self._body = world, session, body
        self.n = 0

    async def ask(self) -> None:
        """Fails where no decision comes, or the service is not ready."""
        self.n += 1
        body = {**self._body, "request_id": f"honest-{self.n}"}
        async with self._session.post(f"{self._world.url}/v1/decide", json=body) as answer:
            assert answer.status == 200, await answer.text()
        async with self._session.get(f"{self._world.url}/v1/readyz") as answer:
            assert answer.status == 200, await answer.text()

    async def ask_beside(self, attack: "asyncio.Task[Any]") -> Any:
        """Ask until ``attack`` is over; its result."""
        while not attack.done():
            await self.ask()
            await asyncio.sleep(0.05)
        found = attack.result()
        assert self.n >= 3, "the attack was over before anybody asked"
        return found


@asynccontextmanager
async def honest_client(world: World) -> AsyncIterator[Honest]:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    headers = {"Authorization": f"Bearer {HONEST}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        async with session.get(f"{world.url}/v1/example") as answer:
            body = await answer.json()
        yield Honest(world, session, body)


def attacked(world: World, attack: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    """Result of ``attack``, beside and after which an honest client is answered."""

    async def both() -> Any:
        async with honest_client(world) as honest:
            await honest.ask()
            found = await honest.ask_beside(asyncio.create_task(attack(world)))
            await honest.ask()
            return found

    return asyncio.run(asyncio.wait_for(both(), 600))


def stream(world: World, token: str) -> connect:
    """A stream of the client with ``token``; all that the server says is read."""
    headers = {"Authorization": f"Bearer {token}"}
    return connect(f"ws://127.0.0.1:{world.port}/v1/stream", additional_headers=headers, max_queue=None)


async def status_of(world: World, head: str, *parts: bytes, every_s: float = 0.0) -> int:
    """Status that a hand-made request is answered with, 0 where the connection is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    try:
        writer.write(head.encode())
        sending = asyncio.create_task(_send(writer, parts, every_s))
        try:
            first = await asyncio.wait_for(reader.readline(), 60)
        except ConnectionError:
            return 0
        finally:
            sending.cancel()
        return int(first.split()[1]) if first else 0
    finally:
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, parts: tuple[bytes, ...], every_s: float) -> None:
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)


def post_head(length: int | str = 1_000) -> str:
    framing = "Transfer-Encoding: chunked" if length == "chunked" else f"Content-Length: {length}"
    return (
        f"POST /v1/decide HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ATTACKER}\r\n"
        f"Content-Type: application/json\r\n{framing}\r\n\r\n"
    )


def test_bodies_that_never_come_stop_nobody(world: World):
    async def attack(world: World) -> list[int]:
        return await asyncio.gather(*(status_of(world, post_head(), b"{") for _ in range(150)))

    assert set(attacked(world, attack)) == {408}


def test_long_bodies_that_stop_in_the_middle_stop_nobody(world: World):
    """Longer than HAProxy gathers, so that the replica's own deadline ends them; more than it has places."""

    async def attack(world: World) -> list[int]:
        return await asyncio.gather(
            *(status_of(world, post_head(1_000_000), b"[" + b"1," * 20_000) for _ in range(150))
        )

    found = attacked(world, attack)
    assert set(found) <= {0, 408}
    assert found.count(408) > 100


def test_a_chunked_body_that_trickles_is_ended(world: World):
    async def attack(world: World) -> list[int]:
        chunks = [b"1\r\n[\r\n"] * 100
        return await asyncio.gather(
            *(status_of(world, post_head("chunked"), *chunks, every_s=0.4) for _ in range(40))
        )

    assert set(attacked(world, attack)) == {408}


def test_half_headers_on_every_connection_last_as_long_as_their_deadline(world: World):
    """No token, and all connections of HAProxy: who asks meanwhile waits until the first of them end."""

    async def attack(world: World) -> list[int]:
        head = "GET /v1/readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
        return await asyncio.gather(*(status_of(world, head) for _ in range(MAXCONN + 40)))

    async def both() -> list[int]:
        task = asyncio.create_task(attack(world))
        await asyncio.sleep(0.5)
        async with honest_client(world) as honest:
            await honest.ask()
            found = await task
            await honest.ask()
            return found

    assert set(asyncio.run(asyncio.wait_for(both(), 600))) <= {0, 408}


def test_streams_that_are_never_opened_stop_nobody(world: World):
    async def attack(world: World) -> list[int]:
        sockets = [await RawWebSocket.connect(world.port, ATTACKER) for _ in range(110)]
        codes = await asyncio.gather(*(each.close_code() for each in sockets))
        for each in sockets:
            each.abort()
        return list(codes)

    assert set(attacked(world, attack)) == {1013}


def test_one_client_that_takes_its_session_over_again_and_again_stops_nobody(world: World):
    """More connections than HAProxy lets through at a time here, or the replica has places for."""

    async def attack(world: World) -> set[int]:
        newest = await RawWebSocket.connect(world.port, ATTACKER)
        await newest.send(text_frame(OPEN.encode()))
        session = json.loads((await newest.next())[1])["session"]
        again = json.dumps({"type": "open", "session": session}).encode()
        codes = set()
        for _ in range(MAXCONN + 50):
            older, newest = newest, await RawWebSocket.connect(world.port, ATTACKER)
            await newest.send(text_frame(again))
            assert json.loads((await newest.next())[1])["resumed"]
            codes.add(await older.close_code())
            older.abort()
        newest.abort()
        return codes

    assert attacked(world, attack) == {4000}


@pytest.mark.parametrize(
    "header", [b"X-Request-Id: \xff", b"X-Session-Id: \xff", b"serve_multiplexed_model_id: \xff"]
)
def test_a_byte_that_is_no_text_in_a_header_that_ray_reads_is_no_failure(world: World, header: bytes):
    head = "GET /v1/model HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert asyncio.run(status_of(world, head, header + b"\r\n\r\n")) == 401


def test_one_client_that_opens_all_it_can_leaves_sessions_to_others(world: World):
    async def attack(world: World) -> tuple[int, int]:
        sockets = []
        for _ in range(50):
            sockets.append(await RawWebSocket.connect(world.port, ATTACKER))
            await sockets[-1].send(text_frame(OPEN.encode()))  # at once: who waits is closed for it
        first = [(await each.next())[0] for each in sockets]
        async with stream(world, HONEST) as honest:
            await honest.send(OPEN)
            assert json.loads(await honest.recv())["type"] == "opened"
        for each in sockets:
            each.abort()
        return first.count(Opcode.TEXT), first.count(Opcode.CLOSE)

    assert attacked(world, attack) == (32, 18)


@pytest.mark.parametrize(
    ("what", "frames"),
    [
        ("tiny texts", EMPTY_TEXT * 5_000),
        ("pings", EMPTY_PING * 5_000),
        (
            "parts of a text",
            text_frame(b"{", fin=False) + text_frame(b"", fin=False, opcode=Opcode.CONT) * 5_000,
        ),
    ],
)
def test_floods_of_small_frames_stop_nobody(world: World, what: str, frames: bytes):
    async def flood(world: World) -> int:
        socket = await RawWebSocket.connect(world.port, ATTACKER)
        await socket.send(text_frame(OPEN.encode()))
        ended = asyncio.create_task(socket.close_code())
        for _ in range(40):
            sent = asyncio.create_task(socket.send(frames))
            await asyncio.wait([ended, sent], return_when=asyncio.FIRST_COMPLETED, timeout=20)
            sent.cancel()
            if ended.done() or socket.writer.transport.is_closing():
                break
        code = await asyncio.wait_for(ended, 60)
        socket.abort()
        return code

    async def attack(world: World) -> list[int]:
        return await asyncio.gather(*(flood(world) for _ in range(8)))

    before_mib = world.memory_mib()
    codes = attacked(world, attack)
    assert set(codes) <= {0, 1008, 1009}, f"{what}: the server ends each of them"
    assert world.memory_mib() - before_mib < 300


def test_texts_without_end_that_ask_for_an_answer_each_stop_nobody(world: World):
    """More than a client may send, and its own connections wait: nobody else's."""
    frames = text_frame(b'{"type":"ack"}') * 2_000

    async def flood(world: World) -> None:
        socket = await RawWebSocket.connect(world.port, ATTACKER)
        await socket.send(text_frame(OPEN.encode()))
        reading = asyncio.create_task(socket.close_code())
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 5  # what is sent goes into buffers until they are full
        while loop.time() < end_s:
            with suppress(TimeoutError):
                await asyncio.wait_for(socket.send(frames), 0.2)
            if socket.writer.transport.get_write_buffer_size() > 2**20:
                await asyncio.sleep(0.2)
        reading.cancel()
        socket.abort()

    async def attack(world: World) -> None:
        await asyncio.gather(*(flood(world) for _ in range(10)))

    before_mib = world.memory_mib()
    attacked(world, attack)
    assert world.memory_mib() - before_mib < 300


def test_clients_that_send_all_they_can_and_read_nothing_stop_nobody_and_fill_no_memory(world: World):
    async def flood(world: World) -> None:
        socket = await RawWebSocket.connect(world.port, ATTACKER)
        await socket.send(text_frame(OPEN.encode()))
        for k in range(20_000):
            socket.writer.write(text_frame(line(T0_NS + k * S, snapshot(k + 1)).encode()))
            if k % 50 == 0:
                try:
                    await asyncio.wait_for(socket.writer.drain(), 1)
                except (TimeoutError, ConnectionError):
                    break
        await asyncio.sleep(5)  # longer than answers may lie untaken
        socket.abort()

    async def attack(world: World) -> None:
        await asyncio.gather(*(flood(world) for _ in range(10)))

    before_mib = world.memory_mib()
    attacked(world, attack)
    assert world.memory_mib() - before_mib < 300


def test_frames_mutated_by_a_seed_are_answered_or_refused_and_every_end_is_told(world: World):
    rng = random.Random(20_261_130)
    sound = [
        snapshot(),
        delta(2),
        snapshot(3, ticker="KXTEST-1-B", sid=2),
        line(T0_NS, snapshot()),
        OPEN,
        *LIFECYCLES,
    ]

    def mutated() -> str:
        text = rng.choice(sound)
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(text))
            text = rng.choice([
                text[:at] + rng.choice(NASTY) + text[at + rng.randrange(1, 12) :],
                text[:at] + text[at + rng.randrange(1, 9) :],
                text[:at] + text[at:][::-1],
                text,
            ])  # fmt: skip
        return text

    async def attack(world: World) -> list[int]:
        codes = []
        for _ in range(40):
            async with stream(world, ATTACKER) as socket:
                await socket.send(OPEN)
                try:
                    for _ in range(100):
                        await socket.send(mutated())
                    await socket.send('{"type":"account","group":-1}')  # its refusal is the last answer
                    while "account message" not in await asyncio.wait_for(socket.recv(), 60):
                        pass
                except ConnectionClosed as closed:
                    codes.append(0 if closed.rcvd is None else closed.rcvd.code)
        return codes

    assert set(attacked(world, attack)) <= {1008}, "no stream broke without a word"


NASTY = (
    "18446744073709551616",
    "1e999",
    "-1",
    "null",
    "[]",
    "{}",
    '"',
    "\\u0000",
    "NaN",
    "9" * 500,
    "[[",
    "١",
)
LIFECYCLES = tuple(
    json.dumps({"type": "market_lifecycle_v2", "sid": 3, "msg": {
        "market_ticker": "KXTEST-1-A", "event_type": "determined", "result": "yes", "settlement_value": value,
    }})
    for value in ("1.0000", 18_446_744_073_709_551_616, True)
)  # fmt: skip


def test_the_largest_wrong_bodies_hold_nobody_up_for_long(world: World):
    wrong = (
        b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":[' + b"1," * 2_000_000 + b"1]}",
        b"{" + b",".join(b'"a%d":1' % k for k in range(300_000)) + b"}",
        b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":[{"markets":['
        + b",".join([b'{"id":1}'] * 400_000) + b"]}]}",
        b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":[{"markets":[{"id":"a","state":"active",'
        b'"allowed":[],"row":[' + b"1," * 1_900_000 + b"1]}]}]}",
        b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":['
        + b",".join([b'{"markets":[{"id":"a","state":"active","allowed":[],"row":[1]}]}'] * 60_000) + b"]}",
        b"[" * 4_000_000,
    )  # fmt: skip

    async def attack(world: World) -> list[int]:
        headers = {"Authorization": f"Bearer {ATTACKER}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def post(body: bytes) -> int:
                async with session.post(f"{world.url}/v1/decide", data=io.BytesIO(body)) as answer:
                    assert len(await answer.read()) < 20_000
                    return answer.status

            return [await post(body) for body in wrong] + list(await asyncio.gather(*map(post, wrong * 2)))

    before_mib = world.memory_mib()
    assert set(attacked(world, attack)) <= {400, 409, 413, 422}
    assert world.memory_mib() - before_mib < 600


def test_http_2_is_not_spoken(world: World):
    preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    assert asyncio.run(status_of(world, preface, settings)) in (0, 400, 405)


def test_a_flood_of_probes_costs_few(world: World):
    async def attack(world: World) -> int:
        async with aiohttp.ClientSession() as session:

            async def probe() -> int:
                async with session.get(f"{world.url}/v1/readyz") as answer:
                    return answer.status

            found = []
            for _ in range(20):
                found += await asyncio.gather(*(probe() for _ in range(50)))
            return found.count(200)

    assert attacked(world, attack) == 1_000


def test_a_client_that_waits_to_be_told_to_go_on_is_told(world: World):
    """As curl does with a long body: the proxy gathers bodies, and must ask for them."""

    async def scenario() -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        try:
            writer.write(post_head(30_000).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n").encode())
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_S)
            writer.write(b"x" * 30_000)
            return first, await asyncio.wait_for(reader.readline(), ANSWER_S)
        finally:
            writer.transport.abort()

    first, then = asyncio.run(scenario())
    assert b" 100 " in first
    assert b" 400 " in then
