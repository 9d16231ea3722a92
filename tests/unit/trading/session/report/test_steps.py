"""Steps of both sides: the first one since which the accounts are apart."""

from kalshi_platform.trading.session.report.steps import AccountStep, AccountSteps

A, B, C = (0, 0, 1), (0, 0, 2), (0, 0, 3)


def test_the_first_step_since_the_accounts_were_equal_is_found():
    steps = AccountSteps()
    for step in (
        AccountStep(50, 5, 300, C),
        AccountStep(10, 1, 300, A),
        AccountStep(20, -1, -300, B),
        AccountStep(60, -1, -100, A),
    ):
        steps.add("T", step)
    assert steps.first("T", 10, 1) is None
    assert steps.first("T", 10, 2).order == A
    assert steps.first("T", 20, 0) is None  # the replay's step of that time was before
    assert steps.first("T", 55, 6).order == C
    assert steps.first("T", 99, 9).order == C
    assert steps.first("other", 99, 9) is None


def test_a_step_that_comes_later_counts_too():
    steps = AccountSteps()
    steps.add(0, AccountStep(10, 1, 300, A))
    assert steps.first(0, 99, 9).order == A
    steps.add(0, AccountStep(5, 0, -100, None))
    assert steps.first(0, 99, 9).order is None
