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
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.spec import PolicySpec
from kalshi_platform.replay.account import N_ACTIONS
from kalshi_platform.serving.answering import answer, nothing_to_decide
from kalshi_platform.serving.batch import FREE, Batch, Decisions, Note, Tier, holding, require_batch
from kalshi_platform.serving.caches import QUANTUM, TimedCache, state_keys
from kalshi_platform.serving.engine import Engine

_LOG: Final = logging.getLogger(__name__)
_NOTHING: Final = Note(0)


class TierError(PlatformError):
    """A tier could not answer: its engine failed or gave numbers that are not finite."""


class ReadyTier(NamedTuple):
    """One network, ready to be asked."""

    number: int  # 1, 2 or 3
    engine: Engine
    temperature: float
    exit_threshold: float | None  # None: a group never leaves by itself; always so in the last tier


class TieredConfig(Config):
    """Sizes and bounds of the caches."""

    inference_ttl_ms: int = Field(50, ge=0, description="an answer is given again for so long; 0 = never")
    inference_capacity: int = Field(4_096, ge=1, description="answers kept")
    quantum: float = Field(QUANTUM, gt=0, le=0.01, description="finest difference of two states told apart")
    codes_ttl_ms: int = Field(60_000, ge=0, description="codes of history windows are kept for so long")
    codes_capacity: int = Field(8_192, ge=1, description="codes kept a tier; the key is the window itself")


@dataclass(slots=True)
class Pending:
    """Groups on their way: what was decided so far, and which of them ask for tier 3."""

    batch: Batch
    decisions: Decisions
    open: np.ndarray  # (K,) i8: groups no tier asked so far was sure of
    keys: list[bytes]
    now_ns: int
    stages_ns: dict[str, int] = field(default_factory=dict)  # where the time went

    @property
    def question(self) -> Batch:
        """What tier 3 is to be asked."""
        return self.batch.take(self.open)


class _Answer(NamedTuple):
    """One group's answer as the cache keeps it."""

    actions: np.ndarray
    probabilities: np.ndarray
    confidence: float
    tier: int


class TieredPolicy:
    """One model's tiers as one policy; ``tiers`` ascending, ``spec`` what every one of them is shown."""

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
        self.codes: dict[int, TimedCache[np.ndarray]] = {
            tier.number: TimedCache(self.config.codes_capacity, self.config.codes_ttl_ms * NS_PER_MS)
            for tier in tiers
            if tier.engine.spec.reads_history
        }
        self._by_number = {tier.number: tier for tier in tiers}

    def decide(self, batch: Batch, now_ns: int) -> Decisions:
        """Decide N groups with every tier in this process; ContractError where ``batch`` does not fit."""
        pending = self.decide_fast(batch, now_ns)
        if not pending.open.size:
            return self.finish(pending, None)
        try:
            full = self.ask(int(Tier.FULL), pending.question, now_ns)
        except TierError:
            return self.finish(pending, None, Note.FALLBACK)
        return self.finish(pending, full)

    def decide_fast(self, batch: Batch, now_ns: int) -> Pending:
        """Cache, rules and every tier below 3; groups that none was sure of are left in ``open``."""
        require_batch(batch, self.spec, self.window)
        started = time.perf_counter_ns()
        decisions = holding(batch.n, self.spec.n_slots)
        keys = state_keys(batch, self.config.quantum) if self.config.inference_ttl_ms else []
        open_groups = self._from_cache(keys, decisions, batch.n, now_ns)
        pending = Pending(batch, decisions, open_groups, keys, now_ns)
        pending.stages_ns["cache"] = (at := time.perf_counter_ns()) - started
        self._by_rules(pending)
        pending.stages_ns["rules"] = time.perf_counter_ns() - at
        for tier in self.tiers:
            if tier.number == Tier.FULL or not pending.open.size:
                break
            at = time.perf_counter_ns()
            self._by_network(tier, pending)
            pending.stages_ns[f"tier_{tier.number}"] = time.perf_counter_ns() - at
        return pending

    def finish(self, pending: Pending, full: Decisions | None, why: Note = _NOTHING) -> Decisions:
        """Put tier 3's answer to ``pending.question`` in place and remember what was found.

        ``full`` None: tier 3 gave none, and the best tier below it answers, marked with ``why``
        (Note.DEADLINE or Note.FALLBACK).
        """
        decisions = pending.decisions
        if full is not None:
            decisions.put(pending.open, full)
        elif pending.open.size:
            decisions.notes[pending.open] |= np.uint8(why)
        for n, key in enumerate(pending.keys):
            if decisions.notes[n] == 0 and decisions.tier[n] != Tier.NONE:
                kept = _Answer(
                    decisions.actions[n].copy(), decisions.probabilities[n].copy(),
                    float(decisions.confidence[n]), int(decisions.tier[n]),
                )  # fmt: skip
                self.answers.put(key, kept, pending.now_ns)
        return decisions

    def ask(self, number: int, batch: Batch, now_ns: int) -> Decisions:
        """The answer of one tier, sure or not; TierError where it fails, counted in ``failures``."""
        tier = self._by_number.get(number)
        if tier is None:
            raise ContractError(f"this policy has no tier {number}; it has {list(self._by_number)}")
        try:
            logits = tier.engine.logits(batch.flat, self._codes_of(tier, batch, now_ns))
            found = self._decided(tier, batch, logits)
        except Exception as err:  # an engine's errors are of many kinds; all mean that the tier cannot answer
            self.failures[number] += 1
            _LOG.exception("tier %d (%s) failed on %d groups", number, tier.engine.form, batch.n)
            raise TierError(
                f"tier {number} ({tier.engine.form}) failed: {type(err).__name__}: {err}"
            ) from err
        return found

    def forget(self) -> None:
        """Empty every cache."""
        self.answers.clear()
        for cache in self.codes.values():
            cache.clear()

    def _from_cache(self, keys: list[bytes], decisions: Decisions, n: int, now_ns: int) -> np.ndarray:
        """Fill in what is known; the groups that are not."""
        if not keys:
            return np.arange(n)
        unknown = []
        for i, key in enumerate(keys):
            kept = self.answers.get(key, now_ns)
            if kept is None:
                unknown.append(i)
                continue
            decisions.actions[i], decisions.probabilities[i] = kept.actions, kept.probabilities
            decisions.confidence[i], decisions.tier[i] = kept.confidence, kept.tier
            decisions.notes[i] = Note.CACHED
        return np.array(unknown, np.int64)

    def _by_rules(self, pending: Pending) -> None:
        """Groups in which the rules left nothing to decide leave here."""
        if not pending.open.size:
            return
        question = pending.question
        action_mask, slot_mask = self._masks(question.flat)
        idle = np.empty(question.n, np.uint8)
        nothing_to_decide(action_mask, slot_mask, question.forced, idle)
        if not idle.any():
            return
        done = np.flatnonzero(idle)
        found = holding(done.size, self.spec.n_slots)
        zero = np.zeros((done.size, self.spec.n_slots, N_ACTIONS), np.float32)
        answer(
            zero, zero, slot_mask[done], question.forced[done], 1.0,
            found.actions, found.probabilities, found.confidence,
        )  # fmt: skip
        found.tier[:] = Tier.RULES
        pending.decisions.put(pending.open[done], found)
        pending.open = pending.open[idle == 0]

    def _by_network(self, tier: ReadyTier, pending: Pending) -> None:
        """Ask a tier about the open groups; its answers stand unless a higher tier replaces them."""
        try:
            found = self.ask(tier.number, pending.question, pending.now_ns)
        except TierError:
            pending.decisions.notes[pending.open] |= np.uint8(Note.FALLBACK)
            return
        pending.decisions.put(pending.open, found)
        if tier.exit_threshold is not None:
            pending.open = pending.open[found.confidence < tier.exit_threshold]

    def _decided(self, tier: ReadyTier, batch: Batch, logits: np.ndarray) -> Decisions:
        found = holding(batch.n, self.spec.n_slots)
        action_mask, slot_mask = self._masks(batch.flat)
        if not answer(
            logits, action_mask, slot_mask, batch.forced, tier.temperature,
            found.actions, found.probabilities, found.confidence,
        ):  # fmt: skip
            raise TierError("its logits are not finite")
        found.tier[:] = tier.number
        return found

    def _codes_of(self, tier: ReadyTier, batch: Batch, now_ns: int) -> np.ndarray | None:
        """Codes (N, S, E) of the windows; those of a window seen before come from the cache."""
        spec = tier.engine.spec
        if not spec.reads_history:
            return None
        assert batch.windows is not None  # require_batch saw to it
        windows = batch.windows[:, :, self.window - spec.level.window :]
        _, slot_mask = self._masks(batch.flat)
        codes = np.zeros((batch.n, spec.n_slots, spec.level.lstm_hidden), np.float32)
        cache = self.codes[tier.number]
        new: list[tuple[int, int, bytes]] = []
        for n, s in zip(*np.nonzero(slot_mask > 0.5), strict=True):
            key = windows[n, s].tobytes()
            known = cache.get(key, now_ns)
            if known is None:
                new.append((n, s, key))
            else:
                codes[n, s] = known
        if new:
            at = [(n, s) for n, s, _ in new]
            fresh = tier.engine.encode(np.stack([windows[n, s] for n, s in at]))
            for code, (n, s, key) in zip(fresh, new, strict=True):
                codes[n, s] = code
                cache.put(key, code.copy(), now_ns)
        return codes

    def _masks(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Action mask (N, S, A) and slot mask (N, S), views of ``flat``."""
        n, s = len(flat), self.spec.n_slots
        start = self.spec.width - s * (1 + N_ACTIONS)
        return flat[:, start + s :].reshape(n, s, N_ACTIONS), flat[:, start : start + s]


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
