"""One kernel reads the rules' inputs in replay and live: equal states, equal demands and reasons."""

import numpy as np
import pytest
from made.replay_bank import Script, bank_of, book, market, rows_of

from kalshi_platform.data.features.rows import empty
from kalshi_platform.data.features.spec import N_ROW_FEATURES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD
from kalshi_platform.models.rules import filter_inputs
from kalshi_platform.models.rules.baselines import RandomTrader
from kalshi_platform.models.rules.filter_inputs import exclusive_sets, read_inputs
from kalshi_platform.models.rules.filtered import Filtered
from kalshi_platform.models.rules.trading_filter import REASONS, allocate_inputs
from kalshi_platform.serving.live.group import LiveGroup
from kalshi_platform.simulation.replay.state import LIVE, WAITING
from kalshi_platform.simulation.replay.trading import TradingConfig

BOTH = pytest.mark.parametrize("is_compiled", [True, False], ids=["numba", "python"])


def test_markets_of_an_exclusive_event_share_a_number():
    rows = rows_of(book(0, [(4_000, 100)]), book(1, [(4_000, 100)]))
    yes = {"mutually_exclusive": True}
    bank = bank_of(
        market(rows, "A-1", "A", **yes),
        market(rows, "B-1", "B"),
        market(rows, "C-1", "C", **yes),
        market(rows, "A-2", "A", **yes),
    )
    first, alone, other, second = exclusive_sets(bank).tolist()
    assert first == second >= 0
    assert alone == -1
    assert other not in (first, -1)


@BOTH
def test_inputs_are_those_of_the_order_that_would_be_sent(is_compiled):
    rows = rows_of(
        book(0, [(6_000, 700), (5_950, 50)], [(6_100, 10)]), book(3, [(6_050, 800)], [(6_100, 10)])
    )
    script = Script(
        bank_of(market(rows, mutually_exclusive=True)), order_qty_e2=500, max_slippage_e4=70,
        position_limit_e2=600, direct_member=False,
    )  # fmt: skip
    env, inputs = script.vector, allocate_inputs(1, 1)
    read = read_inputs if is_compiled else read_inputs.py_func
    read(env.bank.arrays, env.envs, env.slots, env.config.execution, exclusive_sets(env.bank), inputs)
    found = {name: int(column[0, 0]) for name, column in inputs._asdict().items()}
    assert found == {
        "bid_e4": 6_000, "ask_e4": 6_100, "bid_size_e2": 700, "age_ns": 0, "exclusive_set": 0,
        "taker_rate_e6": 70_000, "unit_e6": 10_000, "limit_e4": 5_930, "qty_e2": 500, "may_buy_no": 1,
    }  # fmt: skip
    script.slot().position_e2 = -200  # room for 4 contracts of 6
    read(env.bank.arrays, env.envs, env.slots, env.config.execution, exclusive_sets(env.bank), inputs)
    assert inputs.qty_e2[0, 0] == 400


def exclusive_bank(rng, n_rows):
    """Three markets whose books move at random around a third, each row at a time of its own."""
    times = np.cumsum(rng.choice([0.05, 0.2, 1.9, 2.0, 5.0], 3 * n_rows, p=[0.4, 0.3, 0.1, 0.1, 0.1]))
    mine = rng.permutation(np.repeat([0, 1, 2], n_rows))
    markets = []
    for m in range(3):
        books = []
        for t_s in times[mine == m]:
            bid = int(rng.integers(3_000, 4_400))
            size = int(rng.choice([5_000, 5_000, 5_000, 1_000, 900, -1]))
            books.append(book(float(t_s), [(bid, size)], [(bid + int(rng.choice([0, 50, 50, 50])), 5_000)]))
        rows = rows_of(*books)
        markets.append(market(rows, f"E-{m}", "E", mutually_exclusive=True))
    return bank_of(*markets), [m.rows for m in markets]


def live_row(rows, r):
    """Row ``r`` of a bank's market as a live stream gives it."""
    row = empty(1, N_ROW_FEATURES)
    for name, column in row._asdict().items():
        if name != "features":
            column[0] = getattr(rows, name)[r]
    return row


@pytest.mark.parametrize("style", ["taker", "maker"])
def test_equal_states_have_equal_demands_and_reasons_live_and_in_replay(rng, style):
    settings = {"order_style": style, "max_slippage_e4": 20, "position_limit_e2": 2_000, "latency_ms": 30}
    bank, rows = exclusive_bank(rng, 250)
    script = Script(bank, (0, 1, 2), **settings)
    env = script.vector
    policy = Filtered(RandomTrader(env.layout, 0.2, seed=3), env)
    live = LiveGroup(TradingConfig(n_slots=3, groups=("orderbook", "portfolio"), **settings), 0)
    for s, info in enumerate(bank.markets):
        history = info.history
        live.describe(s, info.specification, history.known[0], history.fees, int(rows[s].recv_ns[0]))
    put, seen, compared = [0, 0, 0], set(), 0
    while set(env.slots["state"][0].tolist()) <= {LIVE, WAITING}:
        now_ns = int(env.now_ns[0])
        for s in range(3):
            while put[s] < rows[s].recv_ns.size and rows[s].recv_ns[put[s]] <= now_ns:
                live.put(s, live_row(rows[s], put[s]))
                put[s] += 1
        for name in (
            "position_e2",
            "cost_e6",
            "opened_ns",
            "sent_action",
            "order_state",
            "order_reserved_e6",
        ):
            live.slots[name] = env.slots[name]
        for name in ("cash_e6", "reserved_e6"):
            live.envs[name] = env.envs[name]
        actions = policy.act(script.flat, script.rows)
        batch = live.observe(now_ns)
        np.testing.assert_array_equal(batch.forced, policy.filter.forced)
        np.testing.assert_array_equal(live.reasons, policy.filter.reasons[0])
        seen |= set(live.reasons.tolist())
        compared += 1
        script.step(*actions[0])
    said = {REASONS[code].split(":")[0] for code in seen}
    wanted = {"", "crossed", "riskless", "stale", "size unknown", "too small", "closed", "costs"}
    assert compared > 400
    assert said >= (wanted if style == "taker" else {"", "crossed", "maker"})
    assert ("riskless" in said) == (style == "taker")


@pytest.mark.parametrize("outcome", [0, 1, 2, None])
def test_a_forced_set_settles_without_loss_whatever_the_outcome(outcome):
    bids = (4_000, 3_800, 3_600)
    markets = []
    for m, bid in enumerate(bids):
        books = [book(t_s, [(bid, 1_000)], [(bid + 100, 1_000)]) for t_s in (0, 0.5 + m / 10, 1 + m / 10, 30)]
        yes_e4 = 10_000 if m == outcome else 0
        markets.append(market(rows_of(*books), f"E-{m}", "E", yes_e4, mutually_exclusive=True))
    script = Script(bank_of(*markets), (0, 1, 2))

    class Buys:
        """Wants YES everywhere."""

        def act(self, flat, rows):
            mask = script.vector.layout.action_mask(flat)
            return np.where(mask[..., BUY_YES] > 0, BUY_YES, HOLD).astype(np.int8)

    policy, ended = Filtered(Buys(), script.vector), False
    first = policy.act(script.flat, script.rows).copy()
    assert first.tolist() == [[BUY_NO] * 3]
    ended = any(script.step(*first[0]))
    while not ended:
        ended = any(script.step(HOLD, HOLD, HOLD))
    records = script.records()
    assert records.traded_e2.tolist() == [1_000] * 3
    assert records.pnl_e6.sum() > 0
    assert policy.filter.by_reason() == {"riskless": 3}


def test_plain_python_reads_and_forces_as_the_kernels_do(rng, monkeypatch):
    bank, _ = exclusive_bank(rng, 40)
    script = Script(bank, (0, 1, 2), max_slippage_e4=20)
    compiled = Filtered(RandomTrader(script.vector.layout, 0.2, seed=3), script.vector)
    plain = Filtered(RandomTrader(script.vector.layout, 0.2, seed=3), script.vector)
    while set(script.vector.slots["state"][0].tolist()) <= {LIVE, WAITING}:
        actions = compiled.act(script.flat, script.rows)
        with monkeypatch.context() as patch:
            for name in ("read_inputs", "force_slots", "filter_slots"):
                patch.setattr(filter_inputs, name, getattr(filter_inputs, name).py_func)
            patch.setattr("kalshi_platform.models.rules.filtered.filter_slots", filter_inputs.filter_slots)
            np.testing.assert_array_equal(plain.act(script.flat, script.rows), actions)
        np.testing.assert_array_equal(plain.filter.reasons, compiled.filter.reasons)
        script.step(*actions[0])
    assert compiled.filter.counts.tolist() == plain.filter.counts.tolist()
