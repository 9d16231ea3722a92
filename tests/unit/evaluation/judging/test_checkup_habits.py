"""Each rule on how a policy trades fires on its disease and is silent where it should be."""

from made.checkups import CONFIG, facts, says, with_trading

from kalshi_platform.evaluation.judging import checkup_habits as habits
from kalshi_platform.evaluation.judging.checkup_facts import Openings


def test_a_policy_that_only_holds():
    says(
        habits.never_trades, with_trading(action_counts=(10_000, 0, 0, 0, 0), n_fills=0), "error", "9900 dec"
    )


def test_orders_that_never_fill_are_no_trading():
    found = says(habits.never_trades, with_trading(n_fills=0), "error", "nothing ever fills: 400 orders")
    assert "order_style" in found.remedy


def test_one_answer_to_every_market():
    sick = with_trading(action_counts=(0, 2, 0, 1, 397))
    says(habits.one_trade_only, sick, "error", "99.2 % of 400 trades are SELL_NO")
    assert habits.one_trade_only(with_trading(action_counts=(9_990, 5, 0, 0, 0)), CONFIG) is None


def test_one_side_is_seen_by_its_openings_though_sales_dilute_it():
    # 9,500 purchases of YES, 760 sales, none of NO: YES purchases are 92.6 % of all actions
    sick = with_trading(action_counts=(500_000, 9_500, 760, 0, 0))
    assert habits.one_trade_only(sick, CONFIG) is None
    found = says(habits.one_sided, sick, "warning", "9,500 of 9,500 orders to open are YES")
    assert found.evidence["threshold"] == CONFIG.one_side


def test_one_side_is_seen_where_the_other_side_never_fills():
    sick = facts(openings=Openings(yes=1, no=99))
    says(habits.one_sided, sick, "warning", "99 of 100 positions opened are NO")


def test_two_sides_and_few_openings_are_no_habit():
    assert habits.one_sided(with_trading(action_counts=(0, 90, 500, 10, 0)), CONFIG) is None
    few = facts(openings=Openings(yes=19, no=0)).result
    assert habits.one_sided(facts(result=few, openings=Openings(yes=19, no=0)), CONFIG) is None


def test_a_policy_without_doubt():
    says(habits.no_uncertainty, with_trading(mean_entropy=0.001), "warning", "0.0010")


def test_fees_that_eat_the_profit():
    eaten = with_trading(fees_e6=15_000_000, gross_e6=14_000_000, pnl_e6=-1_000_000)
    says(habits.overtrading, eaten, "error", "eat")
    taken = with_trading(fees_e6=8_000_000, gross_e6=14_000_000, pnl_e6=6_000_000)
    says(habits.overtrading, taken, "warning", "57 %")
    busy = with_trading(trade_rate=0.9, gross_e6=-1, pnl_e6=-2)
    says(habits.overtrading, busy, "warning", "90 % of its decisions")


def test_a_policy_that_answers_every_market_alike_has_collapsed_and_a_healthy_one_has_not():
    def rule(**changes):
        found = habits.collapse_of(with_trading(**changes).result)
        return found and (found.rule, found.message.split(":")[0])

    assert rule() is None
    assert rule(action_counts=(10_000, 0, 0, 0, 0), n_fills=0) == (
        "policy_collapse",
        "the policy never trades",
    )
    assert rule(action_counts=(0, 2, 0, 1, 397)) == ("policy_collapse", "99.2 % of 400 trades are SELL_NO")
    always = {"trade_rate": 0.9, "gross_e6": -1, "pnl_e6": -2}
    assert rule(**always) == ("overtrading", "trades at 90 % of its decisions and earns nothing")
    # Fees that eat the profit of a policy that trades now and then are a fault, and no collapse.
    assert rule(fees_e6=15_000_000, gross_e6=14_000_000, pnl_e6=-1_000_000) is None
