"""The core beside a slow exchange that shares no code with it: every answer, row, book and account is equal.

``Twins.check`` also asks after each command what must hold whatever the rules: queues add up to the depth, no
book is crossed, the positions of a market add up to nothing, cash is at least what is reserved, and on each
shard cash + a dollar a pair + fees = cash paid in.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.core_attacks import attacks
from made.core_streams import randoms, run, scenes
from made.core_twins import Twins

#: Commands of each stream: `MATCHING_COMMANDS=5000` for the long form, 90,000 in all.
N = int(os.environ.get("MATCHING_COMMANDS", "500"))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stream", [randoms, scenes, attacks])
def test_every_answer_row_and_balance_is_the_slow_exchanges(stream, seed):
    twins = run(
        stream, seed, N, decrease_keeps=seed % 2 == 0, reprice_keeps=seed % 3 == 0,
        most_open=200_000 if seed % 2 else 12,
    )  # fmt: skip
    assert twins.fills > N // 25


def test_the_scenes_reach_every_end_of_an_order():
    twins = run(scenes, 1, 1_200)
    assert {"MARGIN_CANCEL", "SELF_CROSS_ATTEMPT", "REDUCE_ONLY_CANCEL", "IOC_REMAINDER"} <= set(twins.ends)
    assert {"EXCEEDED_ORDER_GROUP_RISK_LIMIT", "USER_CANCEL"} <= set(twins.ends)


def test_the_attacks_reach_what_they_are_for():
    twins = run(attacks, 1, 1_200)
    ends = {"SELF_CROSS_ATTEMPT", "REDUCE_ONLY_CANCEL", "EXCEEDED_ORDER_GROUP_RISK_LIMIT", "EXPIRY_CANCEL"}
    assert ends | {"HALT_CANCEL", "CLOSE_CANCEL"} <= set(twins.ends)
    refused = {"MARKET_INACTIVE", "INVALID_PRICE", "POST_ONLY_CROSS", "INSUFFICIENT_BALANCE"}
    assert refused <= set(twins.refusals)


def test_plain_python_does_what_the_compiled_kernels_do():
    """One run without numba's compiler: the kernels as they are written."""
    code = "from made.core_streams import run, scenes; assert run(scenes, 3, 150).fills > 7"
    tests = Path(__file__).parents[3]
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{tests}:{tests.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


ORDERS = st.fixed_dictionaries({
    "account": st.integers(0, 3), "market": st.integers(0, 2), "side": st.sampled_from(["bid", "ask"]),
    "price": st.integers(47, 53).map(lambda cents: 100 * cents), "qty": st.integers(1, 900),
    "tif": st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]),
    "stp": st.sampled_from(["taker_at_cross", "maker"]),
})  # fmt: skip
STEPS = st.lists(
    st.one_of(
        ORDERS, st.integers(0, 30), st.tuples(st.integers(0, 30), st.integers(-2, 2), st.integers(1, 900))
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25)
@given(steps=STEPS, value=st.integers(0, 10_000))
def test_any_orders_cancels_and_amends_keep_contracts_and_cash(steps, value):
    """A step is an order, the number of one to cancel, or (number, ticks, size) of one to amend."""
    twins = Twins()
    for step in steps:
        if isinstance(step, dict):
            twins.both("submit", **step)
            continue
        number = step if isinstance(step, int) else step[0]
        order = next((o for o in twins.slow.orders if o.number == number), None)
        if order is None:
            continue
        if isinstance(step, int):
            twins.both("cancel", account=order.account, number=number)
            assert twins.fast.order(twins.ids[number]) is None  # a cancel always removes
            continue
        _, ticks, size = step
        twins.both(
            "amend", account=order.account, number=number, market=order.market, side=order.side,
            price=order.price + 100 * ticks, count=order.filled + size,
        )  # fmt: skip
    for market in range(3):
        twins.both("settle", market=market, value=value)
    assert not twins.slow.orders
    paid_in = sum(int(shard["paid_in_e6"]) - int(shard["fees_e6"]) for shard in twins.fast.core.shards)
    assert int(twins.fast.core.wallets["cash_e6"].sum()) == paid_in
