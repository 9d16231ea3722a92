"""Lines for people: stages, details and passing lines, not more often than every few seconds."""

import pytest

from kalshi_platform.domain.saying import (
    SAY_EVERY_S,
    Countdown,
    Teller,
    Throttle,
    detail,
    note,
    passing,
    silent,
    time_words,
)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Ear(Teller):
    """Keeps every line with its kind."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __call__(self, line: str) -> None:
        self.heard.append(("stage", line))

    def note(self, line: str) -> None:
        self.heard.append(("note", line))

    def detail(self, line: str) -> None:
        self.heard.append(("detail", line))

    def passing(self, line: str) -> None:
        self.heard.append(("passing", line))


def due_at(throttle: Throttle, clock: Clock, *seconds: float) -> list[float]:
    """Those of ``seconds`` since the start at which a line is due."""
    found = []
    for at_s in seconds:
        clock.now_s = 100.0 + at_s
        if throttle.is_due():
            found.append(at_s)
    return found


def test_a_line_is_due_at_once_and_then_after_every_pause():
    clock = Clock()
    assert SAY_EVERY_S == 5.0
    assert due_at(Throttle(clock_s=clock), clock, 0, 1, 4.9, 5, 9, 9.9, 12, 16, 17) == [0, 5, 12, 17]


def test_a_line_that_waits_first_is_due_after_the_first_pause():
    clock = Clock()
    assert due_at(Throttle(2, wait_first=True, clock_s=clock), clock, 0, 1.9, 2, 3, 4) == [2, 4]


def test_a_wanted_line_is_due_and_begins_a_pause():
    clock = Clock()
    throttle = Throttle(clock_s=clock)
    assert due_at(throttle, clock, 0) == [0]
    clock.now_s = 103.0
    assert throttle.is_due(force=True)
    assert due_at(throttle, clock, 5, 7.9, 8) == [8]


def test_who_tells_kinds_apart_hears_them_and_a_plain_function_hears_notes_and_details_as_stages():
    ear, plain = Ear(), []
    for say in (ear, plain.append):
        say("built")
        note(say)("registry: r")
        detail(say)("policy: seed 0")
        passing(say)("1 of 9")
    assert ear.heard == [
        ("stage", "built"),
        ("note", "registry: r"),
        ("detail", "policy: seed 0"),
        ("passing", "1 of 9"),
    ]
    assert plain == ["built", "registry: r", "policy: seed 0"]  # a passing line waits for its first pause
    assert detail(silent) is silent


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        # Nobody knows how much of the first 10 s was compilation.
        ([0, 20], "building: 20 of 100 rows"),
        # 10 s for 20 of 100: 60 are left, 30 s.
        ([0, 20, 40], "building: 40 of 100 rows, 30 s left"),
        # 60 were there; 10 more took 10 s, so the last 30 take 30 s.
        ([60, 70], "building: 70 of 100 rows, 30 s left"),
        # 10 s for 2 of 100: 96 are left, 480 s.
        ([0, 2, 4], "building: 4 of 100 rows, 8 min left"),
        ([0, 0], "building: 0 of 100 rows"),
        ([0, 100], "building: 100 of 100 rows"),
    ],
)
def test_a_countdown_says_what_is_done_and_how_long_the_rest_takes(steps, last):
    clock, ear = Clock(), Ear()
    show = Countdown(ear, "building", clock)
    for done in steps:
        show(done, 100, "rows")
        clock.now_s += 10.0
    assert ear.heard[-1] == ("passing", last)


def test_seconds_become_minutes_from_two_minutes_on():
    assert [time_words(s) for s in (0.4, 119.4, 120, 3600)] == ["0 s", "119 s", "2 min", "60 min"]
