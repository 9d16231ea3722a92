"""Each rule on where the profit comes from fires on its disease and is silent where it should be."""

from made.checkups import (
    CONFIG,
    HEALTHY,
    against,
    at,
    closing,
    facts,
    replayed,
    result,
    says,
    trading,
    with_trading,
)

from kalshi_platform.evaluation.judging import checkup_profit as profit
from kalshi_platform.evaluation.judging.summary import BlockReturn


def test_profit_of_one_event():
    says(
        profit.concentrated_profit,
        facts(result=result((13, *[0] * 10, -1))),
        "error",
        "event E0 makes 108 %",
    )
    says(
        profit.concentrated_profit,
        facts(result=result((7, *[1] * 5, *[0] * 6))),
        "warning",
        "event E0 makes 58 %",
    )
    assert profit.concentrated_profit(facts(result=result(trading=trading(pnl_e6=-5))), CONFIG) is None


def test_profit_of_one_block_whose_events_each_earn_little():
    blocks = tuple(
        BlockReturn(block=name, n_events=6, mean_return=p / 100, pnl_e6=p * 1_000_000, start_ns=0, end_ns=1)
        for name, p in (("09:00", 11), ("09:15", 1))
    )
    says(profit.concentrated_profit, facts(result=result(blocks=blocks)), "warning", "block 09:00 makes 92 %")


def test_profit_of_the_last_minute():
    sick = facts(result=result(by_time_to_close=(closing("< 10 s", 20), closing("> 24 h", -8))))
    says(profit.last_second_edge, sick, "warning", "20.00")
    unknown = facts(result=result(by_time_to_close=(closing("unknown", 20),)))
    assert profit.last_second_edge(unknown, CONFIG) is None


def test_profit_beyond_what_trading_can_yield():
    says(profit.too_good, facts(oracle_pnl_e6=11_000_000), "error", "profit_over_oracle = 1.09")
    says(profit.too_good, with_trading(winning_trips=149), "warning", "hit_rate = 0.993")
    says(profit.too_good, facts(result=result(event_sharpe=4.5)), "warning", "event_sharpe = 4.5")


def test_a_loss_before_fees_is_named_with_both_sums():
    lost = trading(gross_e6=-135_890_000, fees_e6=108_000_000, pnl_e6=-243_890_000)
    sure = facts(result=result(trading=lost, mean_return=at(-0.02)))
    says(profit.loses_before_fees, sure, "error", r"before fees too: -135.89 \$ before 108.00 \$ of fees")
    unsure = facts(result=result(trading=lost, mean_return=at(-0.002)))
    says(profit.loses_before_fees, unsure, "warning", r"-243.89 \$ after")


def test_a_loss_of_the_fees_alone_and_no_trade_at_all_are_no_loss_before_fees():
    assert profit.loses_before_fees(with_trading(gross_e6=0, pnl_e6=-2_000_000), CONFIG) is None
    assert profit.loses_before_fees(with_trading(gross_e6=-1, n_fills=0), CONFIG) is None


def rivals(rule_return, difference, half=0.005):
    """The healthy run with another best rule."""
    kept = [b for b in HEALTHY.baselines if b.name != "hold_to_settlement"]
    pairs = [c for c in HEALTHY.comparisons if c.baseline != "hold_to_settlement"]
    return facts(
        baselines=(*kept, result(name="hold_to_settlement", mean_return=at(rule_return))),
        comparisons=(*pairs, against("hold_to_settlement", difference, half)),
    )


def test_a_rule_that_does_as_well():
    found = says(
        profit.equals_a_rule,
        rivals(0.0095, 0.0005),
        "warning",
        "one-line rule does as well: hold_to_settlement",
    )
    assert found.evidence["rule"] == "hold_to_settlement"


def test_a_rule_that_does_better():
    says(profit.equals_a_rule, rivals(0.03, -0.02), "error", "one-line rule does better")


def test_the_rule_that_training_chose_comes_before_the_one_that_was_lucky_here():
    sick = rivals(0.03, -0.02)
    lucky = facts(**{**sick.__dict__, "chosen_rule": "join_the_bid"})
    says(profit.equals_a_rule, lucky, "warning", "hold_to_settlement.*picked among the rules")
    chosen = facts(**{**sick.__dict__, "chosen_rule": "hold_to_settlement"})
    says(profit.equals_a_rule, chosen, "error", "one-line rule does better")
    nothing = facts(**{**sick.__dict__, "chosen_rule": "do_nothing"})
    says(profit.equals_a_rule, nothing, "warning", "one-line rule does better: hold_to_settlement")


def test_a_difference_that_is_large_or_sure_is_no_equality():
    assert profit.equals_a_rule(rivals(0.001, 0.009, half=0.02), CONFIG) is None  # large, not sure
    assert profit.equals_a_rule(rivals(0.0095, 0.0005, half=0.0004), CONFIG) is None  # small, but sure


def test_doing_nothing_is_no_rule_to_be_equal_to():
    only = facts(
        baselines=(result(name="do_nothing", mean_return=at(0.0)),),
        comparisons=(against("do_nothing", 0.001),),
    )
    assert profit.equals_a_rule(only, CONFIG) is None


def test_a_profit_that_a_second_takes_away():
    sick = facts(what_if=(replayed(50, 0.01), replayed(1_000, 0.001)))
    says(profit.late_profit, sick, "warning", "1.000 % as set, 0.100 % where orders arrive after 1 s")


def test_a_profit_that_lasts_and_a_setting_of_a_second_already():
    assert profit.late_profit(facts(what_if=(replayed(50, 0.01), replayed(1_000, 0.0026))), CONFIG) is None
    slow = facts(what_if=(replayed(1_000, 0.001, is_as_set=True),))
    assert profit.late_profit(slow, CONFIG) is None
    losing = facts(result=result(mean_return=at(-0.01)), what_if=(replayed(1_000, -0.02),))
    assert profit.late_profit(losing, CONFIG) is None
