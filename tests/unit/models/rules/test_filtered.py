"""A policy behind the trading filter: its actions stand where no rule speaks."""

import numpy as np
from made.replay_bank import Script, bank_of, book, market, rows_of

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.models.rules.filtered import Filtered, ReplayFilter


class BuysYes:
    """Wants YES everywhere."""

    def act(self, flat, rows):
        return np.full(rows.shape, BUY_YES, np.int8)


def crossed_after_a_second():
    sound, crossed = ([(4_000, 100)], [(4_200, 100)]), ([(4_300, 100)], [(4_200, 100)])
    rows = rows_of(*(book(t_s, *(crossed if t_s == 1 else sound)) for t_s in range(4)))
    return Script(
        bank_of(market(rows, "A"), market(rows_of(*(book(t, *sound) for t in range(4))), "B")), (0, 1)
    )


def test_only_the_slot_of_which_a_rule_speaks_is_taken_from_the_policy():
    script = crossed_after_a_second()
    policy = Filtered(BuysYes(), script.vector)
    assert policy.act(script.flat, script.rows).tolist() == [[BUY_YES, BUY_YES]]
    script.step(HOLD, HOLD)
    while script.slot().cursor < 1:
        script.step(HOLD, HOLD)
    found = policy.act(script.flat, script.rows)
    assert found.tolist() == [[HOLD, BUY_YES]]
    assert found.dtype == np.int8
    assert policy.filter.by_reason() == {"crossed": 1}


def test_an_environment_without_a_market_in_a_slot_is_left_alone():
    script = crossed_after_a_second()
    while not any(script.step(HOLD, HOLD)):
        pass
    looked = ReplayFilter(script.vector)
    assert looked.look().tolist() == [[-1, -1]]
    assert looked.by_reason() == {}
