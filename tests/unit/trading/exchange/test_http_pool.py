"""The pool against real sockets: how each request ends, and how often it went out."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from made.exchange import run

from kalshi_platform.trading.exchange.http_pool import (
    AiohttpPool,
    HttpRequest,
    LostAnswerError,
    NotSentError,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Mon, 30 Nov 2026 12:00:00 GMT\r\n\r\n{}"


class Server:
    """A server that answers each request with bytes, with its end (None), or not at all (b"")."""

    def __init__(self, answer: Callable[[int], bytes | None]) -> None:
        self._answer = answer
        self.requests: list[bytes] = []  # heads and bodies, as they came
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next((int(line.split(b":")[1]) for line in lines if b"content-length" in line), 0)
                self.requests.append(head + await reader.readexactly(length))
                answer = self._answer(len(self.requests))
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if answer and answer != OK:
                    break
        writer.close()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def served(answer):
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.close()


def with_server(answer, work: Callable[[Server, AiohttpPool], Awaitable[None]], read_timeout_s=30.0):
    async def all_of_it():
        pool = AiohttpPool(5.0, read_timeout_s, None)
        async with served(answer) as server:
            try:
                await work(server, pool)
            finally:
                await pool.close()
        return server

    return run(all_of_it())


def asked(server: Server, method="POST", path="/x", body=b'{"a":1}', **headers) -> HttpRequest:
    return HttpRequest(method, server.url + path, headers, body)


def test_path_and_query_go_out_exactly_as_given_and_the_answer_comes_whole():
    path = "/v2/markets/KX-A%2FB%20C-T7.5%25/orderbook?depth=0&t=a%2Cb&t=%7Ec"

    async def work(server, pool):
        answer = await pool.send(asked(server, "GET", path, None, Accept="application/json", K="s+/="))
        assert (answer.status, answer.content) == (200, b"{}")
        assert answer.headers.get("date") == "Mon, 30 Nov 2026 12:00:00 GMT"

    head = with_server(lambda n: OK, work).requests[0]
    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert b"K: s+/=\r\n" in head
    assert b"cookie" not in head.lower()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_request_whose_connection_ends_without_an_answer_is_lost_and_sent_once(method):
    async def work(server, pool):
        with pytest.raises(LostAnswerError, match="ServerDisconnectedError"):
            await pool.send(asked(server, method))

    assert len(with_server(lambda n: None, work).requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nothing_is_sent_again_where_a_kept_connection_ends(method):
    """aiohttp by itself sends a GET, PUT or DELETE a second time here."""

    async def work(server, pool):
        await pool.send(asked(server, "GET", body=None))
        with pytest.raises(LostAnswerError):
            await pool.send(asked(server, method))

    assert len(with_server(lambda n: OK if n == 1 else None, work).requests) == 2


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", b"HTTP/1.1 2", b"nonsense\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"],
)  # fmt: skip
def test_half_an_answer_is_a_lost_one(answer):
    async def work(server, pool):
        with pytest.raises(LostAnswerError):
            await pool.send(asked(server))

    assert len(with_server(lambda n: answer, work).requests) == 1


def test_silence_is_a_lost_answer():
    async def work(server, pool):
        with pytest.raises(LostAnswerError, match="imeout"):
            await pool.send(asked(server))

    assert len(with_server(lambda n: b"", work, read_timeout_s=0.2).requests) == 1


def test_a_redirect_is_an_answer_that_nobody_follows():
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

    async def work(server, pool):
        assert (await pool.send(asked(server))).status == 307

    assert len(with_server(lambda n: moved, work).requests) == 1


def nobody(*_asked, **_more):
    """A name server that does not know the name; the machine's own may be slow, or not there."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(("method", "host"), [("POST", "127.0.0.1"), ("GET", "no-such-host.invalid")])
def test_a_request_that_found_nobody_was_not_sent(method, host, monkeypatch):
    if host.endswith("invalid"):
        monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        pool = AiohttpPool(5.0, 5.0, None)

        async def work():
            try:
                with pytest.raises(NotSentError, match="Cannot connect"):
                    await pool.send(HttpRequest(method, f"http://{host}:{port}/x", {}, b"{}"))
            finally:
                await pool.close()

        run(work())


def test_a_handshake_of_tls_that_fails_left_nothing():
    async def work(server, pool):
        with pytest.raises(NotSentError):
            await pool.send(asked(server)._replace(url=server.url.replace("http:", "https:")))

    with_server(lambda n: OK, work)


def test_closing_without_a_request_is_harmless():
    run(AiohttpPool(1.0, 1.0, None).close())
