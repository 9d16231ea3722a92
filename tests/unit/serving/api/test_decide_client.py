"""One request, repeated once by its id where the first try got no answer."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from made.http_server import served

from kalshi_platform.serving.api.decide_client import DecideClient, ServiceError


@asynccontextmanager
async def deciding(answers: list[web.Response | None], asked: list[dict]):
    """An HTTP server that gives ``answers`` one after the other; None breaks the connection."""

    async def decide(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        answer = answers.pop(0)
        if answer is None:
            request.transport.abort()
        return answer or web.Response()

    async with served("POST", "/v1/decide", decide) as url:
        yield url


@pytest.mark.parametrize("first", [None, web.json_response({}, status=503)], ids=["broken", "503"])
def test_a_request_without_an_answer_is_sent_once_more_under_its_id(first: web.Response | None) -> None:
    async def run() -> None:
        asked: list[dict] = []
        async with (
            deciding([first, web.json_response({"groups": []})], asked) as url,
            DecideClient(url) as http,
        ):
            assert await http.decide({"groups": [1]}) == {"groups": []}
        assert asked[0] == asked[1]
        assert asked[0]["request_id"]

    asyncio.run(run())


def test_a_refused_request_is_not_repeated_and_says_why() -> None:
    async def run() -> None:
        asked: list[dict] = []
        said = web.json_response({"detail": "groups.0: no such column"}, status=422)
        async with deciding([said], asked) as url, DecideClient(url) as http:
            with pytest.raises(ServiceError, match=r"answered 422 to request r-1: groups.0: no such column"):
                await http.decide({"request_id": "r-1"})
        assert len(asked) == 1

    asyncio.run(run())


def test_no_answer_twice_is_an_error() -> None:
    async def run() -> None:
        async with deciding([None, None], []) as url, DecideClient(url) as http:
            with pytest.raises(ServiceError, match="asked twice"):
                await http.decide({})

    asyncio.run(run())
