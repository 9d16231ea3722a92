"""The map of events: cells that add up, and a stated rest."""

import numpy as np
import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import play
from kalshi_platform.evaluation.judging.event_map import map_events
from kalshi_platform.evaluation.judging.summary import summarise


@pytest.fixture(scope="module")
def sample():
    return play(Foresight, random_bank(7, 2, 80), ENV, QUICK)


def test_cells_of_an_event_add_up_to_its_profit_and_return(sample):
    found, result = map_events(sample), summarise(sample, "policy", "", QUICK.bootstrap)
    assert (found.n_left_out, found.rest) == (0, None)
    known = {e.event: e for e in result.events}
    assert {row.event for row in found.rows} == set(known)
    for row in found.rows:
        assert sum(row.pnl_e6) == known[row.event].pnl_e6
        assert sum(row.returns) == pytest.approx(known[row.event].mean_return)
        assert len(row.returns) == len(found.columns)


def test_the_events_that_moved_least_are_counted_and_added_up(sample):
    whole, found = map_events(sample), map_events(sample, most=3)
    assert found.n_left_out == 4
    assert found.rest.event == "4 other events"
    assert [row.event for row in found.rows] == [row.event for row in whole.rows if row in found.rows]
    totals = {row.event: abs(sum(row.pnl_e6)) for row in whole.rows}
    shown = {row.event for row in found.rows}
    assert min(totals[name] for name in shown) >= max(v for n, v in totals.items() if n not in shown)
    cells = np.sum([row.pnl_e6 for row in (*found.rows, found.rest)], axis=0)
    np.testing.assert_array_equal(cells, np.sum([row.pnl_e6 for row in whole.rows], axis=0))
