"""Whole sessions of which something is wrong, as their plain lines tell it; trading goes on where it may."""

import signal
from collections.abc import Callable

import pytest
from made.trading_scene import (
    CAP_S,
    SERIES,
    ThreadedExchange,
    key_in_environment,
    own_variables_only,
    registry_with_model,
)

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.session.live_session import AskedSession, trade
from kalshi_platform.trading.session.modes import PaperMode, SimulatedMode
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.report.session_report import write_report
from kalshi_platform.trading.session.session_config import TradingSessionConfig

pytestmark = pytest.mark.usefixtures("outside_pause")


@pytest.fixture(scope="module")
def exchange():
    with ThreadedExchange(speed=5, tier="prestige", seed=5) as running:
        yield running


@pytest.fixture
def asked(exchange, tmp_path, monkeypatch) -> Callable[..., AskedSession]:
    """Maker of sessions at that exchange."""
    own_variables_only(monkeypatch, tmp_path)

    def make(mode=PaperMode, series=SERIES, **more) -> AskedSession:
        urls = {"rest_url": exchange.served.url, "stream_url": exchange.served.ws_url}
        return AskedSession(
            mode=mode.parse(urls), config=TradingSessionConfig(told_s=1.0),
            record=RecordConfig.parse({"wanted": {"series": series}}), out=tmp_path / "session",
            registry=registry_with_model(
                tmp_path / "registry", order_style="maker", decision_interval_ms=100
            ),
            alias="challenger", minutes=CAP_S / 60, **more,
        )  # fmt: skip

    return make


def traded(wanted: AskedSession, key: str, seen: Callable[[str], bool]) -> list[str]:
    """Lines of a session that ends as on SIGTERM once a line is ``seen``."""
    said: list[str] = []

    def look(line: str) -> None:
        said.append(line)
        if seen(line) and len([each for each in said if seen(each)]) == 1:
            signal.raise_signal(signal.SIGTERM)

    with key_in_environment(key):
        assert trade(wanted, look) == "SIGTERM", said[-5:]
    return said


@pytest.mark.timeout(900)
def test_a_disk_that_takes_no_snapshot_stops_no_trading(asked):
    wanted = asked()
    blocked = wanted.out / ".session" / "snapshot.json.partial"

    def seen(line: str) -> bool:
        if blocked.with_name("snapshot.json").exists() and not blocked.exists():
            blocked.mkdir()
        return "the view: " in line and "2 snapshots lost: trading goes on" in line

    traded(wanted, "reader", seen)
    report = write_report(wanted.out).report
    assert set(report.difference_e6.values()) == {0}


@pytest.mark.timeout(900)
def test_a_series_that_is_not_there_is_told_as_the_reason_why_no_order_goes_out(asked):
    wanted = asked(series=("KXNOSUCHSERIES",))
    said = traded(wanted, "reader", lambda line: "no order goes out: no market is followed" in line)
    assert max(map(len, said)) <= 500


@pytest.mark.timeout(900)
def test_each_order_that_a_limit_holds_back_is_told_with_the_limits_words(asked):
    wanted = asked(SimulatedMode, limits=RiskLimits.parse({"order_contracts": "0.01"}))
    words = "the newest by order_contracts: order_contracts would be"
    said = traded(wanted, "ed25519", lambda line: "not sent: " in line and words in line)
    assert max(map(len, said)) <= 500


@pytest.mark.timeout(900)
def test_an_error_of_the_session_is_told_as_what_it_is_with_the_way_to_the_report(asked, monkeypatch):
    """The recorder called it an error of the disk, and nobody said that a report can be made."""
    wanted, said = asked(), []
    monkeypatch.setattr(PaperBook, "hear", lambda book, message: 1 / 0)
    with (
        key_in_environment("reader"),
        pytest.raises(PlatformError, match=r"error of this program \(ZeroDivisionError") as told,
    ):
        trade(wanted, said.append)
    assert "make room" not in str(told.value)
    assert said[-1] == f"what was recorded is reported by: kalshi-platform trade report {wanted.out}"
    assert "<lambda>" in (wanted.out / ".session" / "log.jsonl").read_text()  # the traceback, whole
