"""What a generated event promises: exact probabilities, valid books, contiguous streams, determinism."""

import numpy as np
import pytest
from made.sim_events import SHORT, assert_same_event

from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_TIME,
    SNAPSHOT,
    TRADE,
    YES,
)
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.simexchange import SimConfig, generate_event
from kalshi_platform.simulation.simexchange.generate import simulate_event

GAPPY = SimConfig(messages_per_market=400, gap_share=1.0)


@pytest.fixture(scope="module")
def default_events():
    return [simulate_event(SimConfig(gap_share=0.0), i) for i in range(12)]


def test_brackets_of_one_event_exclude_each_other_and_cover_everything(default_events):
    brackets = [e for e in default_events if e.family == "brackets"]
    assert brackets
    for event in brackets:
        assert sum(s.value_e4 for s in event.settlements) == DOLLAR_E4
        assert all(spec.mutually_exclusive for spec in event.specs)
        assert sum(
            m.fair_e4[0] for m in generate_event(SimConfig(gap_share=0.0), event.index)
        ) == pytest.approx(DOLLAR_E4, abs=1_000)


def test_every_kind_of_event_and_grid_is_generated():
    events = [simulate_event(SHORT, i) for i in range(60)]
    assert {e.family for e in events} == {"single", "nested", "brackets"}
    assert len({e.specs[0].price_ranges for e in events}) == 3


def test_prices_are_on_the_grid_and_depth_is_never_negative_nor_crossed(default_events):
    for event in default_events:
        rows = event.wire.rows
        for m, spec in enumerate(event.specs):
            own = event.wire.market == m
            priced = own & (rows.flags & FLAG_START == 0)
            assert all(spec.on_grid(p) for p in np.unique(rows.price_e4[priced]).tolist())
            assert_valid_book(*(c[own].tolist() for c in (rows.side, rows.price_e4, rows.qty_e2, rows.flags)))


def assert_valid_book(sides, prices, quantities, flags):
    depth = [{}, {}]
    for side, price, qty, flag in zip(sides, prices, quantities, flags, strict=True):
        if flag & FLAG_START:
            continue
        left = depth[side].get(price, 0) + qty
        assert left >= 0
        depth[side][price] = left
        if left == 0:
            del depth[side][price]
        if flag & FLAG_LAST and depth[YES] and depth[NO]:
            assert max(depth[YES]) + max(depth[NO]) < DOLLAR_E4


def test_sequence_numbers_are_contiguous_and_time_strictly_increases_over_all_markets(default_events):
    for event in default_events:
        rows = event.wire.rows
        last = rows.flags & FLAG_LAST != 0
        np.testing.assert_array_equal(rows.seq[last], np.arange(1, last.sum() + 1))
        assert (np.diff(rows.recv_ns[last]) > 0).all()
        spec = event.specs[0]
        assert spec.open_ns < rows.recv_ns[0]
        assert rows.recv_ns[-1] < spec.close_ns
        known = rows.exch_ns != NO_TIME
        assert (rows.exch_ns[known] < rows.recv_ns[known]).all()


def test_lost_messages_leave_a_hole_a_gap_row_in_every_market_and_new_snapshots():
    for index in range(6):
        event = simulate_event(GAPPY, index)
        last = event.wire.rows.flags & FLAG_LAST != 0
        steps = np.diff(event.wire.rows.seq[last])
        holes = steps[steps != 1]
        assert holes.size == 1
        assert (holes > 1).all()
        for market in generate_event(GAPPY, index):
            kind = market.rows.kind
            at = np.flatnonzero(kind == GAP)
            assert at.size == 1
            assert market.rows.qty_e2[at[0]] == holes[0] - 1
            after = kind[at[0] + 1 :]
            assert not (after[: np.argmax(after == SNAPSHOT)] == DELTA).any()


def test_a_snapshot_after_lost_messages_holds_what_the_lost_ones_changed():
    whole = simulate_event(GAPPY.replace(gap_share=0.0), 3)
    holed = simulate_event(GAPPY, 3)
    assert depth_at_the_end(whole) == depth_at_the_end(holed)


def depth_at_the_end(event):
    depth = {}
    rows = event.wire.rows
    for m, side, price, qty, kind, flag in zip(
        event.wire.market.tolist(),
        *(c.tolist() for c in (rows.side, rows.price_e4, rows.qty_e2, rows.kind, rows.flags)),
        strict=True,
    ):
        if flag & FLAG_START:
            depth = {k: v for k, v in depth.items() if k[0] != m}
        elif kind in (SNAPSHOT, DELTA):
            depth[m, side, price] = depth.get((m, side, price), 0) + qty
    return {k: v for k, v in depth.items() if v}


def test_a_fill_is_a_print_on_the_other_side_and_the_delta_it_caused():
    rows = generate_event(SimConfig(gap_share=0.0), 0)[0].rows
    at = np.flatnonzero(rows.kind == TRADE)
    assert at.size > 20
    assert (rows.kind[at + 1] == DELTA).all()
    assert (rows.flags[at + 1] & FLAG_FILL != 0).all()
    assert (rows.qty_e2[at] == -rows.qty_e2[at + 1]).all()
    assert (rows.side[at] == 1 - rows.side[at + 1]).all()
    no_rested = rows.side[at + 1] == NO
    own = np.where(no_rested, DOLLAR_E4 - rows.price_e4[at], rows.price_e4[at])
    np.testing.assert_array_equal(own, rows.price_e4[at + 1])


def test_a_print_between_a_gap_and_its_snapshot_is_kept_and_ends_its_message_itself():
    n_blind = 0
    for index in range(30):
        for market in generate_event(GAPPY, index):
            rows, gap = market.rows, int(np.argmax(market.rows.kind == GAP))
            blind = slice(gap + 1, gap + 1 + int(np.argmax(rows.kind[gap + 1 :] == SNAPSHOT)))
            assert (rows.kind[blind] == TRADE).all()
            assert (rows.flags[blind] == FLAG_LAST).all()
            n_blind += blind.stop - blind.start
    assert n_blind > 0


def test_fair_values_are_one_a_message():
    for market in generate_event(GAPPY, 1):
        assert market.fair_e4.size == np.count_nonzero(market.rows.flags & FLAG_LAST)
        assert ((market.fair_e4 > 0) & (market.fair_e4 < DOLLAR_E4)).all()


def test_an_event_depends_on_seed_and_index_only():
    assert_same_event(simulate_event(SHORT, 5), simulate_event(SHORT.replace(n_events=7), 5))
    other = simulate_event(SHORT.replace(seed=1), 5)
    assert other.wire.rows.qty_e2.tolist() != simulate_event(SHORT, 5).wire.rows.qty_e2.tolist()
