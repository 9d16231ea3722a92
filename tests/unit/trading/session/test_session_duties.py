"""Views that fail and trading that goes on; errors of a session in words."""

import asyncio
import errno
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from made.session_snapshot import calm_snapshot

from kalshi_platform.domain.errors import LimitError, PlatformError
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session import session_duties
from kalshi_platform.trading.session.repeated_problems import QUIET_NS, RepeatedProblems
from kalshi_platform.trading.session.session_duties import SessionViews, _told_error
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_watch import SessionWatch


class ViewScene:
    """Views of a session of which nothing runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, screen=None) -> None:
        self.said: list[str] = []
        problems: dict[str, str] = {}
        self.now_ns = 0
        clock = SimpleNamespace(wall_ns=lambda: self.now_ns)
        self.session = SimpleNamespace(
            core=SimpleNamespace(
                problems=problems, repeated=RepeatedProblems(problems), counters=Counter()
            ),
            log=EventLog(lambda: 0, folder / ".session" / "log.jsonl"),
            recorder=SimpleNamespace(out=folder, clock=clock),
        )  # fmt: skip
        monkeypatch.setattr(
            session_duties, "snapshot_of",
            lambda session, alias, counts: calm_snapshot(
                problems=dict(session.core.problems), refused={}, counters=dict(counts)
            ),
        )  # fmt: skip
        asked = SimpleNamespace(out=folder, alias="challenger", config=SimpleNamespace(told_s=1.0))
        decider = SimpleNamespace(fallbacks=2, tiers={"none": 5})
        watch = SessionWatch(EventLog(lambda: 0), Alarms(None, lambda: 0.0), lambda: 0, lambda: 0.0)
        self.views = SessionViews(asked, self.session, decider, watch, self.tell, screen)
        self.file = folder / ".session" / "snapshot.json"

    def tell(self, line: str) -> None:
        self.said.append(line)

    def show(self) -> dict[str, str]:
        """Problems after one more view."""
        asyncio.run(self.views.show())
        return self.session.core.problems


def test_a_disk_that_takes_no_snapshot_is_a_problem_counted_told_and_over(tmp_path, monkeypatch):
    scene = ViewScene(tmp_path, monkeypatch)
    assert scene.show() == {}
    assert json.loads(scene.file.read_text())["counters"] == {"fallbacks": 2, "decided_by_none": 5}
    blocked = scene.file.with_name("snapshot.json.partial")
    blocked.mkdir()
    assert "1 snapshots lost: trading goes on" in scene.show()["the view"]
    assert "2 snapshots lost: trading goes on" in scene.show()["the view"]
    assert scene.session.core.counters["snapshots_not_written"] == 2
    assert any("the view: " in line for line in scene.said)
    blocked.rmdir()
    assert scene.show() == {}


def test_a_terminal_that_takes_no_line_is_a_problem(tmp_path, monkeypatch):
    scene = ViewScene(tmp_path, monkeypatch)

    def full(line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    scene.views._tell = full
    assert "stderr takes nothing (No space left on device), 1 lines lost" in scene.show()["the terminal"]
    scene.views._tell = scene.tell
    assert scene.show() == {}


def test_lines_that_the_log_lacks_are_a_problem(tmp_path, monkeypatch):
    scene = ViewScene(tmp_path, monkeypatch)
    (tmp_path / ".session").mkdir()
    (tmp_path / ".session" / "log.jsonl").mkdir()
    scene.session.log.say("start", "x")
    assert "did not take 1 lines of log.jsonl" in scene.show()["the log"]


def test_a_problem_that_came_once_is_over_in_the_views_after_a_while(tmp_path, monkeypatch):
    scene = ViewScene(tmp_path, monkeypatch)
    scene.session.core.repeated.add("a frame was refused", "no sid", 0)
    scene.now_ns = QUIET_NS
    assert "no sid" in scene.show()["a frame was refused"]
    scene.now_ns += 1
    assert scene.show() == {}


def test_an_open_screen_gets_the_snapshot_and_no_line_is_told(tmp_path, monkeypatch):
    drawn: list[str] = []
    screen = SimpleNamespace(is_open=True, show=drawn.append)
    scene = ViewScene(tmp_path, monkeypatch, screen)
    (tmp_path / ".session").mkdir()
    (tmp_path / ".session" / "snapshot.json.partial").mkdir()  # a full disk hides nothing from the screen
    scene.show()
    assert json.loads(drawn[0])["model"] == "tiny-2f9c"
    assert scene.said == []


def test_an_error_that_nobody_foresaw_is_a_sentence_and_stands_whole_in_the_log(tmp_path, monkeypatch):
    scene = ViewScene(tmp_path, monkeypatch)
    try:
        print(1 / 0)
    except ZeroDivisionError as err:
        told = _told_error(scene.session, err)
    assert isinstance(told, PlatformError)
    assert "ZeroDivisionError: division by zero" in str(told)
    assert "disk" not in str(told)
    log = (tmp_path / ".session" / "log.jsonl").read_text()
    assert "print(1 / 0)" in log
    meant = LimitError("not confirmed")
    assert _told_error(scene.session, meant) is meant
