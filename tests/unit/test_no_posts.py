"""The guard of the test run sees a write to another host, also where its error is swallowed."""

import asyncio
from contextlib import suppress

import aiohttp
import httpx
import pytest
from made.no_posts import is_here, no_posts


@pytest.mark.parametrize("client", [aiohttp.ClientSession, httpx.AsyncClient])
def test_a_write_to_another_host_is_refused_and_makes_the_run_fail(client):
    async def write() -> None:
        async with client() as session:
            with suppress(AssertionError):
                await session.post("https://external-api.kalshi.com/trade-api/v2/portfolio/events/orders")

    with pytest.raises(AssertionError, match=r"external-api\.kalshi\.com"), no_posts():
        asyncio.run(write())


@pytest.mark.parametrize(("host", "here"), [("127.0.0.1", True), ("localhost", True), ("10.0.0.1", False)])
def test_hosts_of_this_machine(host, here):
    assert is_here(host) is here
