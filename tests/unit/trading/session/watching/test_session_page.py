"""Figures and controls of a session's page; in a real browser at two widths (tests/integration)."""

import pytest
from made.session_snapshot import NOW_NS, calm_snapshot

from kalshi_platform.domain.errors import LimitError, PlatformError
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_page import page_controls, page_figures
from kalshi_platform.trading.session.watching.session_watch import SessionWatch


class PlainControls:
    """Controls that remember what was asked."""

    def __init__(self) -> None:
        self.state, self.why, self.asked = "active", "started", []

    def halt(self, why: str) -> str:
        self.state = "halted"
        self.asked.append(("halt", why))
        return "trading is halted"

    def reduce(self, why: str) -> str:
        raise LimitError("trading stays HALTED")

    def resume(self, why: str) -> str:
        self.asked.append(("resume", why))
        return "trading is active"

    def cancel_all(self, why: str) -> str:
        self.asked.append(("cancel all", why))
        return "no order works: nothing to cancel"

    def cancel_order(self, name: str, why: str) -> str:
        raise ZeroDivisionError("nobody foresaw it")


def test_controls_are_called_with_a_reason_of_one_short_line():
    controls = PlainControls()
    failed: list[BaseException] = []
    calls = page_controls(controls, failed.append)
    assert calls["halt"]({}) == "trading is halted"
    calls["resume"]({"why": "a\n\tb " + 300 * "x"})
    assert calls["cancel-all"]({}) == "no order works: nothing to cancel"
    with pytest.raises(LimitError, match="stays HALTED"):
        calls["reduce"]({})
    why = "a person at the page"
    assert controls.asked[0] == ("halt", why)
    assert controls.asked[1][1].startswith("page: a b xxx")
    assert len(controls.asked[1][1]) <= 206
    assert controls.asked[2:] == [("cancel all", why)]
    assert failed == []


def test_an_error_that_nobody_foresaw_is_said_and_ends_the_session():
    failed: list[BaseException] = []
    with pytest.raises(PlatformError, match=r"half done \(ZeroDivisionError.*the session ends"):
        page_controls(PlainControls(), failed.append)["cancel"]({"order": "0/0/7"})
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_state_and_log_are_of_this_moment_and_the_rest_of_the_latest_snapshot():
    log, controls = EventLog(lambda: 0), PlainControls()
    watch = SessionWatch(log, Alarms(None, lambda: 0.0), lambda: 0, lambda: 0.0)
    assert page_figures(watch, controls, log, NOW_NS)["state"] == "active"
    watch.latest = calm_snapshot()
    controls.halt("x")
    log.say("halt", "x")
    shown = page_figures(watch, controls, log, NOW_NS)
    assert (shown["state"], shown["log"], shown["asked_ns"]) == ("halted", ["00:00:00 halt: x"], NOW_NS)
    assert shown["equity_e6"] == 1_000_242_500
