"""Lines for people: not more often than every few seconds, the first and the wanted ones always."""

from kalshi_platform.domain.saying import SAY_EVERY_S, Throttle


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


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
