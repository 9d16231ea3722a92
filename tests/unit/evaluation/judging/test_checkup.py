"""The checkup applies every rule and puts the worst first; a healthy run has no finding."""

import inspect

import pytest
from made.checkups import CONFIG, HEALTHY, facts, result, trading

from kalshi_platform.evaluation.judging import (
    checkup,
    checkup_habits,
    checkup_inputs,
    checkup_learning,
    checkup_profit,
)
from kalshi_platform.evaluation.judging.checkup import examine
from kalshi_platform.evaluation.judging.checkup_facts import Facts


def test_a_healthy_run_has_no_finding():
    assert examine(HEALTHY) == ()


@pytest.mark.parametrize("rule", checkup.RULES, ids=lambda rule: rule.__name__)
def test_every_rule_is_silent_on_a_healthy_run(rule):
    assert rule(HEALTHY, CONFIG) is None


@pytest.mark.parametrize("rule", checkup.RULES, ids=lambda rule: rule.__name__)
def test_no_rule_stumbles_over_what_is_not_known(rule):
    assert rule(Facts(result=result()), CONFIG) is None


def test_every_rule_of_the_modules_is_applied():
    modules = (checkup_habits, checkup_inputs, checkup_learning, checkup_profit)
    rules = {
        function
        for module in modules
        for function in vars(module).values()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["facts", "config"]
    }
    assert rules == set(checkup.RULES)


def test_the_worst_comes_first():
    sick = facts(
        result=result((4, 4, 4), trading=trading(masked_counts=(0, 0, 0, 0, 0), mean_entropy=0.0)),
    )
    assert [f.severity for f in examine(sick)] == ["error", "warning", "info"]
