"""The first lines of a sweep's summary."""

import pytest
from made.runs import make_sweep, trial

from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.learning.tuning.outcome import outcome_of
from kalshi_platform.learning.tuning.registered import Registered

EARNED = Interval(estimate=0.0, low=0.0, high=0.0, confidence=0.95, n_clusters=9)
IDLE = Finding(
    severity="error", rule="policy_collapse", message="the policy never trades", evidence={"fills": 0},
    remedy="train for more steps",
)  # fmt: skip
REGISTERED = Registered(
    model="tiny-0123456789ab", registry="/registry", run="finalists/t0-s5", seed=5, is_challenger=False,
    challenger="tiny-better", idle=True, flaws=(), words="held back: it does not trade",
)  # fmt: skip


@pytest.fixture
def record(tmp_path):
    trials = [trial("t0"), *(trial(f"t0-s{k}", None, "finalist", seed=k) for k in (4, 5, 6))]
    return make_sweep(tmp_path, trials, "t0").replace(winner_run="finalists/t0-s5")


def test_a_winner_that_does_not_trade_is_said_to_before_anything_else(record):
    found = outcome_of(record, REGISTERED, "test", EARNED, 0, [IDLE])
    assert found.does_not_trade
    assert found.lines == (
        "The winner does not trade: not one of its orders was filled.",
        "Winner: t0, as trained in finalists/t0-s5 with seed 5, the middle one of 3 seeds; no validation "
        "score.",
        found.figures,
        "Checkup: 1 error. policy_collapse: the policy never trades.",
        "Registered: tiny-0123456789ab (finalists/t0-s5, seed 5). Held back: it does not trade.",
    )
    assert found.figures.startswith("Test: 0")
    assert "profit after fees" in found.figures


def test_a_sound_winner_has_its_figures_and_warnings_counted(record):
    warning = IDLE.replace(severity="warning", evidence={"fills": 9})
    found = outcome_of(record, None, "test", EARNED, 1_500_000, [warning])
    assert (found.does_not_trade, found.has_errors) == (False, False)
    assert found.checkup == "Checkup: no error, 1 warning."
    assert found.registered == "Registered: nothing."


def test_without_a_report_or_a_winner_nothing_is_claimed(record):
    found = outcome_of(record, None, None, None, 0, ())
    assert found.figures == "Test: not judged; no test event was opened for it."
    assert found.checkup == "Checkup: not made, for there is no report."
    assert outcome_of(record.replace(winner_run=None), None, None, None, 0, ()) is None
