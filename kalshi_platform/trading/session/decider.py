"""The model that decides in a session: a served model of the registry, reloaded while the session runs.

Reload     as in serving (``serving/guard``): the alias is followed, a candidate is checked before it answers,
           watched after, and taken back. A model that reads other arrays than the session shows is not taken
           over: the one before goes on, and a problem says so.
Fallback   a tier that fails is answered for by the best tier below it (``serving/inference/tiered.py``).
"""

import time

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import TIER_NAMES, Batch, Note, Tier
from kalshi_platform.trading.session.core import Chosen


class ModelDecider:
    """Decides with what an alias of a registry names; ``refresh`` off the event loop."""

    def __init__(self, registry: Registry, alias: str) -> None:
        """Load and check the model that ``alias`` names; LimitError where no check lets it answer."""
        self.alias = alias
        self._guard = ModelGuard(registry, GuardConfig(alias=alias))
        self._served = self._guard.start()
        self.problem: str | None = None
        self.tiers: dict[str, int] = {}
        self.fallbacks = 0  # groups decided by a lower tier because another one failed
        self.healthy_ns = time.time_ns()  # when it last decided, or was loaded

    @property
    def served(self) -> ServedModel:
        """The model that decides now."""
        return self._served

    def decide(self, batch: Batch, groups: list[int], now_ns: int) -> Chosen:
        """Actions for the groups of ``batch``; HOLD where every tier failed."""
        served, begun_ns = self._present(), time.monotonic_ns()
        try:
            decisions = served.policy.decide(batch, begun_ns)
        except Exception:
            self._guard.failed(served, time.monotonic_ns() - begun_ns)
            raise
        taken_ns = time.monotonic_ns() - begun_ns
        for number in decisions.tier.tolist():
            name = TIER_NAMES[number]
            self.tiers[name] = self.tiers.get(name, 0) + 1
        self.fallbacks += int(((decisions.notes & Note.FALLBACK) != 0).sum())
        if (decisions.tier == int(Tier.NONE)).any():
            self._guard.failed(served, taken_ns)
        else:
            self._guard.answered(served, batch, decisions, taken_ns)
            self.healthy_ns = time.time_ns()
        return Chosen(decisions.actions, served.key.model)

    def refresh(self) -> None:
        """Ask the registry whether the alias names another model by now; slow, for another thread."""
        try:
            self._guard.refresh()
        except PlatformError as err:
            self.problem = f"the registry: {err}"
            return
        self.problem = self._misfit

    _misfit: str | None = None

    def _present(self) -> ServedModel:
        """The guard's model, where it reads what the session shows; else the one before."""
        current = self._guard.current()
        if current is None or current is self._served:
            return self._served
        fits = current.window == self._served.window and current.trading == self._served.trading
        if fits:
            self._served, self._misfit = current, None
        else:
            self._misfit = (
                f"{current.key.model} reads other inputs or trades by other settings than this session: "
                f"{self._served.key.model} goes on; start a new session for it"
            )
        return self._served

    def close(self) -> None:
        """Let the guard's threads end."""
        self._guard.close()
