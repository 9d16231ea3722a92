"""The Python side of the core: the tape in order, batches, and what it refuses before the core."""

import numpy as np
import pytest
from made.core_exchange import open_exchange, told
from made.core_twins import FINE

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fee_schedule import FeeTerms
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.matching import command, reasons
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.records import NEVER_NS, Sizes


def test_the_tape_tells_an_orders_life_in_order():
    x = open_exchange()
    a = x.submit(0, 0, "bid", 4_000, 300).order_id
    b = x.submit(1, 0, "ask", 4_000, 100).order_id
    x.cancel(0, a)
    assert told(x) == [
        ("ACK", a, 300, 0), ("DELTA", None, 300, 0),
        ("ACK", b, 100, 0), ("FILL", b, 100, 0), ("DELTA", None, -100, 1),
        ("DELTA", None, -200, 0), ("CANCEL", a, 200, "USER_CANCEL"),
    ]  # fmt: skip
    assert told(x) == []


def test_a_tape_that_nobody_reads_stops_the_exchange_and_loses_nothing():
    x = open_exchange(orders=2)
    deltas, refused = 0, 0
    for i in range(400):
        answer = x.submit(0, 0, "bid", 4_000, 100)
        if answer.reason == "TAPE_FULL":
            refused += 1
            deltas += sum(row[2] for row in told(x) if row[0] == "DELTA")
            answer = x.submit(0, 0, "bid", 4_000, 100)
        assert answer.ok, i
        if x.cancel(0, answer.order_id).reason == "TAPE_FULL":
            refused += 1
            deltas += sum(row[2] for row in told(x) if row[0] == "DELTA")
            x.cancel(0, answer.order_id)
    assert refused > 0
    assert deltas + sum(row[2] for row in told(x) if row[0] == "DELTA") == 0


def test_a_batch_answers_each_command_in_order():
    x = open_exchange()
    commands, answers = command.new_commands(3), command.new_answers(3)
    for i, (account, side) in enumerate(((0, command.NONE), (0, 0), (1, 1))):
        record = commands[i]
        record["op"], record["account"], record["market"] = command.SUBMIT, account, 0
        record["side"], record["price_e4"], record["qty_e2"] = side, 5_000, 100
    assert x.run(commands, answers) == 3
    assert [reasons.NAMES[int(r)] for r in answers["reason"]] == ["INVALID_ORDER", "OK", "OK"]
    assert answers["filled_e2"].tolist() == [0, 0, 100]


def test_a_command_that_is_none_is_refused():
    x = open_exchange()
    commands, answers = command.new_commands(2), command.new_answers(2)
    commands["op"] = (command.N_OPS, -1)
    assert x.run(commands, answers) == 2
    assert set(answers["reason"]) == {reasons.UNKNOWN_COMMAND}


def test_a_command_at_the_time_that_never_comes_is_refused_and_does_not_wait_for_it():
    x = open_exchange(close_ns=None)
    for at_ns in (NEVER_NS, 2**63 - 1):
        assert x.wait(at_ns).reason == "INVALID_TIME"
        assert x.submit(0, 0, "bid", 5_000, 100, at_ns=at_ns).reason == "INVALID_TIME"
    assert (
        x.submit(0, 0, "bid", 5_000, 100, at_ns=NEVER_NS - 1, expiry_ns=NEVER_NS + 1).reason
        == "INVALID_ORDER"
    )
    assert x.submit(0, 0, "bid", 5_000, 100, at_ns=NEVER_NS - 1).ok


def test_bands_and_fees_stay_where_the_tape_is_full():
    x = open_exchange(orders=2)
    while x.wait(0).ok:
        x.cancel(0, x.submit(0, 0, "bid", 4_000, 100).order_id)
    assert x.set_bands(0, FINE).reason == "TAPE_FULL"
    assert x.set_fees(0, FeeTerms(fee_multiplier_e6=0)).reason == "TAPE_FULL"
    x.read_tape()
    assert x.submit(0, 0, "bid", 4_001, 100).reason == "INVALID_PRICE"
    assert x.core.markets["taker_rate_e6"][0] == 70_000


def test_an_exchange_without_room_for_groups_knows_none():
    x = SimulatedExchange([MarketSpec(ticker="M", event="E")], Sizes(groups=0))
    assert x.create_group(0, 100).reason == "CORE_FULL"
    assert x.trigger_group(0, 3).reason == "ORDER_GROUP_NOT_FOUND"
    assert x.submit(0, 0, "bid", 4_000, 100, group_id=3).reason == "ORDER_GROUP_NOT_FOUND"


@pytest.mark.parametrize("qty", [1.5, 100.0, "100", None, 2**63])
def test_a_size_that_is_no_whole_number_is_refused(qty):
    with pytest.raises(ContractError, match="is no whole number"):
        open_exchange().submit(0, 0, "bid", 5_000, qty)


def test_other_records_are_refused():
    x = open_exchange()
    with pytest.raises(ContractError, match="COMMAND_DTYPE"):
        x.run(np.zeros(2), command.new_answers(2))
    with pytest.raises(ContractError, match="1 answers have no room for 2"):
        x.run(command.new_commands(2), command.new_answers(1))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda x: x.submit(0, 0, "yes", 5_000, 100), "side 'yes' is not one of bid, ask"),
        (lambda x: x.submit(0, 0, "bid", 5_000, 10**30), "qty_e2 1000"),
        (lambda x: x.set_position_limit(4, 1), "market 4"),
        (lambda x: x.set_bands(0, ()), "1 to 16 price bands"),
        (lambda x: x.set_balance_unit(0, 7), "steps of 7"),
        (lambda x: x.levels(-1, "bid"), "market -1"),
    ],
)
def test_wrong_arguments_are_refused_in_words(act, words):
    with pytest.raises(ContractError, match=words):
        act(open_exchange())


def test_an_exchange_needs_markets_and_shards_that_exist():
    with pytest.raises(ContractError, match="needs markets"):
        SimulatedExchange([], Sizes())
    with pytest.raises(ContractError, match="shard 1"):
        SimulatedExchange([MarketSpec(ticker="A", event="E")], Sizes(), shards=[1])


def test_every_reason_of_the_exchange_has_its_words():
    refusals = {code for code in reasons.NAMES if 0 < code < 30}
    assert refusals == {int(code) for code in reasons.API_CODES}
    assert set(reasons.UPDATE_REASONS.values()) <= {
        "Decrease", "Amend", "MarginCancel", "SelfTradeCancel", "ExpiryCancel", "CloseCancel", "HaltCancel",
        "Trade", "PostOnlyCrossCancel", "ReduceOnlyCancel", "SettlementBoundsCancel",
    }  # fmt: skip
