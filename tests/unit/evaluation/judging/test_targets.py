"""The brief's targets: each figure by hand, a miss that no floor hides, and too few blocks."""

import numpy as np
import pytest

from kalshi_platform.evaluation.judging.report import render_html, terminal_view
from kalshi_platform.evaluation.judging.targets import found_text, passed_text, targets_of
from kalshi_platform.evaluation.pages.terminal import output


def with_markets(judged, returns, **changes):
    policy = judged.policy
    markets = tuple(m.replace(mean_return=value) for m, value in zip(policy.markets, returns, strict=False))
    profitable = float(np.mean(np.array(returns) > 0))
    aggregate = policy.aggregate.replace(share_profitable=profitable)
    return policy.replace(markets=markets, aggregate=aggregate, **changes)


def by_name(result):
    return {t.name: t for t in targets_of(result)}


def test_a_spread_of_more_than_half_the_mean_is_a_miss(judged):
    # mean .05, std sqrt((.0025 + .0025 + 0 + 0) / 4) = .0353553: 70.7 % of the mean, though 1 - std = 0.965
    got = by_name(with_markets(judged, [0.1, 0.0, 0.05, 0.05]))["consistency of returns"]
    assert got.found == pytest.approx(0.707107, abs=1e-6)
    assert (got.passed, found_text(got), passed_text(got)) == (False, "70.7%", "no")
    # mean .05, std .01: 20 %
    kept = by_name(with_markets(judged, [0.04, 0.06, 0.04, 0.06]))["consistency of returns"]
    assert (kept.found, kept.passed) == (pytest.approx(0.2), True)


def test_steady_losses_are_not_consistent(judged):
    got = by_name(with_markets(judged, [-0.05, -0.051, -0.049]))["consistency of returns"]
    assert got.passed is False
    assert "negative" in found_text(got)


def test_three_of_five_markets_in_profit_are_not_more_than_sixty_percent(judged):
    got = by_name(with_markets(judged, [0.1, 0.1, 0.1, -0.1, -0.1]))["profitable markets"]
    assert (got.found, got.passed, got.target) == (pytest.approx(0.6), False, "> 60%")


def test_both_sharpe_ratios_are_named_and_shown(judged):
    got = by_name(judged.policy)
    assert got["cross-market Sharpe, per step"].found == judged.policy.aggregate.mean_sharpe
    assert "max(std, 0.01)" in got["cross-market Sharpe, per step"].definition
    block = got["cross-market Sharpe, per block"]
    returns = np.array([b.mean_return for b in judged.policy.blocks])
    assert block.found == pytest.approx(returns.mean() / returns.std())
    assert block.passed is bool(block.found > 0.5)


def test_two_blocks_pass_nothing(judged):
    found = targets_of(judged.policy.replace(n_blocks=2, event_sharpe=None))
    assert [t.passed for t in found] == [None] * 4
    assert all("n = 2, decides nothing" in found_text(t) for t in found)
    assert passed_text(found[0]) == "undecided"


def test_a_policy_that_earned_nothing_has_no_consistency(judged):
    got = by_name(with_markets(judged, [0.0, 0.0, 0.0], event_sharpe=None))
    assert (got["consistency of returns"].found, got["consistency of returns"].passed) == (None, False)
    assert got["cross-market Sharpe, per block"].passed is False


def test_the_table_stands_in_the_report_and_on_the_terminal(judged, capsys):
    assert judged.targets == targets_of(judged.policy)
    page = render_html(judged)
    assert "Targets of the brief" in page
    assert "12 independent blocks" in page
    output().print(terminal_view(judged))
    shown = capsys.readouterr().out
    assert "the brief's targets" in shown
    assert "profitable markets" in shown
