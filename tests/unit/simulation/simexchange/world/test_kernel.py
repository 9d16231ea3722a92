"""A traded event: same bytes from a seed, never crossed, cash and contracts conserved, no arbitrage left."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.matching.records import NONE
from kalshi_platform.simulation.simexchange.world import MakerConfig, WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import (
    _with_room,
    open_world,
    plan_specs,
    simulate_world_event,
    trade_event,
)
from kalshi_platform.simulation.simexchange.world.kernel import trade
from kalshi_platform.simulation.simexchange.world.records import (
    ALONE,
    EXCLUSIVE,
    JUMP,
    NESTED,
    NEWS,
    PAUSE,
    REGRID,
    RESUME,
)

SHORT = WorldConfig(
    min_duration_s=600, max_duration_s=900, pause_share=0.5, regrid_share=0.5, gap_share=0.5, pause_s=20.0,
    takers_per_hour=300.0, whales_per_hour=10.0, jumps_per_hour=6.0,
)  # fmt: skip


def traded(config, index):
    rng = np.random.default_rng([config.seed, index])
    family, _, specs, plan = plan_specs(config, rng, index)
    return trade_event(config, rng, specs, family, plan)


def fee_e4(price):
    return 0.07 * price * (10_000 - price) / 10_000


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    index=st.integers(0, 20),
    informed=st.floats(0, 1),
    improve=st.floats(0, 1),
    levels=st.integers(1, 8),
    at_once=st.integers(1, 20),
    offset=st.floats(0.2, 8.0),
)
def test_books_are_never_crossed_and_money_and_contracts_are_conserved(
    seed, index, informed, improve, levels, at_once, offset
):
    maker = MakerConfig(levels=levels, orders_at_once=at_once, offset_cents=offset, refresh_s=5.0)
    config = SHORT.replace(
        seed=seed,
        informed_share=informed,
        improve_share=improve,
        makers=(maker, maker.replace(refresh_s=9.0)),
    )
    found = traded(config, index)
    depth, tape = found.opening.copy(), found.tape
    best = [[int(np.flatnonzero(side)[-1]) for side in market] for market in depth]
    for market, side, level, change in zip(tape.market, tape.side, tape.level, tape.change, strict=True):
        depth[market, side, level] += change
        assert depth[market, side, level] >= 0
        if depth[market, side, level] > 0 and level > best[market][side]:
            best[market][side] = int(level)
        while best[market][side] > 0 and depth[market, side, best[market][side]] == 0:
            best[market][side] -= 1
        assert best[market][0] + best[market][1] < 10_000
    assert (np.diff(tape.time_us) > 0).all()
    core = found.exchange.core
    np.testing.assert_array_equal(core.holdings["position_e2"].sum(axis=0), 0)
    long = np.maximum(core.holdings["position_e2"], 0).sum(axis=0)
    np.testing.assert_array_equal(long, core.markets["open_interest_e2"])
    paid_in = int(core.shards["paid_in_e6"][0])
    held = int(core.wallets["cash_e6"].sum()) + 10_000 * int(long.sum()) + int(core.shards["fees_e6"][0])
    assert held == paid_in
    for market in range(depth.shape[0]):
        found.exchange.settle(market, 10_000 * (market == 0))
    assert int(core.wallets["cash_e6"].sum()) + int(core.shards["fees_e6"][0]) == paid_in
    most = np.abs(core.holdings["position_e2"][: len(config.makers)]).max()
    assert most <= 100 * max(m.max_contracts for m in config.makers)


def test_agents_without_cash_are_told_of_and_not_left_out_in_silence():
    # takers of 5,000 contracts want thousands of dollars each; makers quote 10 contracts and need little
    small = MakerConfig(levels=1, contracts=10, max_contracts=10, refresh_s=5.0)
    config = SHORT.replace(
        makers=(small,), cash_usd=150.0, taker_contracts=5_000.0, single_share=1.0, nested_share=0.0,
        max_markets=3,
    )  # fmt: skip
    with pytest.raises(ContractError, match=r"WORLDONE-00000: [\d,]+ orders could not be paid.*cash_usd=150"):
        simulate_world_event(config, 0)


def test_two_exclusive_markets_are_two_markets_of_which_one_pays():
    config = SHORT.replace(min_markets=2, max_markets=2, single_share=0.0, nested_share=0.0)
    for index in range(4):
        event = simulate_world_event(config, index)
        assert len({spec.ticker for spec in event.specs}) == 2
        assert sorted(s.value_e4 for s in event.settlements) == [0, 10_000]


def test_a_long_recording_does_not_run_behind_its_schedule():
    # a row comes 4 us after another of 3 markets at the soonest; the next one is on time again
    assert _with_room(np.array([0, 1, 2, 100, 1_000]), 3).tolist() == [4, 8, 12, 104, 1_004]
    # ten million rows a millisecond apart: late by 4 us, not by half a minute
    times = np.arange(1_000, 10_000_001_000, 1_000)
    assert int((_with_room(times, 3) - times).max()) == 4


def test_the_recording_ends_with_the_book_of_the_exchange():
    found = traded(SHORT, 3)
    depth = found.opening.copy()
    np.add.at(depth, (found.tape.market, found.tape.side, found.tape.level), found.tape.change)
    np.testing.assert_array_equal(depth, found.exchange.core.depth)


def test_an_event_depends_on_seed_and_index_alone():
    for index in range(3):
        one, other = (simulate_world_event(SHORT.replace(n_events=n), index) for n in (3, 9))
        assert (one.specs, one.settlements) == (other.specs, other.settlements)
        for a, b in zip((*one.wire.rows, *one.wire[1:]), (*other.wire.rows, *other.wire[1:]), strict=True):
            np.testing.assert_array_equal(a, b)
    assert (
        simulate_world_event(SHORT.replace(seed=1), 0).n_messages != simulate_world_event(SHORT, 0).n_messages
    )


@pytest.mark.parametrize("index", range(4))
def test_nobody_acts_on_news_before_they_happen(index):
    # two worlds of one seed whose forecasts part at their 40th move: until then every message is the same
    tapes, at_us = [], 0
    for shift in (0.0, 0.2):
        world, rng, end_ns = open_world(SHORT, index, rows=100_000)
        schedule = world.schedule
        at_us = int(schedule.at_ns[np.isin(schedule.kind, [NEWS, JUMP])][39]) // 1_000
        schedule.fair[40:] = np.clip(schedule.fair[40:] + shift, 0.01, 0.99)
        trade(world, rng, end_ns, 600)
        tapes.append([column[: world.tape.n[0]].copy() for column in world.tape[:8]])
    one, other = ([column[tape[7] < at_us] for column in tape] for tape in tapes)
    assert 30 < one[0].size < tapes[0][0].size - 30
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tapes[0][0].size != tapes[1][0].size or (tapes[0][4] != tapes[1][4]).any()


def test_a_recording_in_small_parts_is_the_same():
    whole = traded(SHORT, 1)
    world, rng, end_ns = open_world(SHORT, 1, rows=600)
    n, parts = 0, []
    room = 560
    while not trade(world, rng, end_ns, room):
        parts.append(world.tape.time_us[: world.tape.n[0]].copy())
        n += int(world.tape.n[0])
        world.tape.n[0] = 0
    parts.append(world.tape.time_us[: world.tape.n[0]].copy())
    assert len(parts) > 5
    np.testing.assert_array_equal(np.concatenate(parts), whole.tape.time_us)


def test_plain_python_trades_the_same_event():
    config = SHORT.replace(min_duration_s=600, max_duration_s=600, min_markets=2, max_markets=2)
    code = (
        "import json, sys; import hashlib; from kalshi_platform.simulation.simexchange.world import *\n"
        "event = simulate_world_event(WorldConfig.parse(json.loads(sys.argv[1])), 0)\n"
        "print(hashlib.sha256(b''.join(c.tobytes() for c in event.wire.rows)).hexdigest())"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config.model_dump(mode="json"))],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    rows = simulate_world_event(config, 0).wire.rows
    assert done.stdout.strip() == hashlib.sha256(b"".join(c.tobytes() for c in rows)).hexdigest()


def best_gain(world, family):
    """Best riskless gain of one contract set at the displayed prices after fees, 1e-4 dollar."""
    best = world.core.best
    n = best.shape[0]
    cost = [
        [20_000.0 if best[m, 1 - s] == NONE else 10_000 - best[m, 1 - s] for s in (0, 1)] for m in range(n)
    ]
    cost = [[p + fee_e4(p) if p < 10_000 else p for p in both] for both in cost]
    if family == EXCLUSIVE:
        yes, no = (sum(cost[m][s] for m in range(n)) for s in (0, 1))
        return max(10_000 - yes, 10_000 * (n - 1) - no)
    return max(10_000 - cost[a][0] - cost[b][1] for a in range(n) for b in range(a + 1, n))


@pytest.mark.parametrize("family", ["brackets", "nested"])
def test_arbitrage_is_gone_within_100_ms(family):
    # makers that err in each market for itself
    shape = {"nested_share": 0.0, "min_markets": 3, "max_markets": 3}
    maker = MakerConfig(offset_cents=0.5, error_cents=10.0, refresh_s=3.0, levels=3)
    if family == "nested":
        shape = {"nested_share": 1.0, "min_markets": 5, "max_markets": 5}
    config = SHORT.replace(**shape, single_share=0.0, pause_share=0.0, makers=(maker,), takers_per_hour=600.0)
    world, rng, _ = open_world(config, 0, rows=200_000)
    code = NESTED if family == "nested" else EXCLUSIVE
    assert int(world.settings["family"][0]) == code
    since, longest, seen, step = None, 0, 0, 5_000_000
    for now in range(step, 150_000_000_000, step):
        trade(world, rng, now, 1)
        if best_gain(world, code) > 10.0:
            seen += since is None
            since = now if since is None else since
            longest = max(longest, now - since)
        else:
            since = None
    assert seen > 5  # there was something to take
    assert longest <= 100_000_000


def test_without_an_arbitrageur_it_stays():
    maker = MakerConfig(offset_cents=0.5, error_cents=10.0, refresh_s=3.0, levels=3)
    config = SHORT.replace(single_share=0.0, nested_share=0.0, pause_share=0.0, makers=(maker,))
    world, rng, _ = open_world(config, 0, rows=200_000)
    world.settings["family"] = ALONE
    held = 0
    for now in range(50_000_000, 60_000_000_000, 50_000_000):
        trade(world, rng, now, 1)
        held += best_gain(world, EXCLUSIVE) > 10.0
    assert held > 20


def test_a_pause_lets_nothing_be_placed_and_ends_with_the_cancel_of_what_rests():
    patient = MakerConfig(refresh_s=3_600.0, tolerance_cents=50.0)  # its quotes rest when trading resumes
    config = SHORT.replace(
        pause_share=1.0, pause_s=60.0, limits_per_hour=0.0, category_shares=(1.0, 0, 0, 0),
        makers=(patient, MakerConfig()),
    )  # fmt: skip
    found = traded(config, 2)
    schedule, tape = found.plan.schedule, found.tape
    begin, end = (int(schedule.at_ns[schedule.kind == kind][0]) // 1_000 for kind in (PAUSE, RESUME))
    during = (tape.time_us > begin + 400_000) & (tape.time_us < end)
    assert not (tape.change[during] > 0).any()
    after = np.flatnonzero(tape.time_us > end)
    first_set = after[np.flatnonzero(tape.change[after] > 0)[0]]
    assert first_set > after[0]
    depth = found.opening.copy()
    until = slice(first_set)
    np.add.at(depth, (tape.market[until], tape.side[until], tape.level[until]), tape.change[until])
    assert not depth.any()
    assert tape.time_us[-1] > end + 5_000_000  # and trading goes on


def test_prices_between_cents_come_only_after_the_bands_changed():
    config = SHORT.replace(regrid_share=1.0, limits_per_hour=3_000.0, limit_life_s=10.0)
    n_fine = 0
    for index in range(8):
        found = traded(config, index)
        schedule = found.plan.schedule
        at_us = int(schedule.at_ns[schedule.kind == REGRID][0]) // 1_000
        fine = found.tape.level % 100 != 0
        assert not fine[found.tape.time_us < at_us].any()
        level = found.tape.level[fine]
        assert ((level % 10 == 0) & ((level < 1_000) | (level > 9_000))).all()
        n_fine += int(fine.sum())
    assert n_fine > 0
