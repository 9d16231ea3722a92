"""The log of a paper account: what may have to be played again, and from where."""

import numpy as np

from kalshi_platform.trading.session.paper.paper_log import STRETCH, PaperLog
from kalshi_platform.trading.session.paper.paper_records import AccountState, Advanced

SLOTS = np.dtype([("cursor", "i8")])


def state(n_fills: int, cursor: int = 0) -> AccountState:
    slots = np.array([(cursor,), (cursor + 100,)], SLOTS).tobytes()
    return AccountState(b"", slots, b"", b"", n_fills, 0, 0, b"", b"")


def filled() -> PaperLog:
    log = PaperLog(state(0))
    for n in range(3 * STRETCH):
        if log.is_long:
            log.begin(state(n))
        log.add(Advanced(n, (n,)))
    return log


def test_a_stretch_begins_after_each_number_of_entries_and_is_played_with_those_behind_it():
    log = filled()
    assert (log.first, log.newest, len(log)) == (0, 2, 3 * STRETCH)
    assert [(n, s.state.n_fills, len(s.done)) for n, s in log.since(1)] == [
        (1, STRETCH, STRETCH),
        (2, 2 * STRETCH, STRETCH),
    ]


def test_what_is_certain_is_forgotten_and_numbers_go_on():
    log = filled()
    log.forget_before(1)
    assert (log.first, log.certain.n_fills, len(log)) == (1, STRETCH, 2 * STRETCH)
    log.forget_all(state(99))
    assert (log.first, log.newest, log.certain.n_fills, len(log)) == (3, 3, 99, 0)


def test_places_that_move_are_followed_in_every_state():
    log = filled()
    log.shift(SLOTS, ("cursor",), np.array([-3, 5]))
    cursors = [np.frombuffer(s.state.slots, SLOTS)["cursor"].tolist() for _, s in log.since(0)]
    assert cursors == [[-3, 105]] * 3
