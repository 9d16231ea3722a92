"""The page: loopback, Host, Origin and token are checked; a real browser shows the figures."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from made.browser import browser_tab
from made.pace import Within
from made.recorder import ScriptedReads, ScriptedStream

from kalshi_platform.domain.errors import ContractError, LimitError, StorageError
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.pages import page_server
from kalshi_platform.trading.pages.connections import MOST_CONNECTIONS
from kalshi_platform.trading.pages.page_server import PageServer
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.page.view import RECORDER_PAGE, figures
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.settings import RecordConfig


def with_page(tmp_path: Path, script) -> Any:
    async def run() -> Any:
        page = PageServer(RECORDER_PAGE, lambda: {"frames": 7}, 0)
        await page.start(tmp_path / "page.url")
        try:
            async with aiohttp.ClientSession() as session:
                return await script(page, session)
        finally:
            await page.close()

    return asyncio.run(run())


def test_the_token_opens_the_page_once_and_then_lives_in_a_cookie(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            answer = await browser.get(page.address)
            assert answer.status == 200
            assert str(answer.url) == f"http://127.0.0.1:{page.port}/"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            found = await browser.get(f"http://127.0.0.1:{page.port}/figures")
            assert await found.json() == {"frames": 7}
        first = await session.get(page.address, allow_redirects=False)
        cookie = first.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie

    with_page(tmp_path, script)
    assert stat.S_IMODE((tmp_path / "page.url").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_foreign_host_or_origin_is_refused_even_with_the_token(tmp_path, headers, status):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        address = page.address.replace("/?", "/figures?")
        assert (await session.get(address, headers=headers)).status == status

    with_page(tmp_path, script)


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong"])
def test_nothing_is_shown_without_the_token(tmp_path, query):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        for path in ("/", "/figures"):
            answer = await session.get(f"http://127.0.0.1:{page.port}{path}{query}")
            assert answer.status == 401
            assert "7" not in await answer.text()

    with_page(tmp_path, script)


def test_a_port_that_is_taken_is_refused_with_what_to_do(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        with pytest.raises(ContractError, match="give another port"):
            await PageServer(RECORDER_PAGE, dict, page.port).start(tmp_path / "other.url")

    with_page(tmp_path, script)


def test_a_browser_shows_a_running_recording(tmp_path):
    async def run() -> None:
        config = RecordConfig.parse({"wanted": {"series": ["KXDEMO"]}, "journal": {"commit_s": 0.05}})
        recorder = Recorder(
            tmp_path / "out", config, ScriptedStream, ScriptedReads(), SystemClock(),
            Alarms(None, asyncio.get_running_loop().time), simulated=True,
        )  # fmt: skip
        page = PageServer(RECORDER_PAGE, lambda: figures(recorder), 0)
        async with browser_tab() as tab:
            await page.start(tmp_path / "page.url")
            work = asyncio.create_task(recorder.run())
            sending = asyncio.create_task(send_deltas(recorder))
            try:
                await tab.open(page.address, 1_400)
                await tab.until("document.body.innerText.includes('nothing is missing that is not shown')")
                await tab.until("document.body.innerText.includes('KXDEMO-26DEC01-T50')")
                await tab.until("document.body.innerText.includes('2 of 2')")
                await tab.until("document.querySelector('polyline') !== null")
                await tab.picture(tmp_path / "page.png")
                assert [error for error in tab.errors if "favicon" not in error] == []
            finally:
                sending.cancel()
                recorder.stop("test")
                await work
                await page.close()

    asyncio.run(run())
    assert (tmp_path / "page.png").stat().st_size > 20_000


async def send_deltas(recorder: Recorder) -> None:
    """Send deltas of two markets until cancelled."""
    stream: Any = recorder.stream
    while True:
        for n in range(40):
            if len(recorder.follower.books) >= 2:
                stream.delta(stream.tickers[n % 2], by="1.00")
        await asyncio.sleep(0.1)


def test_a_cookie_that_is_no_text_is_refused_like_any_other(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        host = f"Host: 127.0.0.1:{page.port}\r\n".encode()
        cookie = f"Cookie: recorder_token_{page.port}".encode()
        head = b"GET /figures HTTP/1.1\r\n" + host + cookie + b"=\xff\xfe\r\nConnection: close\r\n"
        writer.write(head + b"\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    assert with_page(tmp_path, script).startswith(b"HTTP/1.1 401")


def test_connections_that_ask_nothing_are_ended_and_never_take_the_recorders_files(tmp_path, monkeypatch):
    monkeypatch.setattr(page_server, "SILENT_S", 0.3)

    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        held = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(MOST_CONNECTIONS + 20)]
        begun = await asyncio.gather(*(reader.read() for reader, _ in held), return_exceptions=True)
        assert all(answer == b"" or isinstance(answer, ConnectionError) for answer in begun)
        assert page.refused == MOST_CONNECTIONS + 20
        for _, writer in held:
            writer.close()
        answer = await session.get(page.address.replace("/?", "/figures?"))
        assert answer.status == 200

    with_page(tmp_path, script)


def test_a_client_that_sends_its_request_byte_by_byte_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(page_server, "SILENT_S", 0.3)

    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        ended = asyncio.create_task(reader.read())
        for byte in b"GET /figures HTTP/1.1\r\n" * 1_000:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        (answer,) = await asyncio.gather(ended, return_exceptions=True)
        assert answer == b"" or isinstance(answer, ConnectionError)
        writer.close()

    with_page(tmp_path, script)


def test_a_request_may_be_followed_by_another_long_after(tmp_path, monkeypatch):
    monkeypatch.setattr(page_server, "SILENT_S", 0.2)

    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        for _ in range(2):
            answer = await session.get(page.address.replace("/?", "/figures?"))
            assert await answer.json() == {"frames": 7}
            await asyncio.sleep(0.5)
        assert page.refused == 0

    with_page(tmp_path, script)


class Desk:
    """Controls that count."""

    def __init__(self) -> None:
        self.done: list[dict] = []

    def halt(self, values) -> str:
        self.done.append(dict(values))
        return "trading is halted"

    def resume(self, values) -> str:
        raise LimitError("trading stays HALTED: orders still rest")


def with_controls(tmp_path: Path, script) -> Desk:
    desk = Desk()

    async def run() -> None:
        page = PageServer(
            RECORDER_PAGE, dict, 0, controls={"halt": desk.halt, "resume": desk.resume},
            metrics=lambda: "kalshi_trade_info 1\n",
        )  # fmt: skip
        await page.start(tmp_path / "page.url", tmp_path / "scrape.token")
        try:
            async with aiohttp.ClientSession() as session:
                await script(page, session)
        finally:
            await page.close()

    asyncio.run(run())
    return desk


def good(page: PageServer) -> dict[str, str]:
    """Headers of the page's own script: cookie, Origin, control key."""
    token, key = page.address.partition("token=")[2].split("#key=")
    origin = f"http://127.0.0.1:{page.port}"
    return {"Cookie": f"recorder_token_{page.port}={token}", "Origin": origin, "X-Control-Key": key}


def test_a_control_acts_with_cookie_origin_and_key(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        url = f"http://127.0.0.1:{page.port}/control/"
        async with session.post(url + "halt", headers=good(page), json={"why": "x"}) as answer:
            assert (answer.status, await answer.text()) == (200, "trading is halted\n")
        async with session.post(url + "resume", headers=good(page)) as answer:
            assert (answer.status, await answer.text()) == (409, "trading stays HALTED: orders still rest\n")
        async with session.post(url + "sell", headers=good(page)) as answer:
            assert answer.status == 404

    assert with_controls(tmp_path, script).done == [{"why": "x"}]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"X-Control-Key": None}, 403),  # a form of a foreign page cannot set a header
        ({"X-Control-Key": "wrong"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),  # another port is the same site to a cookie
        ({"Host": "evil.example"}, 403),  # a name that was made to point here
        ({"Cookie": None}, 401),
        ({"Cookie": "recorder_token=x"}, 401),
    ],
)
def test_a_control_is_refused_where_one_of_them_is_missing_or_foreign(tmp_path, changes, status):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        headers = {name: v for name, v in (good(page) | changes).items() if v is not None}
        url = f"http://127.0.0.1:{page.port}/control/halt"
        assert (await session.post(url, headers=headers)).status == status
        assert page.refused == 1

    assert with_controls(tmp_path, script).done == []


def test_a_token_in_the_address_or_a_scrape_token_acts_on_nothing_and_no_get_does(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        url, headers = f"http://127.0.0.1:{page.port}/control/halt", good(page)
        token = headers.pop("Cookie").partition("=")[2]
        assert (await session.post(f"{url}?token={token}", headers=headers)).status == 401
        scraper = {"Authorization": f"Bearer {(tmp_path / 'scrape.token').read_text().strip()}"}
        assert (await session.post(url, headers=headers | scraper)).status == 401
        for method in ("GET", "HEAD"):
            assert (await session.request(method, url, headers=good(page))).status == 405
        for method in ("PUT", "DELETE", "OPTIONS"):
            assert (
                await session.request(method, url, headers={"Origin": "http://evil.example"})
            ).status == 403

    assert with_controls(tmp_path, script).done == []


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"why": 1}', b"\xff", b'"x"'])
def test_a_body_that_is_no_object_of_strings_is_refused(tmp_path, body):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        url = f"http://127.0.0.1:{page.port}/control/halt"
        assert (await session.post(url, headers=good(page), data=body)).status == 400
        assert (await session.post(url, headers=good(page), data=b"x" * 5_000)).status in (400, 413)

    assert with_controls(tmp_path, script).done == []


def test_metrics_take_the_scrape_token_which_opens_nothing_else(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        base = f"http://127.0.0.1:{page.port}"
        path = tmp_path / "scrape.token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        scraper = {"Authorization": f"Bearer {path.read_text().strip()}"}
        async with session.get(base + "/metrics", headers=scraper) as answer:
            assert (answer.status, await answer.text()) == (200, "kalshi_trade_info 1\n")
        assert (await session.get(base + "/metrics")).status == 401
        assert (await session.get(base + "/metrics", headers={"Authorization": "Bearer x"})).status == 401
        for place in ("/", "/figures"):
            assert (await session.get(base + place, headers=scraper)).status == 401

    with_controls(tmp_path, script)


def test_the_control_key_is_in_no_answer_and_no_request_carries_it_by_itself(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        headers = good(page)
        key = headers.pop("X-Control-Key")
        for place in ("/", "/figures", "/metrics"):
            async with session.get(f"http://127.0.0.1:{page.port}{place}", headers=headers) as answer:
                assert answer.status == 200
                assert key not in await answer.text() + str(answer.headers)
        assert page.address.partition("#")[2] == f"key={key}"

    with_controls(tmp_path, script)


def test_a_body_in_a_character_set_that_nobody_knows_is_refused(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        headers = {**good(page), "Content-Type": "application/json; charset=nobody"}
        url = f"http://127.0.0.1:{page.port}/control/halt"
        assert (await session.post(url, headers=headers, data=b"{}")).status == 400

    assert with_controls(tmp_path, script).done == []


def test_an_error_of_the_disk_is_an_answer_in_words(tmp_path):
    async def script(page: PageServer, session: aiohttp.ClientSession) -> None:
        def full(values) -> str:
            raise StorageError("the disk is full")

        page._controls["halt"] = full
        url = f"http://127.0.0.1:{page.port}/control/halt"
        async with session.post(url, headers=good(page), json={}) as answer:
            assert (answer.status, await answer.text()) == (409, "the disk is full\n")

    with_controls(tmp_path, script)


def test_a_stranger_who_never_sends_the_rest_of_a_request_holds_no_end_up(tmp_path):
    """Without a bound the server reads on for 10 s, and the session's report waits."""

    async def run() -> None:
        page = PageServer(RECORDER_PAGE, dict, 0, controls={"halt": lambda values: ""})
        await page.start(tmp_path / "page.url")
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(f"POST /control/halt HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n".encode())
        writer.write(b"Content-Length: 4000\r\n\r\n{")
        assert b" 403 " in await reader.readline()
        with Within(5):
            await page.close()
        writer.close()

    asyncio.run(run())


def test_the_file_of_the_address_is_never_one_that_somebody_else_made(tmp_path, monkeypatch):
    """Between the removal of an old file and the making of the new one another user may make one."""
    theirs = tmp_path / "theirs"
    theirs.touch(0o666)
    removed = Path.unlink

    def removed_and_planted(path: Path, missing_ok: bool = False) -> None:
        removed(path, missing_ok=missing_ok)
        if path.name == "page.url":
            os.symlink(theirs, path)

    monkeypatch.setattr(Path, "unlink", removed_and_planted)

    async def run() -> None:
        page = PageServer(RECORDER_PAGE, dict, 0)
        try:
            with pytest.raises(FileExistsError):
                await page.start(tmp_path / "page.url")
        finally:
            await page.close()

    asyncio.run(run())
    assert theirs.read_text() == ""
