"""A load test in a process of its own against a real server, and what its answers say."""

import asyncio
import threading
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.loadtest import page, run
from kalshi_platform.serving.loadtest.open_loop import Attempt
from kalshi_platform.serving.loadtest.result import (
    ANSWERED,
    LoadConfig,
)
from kalshi_platform.serving.loadtest.run import read_answer, run_load, usual_dataset


def test_an_answer_says_who_decided():
    group = {"tier": "tier_1", "notes": ["cached"]}
    full = {"tier": "tier_3", "notes": ["deadline", "cached"]}
    one = read_answer({"groups": [group], "timings_ms": {"fill": 0.25}})
    assert one == Attempt(ANSWERED, "tier_1", ("cached",), {"fill": 0.25})
    assert read_answer({"groups": [group, full]})[1:3] == ("mixed", ("cached", "deadline"))
    assert read_answer({"n": 4}) == Attempt(ANSWERED)


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict]]]:
    """A server on loopback that answers as ``/v1`` does and keeps what it was asked: (url, requests)."""
    asked: list[dict] = []

    async def example(_request):
        return web.json_response({"request_id": "e", "groups": [[0.5, 0.25]]})

    async def words(_request):
        return web.Response(text="<html>hello</html>")

    async def decide(request):
        body = await request.json()
        asked.append({**body, "token": request.headers.get("Authorization")})
        if len(asked) % 5 == 0:
            return web.json_response({"title": "Unprocessable"}, status=422)
        return web.json_response({"groups": [{"tier": "tier_1", "notes": []}], "timings_ms": {"total": 0.2}})

    started, stop = threading.Event(), asyncio.Event()
    place: list[str] = []
    loop = asyncio.new_event_loop()

    async def main():
        app = web.Application()
        app.router.add_get("/v1/example", example)
        app.router.add_get("/words", words)
        app.router.add_post("/v1/decide", decide)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        place.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait()
    yield place[0], asked
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_a_generator_of_its_own_process_measures_a_real_server(server, tmp_path):
    url, asked = server
    token = tmp_path / "token"
    token.write_text("secret-of-the-client")
    found = run_load(
        LoadConfig(
            url=url, rate_per_s=100, duration_s=0.5, warm_up_s=0.1, arrivals="constant", token_file=str(token)
        )
    )
    assert len(asked) == 60
    assert found.intended == 50
    assert found.answered == 40
    assert found.errors == {"status_422": 10}
    assert [t.tier for t in found.tiers] == ["tier_1"]
    assert found.stages["total"].n == 40
    assert {body["token"] for body in asked} == {"Bearer secret-of-the-client"}
    assert len({body["request_id"] for body in asked}) == 60
    assert len({tuple(body["groups"][0]) for body in asked}) == 60
    assert "secret" not in found.model_dump_json()
    assert found.rows.kind == "synthetic"  # this server describes no model
    assert found.model is None


def test_a_fixed_number_of_connections_is_told_with_those_that_were_opened_anew(server):
    url, asked = server
    found = run_load(
        LoadConfig(url=url, rate_per_s=100, duration_s=0.4, warm_up_s=0.1, arrivals="constant", connections=8)
    )
    assert len(asked) == 50
    assert (found.answered, found.reopened) == (32, 0)
    assert "over 8 open connections; 0 were ended and opened anew" in page.connection_words(found)
    assert "connections, open all the time" in page.render_load(found)


def test_a_server_that_is_not_there_is_told_with_what_to_do():
    with pytest.raises(ContractError, match="kalshi-platform serve"):
        run_load(LoadConfig(url="http://127.0.0.1:9", duration_s=1))


@pytest.mark.parametrize(("name", "fetch"), [("MODEL", run.fetch_model), ("EXAMPLE", run.fetch_example)])
def test_another_server_that_answers_is_told(server, name, fetch, monkeypatch):
    async def asked():
        async with aiohttp.ClientSession() as session:
            return await fetch(session, server[0])

    monkeypatch.setattr(run, name, "/words")
    with pytest.raises(ContractError, match=r"/words: the answer is no JSON .*: is it another server\?"):
        asyncio.run(asked())


class _State:
    manifest = None

    def __init__(self, *known: str) -> None:
        self.known, self.manifest = known, self

    def descends_from(self, digest: str) -> bool:
        return digest in self.known


def test_the_dataset_of_make_run_is_used_where_the_served_model_was_trained_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "USUAL_DATASET", tmp_path)
    monkeypatch.setattr(run.Dataset, "open", lambda _: _State("abc"))
    assert usual_dataset({"dataset_digest": "abc"}) == (str(tmp_path), "")
    for info in ({"dataset_digest": "other"}, {}, None):
        place, why = usual_dataset(info)
        assert place is None
        assert "is not the dataset of the served model" in why
    monkeypatch.undo()
    monkeypatch.setattr(run, "USUAL_DATASET", tmp_path)  # an empty folder is no dataset
    place, why = usual_dataset({"dataset_digest": "abc"})
    assert place is None
    assert "cannot be used" in why
    monkeypatch.setattr(run, "USUAL_DATASET", tmp_path / "absent")
    assert usual_dataset({"dataset_digest": "abc"}) == (None, "")


def test_rows_of_a_dataset_need_a_server_that_describes_its_model(server):
    with pytest.raises(ContractError, match="does not describe the served model"):
        run_load(LoadConfig(url=server[0], duration_s=1, dataset="d"))
