"""The same policy under the fees of the time and under those of today."""

from made.evaluation_bank import bank_of, dated, market, random_bank
from made.judging import ENV, QUICK

from kalshi_platform.evaluation.judging.evaluate import PlayStage, evaluate
from kalshi_platform.evaluation.judging.fee_times import fee_sources, pays_today, play_both
from kalshi_platform.models.rules.baselines import HoldToSettlement

MIDS = [5_000, 5_200, 5_100, 5_300, 5_200, 5_400]


def cheap_bank(**how):
    """Two markets that paid half the fee then, one of them with fees that are only assumed."""
    first = dated(market("A", "E", MIDS, 10_000), 500_000, **how)
    return bank_of(first, dated(market("B", "F", MIDS, 0), 500_000, **{**how, "source": "assumed"}))


def holding(bank):
    return lambda env: HoldToSettlement(env.layout, bank)


def test_fees_of_the_time_and_of_today_are_both_played():
    bank = cheap_bank()
    got = evaluate(holding(bank), bank, ENV, QUICK)
    then, today = got.fee_times
    assert (then.fees, today.fees) == ("as_of", "today")
    assert 0 < then.fees_e6 < today.fees_e6 <= 2 * then.fees_e6 + 200 * then.n_fills
    assert (then.pnl_e6, then.mean_return) == (got.policy.trading.pnl_e6, got.policy.mean_return)
    assert then.pnl_e6 - today.pnl_e6 == today.fees_e6 - then.fees_e6
    judged = evaluate(holding(bank), bank, ENV.replace(fees="today"), QUICK)
    assert judged.fee_times == got.fee_times
    assert judged.policy.trading.pnl_e6 == today.pnl_e6


def test_every_played_market_counts_by_the_least_known_of_its_fees():
    assert fee_sources(cheap_bank()) == {
        "as_of": {"known": 1, "assumed": 1},
        "today": {"assumed": 2},  # what follows after the rows is a default
    }
    told = bank_of(market("A", "E", MIDS))
    assert fee_sources(told) == {"as_of": {"assumed_since_open": 1}, "today": {"assumed_since_open": 1}}


def test_a_market_without_a_playable_row_does_not_count():
    silent = market("B", "F", MIDS)
    silent.rows.valid[:] = 0
    assert fee_sources(bank_of(market("A", "E", MIDS), silent))["today"] == {"assumed_since_open": 1}


def test_a_bank_that_pays_todays_fees_is_played_once():
    bank = random_bank(2, 1, 60)
    stage, played = PlayStage(bank, QUICK, print), []

    def play(env):
        played.append(env.fees)
        return stage.play(holding(bank), env, "hold")

    then, today = play_both(play, bank, ENV, QUICK.bootstrap, known=[play(ENV)])
    assert played == ["as_of"]
    assert then.mean_return == today.mean_return


def test_another_rounding_is_another_fee():
    same_rate = bank_of(dated(market("A", "E", MIDS), 1_000_000, rounding="cent_per_order"))
    assert not pays_today(same_rate)
    assert pays_today(bank_of(dated(market("A", "E", MIDS), 1_000_000)))
    assert not pays_today(cheap_bank())
