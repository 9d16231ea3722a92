"""A halt and an error that come before the session wait for it."""

from types import SimpleNamespace

import pytest

from kalshi_platform.trading.session.late_session import LateSession


class HandSession:
    """Session that writes down what is asked of it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.controls = SimpleNamespace(halt=lambda why: self.done.append(f"halt: {why}"))
        self.shards = {"KXA-1": 3}
        self.frame_mono_ns = 7

    def guarded(self, work) -> None:
        try:
            work()
        except Exception as err:
            self.fail(err)

    def fail(self, error: BaseException) -> None:
        self.done.append(f"fail: {error}")


def test_a_halt_and_an_error_before_the_session_are_done_once_it_is_there():
    late, session = LateSession(), HandSession()
    late.halt("signal SIGUSR1")
    late.fail(ValueError("upkeep"))
    late.fail(ValueError("a later one"))
    assert (late.shard_of("KXA-1"), late.frame_mono_ns()) == (None, 0)
    late.take(session)
    assert session.done == ["halt: signal SIGUSR1", "fail: upkeep"]
    assert (late.shard_of("KXA-1"), late.frame_mono_ns()) == (3, 7)


def test_a_session_that_is_there_is_halted_and_ended_at_once():
    late, session = LateSession(), HandSession()
    late.take(session)
    late.halt("a person")
    late.fail(ValueError("x"))
    assert session.done == ["halt: a person", "fail: x"]


def test_a_halt_that_fails_ends_the_session(monkeypatch: pytest.MonkeyPatch):
    late, session = LateSession(), HandSession()
    late.take(session)
    monkeypatch.setattr(session.controls, "halt", lambda why: 1 / 0)
    late.halt("signal SIGUSR1")
    assert session.done == ["fail: division by zero"]
