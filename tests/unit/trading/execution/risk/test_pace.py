"""Pace and days."""

from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND
from kalshi_platform.trading.execution.risk.pace import DayCounts, Pace

S = NS_PER_SECOND


def test_orders_leave_the_second_and_the_minute_at_their_ends():
    pace = Pace()
    for at in (0, S // 2, 10 * S):
        pace.sent(at)
    assert pace.within(10 * S) == (1, 3)
    assert pace.within(60 * S) == (0, 2)  # the first was sent exactly a minute ago
    assert pace.within(61 * S) == (0, 1)


def test_a_later_day_begins_empty_and_an_earlier_one_does_not():
    day = DayCounts().at(5 * NS_PER_DAY)
    day.orders = 7
    assert day.at(6 * NS_PER_DAY - 1).orders == 7
    assert day.at(4 * NS_PER_DAY).orders == 7
    assert day.at(6 * NS_PER_DAY).orders == 0
