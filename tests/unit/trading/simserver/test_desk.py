"""Orders of the account, against the slow exchange in plain Python and by example."""

from hypothesis import given, settings
from hypothesis import strategies as st
from made.desk_twin import DeskTwin

SIDES = st.sampled_from(("bid", "ask"))
PRICES = st.one_of(st.integers(1, 99).map(lambda c: 100 * c), st.sampled_from((0, 4_150, 10_000)))
SIZES = st.one_of(st.integers(1, 40_000), st.sampled_from((1, 50, 100)))
CREATES = st.tuples(
    st.just("create"), st.integers(0, 30), SIDES, PRICES, SIZES,
    st.sampled_from(("good_till_canceled", "good_till_canceled", "immediate_or_cancel", "fill_or_kill")),
    st.sampled_from(("taker_at_cross", "maker")), st.booleans(),
)  # fmt: skip
CHANGES = st.tuples(
    st.just("change"), st.integers(0, 30), st.sampled_from(("cancel", "amend", "decrease")), PRICES, SIZES
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 50), commands=st.lists(st.one_of(CREATES, CHANGES), min_size=5, max_size=40))
def test_the_account_is_that_of_a_slow_exchange_after_every_command(seed, commands):
    """Cash shared by two events, reserves, netting, fees, books and refusals, to the last unit."""
    twin = DeskTwin(seed)
    for kind, *args in commands:
        if kind == "create":
            market, *order = args
            twin.create(market % len(twin.markets), *order)
        else:
            twin.change(*args)
        twin.check()


def test_cash_reserved_in_one_event_cannot_be_spent_in_the_other():
    """$200, orders at 0.01: 1 and 15,000 contracts reserve $150.01, which leaves 4,500 but not 5,000 more."""
    twin = DeskTwin(seed=1)
    second = len(twin.venue.open_now[0].markets)
    resting = ("good_till_canceled", "maker", False)
    twin.create(0, "bid", 100, 100, *resting)
    twin.create(0, "bid", 100, 1_500_000, *resting)
    assert not twin.refusals
    twin.create(second, "bid", 100, 500_000, *resting)
    assert twin.refusals == ["INSUFFICIENT_BALANCE"]
    twin.create(
        second, "bid", 100, 450_000, *resting
    )  # $45, and 0.07 x 4,500 x 0.01 x 0.99 = $3.12 asked for
    assert len(twin.refusals) == 1
    twin.check()
    assert twin.venue.account.primary.reserved_on(0) == 195_010_000


def test_a_cancel_frees_the_cash_for_the_other_event():
    twin = DeskTwin(seed=1)
    second = len(twin.venue.open_now[0].markets)
    twin.create(0, "bid", 100, 1_900_000, "good_till_canceled", "maker", False)
    twin.create(second, "bid", 100, 1_000_000, "good_till_canceled", "maker", False)
    assert twin.refusals == ["INSUFFICIENT_BALANCE"]
    twin.change(0, "cancel", 0, 0)
    twin.create(second, "bid", 100, 1_000_000, "good_till_canceled", "maker", False)
    assert len(twin.refusals) == 1
    twin.check()
