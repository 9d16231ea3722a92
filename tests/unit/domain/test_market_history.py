"""What was known of a market when: the order of its facts, and the time clocks count to."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory, clock_ns_of, constant_history

SPEC = MarketSpec(ticker="M", event="E", close_ns=90, expected_expiration_ns=50)


def facts(known_ns: int | None) -> KnownFacts:
    return KnownFacts(known_ns=known_ns, price_ranges=WHOLE_CENTS)


@pytest.mark.parametrize("times", [(None, 5, 4), (None, None), ()])
def test_facts_out_of_order_are_refused(times: tuple[int | None, ...]) -> None:
    with pytest.raises(ContractError):
        MarketHistory.parse({"known": tuple(facts(t) for t in times)})


@pytest.mark.parametrize(
    ("changes", "clock_ns"),
    [
        ({}, 90),
        ({"can_close_early": True}, 50),
        ({"can_close_early": True, "expected_expiration_ns": None}, None),
        ({"category": "Sports"}, 50),  # nobody says so, but games end when they end
        ({"category": "Sports", "can_close_early": False}, 90),
    ],
)
def test_clocks_count_to_the_close_or_to_the_expected_expiration(changes: dict, clock_ns: int | None) -> None:
    assert clock_ns_of(SPEC.replace(**changes)) == clock_ns


def test_a_specification_alone_was_known_all_the_time() -> None:
    history = constant_history(SPEC)
    (known,) = history.known
    assert (known.known_ns, known.close_ns, history.close_ns) == (None, 90, 90)
