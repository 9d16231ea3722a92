"""Which texts a client keeps and sends again."""

import pytest

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.serving.api import frame_log
from kalshi_platform.serving.api.frame_log import FrameLog


@pytest.fixture(autouse=True)
def _cut_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_log, "_SLACK", 0)


def rest(log: FrameLog) -> list[str]:
    """Everything there is to send."""
    out = []
    while (text := log.take()) is not None:
        out.append(text)
    return out


def test_frames_are_numbered_and_sent_in_order() -> None:
    log = FrameLog(10, 10)
    assert [log.add_frame(text) for text in "abc"] == [1, 2, 3]
    assert rest(log) == ["a", "b", "c"]
    log.add_frame("d")
    assert rest(log) == ["d"]


def test_a_new_connection_is_sent_what_the_server_lacks_and_the_messages_between() -> None:
    log = FrameLog(10, 10)
    log.add_frame("a")
    log.add_message("m", "k")
    log.add_frame("b")
    log.add_frame("c")
    rest(log)
    for next_frame, expected in ((1, "ambc"), (2, "mbc"), (3, "c"), (4, "")):
        log.rewind(next_frame)
        assert "".join(rest(log)) == expected


def test_acknowledged_frames_leave_beyond_those_kept_and_the_newest_messages_stay() -> None:
    log = FrameLog(2, 10)
    for k in range(3):
        log.add_frame(f"f{k}")
        log.add_message(f"m{k}", "k")
    rest(log)
    log.acknowledge(3)
    log.add_frame("f3")
    # kept: the two newest frames, and of the messages before them the newest
    assert log.first_frame == 3
    assert rest(log) == ["f3"]
    log.rewind(1)
    assert rest(log) == ["m1", "f2", "m2", "f3"]


def test_nothing_leaves_that_was_not_acknowledged_or_not_sent() -> None:
    log = FrameLog(0, 10)
    for text in "abc":
        log.add_frame(text)
    assert log.first_frame == 1
    log.acknowledge(3)
    log.add_frame("d")
    assert (log.first_frame, rest(log)) == (1, ["a", "b", "c", "d"])
    log.add_frame("e")
    assert (log.first_frame, rest(log)) == (4, ["e"])


def test_too_many_waiting_frames_are_refused() -> None:
    log = FrameLog(10, 1)
    log.add_frame("a")
    with pytest.raises(LimitError, match="1 frames were not acknowledged"):
        log.add_frame("b")
    assert log.last_frame == 1


def test_the_newest_sent_frame_follows_what_is_taken_and_what_is_sent_again() -> None:
    log = FrameLog(keep=100, most_unacknowledged=100)
    assert log.sent_frame == 0
    for _ in range(5):
        log.add_frame("x")
    assert log.sent_frame == 0
    assert [log.take() for _ in range(3)] == ["x"] * 3
    assert log.sent_frame == 3
    log.rewind(2)
    assert log.sent_frame == 1
    log.rewind(1)
    assert log.sent_frame == 0
