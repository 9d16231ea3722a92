"""Rows of a paper account: bursts, and what is forgotten or doubled moves the places of what is left."""

import numpy as np
from made.live import row_of

from kalshi_platform.domain.units import NO_TIME
from kalshi_platform.simulation.replay.bank import ROW_BURST_END
from kalshi_platform.simulation.replay.state import allocate
from kalshi_platform.trading.session.paper.paper_rows import PaperRows

MS = 1_000_000


def filled(n: int) -> tuple[PaperRows, np.ndarray]:
    """Rows of two slots: ``n`` of the first, each 10 ms after the one before, and one of the second."""
    rows, (_, slots) = PaperRows(2), allocate(1, 2)
    for s, count in ((0, n), (1, 1)):
        for k in range(count):
            row = row_of(10 * k * MS)
            rows.joins_burst(s, row, NO_TIME)
            rows.keep(s, row, np.asarray(slots))
    return rows, np.asarray(slots)


def times(rows: PaperRows, s: int) -> list[int]:
    return rows.rows["recv_ns"][s * rows.room : rows.end(s)].tolist()


def test_a_row_that_goes_on_with_a_burst_takes_the_mark_of_its_end_away():
    rows, slots = filled(2)
    last = rows.end(0) - 1
    assert rows.rows["state"][last] & ROW_BURST_END
    assert rows.joins_burst(0, row_of(12 * MS), NO_TIME)
    assert not rows.rows["state"][last] & ROW_BURST_END
    rows.keep(0, row_of(12 * MS), slots)
    assert not rows.joins_burst(0, row_of(40 * MS), NO_TIME)


def test_rows_before_a_place_are_forgotten_and_places_are_counted_on():
    rows, _ = filled(5)
    assert rows.n_seen == (5, 1)
    moved = rows.forget_before([3, rows.room - 1])
    assert moved.tolist() == [-3, 0]
    assert times(rows, 0) == [30 * MS, 40 * MS]
    assert rows.n_seen == (5, 1)
    assert rows.end(0, 4) == 1  # behind the fourth row that the slot ever had
    assert rows.forget_before([0, rows.room]) is None


def test_doubled_rooms_keep_every_row():
    rows, slots = filled(64)
    assert rows.is_full(0)
    before = times(rows, 0), times(rows, 1)
    assert rows.double().tolist() == [0, 64]
    assert (times(rows, 0), times(rows, 1)) == before
    assert not rows.is_full(0)
    rows.keep(0, row_of(641 * MS), slots)
    assert times(rows, 0)[-1] == 641 * MS
