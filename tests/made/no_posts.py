"""Guard of every test run: no write to a host that is not this machine, whoever swallows its error."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import aiohttp
import httpx
import pytest

_READS = ("GET", "HEAD", "OPTIONS")


def is_here(host: str) -> bool:
    """True for a name or address of this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def no_posts() -> Iterator[list[str]]:
    """Refuse every write of aiohttp and httpx to another host, and fail at the end where one was tried.

    Yields those that were tried.
    """
    tried: list[str] = []

    def check(method: str, host: str | None, url: object) -> None:
        if method.upper() not in _READS and not is_here(host or ""):
            tried.append(f"{method} {url}")
            raise AssertionError(f"a test sent {tried[-1]}")

    ours = aiohttp.ClientSession._request

    async def request_ours(self: Any, method: str, url: Any, **options: Any) -> aiohttp.ClientResponse:
        whole = self._build_url(url)
        check(method, whole.host, whole)
        return await ours(self, method, url, **options)

    asynchronous, plain = httpx.AsyncHTTPTransport.handle_async_request, httpx.HTTPTransport.handle_request

    async def handle_async(self: Any, request: httpx.Request) -> httpx.Response:
        check(request.method, request.url.host, request.url)
        return await asynchronous(self, request)

    def handle(self: Any, request: httpx.Request) -> httpx.Response:
        check(request.method, request.url.host, request.url)
        return plain(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.ClientSession, "_request", request_ours)
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
        patch.setattr(httpx.HTTPTransport, "handle_request", handle)
        yield tried
    assert tried == [], f"tests wrote to other hosts: {tried}"
