"""What a client of a stream may say of itself: numbers the kernels can take, accounts that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.capture import MAX_TIME_NS
from kalshi_platform.data.market_data.faults import MAX_QTY_E2
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.messages import AccountMessage, Holding, OpenMessage

ACCOUNT = {"type": "account", "cash_e6": 100}


@pytest.mark.parametrize(
    ("holding", "named"),
    [
        ({"cost_e6": 5}, "cost_e6=5"),
        ({"opened_ns": 7}, "opened_ns=7"),
        ({"position_e2": 100, "cost_e6": 5}, "position_e2=100 without opened_ns"),
        (
            {"position_e2": 100, "opened_ns": 1_795_400_000_000},
            "opened_ns = .* looks like milliseconds: as ns",
        ),
        ({"position_e2": MAX_QTY_E2 + 1, "opened_ns": 1}, "position_e2"),
        ({"position_e2": 1.0, "opened_ns": 1}, "position_e2"),
        ({"position_e2": True, "opened_ns": 1}, "position_e2"),
        ({"resting": {"action": "HOLD", "price_e4": 1, "qty_e2": 1}}, "resting.action"),
        ({"resting": {"action": "BUY_YES", "price_e4": 10_000, "qty_e2": 1}}, "resting.price_e4"),
        ({"resting": {"action": "BUY_YES", "price_e4": 5_000, "qty_e2": 0}}, "resting.qty_e2"),
    ],
)
def test_a_holding_that_cannot_be_is_refused_by_name(holding, named):
    with pytest.raises(ContractError, match=named):
        Holding.parse(holding)


def test_nothing_is_held_where_nothing_is_said():
    assert Holding.parse({}) == Holding()
    assert AccountMessage.parse(ACCOUNT).markets == {}


def test_a_position_of_no_has_a_sign():
    assert (
        Holding.parse({"position_e2": -100, "cost_e6": 5, "opened_ns": 1_795_400_000 * 10**9}).position_e2
        == -100
    )


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_no_more_can_be_reserved_than_there_is(cash, reserved):
    said = {"type": "account", "cash_e6": cash, "reserved_e6": reserved}
    if reserved <= cash:
        assert AccountMessage.parse(said).reserved_e6 == reserved
    else:
        with pytest.raises(ContractError, match=f"reserved_e6={reserved} exceeds"):
            AccountMessage.parse(said)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"first_frame": -1}, "first_frame"),
        ({"decision_interval_ms": 86_400_001}, "decision_interval_ms"),
        ({"session": "x" * 65}, "session"),
        ({"markets": [{"ticker": "A", "event": "E", "close_ns": MAX_TIME_NS}]}, r"markets\.0\.close_ns"),
        ({"markets": [{"ticker": "A", "event": "E", "open_ns": -1}]}, r"open_ns"),
        (
            {"markets": [{"ticker": "A", "event": "E", "close_ns": 2_000_000_000}]},
            r"markets\.0\.close_ns = 2000000000 looks like seconds: as ns it is 1970-.*multiply by 1e9",
        ),
        (
            {"markets": [{"ticker": "A", "event": "E", "fee_multiplier_e6": 10**9 + 1}]},
            r"markets\.0\.fee_multiplier_e6",
        ),
        ({"markets": [{"ticker": "A"}]}, "event"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_opening_beyond_what_the_kernels_can_take_is_refused_by_name(changes, named):
    with pytest.raises(ContractError, match=named):
        OpenMessage.parse({"type": "open", **changes})


def test_an_opening_travels_as_json():
    said = OpenMessage.parse({"type": "open", "groups": [["A", "B"]], "decide_after": 7})
    assert OpenMessage.model_validate_json(said.model_dump_json()) == said
