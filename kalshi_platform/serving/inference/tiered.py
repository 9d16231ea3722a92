"""The cascade: cache, rules, then one network after the other until one is sure enough.

Owns       the order in which tiers are asked, where a group leaves, and what answers when a tier fails.
In process ``decide`` asks every tier; a server that keeps tier 3 elsewhere calls ``decide_fast``, asks tier 3
           about ``pending.open`` itself and calls ``finish``. The two ways answer alike.
Invariant  an answer is legal and comes from the highest tier that was asked and answered; else HOLD.
Threads    one instance serves one thread; time is passed in, ns of a clock that does not run backwards.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

import numpy as np
from pydantic import Field

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.rules.trading_filter import FREE
from kalshi_platform.serving.inference.answering import all_finite, answer, answer_by_rules, still_unsure
from kalshi_platform.serving.inference.batch import (
    TIER_ORDER,
    Batch,
    Decisions,
    Note,
    Tier,
    holding,
    require_batch,
)
from kalshi_platform.serving.inference.caches import QUANTUM, TimedCache, row_bytes, state_keys
from kalshi_platform.serving.inference.engine import Engine

_LOG: Final = logging.getLogger(__name__)
_NOTHING: Final = Note(0)
_NOBODY: Final = int(Tier.NONE)


class TierError(PlatformError):
    """A tier could not answer: its engine failed or gave numbers that are not finite."""


class ReadyTier(NamedTuple):
    """One network, ready to be asked."""

    number: int  # 1, 2 or 3
    engine: Engine
    temperature: float
    #: None: no group leaves here, it answers only where the tiers above cannot; always so in the last tier
    exit_threshold: float | None
    #: Median of one group with all its windows, measured in this process; None: not measured.
    group_p50_ms: float | None = None


class TieredConfig(Config):
    """Sizes and bounds of the caches."""

    inference_ttl_ms: int = Field(50, ge=0, description="an answer is given again for so long; 0 = never")
    inference_capacity: int = Field(4_096, ge=1, description="answers kept")
    quantum: float = Field(QUANTUM, gt=0, le=0.01, description="finest difference of two states told apart")
    codes_ttl_ms: int = Field(60_000, ge=0, description="codes of history windows are kept for so long")
    codes_capacity: int = Field(8_192, ge=1, description="codes kept a tier; the key is the window itself")


@dataclass(slots=True)
class Pending:
    """Groups on their way through the cascade: the decisions so far, and the groups that need tier 3."""

    batch: Batch
    decisions: Decisions
    open: np.ndarray  # (K,) i8: groups no tier asked so far was sure of
    keys: list[bytes]
    now_ns: int
    stages_ns: dict[str, int] = field(default_factory=dict)  # where the time went

    @property
    def question(self) -> Batch:
        """Batch to ask tier 3 about: the open groups."""
        return self.batch if self.open.size == self.batch.n else self.batch.take(self.open)

    def passed(self, stage: str, since_ns: int) -> int:
        """Note that ``stage`` began at ``since_ns`` (performance counter) and ends now; returns now."""
        now_ns = time.perf_counter_ns()
        self.stages_ns[stage] = now_ns - since_ns
        return now_ns


class _Answer(NamedTuple):
    """One group's answer as the cache keeps it: bytes, so that no array of a whole batch is kept alive."""

    actions: bytes  # (S,) i1
    probabilities: bytes  # (S, A) f4
    confidence: float
    tier: int


class TieredPolicy:
    """One model's tiers as one policy; ``tiers`` ascending, ``spec`` the observation that they read."""

    def __init__(
        self, spec: PolicySpec, tiers: tuple[ReadyTier, ...], config: TieredConfig | None = None
    ) -> None:
        self.spec, self.tiers, self.config = spec, tiers, config or TieredConfig()
        numbers = [tier.number for tier in tiers]
        if not tiers or numbers != sorted(set(numbers)) or not set(numbers) <= {1, 2, 3}:
            raise ContractError(f"tiers {numbers}; expected some of 1, 2, 3, ascending, each once")
        for tier in tiers:
            _require_same_view(spec, tier)
        self.window = max(tier.engine.spec.level.window for tier in tiers)
        self.failures: Counter[int] = Counter()
        self.answers: TimedCache[_Answer] = TimedCache(
            self.config.inference_capacity, self.config.inference_ttl_ms * NS_PER_MS
        )
        self.codes: dict[int, TimedCache[bytes]] = {
            tier.number: TimedCache(self.config.codes_capacity, self.config.codes_ttl_ms * NS_PER_MS)
            for tier in tiers
            if tier.engine.spec.reads_history
        }
        self.layout = spec.layout
        self._mask_offsets = self.layout.slot_mask_at, self.layout.action_mask_at
        self._by_number = {tier.number: tier for tier in tiers}

    def decide(self, batch: Batch, now_ns: int) -> Decisions:
        """Decide N groups with every tier in this process; ContractError where ``batch`` does not fit."""
        pending = self.decide_fast(batch, now_ns)
        if not pending.open.size:
            return self.finish(pending, None)
        try:  # as :meth:`ask`, without an array of its own for the answer
            self._write(self._numbered(int(Tier.TIER_3)), batch, pending.open, pending.decisions, now_ns)
        except TierError:
            return self.finish(pending, None, Note.FALLBACK)
        pending.open = pending.open[:0]
        return self.finish(pending, None)

    def decide_fast(self, batch: Batch, now_ns: int) -> Pending:
        """Ask cache, rules and every tier below 3; groups that none was sure of stay in ``open``."""
        require_batch(batch, self.layout, self.window, self.spec.n_history)
        at = time.perf_counter_ns()
        keys = state_keys(batch, self.config.quantum) if self.config.inference_ttl_ms else []
        pending = Pending(batch, holding(batch.n, self.spec.n_slots), np.arange(batch.n), keys, now_ns)
        self._from_cache(pending)
        at = pending.passed("cache", at)
        if pending.open.size:
            self._by_rules(pending)
            at = pending.passed("rules", at)
        for tier in self.tiers:
            if not pending.open.size:
                break
            if not self._lets_out(tier):
                continue
            self._by_network(tier, pending)
            at = pending.passed(f"tier_{tier.number}", at)
        return pending

    def finish(self, pending: Pending, tier_3: Decisions | None, why: Note = _NOTHING) -> Decisions:
        """Put tier 3's answer to ``pending.question`` in place, and cache the decisions.

        ``tier_3`` None: tier 3 gave no answer. The best tier below it answers instead, marked with ``why``
        (Note.DEADLINE or Note.FALLBACK).
        """
        decisions = pending.decisions
        if tier_3 is not None:
            decisions.put(pending.open, tier_3)
        elif pending.open.size:
            self._stand_in(pending, why)
            decisions.notes[pending.open] |= np.uint8(why)
        if not pending.keys:
            return decisions
        # plain numbers first: comparing an element of an array with an enum costs as much as the network
        about = zip(
            pending.keys, decisions.notes.tolist(), row_bytes(decisions.actions, pending.batch.n),
            row_bytes(decisions.probabilities, pending.batch.n), decisions.confidence.tolist(),
            decisions.tier.tolist(), strict=True,
        )  # fmt: skip
        kept = {
            key: _Answer(actions, probabilities, confidence, tier)
            for key, notes, actions, probabilities, confidence, tier in about
            if notes == 0 and tier != _NOBODY
        }
        self.answers.put_many(kept.keys(), kept.values(), pending.now_ns)
        return decisions

    def ask(self, number: int, batch: Batch, now_ns: int) -> Decisions:
        """Decide ``batch`` by one tier, sure or not; TierError, counted in ``failures``, where it fails."""
        decisions = holding(batch.n, self.spec.n_slots)
        self._write(self._numbered(number), batch, np.arange(batch.n), decisions, now_ns)
        return decisions

    def forget(self) -> None:
        """Empty every cache."""
        self.answers.clear()
        for cache in self.codes.values():
            cache.clear()

    def _numbered(self, number: int) -> ReadyTier:
        tier = self._by_number.get(number)
        if tier is None:
            raise ContractError(f"this policy has no tier {number}; it has {list(self._by_number)}")
        return tier

    def _from_cache(self, pending: Pending) -> None:
        """Fill in the groups whose answer is cached; the others stay open."""
        unknown, decisions = [], pending.decisions
        for n, kept in enumerate(self.answers.get_many(pending.keys, pending.now_ns)):
            if kept is None:
                unknown.append(n)
                continue
            decisions.actions[n] = np.frombuffer(kept.actions, np.int8)
            decisions.probabilities[n] = np.frombuffer(kept.probabilities, np.float32).reshape(-1, N_ACTIONS)
            decisions.confidence[n], decisions.tier[n] = kept.confidence, kept.tier
            decisions.notes[n] = Note.CACHED
        if len(unknown) < len(pending.keys):
            pending.open = np.array(unknown, np.int64)

    def _by_rules(self, pending: Pending) -> None:
        """Decide the groups that have no choice left; the others stay open."""
        batch, d = pending.batch, pending.decisions
        still_open = np.empty_like(pending.open)
        n_open = answer_by_rules(
            batch.flat, pending.open, *self._mask_offsets, batch.forced, int(Tier.RULES),
            d.actions, d.probabilities, d.confidence, d.tier, still_open,
        )  # fmt: skip
        pending.open = still_open[:n_open]

    def _by_network(self, tier: ReadyTier, pending: Pending) -> None:
        """Ask a tier about the open groups; its answers stand unless a higher tier replaces them."""
        try:
            self._write(tier, pending.batch, pending.open, pending.decisions, pending.now_ns)
        except TierError:
            pending.decisions.notes[pending.open] |= np.uint8(Note.FALLBACK)
            return
        assert tier.exit_threshold is not None  # decide_fast passes the others over
        still_open = np.empty_like(pending.open)
        n_open = still_unsure(pending.open, pending.decisions.confidence, tier.exit_threshold, still_open)
        pending.open = still_open[:n_open]

    def _lets_out(self, tier: ReadyTier) -> bool:
        """True if the cascade asks the tier on the way: below tier 3, and groups may leave at it."""
        return tier.number != Tier.TIER_3 and tier.exit_threshold is not None

    def _stand_in(self, pending: Pending, why: Note) -> None:
        """Ask, in place of tier 3, the tiers that the cascade passed over because no group leaves at them.

        Where time ran out, they are asked only about the groups that no network has answered.
        """
        for tier in reversed(self.tiers):
            if tier.number == Tier.TIER_3 or self._lets_out(tier):
                continue
            answered_by = pending.decisions.tier[pending.open]
            below = Tier.TIER_1 if why & Note.DEADLINE else Tier(tier.number)
            which = pending.open[TIER_ORDER[answered_by] < below.order]
            if not which.size:
                continue
            try:
                self._write(tier, pending.batch, which, pending.decisions, pending.now_ns)
            except TierError:  # counted; the next lower one, or HOLD
                continue

    def _write(self, tier: ReadyTier, batch: Batch, which: np.ndarray, into: Decisions, now_ns: int) -> None:
        """Write a tier's answer about the groups ``which`` into ``into``; TierError where the tier fails."""
        question = batch if which.size == batch.n else batch.take(which)
        try:
            logits = tier.engine.logits(question.flat, self._codes_of(tier, question, now_ns))
        except Exception as err:  # an engine's errors are of many kinds; all mean that the tier cannot answer
            self._failed(tier, batch.n, f"{type(err).__name__}: {err}", err)
        if not all_finite(logits):
            self._failed(tier, batch.n, "its logits are not finite", None)
        answer(
            logits, batch.flat, which, *self._mask_offsets, batch.forced, tier.temperature, tier.number,
            into.actions, into.probabilities, into.confidence, into.tier, into.notes,
        )  # fmt: skip

    def _failed(self, tier: ReadyTier, n_groups: int, words: str, cause: Exception | None) -> NoReturn:
        self.failures[tier.number] += 1
        _LOG.error("tier %d (%s) failed on %d groups: %s", tier.number, tier.engine.form, n_groups, words)
        raise TierError(f"tier {tier.number} ({tier.engine.form}) failed: {words}") from cause

    def _codes_of(self, tier: ReadyTier, batch: Batch, now_ns: int) -> np.ndarray | None:
        """Codes (N, S, E) of the windows; those of a window seen before come from the cache."""
        cache = self.codes.get(tier.number)
        if cache is None:
            return None  # the tier reads no history
        assert batch.windows is not None  # require_batch saw to it
        spec = tier.engine.spec
        rows = np.ascontiguousarray(batch.windows[:, :, self.window - spec.level.window :])
        rows = rows.reshape(-1, *rows.shape[2:])  # (N, S, W, H) -> (N * S, W, H)
        present = self.layout.slot_mask(batch.flat) > 0.5
        codes = np.zeros((len(rows), spec.level.lstm_hidden), np.float32)
        keys = row_bytes(rows, len(rows))
        places = np.flatnonzero(present).tolist()
        found = cache.get_many([keys[at] for at in places], now_ns)
        new = [at for at, code in zip(places, found, strict=True) if code is None]
        if len(new) < len(places):
            known = [at for at, code in zip(places, found, strict=True) if code is not None]
            joined = b"".join(code for code in found if code is not None)
            codes[known] = np.frombuffer(joined, np.float32).reshape(len(known), -1)
        if new:
            fresh = tier.engine.encode(rows if len(new) == len(rows) else rows[new])
            codes[new] = fresh
            cache.put_many([keys[at] for at in new], row_bytes(fresh, len(new)), now_ns)
        return codes.reshape(batch.n, spec.n_slots, spec.level.lstm_hidden)


def free(n: int, n_slots: int) -> np.ndarray:
    """``Batch.forced`` of groups about which the rules say nothing."""
    return np.full((n, n_slots), FREE, np.int8)


def _require_same_view(spec: PolicySpec, tier: ReadyTier) -> None:
    own = tier.engine.spec
    same = ("n_slots", "market", "portfolio", "n_history", "feature_digest", "groups")
    if changed := [name for name in same if getattr(own, name) != getattr(spec, name)]:
        raise ContractError(
            f"tier {tier.number} reads other {', '.join(changed)} than the model: build its tiers again"
        )
