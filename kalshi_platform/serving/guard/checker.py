"""Loads a model and checks it whole, beside the one that answers: it comes out ready to serve, or refused.

Owns       the way from a key to a ServedModel or to the words and the fault of a refusal.
Invariant  the active model is untouched; whatever a candidate's code raises is a refusal. Only
           a registry that did not answer is an error: that says nothing about the candidate.
Not        the checks themselves (candidate.py), nor what follows from them (guard.py, alias_verdicts.py).
"""

import logging
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple

from kalshi_platform.domain.errors import DataError, PlatformError, StorageError
from kalshi_platform.models.registry.examples import Example, read_example
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierSet
from kalshi_platform.serving.guard.candidate import CheckConfig, Rival, examine
from kalshi_platform.serving.guard.served import ServedModel, Verdict, fault_of
from kalshi_platform.serving.guard.shadow import Load
from kalshi_platform.serving.guard.watch import Watch, WatchConfig
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy

_LOG: Final = logging.getLogger(__name__)


class CheckedModel(NamedTuple):
    """Result of a check; ``served`` is None where the model was refused."""

    served: ServedModel | None
    verdict: Verdict


class Checker:
    """Checks models for one replica; each that passes gets the next number."""

    def __init__(
        self,
        registry: Registry,
        load: Load,
        announce: Callable[[ModelKey], None] | None,
        check: CheckConfig,
        watch: WatchConfig,
        caches: TieredConfig,
    ) -> None:
        """``load`` makes tiers ready; ``announce`` hears of a model before it is checked."""
        self._registry, self._load, self._announce = registry, load, announce
        self._check, self._watch, self._caches = check, watch, caches
        self._numbers = count(1)

    def check(self, key: ModelKey, tier_set: TierSet | None, rival: Rival | None) -> CheckedModel:
        """Load, verify and check ``key``; ``rival`` is None where nothing answers yet.

        StorageError where the registry did not answer.
        """
        verdict = Verdict(model=key.model, tiers=key.tier_set)
        try:
            loaded = load_model(self._registry, key.model)
            if self._announce is not None:
                self._announce(key)
            ready = self._load(self._registry, loaded, tier_set)
            policy = TieredPolicy(loaded.record.spec, ready.tiers, self._caches)
            budget_ms = loaded.record.spec.level.latency_budget_ms
            example = self._example(key.model)
            verdict, probe_actions = examine(policy, verdict, budget_ms, rival, self._check)
        except StorageError:
            raise
        except PlatformError as err:
            return CheckedModel(None, verdict.replace(reason=str(err), fault=fault_of(err)))
        except Exception as err:  # whatever a candidate's code raises, the active model goes on answering
            _LOG.exception("%s could not be prepared", key.model)
            reason = f"preparing it failed: {type(err).__name__}: {err}"
            return CheckedModel(None, verdict.replace(reason=reason, fault=fault_of(err)))
        if not verdict.accepted:
            return CheckedModel(None, verdict)
        served = ServedModel(
            number=next(self._numbers), ready=ready, policy=policy, verdict=verdict,
            probe_actions=probe_actions, watch=Watch(self._watch), since_ns=0, example=example,
        )  # fmt: skip
        return CheckedModel(served, verdict)

    def _example(self, model: str) -> Example | None:
        """The example that the registry keeps; a damaged one is logged, and the model served without it."""
        try:
            return read_example(self._registry, model)
        except DataError as err:
            _LOG.warning("no example: %s", err)
            return None
