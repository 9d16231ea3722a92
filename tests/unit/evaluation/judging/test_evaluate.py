"""The whole judgement on small banks: pairing, seeds, the oracle, the guard of the test split."""

import json

import numpy as np
import pytest
from made.evaluation_bank import random_bank

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.evaluate import _Stage, evaluate, score
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Evaluation, Subject
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE, open_held_out
from kalshi_platform.models.rules.baselines import DoNothing, HoldToSettlement, RandomTrader
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.observation import portfolio_column

ENV = EnvConfig(n_slots=2, latency_ms=0)
QUICK = EvalConfig(
    bootstrap={"resamples": 500}, rollout={"grid_points": 20, "stats_every": 4}, seeds=(0, 1), n_envs=8
)


class Foresight:
    """Buys what the leaked next mid says, leaves when it turns: beats everything."""

    def __init__(self, env):
        self.layout = env.layout
        self.columns = [env.bank.feature_names.index(n) for n in ("mid", "next_mid")]

    def act(self, flat, rows):
        mask = self.layout.action_mask(flat) > 0
        mid, after = (self.layout.split(flat).market[:, :, c] for c in self.columns)
        position = portfolio_column("position", self.layout, flat)
        up, down = after - mid > 0.015, after - mid < -0.015
        wanted = np.where(position == 0, np.where(up, 1, np.where(down, 3, 0)), 0)
        wanted = np.where((position > 0) & down, 2, np.where((position < 0) & up, 4, wanted))
        ok = np.take_along_axis(mask, wanted[..., None], 2)[..., 0]
        return np.where(ok, wanted, 0).astype(np.int8)


@pytest.fixture(scope="module")
def judged() -> Evaluation:
    bank = random_bank(12, 2, 100, seed=3)
    env = ENV.replace(fee_scale_e6=0, latency_ms=0)
    return evaluate(Foresight, bank, env, QUICK, subject=Subject(checkpoint="c", dataset="d"))


def test_the_answer_is_json_and_comes_back_equal(judged):
    again = Evaluation.parse(json.loads(judged.model_dump_json()))
    assert again == judged


def test_every_baseline_is_beside_the_policy(judged):
    names = ["do_nothing", "random", "hold_to_settlement", "join_the_bid"]
    assert [b.name for b in judged.baselines] == names
    assert [c.baseline for c in judged.comparisons] == names
    assert [b.order_style for b in judged.baselines] == ["taker", "taker", "taker", "maker"]


def test_totals_agree_across_the_tables(judged):
    p = judged.policy
    assert sum(m.pnl_e6 for m in p.markets) == p.trading.pnl_e6
    assert sum(e.pnl_e6 for e in p.events) == p.trading.pnl_e6
    for slices in (p.by_provenance, p.by_category, p.by_price, p.by_time_to_close):
        assert sum(s.pnl_e6 for s in slices) == p.trading.pnl_e6
    assert p.trading.gross_e6 - p.trading.fees_e6 == p.trading.pnl_e6
    assert p.curve_return[-1] * judged.env.capital_e6 * p.n_episodes == pytest.approx(p.trading.pnl_e6)
    assert p.mean_return.estimate == pytest.approx(np.mean([e.mean_return for e in p.events]))


def test_a_policy_that_does_nothing_neither_beats_nor_loses_to_doing_nothing():
    bank = random_bank(6, 1, 60)
    config = QUICK.replace(baselines=("do_nothing",))
    got = evaluate(lambda env: DoNothing(env.layout), bank, ENV, config)
    (only,) = got.comparisons
    assert only.difference.estimate == 0.0
    assert not only.beats
    assert not got.beats_every_baseline
    assert [r.pnl_e6 for r in got.fee_ladder] == [0, 0, 0, 0]


def test_dearer_fees_cost_more(judged):
    bank = random_bank(6, 2, 80)
    got = evaluate(lambda env: HoldToSettlement(env.layout, env.bank), bank, ENV, QUICK)
    assert [r.label for r in got.fee_ladder] == ["none", "half", "full", "double"]
    fees = [r.fees_e6 for r in got.fee_ladder]
    assert fees[0] == 0
    assert fees == sorted(fees)
    assert fees[3] == pytest.approx(2 * fees[2], rel=0.02)
    full = got.fee_ladder[2]
    assert full.pnl_e6 == got.policy.trading.pnl_e6
    assert full.mean_return == got.policy.mean_return
    assert got.fee_ladder[0].pnl_e6 > got.fee_ladder[3].pnl_e6


def test_foresight_beats_doing_nothing_and_stays_under_the_oracle(judged):
    by_name = {c.baseline: c for c in judged.comparisons}
    assert by_name["do_nothing"].beats
    assert by_name["random"].beats
    assert judged.oracle is not None
    assert 0 < judged.oracle.captured <= 1
    assert judged.score == judged.policy.mean_return.estimate > 0


def test_the_oracle_is_silent_where_it_would_not_bound():
    bank = random_bank(4, 1, 60)
    make = lambda env: DoNothing(env.layout)  # noqa: E731
    few = QUICK.replace(fee_ladder=False, baselines=("do_nothing",))
    assert evaluate(make, bank, ENV.replace(order_style="maker"), few).oracle is None
    assert evaluate(make, bank, ENV, few.replace(schedule="windows", window_steps=20)).oracle is None
    assert evaluate(make, bank, ENV, few).oracle is not None


def test_windows_play_many_episodes_a_market_for_each_seed():
    bank = random_bank(4, 2, 100)
    config = QUICK.replace(schedule="windows", window_steps=30, episodes_per_market=5, fee_ladder=False)
    got = evaluate(Foresight, bank, ENV, config)
    assert got.policy.n_episodes == 8 * 5 * 2
    assert [m.n_episodes for m in got.policy.markets] == [10] * 8
    assert [r.seed for r in got.policy.per_seed] == [0, 1]
    assert got.policy.per_seed[0].mean_return != got.policy.per_seed[1].mean_return


def test_markets_of_an_event_can_be_judged_together():
    bank = random_bank(4, 2, 80)
    got = score(Foresight, bank, ENV, QUICK.replace(schedule="events"))
    assert got.n_episodes == 4
    assert len(got.markets) == 8


def test_a_random_policy_gets_a_stream_of_its_own_for_each_seed():
    bank = random_bank(4, 1, 80)
    got = evaluate(Foresight, bank, ENV, QUICK.replace(baselines=("random",), fee_ladder=False))
    one, two = (row.mean_return.estimate for row in got.baselines[0].per_seed)
    assert one != two


def test_the_same_question_gets_the_same_answer():
    bank = random_bank(4, 1, 80)
    few = QUICK.replace(fee_ladder=False)
    a, b = (evaluate(Foresight, bank, ENV, few).model_dump(exclude={"wall_s"}) for _ in range(2))
    assert a == b


def test_different_episodes_are_never_paired():
    bank = random_bank(4, 1, 80)
    whole, windows = QUICK, QUICK.replace(schedule="windows", window_steps=30)
    make = lambda env: DoNothing(env.layout)  # noqa: E731
    a = _Stage(bank, whole, print).play(make, ENV, "a")
    b = _Stage(bank, windows, print).play(make, ENV, "b")
    with pytest.raises(ContractError, match="not the same episodes"):
        compare(a, b, "b", QUICK.bootstrap)


def test_pairing_removes_what_both_share():
    # the same random trader on both sides: differences are exactly zero, though returns are not
    bank = random_bank(6, 2, 80)
    make = lambda env: RandomTrader(env.layout, 0.3, 7)  # noqa: E731
    a, b = (_Stage(bank, QUICK, print).play(make, ENV, "x") for _ in range(2))
    got = compare(a, b, "x", QUICK.bootstrap)
    assert a.returns.any()
    assert got.difference.estimate == 0.0
    assert not got.beats


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ContractError, match="unknown baselines"):
        EvalConfig.parse({"baselines": ("alchemy",)})
    with pytest.raises(ContractError, match="repeat"):
        EvalConfig.parse({"seeds": (1, 1)})


def test_the_test_split_stays_shut_without_final(tmp_path):
    with pytest.raises(LimitError, match="--final"):
        open_held_out("test", False, tmp_path, Subject())
    assert not (tmp_path / OPENINGS_FILE).exists()


def test_every_opening_of_the_test_split_is_written_down(tmp_path):
    subject = Subject(checkpoint="run/best", dataset_digest="abc")
    assert [open_held_out("test", True, tmp_path, subject) for _ in range(2)] == [0, 1]
    lines = [json.loads(x) for x in (tmp_path / OPENINGS_FILE).read_text().splitlines()]
    assert [x["checkpoint"] for x in lines] == ["run/best"] * 2
    assert lines[0]["dataset_digest"] == "abc"
    assert open_held_out("validation", False, tmp_path, subject) == 0


def test_the_number_of_torch_threads_is_given_back(judged):
    import torch

    before = torch.get_num_threads()
    seen = []

    class Looks(DoNothing):
        def act(self, flat, rows):
            seen.append(torch.get_num_threads())
            return super().act(flat, rows)

    score(lambda env: Looks(env.layout), random_bank(2, 1, 40), ENV, QUICK.replace(torch_threads=1))
    assert set(seen) == {1}
    assert torch.get_num_threads() == before
