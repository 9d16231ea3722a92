"""Actions: numbers and names belong together, and models of every age mean them."""

from typing import get_args

from kalshi_platform.domain import actions
from kalshi_platform.domain.config import digest_of


def test_a_name_stands_at_its_number():
    assert [getattr(actions, name) for name in actions.ACTION_NAMES] == list(range(actions.N_ACTIONS))
    assert actions.ACTION_NAMES == ("HOLD", "BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO")
    assert get_args(actions.TradeName) == actions.ACTION_NAMES[1:]


def test_the_digest_is_that_of_the_models_made_before():
    assert digest_of(actions.ACTIONS) == "5a2420edf59b"
