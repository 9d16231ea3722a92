"""Alarms are told when they begin, every hour while they stand, and at their end; addresses stay secret."""

import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.recorder import alarms as module
from kalshi_platform.trading.recorder.alarms import ALERTS_VARIABLE, Alarms, alert_addresses, apprise_sender

#: Longer than a busy machine needs to send an alert, of which the first one imports modules.
PATIENCE_S = 600


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every alert take its time, at the end too."""
    monkeypatch.setattr(module, "_SEND_S", float(PATIENCE_S))
    monkeypatch.setattr(module, "_CLOSE_S", float(PATIENCE_S))


def hook(port: int) -> str:
    """Address of a server here; apprise by itself gives up after 4 s."""
    return f"json://127.0.0.1:{port}/hook?cto={PATIENCE_S}&rto={PATIENCE_S}"


def told(script) -> list[str]:
    """Titles that a script of (alarms, clock) sends."""
    titles: list[str] = []

    async def send(title: str, body: str) -> None:
        titles.append(title)

    async def run() -> None:
        now = [0.0]
        alarms = Alarms(send, lambda: now[0])
        script(alarms, now)
        await alarms.close()

    asyncio.run(run())
    return titles


def test_an_alarm_that_stands_is_told_once_and_again_after_an_hour():
    def script(alarms, now):
        for now[0] in (0, 1, 3_599, 3_600, 3_700):
            alarms.set("disk low", f"at {now[0]}")
        assert alarms.standing["disk low"].text == "at 3700"
        alarms.set("disk low", None)
        alarms.set("disk low", None)

    assert told(script) == ["recorder: disk low", "recorder: disk low goes on", "recorder: disk low is over"]


def test_an_alert_that_cannot_be_sent_is_counted_and_ends_nothing(caplog):
    async def send(title: str, body: str) -> None:
        raise RuntimeError("https://secret-token@example.org refused")

    async def run() -> Alarms:
        alarms = Alarms(send, lambda: 0.0)
        alarms.set("x", "y")
        await alarms.close()
        return alarms

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(run()).failures == 1
    assert "secret" not in caplog.text


def test_the_end_waits_only_so_long_for_an_alert_that_never_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_S", 0.05)
    begun: list[str] = []

    async def send(title: str, body: str) -> None:
        begun.append(title)
        await asyncio.Event().wait()

    async def run() -> Alarms:
        alarms = Alarms(send, lambda: 0.0)
        alarms.set("x", "y")
        await alarms.close()
        return alarms

    alarms = asyncio.run(run())
    assert begun == ["recorder: x"]
    assert (alarms.told, alarms.failures) == (0, 0), "the end came before the limit of sending"


def test_addresses_come_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "alerts"
    file.write_text("# ours\njson://localhost/a\n\n mailto://x \n")
    assert alert_addresses(file, {}) == ["json://localhost/a", "mailto://x"]
    assert alert_addresses(None, {ALERTS_VARIABLE: "json://localhost/b"}) == ["json://localhost/b"]
    assert alert_addresses(None, {}) == []
    with pytest.raises(ContractError, match="give a file of addresses"):
        alert_addresses(tmp_path / "absent", {})


def test_an_address_in_the_place_of_the_file_is_refused_without_being_shown():
    with pytest.raises(ContractError, match="write it into a file") as refused:
        alert_addresses(Path("tgram://token-abc/chat"), {})
    assert "token-abc" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:.imghdr.:DeprecationWarning")  # apprise imports it
def test_an_address_that_apprise_does_not_know_is_refused_without_being_shown(caplog):
    with pytest.raises(ContractError, match="address 2 of the alerts") as refused:
        apprise_sender(["json://localhost/", "nonsense://token-abc"])
    assert "token-abc" not in str(refused.value)
    assert "token-abc" not in caplog.text


@pytest.mark.filterwarnings("ignore:.imghdr.:DeprecationWarning")  # apprise imports it
def test_alerts_arrive_through_apprise_at_a_server():
    from aiohttp import web

    seen: list[dict] = []

    async def run() -> None:
        async def take(request: web.Request) -> web.Response:
            seen.append(await request.json())
            return web.Response()

        app = web.Application()
        app.router.add_post("/{tail:.*}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        alarms = Alarms(apprise_sender([hook(port)]), lambda: 0.0)
        alarms.set("disk low", "4 GB free")
        await alarms.close()
        await runner.cleanup()
        assert alarms.told == 1

    asyncio.run(run())
    assert (seen[0]["title"], seen[0]["message"]) == ("recorder: disk low", "4 GB free")


def test_an_alert_can_be_tried(tmp_path, receiver):
    (tmp_path / "alerts").write_text(f"# mine\n{hook(receiver.port)}\n")
    said = CliRunner().invoke(app, ["record", "alert", "it ended", "--alerts", str(tmp_path / "alerts")])
    assert said.exit_code == 0, said.output
    assert [body["message"] for body in receiver.bodies] == ["it ended"]


def test_an_alert_that_reaches_nobody_is_an_error_without_the_address(tmp_path):
    (tmp_path / "alerts").write_text("json://user:secret@127.0.0.1:9/\n")
    said = CliRunner().invoke(app, ["record", "alert", "--alerts", str(tmp_path / "alerts")])
    assert said.exit_code == 1, said.output
    assert "not every one of 1 addresses was reached" in said.output
    assert "secret" not in said.output


def test_an_alert_without_any_address_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(ALERTS_VARIABLE, raising=False)
    said = CliRunner().invoke(app, ["record", "alert"])
    assert said.exit_code == 2
    assert "nobody to tell" in said.output


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.bodies.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.bodies, server.port = [], server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()
