"""Each rule on what a policy was given fires on its disease and is silent where it should be."""

from made.checkups import CONFIG, facts, result, says, stats, with_trading

from kalshi_platform.evaluation.judging import checkup_inputs as inputs
from kalshi_platform.evaluation.judging.checkup_facts import BookLooks


def books(decisions=1_000, crossed=0, old_polled=0, old_fed=0):
    return facts(
        books=BookLooks(
            decisions=decisions, crossed=crossed, old_polled=old_polled, old_fed=old_fed, old_after_ms=60_000
        )
    )


def test_numbers_that_are_none():
    says(inputs.not_a_number, facts(stats=stats((9, 0, 1, 3), (9, 0, 1, 0))), "error", "1 features")
    says(inputs.not_a_number, facts(training_metrics=({"kl": float("nan")},)), "error", "1 training metrics")


def test_a_mask_that_never_or_always_binds():
    says(inputs.mask_never_binds, with_trading(masked_counts=(0, 0, 0, 0, 0)), "error", "10000 decisions")
    says(inputs.action_never_possible, with_trading(masked_counts=(0, 1, 2, 10_000, 3)), "error", "BUY_NO")


def test_a_feature_that_never_changes():
    sick = facts(stats=stats((9, 0.5, 0.5, 0), (9, 0, 1, 0)))
    says(inputs.dead_features, sick, "warning", "1 of 2 features.*spread")


def test_a_maker_judged_where_nobody_is_known_to_have_traded():
    sick = facts(result=result(order_style="maker"), unprinted_markets=2)
    says(inputs.makers_without_prints, sick, "info", "2 of the judged markets show no trade")
    assert inputs.makers_without_prints(facts(unprinted_markets=2), CONFIG) is None


def test_crossed_and_old_books_at_decisions():
    says(inputs.bad_books, books(crossed=50), "warning", "of 1,000 decisions 50 met a crossed book")
    found = says(inputs.bad_books, books(old_polled=80), "warning", "80 polled prices older than 60 s")
    assert found.evidence["threshold"] == CONFIG.bad_book_share


def test_a_quiet_book_of_a_feed_is_only_mentioned():
    says(inputs.bad_books, books(old_fed=500), "info", "500 a book of a feed that had not changed")


def test_few_bad_books_and_no_decision_are_no_finding():
    assert inputs.bad_books(books(crossed=49, old_polled=49, old_fed=49), CONFIG) is None
    assert inputs.bad_books(books(decisions=0), CONFIG) is None
