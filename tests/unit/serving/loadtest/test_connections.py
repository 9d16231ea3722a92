"""A fixed number of connections: all open before the first request, taking turns; those lost are counted."""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.loadtest import connections as module
from kalshi_platform.serving.loadtest.connections import connected
from kalshi_platform.serving.loadtest.result import LoadConfig


@asynccontextmanager
async def server(*, closes: bool = False) -> AsyncIterator[tuple[str, Counter[int]]]:
    """A server on loopback: (its address, requests by the client's port); ``closes``: after each answer."""
    asked: Counter[int] = Counter()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        asked[request.transport.get_extra_info("peername")[1]] += 1
        found = web.Response(text="{}")
        if closes:
            found.force_close()
        return found

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def asked_twice_each(url: str, n: int) -> int:
    """Ask each of ``n`` connections twice, after they were opened; returns how many were opened anew."""
    async with connected(LoadConfig(url=url, connections=n), {}) as found:
        await found.open_all(f"{url}/v1/healthz")
        for k in range(2 * n):
            async with found.of(k).get(url) as answer:
                await answer.read()
        return found.reopened


def test_every_connection_is_open_before_the_first_request_and_they_take_turns():
    async def scenario() -> tuple[int, Counter[int]]:
        async with server() as (url, asked):
            return await asked_twice_each(url, 40), asked

    reopened, asked = asyncio.run(scenario())
    assert reopened == 0
    assert sorted(asked.values()) == [3] * 40  # opened, and asked twice


def test_connections_that_the_server_ended_are_counted():
    async def scenario() -> int:
        async with server(closes=True) as (url, _):
            return await asked_twice_each(url, 3)

    assert asyncio.run(scenario()) == 6


def test_without_a_number_one_session_opens_as_many_as_are_needed():
    async def scenario() -> tuple[int, int]:
        async with server() as (url, asked), connected(LoadConfig(url=url), {}) as found:
            await found.open_all(f"{url}/v1/healthz")  # nothing is opened beforehand
            assert not asked

            async def ask(k: int) -> None:
                async with found.of(k).get(url) as answer:
                    await answer.read()

            await asyncio.gather(*(ask(k) for k in range(5)))
            return len(found.sessions), found.reopened

    assert asyncio.run(scenario()) == (1, 0)


def test_connections_that_cannot_be_opened_are_told_with_what_to_do():
    async def scenario() -> None:
        async with connected(LoadConfig(connections=2), {}) as found:
            await found.open_all("http://127.0.0.1:9/v1/healthz")

    with pytest.raises(ContractError, match=r"only 0 of 2 connections could be opened .*--connections"):
        asyncio.run(scenario())


def test_the_limit_of_open_files_is_raised_where_it_may_be(monkeypatch: pytest.MonkeyPatch):
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    module._allow_files(100)
    assert limits == []
    module._allow_files(512)
    assert limits == [(576, 4_096)]


def test_too_low_a_limit_of_open_files_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def refuse(_: int, __: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(ContractError, match=r"512 connections need 576 open files, .* may have 256"):
        module._allow_files(512)


def test_a_stream_is_one_connection():
    with pytest.raises(ContractError, match="leave --connections or --stream away"):
        LoadConfig.parse({"connections": 2, "stream": "capture.jsonl"})
