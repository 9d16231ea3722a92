"""Counts of one day in a journal, with those it began with."""

import pytest
from made.plain_account import S

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.execution.day_counts import day_counts, sent_lately, set_before
from kalshi_platform.trading.execution.risk.pace import DayCounts


def test_orders_and_fills_are_added_to_those_of_the_same_day(bench):
    """By hand: one order of 10 at 0.40 that fills: 4.00 and a fee of 0.0002."""
    bench.account.next_create.append("filled")
    bench.submit()
    bench.deliver()
    journal, now_ns = bench.executor._keeper.journal, bench.clock.wall_ns()
    own = day_counts(journal, now_ns)
    assert (own.orders, own.contracts_e2, own.spend_e6) == (1, 1_000, 4_000_200)
    set_before(journal, DayCounts(now_ns // NS_PER_DAY, 5, 300, 70), [now_ns - 61 * S, now_ns - 59 * S])
    both = day_counts(journal, now_ns + S)
    assert (both.orders, both.contracts_e2, both.spend_e6) == (6, 1_300, 4_000_270)
    assert sent_lately(journal, now_ns) == [now_ns - 59 * S, now_ns]
    later = day_counts(journal, now_ns + NS_PER_DAY)
    assert (later.orders, later.contracts_e2, later.spend_e6) == (0, 0, 0)


@pytest.mark.parametrize("text", ["[1, 2]", "{", "[1, 2, 3, 4.5]", "3"])
def test_counts_that_cannot_be_are_damage(bench, text):
    journal = bench.executor._keeper.journal
    journal.set_meta("day_before", text)
    with pytest.raises(DataError, match=r"day_before (is|has)"):
        day_counts(journal, bench.clock.wall_ns())
