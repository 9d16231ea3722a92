"""Controls: each is noted and logged; the HALT file halts, and stands against a resume."""

import json

import pytest

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.controls import HALT_FILE, SessionControls
from kalshi_platform.trading.session.watching.event_log import EventLog


class HandSwitch:
    """Account that does as it is told."""

    def __init__(self) -> None:
        self.state, self.why = RiskMode.ACTIVE, "started"
        self.orders = {"0/0/1": "KXA-1", "0/1/4": "KXA-2", "1/0/2": "KXB-1"}
        self.cancelled: list[str] = []

    def halt(self, why: str) -> None:
        self.state, self.why = RiskMode.HALTED, why

    def reduce(self, why: str) -> None:
        if self.state is RiskMode.HALTED:
            raise LimitError("trading stays HALTED: orders still rest")
        self.state, self.why = RiskMode.REDUCING, why

    def resume(self, why: str) -> None:
        self.state, self.why = RiskMode.ACTIVE, why

    def cancel(self, orders: list[str]) -> None:
        self.cancelled += orders

    def working(self) -> dict[str, str]:
        return self.orders

    def look(self) -> None:
        pass


class Desk:
    """Controls over such an account, and what they told."""

    def __init__(self, folder, switch=None) -> None:
        self.switch, self.told, self.halt_file = switch or HandSwitch(), [], folder / HALT_FILE
        self.log = EventLog(lambda: 0, folder / ".session" / "log.jsonl")
        self.controls = SessionControls(
            self.switch, lambda kind, detail: self.told.append((kind, detail)), self.log, self.halt_file
        )


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_every_control_is_a_note_and_a_line(desk, tmp_path):
    desk.controls.halt("a person")
    desk.controls.resume("calm")
    desk.controls.reduce("enough")
    desk.controls.cancel_all("tidy")
    assert [kind for kind, _ in desk.told] == [notes.SESSION_CONTROL] * 4
    assert [(d["control"], d["state"]) for _, d in desk.told] == [
        ("halt", "halted"), ("resume", "active"), ("reduce", "reducing"), ("cancel all", "reducing"),
    ]  # fmt: skip
    assert desk.told[3][1]["orders"] == list(desk.switch.orders)
    lines = [json.loads(line) for line in (tmp_path / ".session" / "log.jsonl").read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in lines[:2]] == [("halt", "warning"), ("resume", "info")]
    assert desk.log.lines[0] == "00:00:00 halt: a person; trading is halted"
    assert (desk.controls.state, desk.controls.why) == ("reducing", "enough")


def test_an_order_is_cancelled_by_its_name_or_its_market(desk):
    desk.controls.cancel_order("0/1/4")
    desk.controls.cancel_order("KXB-1")
    assert desk.switch.cancelled == ["0/1/4", "1/0/2"]
    with pytest.raises(LimitError, match=r"no order 'KXZ' works any more.*orders that work: 3"):
        desk.controls.cancel_order("KXZ")


def test_a_refused_control_is_not_told_as_done(desk):
    desk.controls.halt("a person")
    n = len(desk.told)
    with pytest.raises(LimitError, match="orders still rest"):
        desk.controls.reduce("too early")
    assert len(desk.told) == n


def test_the_halt_file_halts_once_and_stands_against_a_resume(desk):
    desk.halt_file.touch()
    desk.controls.look()
    desk.controls.look()
    assert desk.controls.state == "halted"
    assert len(desk.told) == 1
    assert str(desk.halt_file) in desk.told[0][1]["why"]
    for leave in (desk.controls.resume, desk.controls.reduce):
        with pytest.raises(LimitError, match="delete it first"):
            leave("calm")
    desk.halt_file.unlink()
    desk.controls.look()
    assert desk.controls.state == "halted"
    desk.controls.resume("calm")
    assert desk.controls.state == "active"


def test_a_session_begins_halted_where_the_file_is_there_or_the_account_is(tmp_path):
    (tmp_path / HALT_FILE).touch()
    assert Desk(tmp_path).controls.state == "halted"
    (tmp_path / HALT_FILE).unlink()
    switch = HandSwitch()
    switch.halt("the process before")
    desk = Desk(tmp_path, switch)
    assert desk.told[0][1]["control"] == "begins"
    assert desk.controls.why == "the process before"


def test_what_an_account_begins_with_is_told_though_it_is_active(tmp_path):
    switch = HandSwitch()
    switch.why = "started; the account's journal before, /a/journal.sqlite, is gone"
    desk = Desk(tmp_path, switch)
    told = {"control": "begins", "why": switch.why, "state": "active"}
    assert desk.told == [(notes.SESSION_CONTROL, told)]
    assert desk.log.lines[0] == f"00:00:00 begins: {switch.why}; trading is active"


def test_an_account_that_begins_with_nothing_to_tell_tells_nothing(desk):
    assert desk.told == []
    assert desk.log.lines == ()


def test_a_state_that_came_by_itself_is_told(desk):
    desk.switch.halt("the day's loss")
    desk.controls.look()
    assert desk.told[-1][1] == {"control": "state", "why": "the day's loss", "state": "halted"}


def test_the_end_of_a_session_is_a_note_with_the_state_of_trading(desk):
    desk.controls.tell_end("SIGTERM")
    detail = {"control": notes.CONTROL_END, "why": "SIGTERM", "state": "active"}
    assert desk.told == [(notes.SESSION_CONTROL, detail)]


def test_each_control_says_what_it_did_and_a_cancel_of_nothing_says_that(desk):
    assert desk.controls.halt("a person") == "trading is halted"
    assert desk.controls.resume("calm") == "trading is active"
    assert desk.controls.cancel_all("tidy") == "orders being cancelled: 3"
    assert desk.controls.cancel_order("0/1/4") == "the order in KXA-2 is being cancelled"
    desk.switch.orders = {}
    assert desk.controls.cancel_all("tidy") == "no order works: nothing to cancel"


def test_a_file_that_was_made_just_now_halts_before_a_control_is_refused_for_it(desk):
    desk.halt_file.symlink_to("nowhere")  # a link that leads nowhere is a file as well
    with pytest.raises(LimitError, match="trading stays HALTED"):
        desk.controls.reduce("a person")
    assert desk.controls.state == "halted"


def test_a_reason_is_one_line_that_every_disk_takes(desk):
    desk.controls.halt("half \ud800 and\nnext " + "x" * 500)
    why = desk.switch.why
    assert why.startswith("half ? and next xxx")
    assert len(why) == 300
    why.encode()
