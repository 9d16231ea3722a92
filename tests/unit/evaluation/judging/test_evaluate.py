"""The whole judgement on small banks: the baselines, seeds, schedules, the oracle."""

from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import evaluate, score
from kalshi_platform.models.rules.baselines import DoNothing


def test_every_baseline_is_beside_the_policy(judged):
    names = ["do_nothing", "random", "hold_to_settlement", "join_the_bid"]
    assert [b.name for b in judged.baselines] == names
    assert [c.baseline for c in judged.comparisons] == names
    assert [b.order_style for b in judged.baselines] == ["taker", "taker", "taker", "maker"]


def test_a_policy_that_does_nothing_neither_beats_nor_loses_to_doing_nothing():
    bank = random_bank(6, 1, 60)
    config = QUICK.replace(baselines=("do_nothing",))
    got = evaluate(lambda env: DoNothing(env.layout), bank, ENV, config)
    (only,) = got.comparisons
    assert only.difference.estimate == 0.0
    assert not only.beats
    assert not got.beats_every_baseline
    assert [r.pnl_e6 for r in got.fee_ladder] == [0, 0, 0, 0]


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


def test_markets_without_a_trade_are_counted_and_a_maker_s_report_says_so():
    bank = random_bank(4, 1, 60)
    few = QUICK.replace(fee_ladder=False, baselines=("do_nothing",))
    got = evaluate(lambda env: DoNothing(env.layout), bank, ENV.replace(order_style="maker"), few)
    (said,) = [f for f in got.findings if f.rule == "makers_without_prints"]
    assert said.evidence["markets"] == 4


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


#: Fields that differ from one evaluation to the next: times of the machine.
UNLIKE = {"made", "wall_s", "what_if_s"}


def test_the_same_question_gets_the_same_answer():
    bank = random_bank(4, 1, 80)
    few = QUICK.replace(fee_ladder=False)
    a, b = (evaluate(Foresight, bank, ENV, few).model_dump(exclude=UNLIKE) for _ in range(2))
    assert a == b


def test_the_number_of_torch_threads_is_given_back(judged, two_torch_threads):
    import torch

    seen = []

    class Looks(DoNothing):
        def act(self, flat, rows):
            seen.append(torch.get_num_threads())
            return super().act(flat, rows)

    score(lambda env: Looks(env.layout), random_bank(2, 1, 40), ENV, QUICK.replace(torch_threads=1))
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2
