"""What each state lets out of the actions that a policy chose."""

import numpy as np
import pytest

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.simulation.replay.execution import CANCEL
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.restraint import LEAVE, cancels, restrained

ASKED = np.array([HOLD, BUY_YES, SELL_YES, BUY_NO, SELL_NO], np.int8)


def out(state: RiskMode, works: int) -> list[int]:
    return restrained(state, ASKED, np.full(ASKED.size, works)).tolist()


@pytest.mark.parametrize("works", [HOLD, BUY_YES, SELL_NO])
def test_an_active_session_sends_what_was_asked(works):
    assert out(RiskMode.ACTIVE, works) == ASKED.tolist()


def test_a_halted_one_sends_cancels_alone():
    assert out(RiskMode.HALTED, HOLD) == [HOLD] * 5
    assert out(RiskMode.HALTED, SELL_YES) == [CANCEL] * 5


def test_a_reducing_one_sells_and_takes_back_what_would_buy():
    assert out(RiskMode.REDUCING, HOLD) == [HOLD, HOLD, SELL_YES, HOLD, SELL_NO]
    assert out(RiskMode.REDUCING, BUY_NO) == [CANCEL, CANCEL, SELL_YES, CANCEL, SELL_NO]
    assert out(RiskMode.REDUCING, SELL_YES) == [HOLD, HOLD, SELL_YES, HOLD, SELL_NO]


def test_cancels_leave_the_other_slots_alone():
    assert cancels(4, [1, 3]).tolist() == [LEAVE, CANCEL, LEAVE, CANCEL]
    assert ASKED.max() < CANCEL < LEAVE < 10  # one digit each in a recording
