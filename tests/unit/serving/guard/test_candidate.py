"""The checks of a candidate on tiers made for it: every tier, the slowest path, legal answers."""

import numpy as np
import pytest
from made.served import made_served
from made.serving_tiers import made_batch, made_policy

from kalshi_platform.domain import timing
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.serving.guard import candidate
from kalshi_platform.serving.guard.candidate import CheckConfig, Rival, Verdict, examine, illegal
from kalshi_platform.simulation.replay.trading import TradingConfig

pytestmark = pytest.mark.usefixtures("one_torch_thread")
UNKNOWN = Verdict(model="moderate-000000000000", tiers=None)


def fast(monkeypatch):
    """Clocks that stand still: whatever is timed takes no time."""

    class Clock:
        perf_counter_ns = thread_time_ns = staticmethod(lambda: 0)

    monkeypatch.setattr(timing, "time", Clock)


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_every_tier_is_asked_also_those_that_no_probe_would_reach(monkeypatch, broken):
    fast(monkeypatch)
    policy, engines = made_policy((0.0, 0.0))  # every group leaves at tier 1
    engines[broken].broken = True
    found = examine(policy, UNKNOWN, 50.0, None, CheckConfig())
    assert not found.verdict.accepted
    assert f"tier {broken + 1} (torch) failed" in found.verdict.reason
    assert len(found.probe_actions) == 0


def test_a_good_candidate_enters_service_with_clean_caches_and_no_failures(monkeypatch):
    fast(monkeypatch)
    policy, _ = made_policy((0.9, 0.9))
    found = examine(policy, UNKNOWN, 50.0, None, CheckConfig())
    assert (found.verdict.accepted, found.verdict.p99_ms, found.verdict.budget_ms) == (True, 0.0, 50.0)
    assert found.probe_actions.shape == (found.verdict.probes, 5)
    assert (len(policy.answers), policy.answers.stats.misses, policy.failures.total()) == (0, 0, 0)
    assert [len(cache) for cache in policy.codes.values()] == [0, 0]


def test_timed_is_one_group_that_passes_every_tier_with_windows_never_seen(monkeypatch):
    """A clock that only the engines move: 1 ms a group in each tier, 1 ms a window encoded."""
    policy, engines = made_policy((0.0, 0.0))

    class Clock:
        @staticmethod
        def thread_time_ns():
            return sum(engine.n_asked + engine.n_encoded for engine in engines) * 1_000_000

        perf_counter_ns = thread_time_ns

    monkeypatch.setattr(timing, "time", Clock)
    found = examine(policy, UNKNOWN, 12.5, None, CheckConfig())
    # one group: 3 tiers asked; tiers 2 and 3 each encode the windows of 5 slots: 3 + 2 x 5 = 13 ms
    assert (found.verdict.p50_ms, found.verdict.p99_ms) == (13.0, 13.0)


def rounds(monkeypatch, *p99s_ms: float) -> list[float]:
    """The p99s that were asked for: round k of a timing finds the k-th of ``p99s_ms``."""
    asked: list[float] = []

    def timed(call, runs, min_runs):
        asked.append(p99s_ms[len(asked)])
        return CallTimes(0.5, asked[-1], 99.0, runs)

    monkeypatch.setattr(candidate, "time_calls", timed)
    return asked


def test_a_slow_candidate_is_refused_beside_an_active_model_and_told_of_where_nothing_else_answers(
    monkeypatch,
):
    policy, _ = made_policy((0.9, 0.9))
    rounds(monkeypatch, *[3.2, 3.1, 3.3] * 2)
    active = made_served(policy, TradingConfig(), "moderate-000000000001")
    beside = examine(policy, UNKNOWN, 2.0, Rival(active, None, must_agree=True), CheckConfig()).verdict
    assert not beside.accepted
    assert beside.reason == (
        "p99 of 100 decisions is 3.10 ms, its level's budget 2 ms times check.latency_factor 1 (the fastest "
        "of 3 rounds, median 0.50 ms): when the machine is less busy, name the model anew (kalshi-platform "
        "models rollback, then promote) or start the service again; or raise the factor in the Serve config "
        "file"
    )
    alone = examine(policy, UNKNOWN, 2.0, None, CheckConfig()).verdict
    assert alone.accepted
    assert alone.words == f"SLOW: {beside.reason}"


def test_a_round_that_other_programs_disturbed_refuses_nothing(monkeypatch):
    policy, _ = made_policy((0.9, 0.9))
    asked = rounds(monkeypatch, 3.2, 1.9)
    verdict = examine(policy, UNKNOWN, 2.0, None, CheckConfig()).verdict
    assert (verdict.p99_ms, verdict.slow, verdict.words) == (1.9, "", "p99 1.90 of 2 ms")
    assert asked == [3.2, 1.9]


def test_the_factor_widens_the_budget_for_a_machine_that_others_share(monkeypatch):
    policy, _ = made_policy((0.9, 0.9))
    asked = rounds(monkeypatch, 3.2)
    verdict = examine(policy, UNKNOWN, 2.0, None, CheckConfig(latency_factor=2.0)).verdict
    assert (verdict.slow, verdict.budget_ms, asked) == ("", 4.0, [3.2])


def test_an_action_outside_the_mask_is_illegal_unless_a_rule_forced_it():
    policy, _ = made_policy()
    batch = made_batch(policy, 4)
    found = policy.ask(3, batch, 0)
    assert illegal(policy.spec, batch, found) == ""
    s = policy.spec.n_slots
    allowed = batch.flat[:, policy.spec.width - s * 5 :].reshape(4, s, 5)
    allowed[2, 3] = [1, 0, 0, 0, 0]
    found.actions[2, 3] = 4
    assert illegal(policy.spec, batch, found) == "1 of 20 actions are illegal, first 4 in group 2"
    batch.forced[2, 3] = 4
    assert illegal(policy.spec, batch, found) == ""


@pytest.mark.parametrize("damage", [np.nan, 0.5])
def test_probabilities_that_do_not_sum_to_one_are_illegal(damage):
    policy, _ = made_policy()
    batch = made_batch(policy, 2)
    found = policy.ask(3, batch, 0)
    found.probabilities[1, 1] = damage
    assert "sum to 1 +- " in illegal(policy.spec, batch, found)
