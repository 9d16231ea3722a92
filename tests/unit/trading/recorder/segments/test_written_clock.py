"""Written times never go back, whatever the wall clock does."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.recorder.segments.written_clock import WrittenClock

S = NS_PER_SECOND


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=40), st.integers(0, 10**12)
)
def test_written_times_never_go_back(readings, not_before):
    clock = WrittenClock(not_before)
    written = [clock.at(wall, mono).recv_ns for wall, mono in readings]
    assert written == sorted(written)
    assert all(time >= not_before for time in written)


def test_a_steady_clock_is_written_as_it_is():
    clock = WrittenClock()
    assert [clock.at(100 * S + t, t) for t in (0, S, 2 * S)] == [
        (100 * S + t, None, 0) for t in (0, S, 2 * S)
    ]


def test_a_step_back_is_absorbed_at_half_speed_and_told_once():
    clock = WrittenClock()
    clock.at(100 * S, 0)
    # 1 s later the wall clock says 91 s: a step of -10 s. Written: 100 + 0.5
    assert clock.at(91 * S, S) == (100 * S + S // 2, 91 * S, -10 * S)
    # a line a second: 18 s after the step the wall clock says 108, written is 100 + 18 / 2 = 109
    for t in range(2, 19):
        at = clock.at((90 + t) * S, t * S)
    assert at == (109 * S, 108 * S, 0)
    # 1 s later the wall clock says 109, which does not go back: caught up, within 20 s = 2 x 10 s
    assert clock.at(109 * S, 19 * S) == (109 * S, None, 0)


def test_a_pause_between_lines_lets_the_wall_clock_catch_up_at_once():
    clock = WrittenClock()
    clock.at(100 * S, 0)
    clock.at(91 * S, S)
    assert clock.at(109 * S, 19 * S) == (109 * S, None, 0)


def test_a_step_forward_is_taken_at_once_and_told():
    clock = WrittenClock()
    clock.at(100 * S, 0)
    assert clock.at(161 * S, S) == (161 * S, None, 60 * S)
