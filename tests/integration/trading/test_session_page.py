"""The page of a real session: a click halts within five seconds; a browser shows and acts."""

import asyncio
import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from made.browser import browser_tab
from made.pace import Within
from made.session_ends import assert_rest_was_told
from made.session_snapshot import (
    CALM_RISK,
    NOW_NS,
    SECOND_NS,
    calm_snapshot,
    idle_market,
    made_market,
    untraded_market,
)
from made.trading_scene import (
    CAP_S,
    SERIES,
    ThreadedExchange,
    key_in_environment,
    own_variables_only,
    registry_with_model,
    trade_until,
)

from kalshi_platform.data.market_data.capture import read_lines
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.pages.page_server import PageServer
from kalshi_platform.trading.recorder import record
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.session.controls import HALT_FILE, SessionControls
from kalshi_platform.trading.session.live_session import AskedSession
from kalshi_platform.trading.session.modes import PaperMode, SimulatedMode
from kalshi_platform.trading.session.report.session_report import write_report
from kalshi_platform.trading.session.session_config import TradingSessionConfig
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_page import SESSION_PAGE, page_controls, page_figures
from kalshi_platform.trading.session.watching.session_watch import SessionWatch

pytestmark = pytest.mark.usefixtures("outside_pause")


class PageClient:
    """A page's own script without a browser: the cookie, the Origin and the control key."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.port, self.key = parts.port, parts.fragment.partition("key=")[2]
        token = parts.query.partition("token=")[2]
        self.headers = {"Cookie": f"session_token_{self.port}={token}"}

    def ask(self, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
        """Status and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def figures(self) -> dict:
        status, text = self.ask("GET", "/figures", self.headers)
        assert status == 200
        return json.loads(text)

    def act(self, control: str) -> tuple[int, str]:
        more = {"Origin": f"http://127.0.0.1:{self.port}", "X-Control-Key": self.key}
        return self.ask("POST", f"/control/{control}", self.headers | more, "{}")


class HaltFromPage:
    """Person at the page: waits for orders that work, halts, and waits until none does."""

    def __init__(self, out: Path) -> None:
        self.out, self.error = out, None
        self.halted_ns = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            address = self.out / ".session" / "page.url"
            while not address.exists() or not address.read_text().endswith("\n"):
                time.sleep(0.05)
            page = PageClient(address.read_text().strip())
            self._halt(page)
        except BaseException as err:
            self.error = err

    def _halt(self, page: PageClient) -> None:
        while not any(market["order"] for market in page.figures().get("markets", ())):
            time.sleep(0.05)
        begun_s = time.monotonic()
        with Within(5):
            assert page.act("halt") == (200, "trading is halted\n")
            self.halted_ns = time.time_ns()
            assert page.figures()["state"] == "halted"
            while True:
                shown = page.figures()
                if shown["now_ns"] > self.halted_ns and not any(m["order"] for m in shown["markets"]):
                    break
                time.sleep(0.05)
            print(f"halted from the page: no order works after {time.monotonic() - begun_s:.2f} s")
        begun = shown["decisions"]
        while page.figures()["decisions"] < begun + 20:  # decided on and on, and nothing goes out
            time.sleep(0.05)
        self.resumed = page.act("resume")
        if self.resumed[0] == 200:
            self._halt_otherwise(page)
        scraper = {"Authorization": f"Bearer {(self.out / '.session' / 'scrape.token').read_text().strip()}"}
        self.metrics = page.ask("GET", "/metrics", scraper)[1]

    def _halt_otherwise(self, page: PageClient) -> None:
        """Halt by the file, which stands against a resume, and by the signal."""
        file = self.out / HALT_FILE
        file.touch()
        while HALT_FILE not in page.figures()["state_why"]:
            time.sleep(0.05)
        assert page.act("resume")[0] == 409
        file.unlink()
        assert page.act("resume")[0] == 200
        os.kill(os.getpid(), signal.SIGUSR1)
        while page.figures()["state_why"] != "signal SIGUSR1":
            time.sleep(0.05)


def notes_of(out: Path) -> list[dict]:
    """Notes of a recording in order."""
    lines = [json_value(line) for path in sorted(out.glob("frames/*")) for _, line in read_lines(path)]
    return [line for line in lines if "note" in line]


@pytest.mark.parametrize("mode", [PaperMode, SimulatedMode], ids=["paper", "simulated"])
def test_a_halt_from_the_page_ends_all_orders_within_five_seconds(monkeypatch, tmp_path, mode):
    own_variables_only(monkeypatch, tmp_path)
    monkeypatch.setattr(record, "_ENDING_S", CAP_S)  # on a slow machine cancels and lists take longer
    with ThreadedExchange(speed=1, tier="prestige", seed=5) as exchange:
        urls = {"rest_url": exchange.served.url, "stream_url": exchange.served.ws_url}
        wanted = AskedSession(
            mode=mode.parse(urls), config=TradingSessionConfig(told_s=1.0),
            record=RecordConfig.parse({"wanted": {"series": SERIES}}), out=tmp_path / "session",
            registry=registry_with_model(
                tmp_path / "registry", order_style="maker", order_ttl_ms=600_000, decision_interval_ms=100
            ),
            alias="challenger", minutes=CAP_S / 60, limits=RiskLimits(),
        )  # fmt: skip
        person = HaltFromPage(wanted.out)
        with key_in_environment("reader" if mode is PaperMode else "ed25519"):
            trade_until(wanted, lambda shown: person.is_done)
        resting = dict(exchange.server.venue.account.by_core)
    if person.error is not None:
        raise person.error
    told = notes_of(wanted.out)
    (ended,) = [n["detail"] for n in told if n["note"] == "session_ended"]
    assert_rest_was_told(resting, ended["problems"])
    halts = [n for n in told if n["note"] == "session_control" and n["detail"]["control"] == "halt"]
    assert halts[0]["detail"]["why"] == "a person at the page"
    later = [n for n in told if n["recv_ns"] > halts[0]["recv_ns"]]
    resumed_ns = next(
        (n["recv_ns"] for n in later if n["detail"].get("control") == "resume"), later[-1]["recv_ns"]
    )
    halted = [n for n in later if n["recv_ns"] < resumed_ns]
    assert not [n for n in halted if n["note"] == "session_order" and n["detail"].get("client_id")]
    acts = "".join("".join(n["detail"]["acts"].values()) for n in halted if n["note"] == "session_acts")
    assert acts
    assert set(acts) <= set("056")
    if mode is PaperMode:
        assert person.resumed == (200, "trading is active\n")
        assert set(write_report(wanted.out).report.difference_e6.values()) == {0}
    else:
        assert person.resumed[0] == 409
        assert "may hit new ones" in person.resumed[1]
    assert "kalshi_trade_decisions_total" in person.metrics
    log = (wanted.out / ".session" / "log.jsonl").read_text()
    assert '"event":"halt"' in log
    assert not (wanted.out / ".session" / "page.url").exists()
    assert "token" not in log


class HandAccount:
    """AccountSwitch of the session that the browser sees."""

    def __init__(self) -> None:
        self.state, self.why = RiskMode.ACTIVE, "started"
        self.cancelled: list[str] = []

    def halt(self, why: str) -> None:
        self.state, self.why = RiskMode.HALTED, why

    def reduce(self, why: str) -> None:
        self.state, self.why = RiskMode.REDUCING, why

    def resume(self, why: str) -> None:
        raise LimitError("trading stays HALTED: a cancel of all orders may hit new ones for 42 s more")

    def working(self) -> dict[str, str]:
        return {"0/0/7": "KXHIGHNY-26NOV30-T50"}

    def cancel(self, orders: list[str]) -> None:
        self.cancelled += orders

    def look(self) -> None:
        pass


def test_a_browser_shows_a_session_at_two_widths_and_its_buttons_act(tmp_path):
    stands = [idle_market(n, is_valid=n != 5, bids=(), asks=()) for n in range(1, 9)]
    stands.append(made_market(order_name="0/0/7"))
    stands.append(idle_market(9, ticker="<img src=x>"))
    stands.append(untraded_market(event="KX<img src=x>"))
    risk = {**CALM_RISK, "cash_doubts": ["free cash of shard 0 is 7; <img src=x> should leave 6"]}

    async def run() -> None:
        account = HandAccount()
        log = EventLog(time.time_ns)
        controls = SessionControls(account, lambda kind, detail: None, log, tmp_path / HALT_FILE)
        watch = SessionWatch(log, Alarms(None, time.monotonic), lambda: 0)
        log.say("note", "<img src=x onerror=alert(1)>")
        for second in range(120):
            equity_e6 = 1_000_000_000 + 150_000 * ((second * 7) % 23 - 8)
            watch.take(calm_snapshot(
                second, markets=tuple(stands), equity_e6=equity_e6, standstill=("<img src=x> is away",),
                other_orders={"kp-9": "KXGONE-1"}, risk=risk,
            ))  # fmt: skip
        now_ns = [NOW_NS + 119 * SECOND_NS]
        page = PageServer(
            SESSION_PAGE, lambda: page_figures(watch, controls, log, now_ns[0]), 0,
            controls=page_controls(controls, pytest.fail),
        )  # fmt: skip
        await page.start(tmp_path / "page.url")
        try:
            async with browser_tab() as tab:
                await tab.open(page.address, 1_400)
                await tab.until("document.querySelector('#equity polyline') !== null")
                assert await tab.ask("location.href") == f"http://127.0.0.1:{page.port}/"
                assert await tab.ask("document.querySelector('#state').textContent") == "active"
                assert await tab.ask("document.querySelectorAll('main img').length") == 0
                shown = await tab.ask("document.body.innerText")
                assert "No order goes out: <img src=x> is away" in shown
                for words in ("KXGONE-1", "T3 (event KX<img src=x>)", "not traded here", "should leave 6"):
                    assert words in shown
                lost = (
                    "[...document.querySelectorAll('#markets tr')].find(r => r.textContent.includes('lost'))"
                )
                assert "unknown" in await tab.ask(f"{lost}.textContent")
                assert "0.43" not in await tab.ask(f"{lost}.textContent")
                await tab.picture(tmp_path / "page-1400.png")
                await tab.resize(500)
                await asyncio.sleep(1.5)
                await tab.picture(tmp_path / "page-500.png")
                wide = await tab.ask("document.documentElement.scrollWidth")
                assert wide <= 500, f"the page is {wide} wide in a window of 500"
                await tab.ask("document.querySelector('#orders button').click()")
                await tab.until("document.querySelector('#answer').textContent.includes('being cancelled')")
                assert account.cancelled == ["0/0/7"]
                await tab.ask("document.querySelector('[data-control=halt]').click()")
                await tab.until("document.querySelector('#state').textContent === 'halted'")
                assert account.why == "a person at the page"
                await tab.ask("document.querySelector('[data-control=resume]').click()")
                await tab.until("document.querySelector('#answer').textContent.includes('42 s more')")
                await tab.picture(tmp_path / "page-halted.png")
                complaints = [error for error in tab.errors if "409" not in error and "favicon" not in error]
                assert complaints == []
                # Figures that nobody makes anew are said to be old, whoever still answers.
                now_ns[0] += 60 * SECOND_NS
                await tab.until("document.querySelector('#verdict').textContent.includes('60 s old')")
                now_ns[0] -= 60 * SECOND_NS
                # Another tab without the key may look and not act.
                await tab.ask("sessionStorage.clear()")
                await tab.call("Page.reload")
                await tab.until("document.querySelector('#answer').textContent.startsWith('Look only')")
                assert await tab.ask("document.querySelector('[data-control=halt]').disabled")
        finally:
            await page.close()

    asyncio.run(run())
    assert (tmp_path / "page-1400.png").stat().st_size > 30_000
