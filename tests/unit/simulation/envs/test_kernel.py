"""What no episode may break: the account adds up, future and outcome are out of reach, gaps are walls."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.replay_bank import (
    CAPITAL_E6,
    DEEP,
    T0_NS,
    Script,
    bank_of,
    book,
    changed,
    market,
    play,
    quiet,
    random_bank,
    rows_of,
    training_env,
)

from kalshi_platform.data.market_data.schema import NO
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import (
    FixedEpisodes,
    empty_table,
    event_episodes,
)
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.state import LIVE, WAITING


class TestAccountIdentity:
    @given(
        seed=st.integers(0, 2**32 - 1),
        style=st.sampled_from(["taker", "maker"]),
        provenance=st.sampled_from(["recorded", "quotes", "trade_implied"]),
        mode=st.sampled_from(["concurrent", "shifted"]),
        capital_e6=st.sampled_from([10_000, 3_000_000, 12_345_678, 200_000_000]),
        qty_e2=st.sampled_from([1, 137, 1_000]),
        latency_ms=st.sampled_from([0, 50, 30_000]),
        direct=st.booleans(),
    )
    @settings(max_examples=40)
    def test_every_dollar_is_accounted_for_after_every_step(
        self, seed, style, provenance, mode, capital_e6, qty_e2, latency_ms, direct
    ):
        bank = random_bank(seed, gap_share=0.02, provenance=provenance, fee_type="quadratic_with_maker_fees")
        env = training_env(
            bank, seed=seed, mode=mode, order_style=style, capital_e6=capital_e6, order_qty_e2=qty_e2,
            position_limit_e2=3 * qty_e2, latency_ms=latency_ms, order_ttl_ms=20_000, direct_member=direct,
        )  # fmt: skip
        flat, rows = env.buffers()
        out = np.zeros(4, np.float32), np.zeros(4, bool), np.zeros(4, bool)
        env.reset(flat, rows)
        rng = np.random.default_rng(seed)
        returns = np.zeros(4)
        for _ in range(120):
            mask = env.layout.action_mask(flat)
            actions = (rng.random(mask.shape) * (mask > 0)).argmax(2).astype(np.int8)
            episode = env.episode.copy()
            env.step(actions, flat, rows, *out)
            e, s = env.envs, env.slots
            assert (e["reserved_e6"] >= 0).all()
            assert (e["cash_e6"] >= e["reserved_e6"]).all()
            assert (e["reserved_e6"] == (s["order_reserved_e6"] + s["sent_reserved_e6"]).sum(1)).all()
            assert (np.abs(s["position_e2"]) <= 3 * qty_e2).all()
            assert ((s["cost_e6"] > 0) == (s["position_e2"] != 0)).all()
            value = np.vectorize(position_value_e6)(s["position_e2"], s["mark2_e4"])
            assert (e["equity_e6"] == e["cash_e6"] + value.sum(1))[out[1] + out[2] == 0].all()
            assert (e["cash_e6"] - capital_e6 == s["slot_cash_e6"].sum(1)).all()
            unit = 100 if direct else 10_000
            assert ((e["cash_e6"] - capital_e6) % (unit if direct else 100) == 0).all()
            returns += np.where(episode == env.episode, out[0], 0.0)
            returns[episode != env.episode] = 0.0
            gained = (e["equity_e6"] - capital_e6) / capital_e6 * 100.0
            assert returns == pytest.approx(gained, abs=1e-3)

    def test_a_settled_episode_pays_exactly_what_its_records_say(self):
        bank = bank_of(market(quiet(4), settlement_e4=10_000))
        s = Script(bank)
        s.run(BUY_YES, HOLD, HOLD)
        records = s.records()
        # 10 YES at 0.50 and 0.175 fees become 10.00: +4.825
        assert records.pnl_e6.tolist() == [4_825_000]
        assert records.fees_e6.tolist() == [175_000]
        assert records.settled.tolist() == [1]
        assert sum(s.rewards) == pytest.approx(100 * 4_825_000 / CAPITAL_E6, rel=1e-6)
        assert records.episode_return.tolist() == pytest.approx([100 * 4_825_000 / CAPITAL_E6])

    def test_an_open_position_is_recorded_at_what_closing_it_would_bring(self):
        s = Script(bank_of(market(quiet(3))))
        assert s.run(BUY_NO, HOLD) == (False, True)
        # 10 NO at 0.60: -6.00, fee 0.07 * 10 * 0.24 = 0.168; closing lifts the ask at 0.50: +5.00, fee 0.175
        assert s.records().pnl_e6.tolist() == [-6_000_000 - 168_000 + 5_000_000 - 175_000]
        # the reward counts the mid of 0.45: 10 NO are worth 5.50
        assert sum(s.rewards) == pytest.approx(100 * (-168_000 - 500_000) / CAPITAL_E6, rel=1e-5)


class TestMasks:
    def test_netting_allows_one_direction_at_a_time(self):
        s = Script(bank_of(market(quiet(9))), order_qty_e2=1_000, position_limit_e2=1_500)
        assert s.mask() == [1, 1, 0, 1, 0]  # flat
        s.step(BUY_YES)
        assert s.mask() == [1, 1, 1, 0, 0]  # long: more YES or less of it
        s.step(BUY_YES)
        assert s.slot().position_e2 == 1_500  # the second order is cut to the limit
        assert s.mask() == [1, 0, 1, 0, 0]
        s.run(SELL_YES, SELL_YES, BUY_NO)
        assert s.mask() == [1, 0, 0, 1, 1]

    def test_a_side_without_a_price_cannot_be_traded(self):
        s = Script(bank_of(market(quiet(4, asks=()))))
        assert s.mask() == [1, 0, 0, 1, 0]

    def test_slots_never_promise_the_same_cash_twice(self):
        # an order of 10 at the limit 0.51 reserves 5.10 + 0.175 + 0.0001: cash for two of them, not for three
        markets = [market(quiet(4, bids=()), f"M{k}") for k in range(3)]
        s = Script(bank_of(*markets), (0, 1, 2), capital_e6=2 * 5_275_100)
        assert [s.mask(k)[BUY_YES] for k in range(3)] == [1, 1, 0]
        s.step(BUY_YES, BUY_YES, HOLD)
        assert s.vector.slots["n_orders"].tolist() == [[1, 1, 0]]
        assert s.vector.slots["position_e2"].tolist() == [[1_000, 1_000, 0]]

    def test_a_masked_action_is_refused_and_nothing_is_stepped(self):
        env = training_env(random_bank(3))
        flat, rows = env.buffers()
        env.reset(flat, rows)
        before = env.get_state()
        actions = np.zeros((4, 3), np.int8)
        actions[2, 1] = SELL_YES
        with pytest.raises(ContractError, match=r"environment 2 .*slot 1: action 2, available \[0"):
            env.step(actions, flat, rows, np.zeros(4, np.float32), np.zeros(4, bool), np.zeros(4, bool))
        after = env.get_state()
        assert (before["envs"] == after["envs"]).all()
        assert (before["slots"] == after["slots"]).all()

    @pytest.mark.parametrize("action", [-1, 5, 256 + BUY_YES])
    def test_an_action_that_does_not_exist_is_refused(self, action):
        s = Script(bank_of(market(quiet())))
        with pytest.raises(ContractError, match="forbids"):
            s.vector.step(np.array([[action]]), s.flat, s.rows, *s.out)


class TestClock:
    def test_a_market_that_opens_later_waits_and_then_joins(self):
        bank = bank_of(market(quiet(4), "A"), market(quiet(3, start_s=15.0), "B"))
        s = Script(bank, (0, 1))
        assert (s.slot(1).state, s.rows[0, 1], s.mask(1)) == (WAITING, -1, [1, 0, 0, 0, 0])
        assert s.vector.layout.slot_mask(s.flat)[0].tolist() == [1.0, 0.0]
        s.step(HOLD, HOLD)
        assert s.slot(1).state == WAITING
        s.step(HOLD, HOLD)
        assert (s.slot(1).state, s.rows[0, 1]) == (LIVE, 4)
        assert s.vector.now_ns[0] == T0_NS + 15 * NS_PER_SECOND

    def test_a_step_goes_to_the_next_message_of_any_market(self):
        bank = bank_of(market(quiet(3), "A"), market(quiet(3, start_s=4.0), "B"))
        s = Script(bank, (0, 1))
        times = []
        for _ in range(5):
            s.step(HOLD, HOLD)
            times.append((int(s.env.now_ns) - T0_NS) // NS_PER_SECOND)
        assert times[:4] == [4, 10, 14, 20]

    def test_an_interval_passes_messages_over_and_orders_still_meet_them(self):
        books = [book(k, (), ((5_000 + 10 * k, DEEP),)) for k in range(12)]
        s = Script(bank_of(market(rows_of(*books))), decision_interval_ms=5_000, latency_ms=2_500)
        s.step(BUY_YES)
        assert s.rows[0, 0] == 5
        assert s.slot().cost_e6 == 1_000 * 5_020  # met the book of second 2, not that of 0 or 5
        s.step(HOLD)
        assert s.rows[0, 0] == 10
        assert s.step(HOLD) == (False, True)  # nothing is five seconds ahead: the last message

    def test_shifted_markets_share_one_clock(self):
        bank = bank_of(market(quiet(4), "A", "E1"), market(quiet(4, start_s=1_003.0), "B", "E2"))
        table = empty_table(1, 2)
        table.segment[0], table.start[0] = (0, 1), (0, 4)
        table.begin_ns[0], table.shift_ns[0] = T0_NS, (0, 1_000 * NS_PER_SECOND)
        env = ReplayVectorEnv(bank, FixedEpisodes(table), EnvConfig(n_slots=2, latency_ms=0), 1)
        flat, rows = env.buffers()
        env.reset(flat, rows)
        out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
        seen = []
        while not env.done:
            seen.append((rows[0].tolist(), (int(env.now_ns[0]) - T0_NS) // NS_PER_SECOND))
            buys = [HOLD, BUY_YES if len(seen) == 2 else HOLD]
            env.step(np.array([buys], np.int8), flat, rows, *out)
        # rows of the second market come at 3, 13, 23, 33 of the first one's clock
        assert seen[:5] == [([0, -1], 0), ([0, 4], 3), ([1, 4], 10), ([1, 5], 13), ([2, 5], 20)]
        records = env.drain_episodes()
        assert (records.start_ns - T0_NS).tolist() == [0, 1_003 * NS_PER_SECOND]  # the market's own clock
        assert records.n_fills.tolist() == [0, 1]


class TestGaps:
    GAPPED = (1, 1, 1, 0, 1, 1, 1)

    def gapped_bank(self):
        books = [
            book(10 * k, ((4_000, DEEP),), ((5_000, DEEP),), (NO, 3_000, DEEP), valid=v)
            for k, v in enumerate(self.GAPPED)
        ]
        return bank_of(market(rows_of(*books), settlement_e4=10_000))

    def test_an_episode_ends_at_the_gap_and_nothing_fills_across_it(self):
        s = Script(self.gapped_bank(), order_style="maker", latency_ms=25_000)
        s.step(BUY_YES)  # would arrive during the gap; prints before and after it go through its price
        assert s.step(HOLD) == (False, True)
        records = s.records()
        assert records.n_fills.tolist() == [0]
        assert (records.end_ns - T0_NS).tolist() == [20 * NS_PER_SECOND]
        assert records.settled.tolist() == [0]

    @pytest.mark.parametrize("start", [3, 2, -1, 6])
    def test_refuses_to_start_on_a_gap_or_where_only_a_gap_follows(self, start):
        bank = self.gapped_bank()
        table = empty_table(1, 1)
        table.segment[0, 0], table.start[0, 0] = 0, start
        env = ReplayVectorEnv(bank, FixedEpisodes(table), EnvConfig(n_slots=1), 1)
        with pytest.raises(ContractError, match=rf"starts at row {start}, .* rows 0 to 2 .* over a gap"):
            env.reset(*env.buffers())

    @given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["concurrent", "shifted"]))
    @settings(max_examples=15)
    def test_no_slot_ever_leaves_its_unbroken_segment(self, seed, mode):
        bank = random_bank(seed, gap_share=0.1, n_rows=80)
        env = training_env(bank, seed=seed, mode=mode, min_steps=5)
        _, rows, _, terminated, truncated = play(env, 100, seed)
        assert (bank.arrays.age[rows[rows >= 0]] >= 0).all()
        segment = np.searchsorted(bank.arrays.segments["start"], rows, side="right")
        same_episode = ~(terminated | truncated)[1:, :, None]
        both = (rows[1:] >= 0) & (rows[:-1] >= 0) & same_episode
        assert both.any()
        assert (segment[1:] == segment[:-1])[both].all()
        assert (rows[1:] >= rows[:-1])[both].all()


class TestFuture:
    @given(
        seed=st.integers(0, 2**32 - 1), style=st.sampled_from(["taker", "maker"]),
        latency_ms=st.sampled_from([0, 1_500]), interval_ms=st.sampled_from([0, 700]),
        provenance=st.sampled_from(["recorded", "quotes", "trade_implied"]),
    )  # fmt: skip
    @settings(max_examples=25)
    def test_what_comes_later_changes_nothing_before(self, seed, style, latency_ms, interval_ms, provenance):
        bank = random_bank(seed, n_events=1, per_event=3, n_rows=60, provenance=provenance)
        cut = int(np.median(bank.arrays.rows["recv_ns"]))
        later = bank.arrays.rows["recv_ns"] > cut
        rows, features = bank.arrays.rows.copy(), bank.arrays.features.copy()
        other = random_bank(seed + 1, n_events=1, per_event=3, n_rows=60, provenance=provenance).arrays
        times = rows["recv_ns"].copy()
        rows[later] = other.rows[later]
        rows["recv_ns"] = times
        features[later] = -1.0
        config = EnvConfig(
            n_slots=3, order_style=style, latency_ms=latency_ms, decision_interval_ms=interval_ms
        )
        seen = []
        for some in (bank, changed(bank, rows=rows, features=features)):
            env = ReplayVectorEnv(some, FixedEpisodes(event_episodes(bank, 3)), config, 1)
            flat, at = env.buffers()
            out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
            env.reset(flat, at)
            rng = np.random.default_rng(seed)
            trace = [flat.tobytes()]
            while not env.done:
                mask = env.layout.action_mask(flat)
                env.step((rng.random(mask.shape) * mask).argmax(2).astype(np.int8), flat, at, *out)
                if env.done or env.now_ns[0] > cut:
                    break
                trace.append(flat.tobytes() + out[0].tobytes() + env.slots.tobytes())
            seen.append(trace)
        assert len(seen[0]) > 5
        assert seen[0] == seen[1]

    @given(seed=st.integers(0, 2**32 - 1), style=st.sampled_from(["taker", "maker"]))
    @settings(max_examples=15)
    def test_outcomes_reach_no_observation_mask_or_reward_before_they_are_paid(self, seed, style):
        bank = random_bank(seed, n_events=2, per_event=3)
        swapped = bank.arrays.markets.copy()
        known = swapped["settlement_e4"] >= 0
        swapped["settlement_e4"][known] = 10_000 - swapped["settlement_e4"][known]
        other = changed(bank, markets=swapped)
        compared = 0
        episodes = event_episodes(bank, 3)
        envs = [
            ReplayVectorEnv(b, FixedEpisodes(episodes), EnvConfig(n_slots=3, order_style=style), 2)
            for b in (bank, other)
        ]
        buffers = [e.buffers() for e in envs]
        outs = [(np.zeros(2, np.float32), np.zeros(2, bool), np.zeros(2, bool)) for _ in envs]
        for env, held in zip(envs, buffers, strict=True):
            env.reset(*held)
        rng = np.random.default_rng(seed)
        paid = np.zeros(2, bool)
        while not paid.all():
            mask = envs[0].layout.action_mask(buffers[0][0])
            actions = (rng.random(mask.shape) * mask).argmax(2).astype(np.int8)
            actions[paid] = HOLD
            for env, held, out in zip(envs, buffers, outs, strict=True):
                env.step(actions, *held, *out)
            ended = outs[0][1] | outs[0][2]
            assert (ended == outs[1][1] | outs[1][2])[~paid].all()
            paid |= ended | (envs[0].slots["settled"] != 0).any(1)
            assert (buffers[0][0][~paid] == buffers[1][0][~paid]).all()
            assert (outs[0][0][~paid] == outs[1][0][~paid]).all()
            compared += int((~paid).sum())
        assert compared > 20

    def test_identities_are_not_in_the_observation(self):
        def seen(name):
            markets = [market(quiet(6), f"{name}{k}", name, category=name, series=name) for k in range(2)]
            s = Script(bank_of(*markets), (0, 1))
            s.step(BUY_YES, BUY_NO)
            return s.flat.tobytes()

        assert seen("ALPHA") == seen("OMEGA")


_PLAY = """
import json, sys, hashlib
sys.path.insert(0, {tests!r})
from made.replay_bank import play, random_bank, training_env
digests = []
for style in ("taker", "maker"):
    for source in ("recorded", "quotes", "trade_implied"):
        bank = random_bank(11, n_rows=40, gap_share=0.02, provenance=source)
        env = training_env(bank, 2, order_style=style, decision_interval_ms=20, holding_cost_per_day=0.1)
        seen = play(env, 60)
        records = env.drain_episodes()
        digests.append(hashlib.sha256(b"".join(x.tobytes() for x in (*seen, *records))).hexdigest())
print(json.dumps(digests))
"""


def test_compiled_and_plain_python_give_the_same_bits():
    program = _PLAY.format(tests=str(Path(__file__).parents[3]))

    def digests(no_jit):
        settings_ = {**os.environ, "NUMBA_DISABLE_JIT": no_jit}
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=settings_, check=False
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    compiled = digests("0")
    assert len(set(compiled)) == 6
    assert compiled == digests("1")


def test_a_row_with_a_crossed_book_calls_for_no_decision_and_costs_no_interval():
    calm, crossed = (((4_000, 500),), ((5_000, 500),)), (((5_000, 500),), ((4_500, 500),))
    times = (0, 30, 31, 32, 60, 61)
    books = [book(t, *(crossed if t in (30, 31) else calm), valid=2 if t in (30, 31) else 1) for t in times]
    for interval_ms, steps in ((0, [32, 60, 61]), (30_000, [32, 61])):
        script = Script(bank_of(market(rows_of(*books))), decision_interval_ms=interval_ms)
        seen = []
        for _ in steps:
            script.step(HOLD)
            seen.append((int(script.env.now_ns) - T0_NS) // NS_PER_SECOND)
        assert seen[:-1] == steps[:-1]  # after the last step the next episode begins, or none
