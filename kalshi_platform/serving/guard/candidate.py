"""Whether a loaded model may be served: its numbers, its speed, how far it decides as the active one.

Units      latencies ms of the thread's own time, agreement a fraction of slots.
Invariant  nothing here touches the active model: what it decided was recorded, or kept from its own check.
Not        loading and verifying digests (models/registry/load.py), nor what happens then (reload.py).
"""

import math
from itertools import count
from typing import NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.timing import time_calls
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.export import probes
from kalshi_platform.serving.guard.recorded import Recorded
from kalshi_platform.serving.inference.batch import FREE, Batch, Decisions
from kalshi_platform.serving.inference.export import checked_observations
from kalshi_platform.serving.inference.tiered import TieredPolicy, TierError, free
from kalshi_platform.simulation.replay.account import HOLD

#: What a client must send: a model that reads anything else would refuse every request.
_VIEW = ("n_slots", "market", "portfolio", "n_history", "feature_digest", "groups")


class CheckConfig(Config):
    """Bounds that a candidate must keep."""

    runs: int = Field(100, ge=100, description="decisions timed, each of one group through every tier")
    min_agreement: float = Field(
        0.5, ge=0, le=1, description="share of recorded slots decided as the active model did"
    )
    min_probe_agreement: float = Field(
        0.0, ge=0, le=1, description="the same on seeded noise, on which two good models may well differ"
    )
    min_states: int = Field(
        32, ge=1, description="with fewer recorded groups that had a choice, the probes are compared"
    )


class Verdict(Config):
    """What was found of a candidate; ``reason`` is empty where it may be served."""

    model: str
    tiers: str | None = Field(description="digest of its tier set; None: the network alone")
    reason: str = ""
    probes: int = Field(0, description="seeded groups on which its numbers were checked")
    recorded: int = Field(0, description="recorded groups on which they were checked")
    compared_on: str = Field("nothing", description="recorded, probes, or nothing: there was no active model")
    compared_groups: int = 0
    compared_slots: int = 0
    agreement: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    budget_ms: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether it may be served."""
        return not self.reason

    @property
    def words(self) -> str:
        """One line for people: the reason, or what was found good."""
        if not self.accepted:
            return self.reason
        found = []
        if self.p99_ms is not None:
            found.append(f"p99 {self.p99_ms:.2f} of {self.budget_ms:g} ms")
        if self.agreement is not None:
            found.append(
                f"decides as the active model in {self.agreement:.1%} of {self.compared_slots} slots of "
                f"{self.compared_groups} groups ({self.compared_on})"
            )
        return "; ".join(found) or "no active model to compare with"


class Active(NamedTuple):
    """What a candidate is compared with."""

    spec: PolicySpec
    window: int
    probe_actions: np.ndarray  # what it decided of its own probes, see ``Examined``
    recorded: Recorded | None
    must_agree: bool  # the candidate is refused where it decides too differently


class Examined(NamedTuple):
    """A verdict, and what the candidate decided of the probes (N, S) i1: none where it was refused before."""

    verdict: Verdict
    probe_actions: np.ndarray


def examine(
    policy: TieredPolicy, verdict: Verdict, budget_ms: float, active: Active | None, config: CheckConfig
) -> Examined:
    """Check ``policy`` whole, off the answering path; ``verdict`` says who it is and is filled in.

    The checks run on copies without caches, so that the policy enters service with clean ones. What an
    engine raises is a reason like any other; anything else that is raised is the caller's to catch.
    """
    none = np.empty((0, policy.spec.n_slots), np.int8)
    if active and (reason := other_view(policy.spec, policy.window, active.spec, active.window)):
        return Examined(verdict.replace(reason=reason), none)
    probed, recorded = _probe_batch(policy), active.recorded if active else None
    verdict = verdict.replace(probes=probed.n, recorded=recorded.batch.n if recorded else 0)
    checked = _without_cache(policy)
    for batch in (probed, recorded.batch) if recorded else (probed,):
        if reason := _wrong_numbers(checked, batch):
            return Examined(verdict.replace(reason=reason), none)
    times = _time_slowest_path(policy, config.runs)
    verdict = verdict.replace(p50_ms=times[0], p99_ms=times[1], budget_ms=budget_ms)
    if times[1] > budget_ms:
        reason = f"p99 of {config.runs} decisions is {times[1]:.2f} ms, its level's budget {budget_ms:g} ms"
        return Examined(verdict.replace(reason=reason), none)
    actions = checked.decide(probed, 0).actions
    if active:
        verdict = _compare(checked, verdict, (probed, actions), active, recorded, config)
    if not verdict.reason and checked.failures:
        verdict = verdict.replace(reason=f"tiers failed while it was compared: {dict(checked.failures)}")
    return Examined(verdict, actions)


def other_view(spec: PolicySpec, window: int, active: PolicySpec, active_window: int) -> str:
    """Why a model cannot answer what clients of the active one send, in words; empty where it can."""
    if changed := [name for name in _VIEW if getattr(spec, name) != getattr(active, name)]:
        return (
            f"it reads other {', '.join(changed)} than the active model: every client would be refused; "
            "deploy it as an application of its own, or restart this one with it"
        )
    if window != active_window:
        return (
            f"it reads {window} rows of history, clients of the active model send {active_window}: "
            "restart this application with it"
        )
    return ""


def _probe_batch(policy: TieredPolicy) -> Batch:
    flat, windows = checked_observations(_longest_sighted(policy))
    return Batch(flat, windows if policy.window else None, free(len(flat), policy.spec.n_slots))


def _longest_sighted(policy: TieredPolicy) -> PolicySpec:
    return max((tier.engine.spec for tier in policy.tiers), key=lambda spec: spec.level.window)


def _without_cache(policy: TieredPolicy) -> TieredPolicy:
    return TieredPolicy(policy.spec, policy.tiers, policy.config.replace(inference_ttl_ms=0))


def _wrong_numbers(policy: TieredPolicy, batch: Batch) -> str:
    """Which tier fails, answers with something not finite, or illegally; empty where none does."""
    for tier in policy.tiers:
        try:
            found = policy.ask(tier.number, batch, 0)
        except TierError as err:
            return f"{err} (on {batch.n} groups)"
        if reason := illegal(policy.spec, batch, found):
            return f"tier {tier.number} ({tier.engine.form}): {reason}"
    return ""


def illegal(spec: PolicySpec, batch: Batch, found: Decisions) -> str:
    """What is wrong with decisions: an illegal action, or probabilities that are none; else empty."""
    allowed = spec.layout.action_mask(batch.flat) > 0.5
    allowed[..., HOLD] = True
    chosen = np.take_along_axis(allowed, found.actions[..., None].astype(np.int64), axis=2)[..., 0]
    bad = np.argwhere(~chosen & (found.actions != batch.forced))
    if len(bad):
        n, slot = bad[0]
        return f"{len(bad)} of {chosen.size} actions are illegal, first {found.actions[n, slot]} in group {n}"
    worst = float(np.abs(found.probabilities.sum(-1) - 1).max(initial=0.0))
    if not worst < 1e-3:  # also where it is not a number
        return f"probabilities of a slot sum to 1 +- {worst:g}, allowed 0.001"
    return ""


def _time_slowest_path(policy: TieredPolicy, runs: int) -> tuple[float, float]:
    """p50 and p99, ms, of one group that no tier is sure of and no cache knows."""
    config = policy.config.replace(inference_ttl_ms=0, codes_ttl_ms=0)
    tiers = tuple(tier._replace(exit_threshold=math.inf) for tier in policy.tiers)
    slow = TieredPolicy(policy.spec, tiers, config)
    flat, windows = probes(_longest_sighted(policy))
    ones = [
        Batch(flat[k : k + 1], windows[k : k + 1] if policy.window else None, free(1, policy.spec.n_slots))
        for k in range(len(flat))
    ]
    tick = count()  # codes expire between calls, because time passes
    times = time_calls(lambda k: slow.decide(ones[k % len(ones)], next(tick)), runs=runs, min_runs=runs)
    return times.p50_ms, times.p99_ms


def _compare(
    policy: TieredPolicy,
    verdict: Verdict,
    probed: tuple[Batch, np.ndarray],
    active: Active,
    recorded: Recorded | None,
    config: CheckConfig,
) -> Verdict:
    """The verdict with the agreement, and the reason where it is too low."""
    if recorded is not None and _decided_groups(policy.spec, recorded.batch) >= config.min_states:
        batch, before = recorded
        now, name, bound = policy.decide(batch, 0).actions, "recorded", config.min_agreement
    else:
        (batch, now), before = probed, active.probe_actions
        name, bound = "probes", config.min_probe_agreement
    free_slots = decided_slots(policy.spec, batch)
    n = int(free_slots.sum())
    agreement = float((now == before)[free_slots].mean()) if n else None
    verdict = verdict.replace(
        compared_on=name, compared_groups=batch.n, compared_slots=n, agreement=agreement
    )
    if active.must_agree and agreement is not None and agreement < bound:
        reason = (
            f"it decides as the active model in {agreement:.1%} of {n} slots of {batch.n} groups ({name}), "
            f"at least {bound:.1%} are asked for"
        )
        return verdict.replace(reason=reason)
    return verdict


def decided_slots(spec: PolicySpec, batch: Batch) -> np.ndarray:
    """Slots (N, S) that a network decides: a market stands there and no rule forces it."""
    return np.asarray((spec.layout.slot_mask(batch.flat) > 0.5) & (batch.forced == FREE))


def _decided_groups(spec: PolicySpec, batch: Batch) -> int:
    return int(decided_slots(spec, batch).any(1).sum())
