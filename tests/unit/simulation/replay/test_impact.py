"""Size that a slot took: remembered while the price is displayed, never more than is displayed."""

import pytest
from made.replay_bank import bank_of, book, market, rows_of

from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay import impact
from kalshi_platform.simulation.replay.impact import ASK, BID
from kalshi_platform.simulation.replay.state import allocate

PARAMS = EnvConfig(n_slots=1, unknown_fill_e2=150).execution
COMPILED = pytest.mark.parametrize("compiled", [True, False], ids=["numba", "python"])


def kernels(compiled):
    names = ("forget_impact", "remember", "refresh_impact", "free_e2", "taken_e2")
    return [k if compiled else k.py_func for k in (getattr(impact, name) for name in names)]


def slot_and_rows(*books):
    _, slots = allocate(1, 1)
    impact.forget_impact(slots[0, 0])
    return slots[0, 0], bank_of(market(rows_of(*books))).arrays.rows


@COMPILED
def test_what_was_taken_is_gone_while_it_is_displayed(compiled):
    _, remember, refresh, free, taken = kernels(compiled)
    asks = [((5_000, 300), (5_100, 70)), ((5_000, 200),), ((5_000, 900),), ((5_200, 10),), ((5_000, 300),)]
    slot, rows = slot_and_rows(*[book(k, (), a) for k, a in enumerate(asks)])
    remember(slot, ASK, 5_000, 250)
    remember(slot, ASK, 5_100, 70)
    seen = []
    for row in rows:
        refresh(row, slot)
        seen.append((taken(slot, ASK, 5_000), free(row, slot, ASK, 0, PARAMS), int(slot.n_taken)))
    # 2.50 of 3 are gone; no more than the 2 displayed; 7 more came; the price went; it came back fresh
    assert seen == [(250, 50, 2), (200, 0, 1), (200, 700, 1), (0, 10, 0), (0, 300, 0)]


@COMPILED
def test_an_unknown_size_gives_the_stated_cap_once(compiled):
    _, remember, refresh, free, _ = kernels(compiled)
    slot, rows = slot_and_rows(book(0, ((4_000, -1),)), book(1, ((4_000, -1),)))
    assert free(rows[0], slot, BID, 0, PARAMS) == 150
    remember(slot, BID, 4_000, 150)
    refresh(rows[1], slot)
    assert free(rows[1], slot, BID, 0, PARAMS) == 0


@COMPILED
def test_the_sides_are_apart_and_can_be_forgotten(compiled):
    forget, remember, _, _, taken = kernels(compiled)
    slot, _ = slot_and_rows(book(0), book(1))
    remember(slot, BID, 5_000, 10)
    assert (taken(slot, BID, 5_000), taken(slot, ASK, 5_000)) == (10, 0)
    forget(slot)
    assert (taken(slot, BID, 5_000), int(slot.n_taken)) == (0, 0)
