"""A registered model with its tiers, each in the form that is fastest on this machine.

Checked    the model (models/registry/load.py), every file's sha256, that a form reads and writes what its
           tier's record says, and that on this machine it still answers like the tier's weights.
Chosen     by the time of a group alone on cold caches plus its share of a call with BATCH groups: a frame of
           a stream asks about one group now and then, a call over HTTP about many.
Not        anything that unpickles: weights are safetensors, graphs are ONNX.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.load import LoadedModel, load_model, policy_of
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import (
    FormName,
    TierRecord,
    TierSet,
    newest_tier_set,
    tier_artefact,
)
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.engine import Engine
from kalshi_platform.serving.inference.engine_torch import TorchEngine
from kalshi_platform.serving.inference.export import (
    FORMS,
    checked_observations,
    deviation,
    engine_of,
    forms_of,
    group_logits,
    time_cold,
    time_group,
)
from kalshi_platform.serving.inference.hop import INSIDE_MS
from kalshi_platform.serving.inference.saving import first_asked_words, is_asked_first
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredPolicy, free

#: Groups in the larger of the two calls that are timed: 100 markets, five a group.
BATCH: Final = 20
_LOG: Final = logging.getLogger(__name__)
_GROUP_RUNS: Final = 300
_BATCH_RUNS: Final = 30


class FormTiming(Config):
    """Check and times of one form on this machine; times are the thread's own."""

    form: FormName
    max_logit_error: float = Field(description="against the tier's weights in torch, found here")
    accepted: bool = Field(description="exact enough here; else it was not timed")
    group_p50_ms: float | None = Field(None, description="one group with all its windows")
    group_p99_ms: float | None = None
    cold_p50_ms: float | None = Field(None, description="one group after other work had the caches")
    batch_p50_ms: float | None = Field(None, description=f"{BATCH} groups in one call")

    @property
    def cost_ms(self) -> float:
        """Figure by which forms are compared: ms of a group alone, cold, plus its share of a larger call."""
        if self.cold_p50_ms is None or self.batch_p50_ms is None:
            return float("inf")
        return self.cold_p50_ms + self.batch_p50_ms / BATCH


class EngineChoice(Config):
    """The form that runs a tier on this machine, and the measurements that decided it."""

    tier: Literal[1, 2, 3]
    chosen: FormName
    measured: tuple[FormTiming, ...]
    refused: tuple[FormName, ...] = Field(description="not exact enough where the tiers were made; not tried")

    @property
    def group_p50_ms(self) -> float | None:
        """Median ms of one group in the chosen form on this machine."""
        return next(timing.group_p50_ms for timing in self.measured if timing.form == self.chosen)


class ModelKey(NamedTuple):
    """Name of a model with its tiers: equal keys decide alike."""

    model: str  # id
    tier_set: str | None  # digest; None: the network alone


class ReadyModel(NamedTuple):
    """A verified model with its tiers, the engine of each chosen by its time."""

    model: LoadedModel
    tiers: tuple[ReadyTier, ...]
    choices: tuple[EngineChoice, ...]
    tier_set: TierSet | None  # None: none was made of this model; it is its own only tier
    passed_over: str = ""  # why no group leaves before tier 3 although the set has exits

    @property
    def key(self) -> ModelKey:
        """Model id and digest of the tier set."""
        return key_of(self.model.record.id, self.tier_set)

    @property
    def note(self) -> str:
        """One line for people: the model, its tier set, and the form that runs each tier."""
        run = ", ".join(f"tier {choice.tier} as {choice.chosen}" for choice in self.choices)
        if self.tier_set is None:
            return f"{self.model.record.id} has no tier set, every group asks the whole network: {run}"
        why = f"; {self.passed_over}" if self.passed_over else ""
        return f"{self.model.record.id} with tier set {self.tier_set.digest}: {run}{why}"


def key_of(model: str, tier_set: TierSet | None) -> ModelKey:
    """Key of the model with id ``model`` behind the tiers of ``tier_set``."""
    return ModelKey(model, tier_set.digest if tier_set else None)


def probe_batch(policy: TieredPolicy) -> Batch:
    """One seeded group with every slot full, to see whether a tier answers."""
    spec = policy.spec
    flat, _ = probes(spec, 1)
    windows = np.zeros((1, spec.n_slots, policy.window, spec.n_history), np.float32)
    return Batch(flat, windows if policy.window else None, free(1, spec.n_slots))


def ready_tiers(registry: Registry, name: str, forms: Sequence[FormName] = FORMS) -> ReadyModel:
    """Load the model called ``name`` (an alias or an id) and make it and its newest tier set ready to decide.

    Each accepted form of every tier among ``forms`` is built, checked and timed (half a second to four);
    torch's own form is always among them, the compiled one wherever the kernels know the network.
    ChecksumError where a file's bytes changed, DataError where one does not fit its record, ContractError
    where the model does not fit this program.
    """
    model = load_model(registry, name)
    return ready_model(registry, model, newest_tier_set(registry, model.record.id), forms)


def ready_model(
    registry: Registry,
    model: LoadedModel,
    tier_set: TierSet | None,
    forms: Sequence[FormName] = FORMS,
    *,
    inside_ms: float = INSIDE_MS,
) -> ReadyModel:
    """Make a loaded model ready with the tiers of ``tier_set``; None: the model is its own only tier.

    Where tier 3 takes less than ``inside_ms`` it is asked without a hop. Where exits before it then save next
    to nothing, no group leaves at them: tiers 1 and 2 only answer where tier 3 fails or is late.
    Forms and errors as in :func:`ready_tiers`.
    """
    if tier_set is None:
        no_files: dict[str, bytes] = {}
        engine, choice = _fastest(3, model.policy, {"torchscript": ()}, (), forms, no_files.__getitem__)
        ready = ReadyModel(model, (ReadyTier(3, engine, 1.0, None, choice.group_p50_ms),), (choice,), None)
    else:
        pairs = [_ready(registry, model, tier_set, tier, forms) for tier in tier_set.tiers]
        ready = ReadyModel(model, tuple(t for t, _ in pairs), tuple(c for _, c in pairs), tier_set)
        ready = _without_idle_exits(ready, tier_set, inside_ms)
    _LOG.info("%s", ready.note)
    return ready


def _without_idle_exits(ready: ReadyModel, tier_set: TierSet, inside_ms: float) -> ReadyModel:
    """Take the exits away where they save next to nothing (saving.py), and say so."""
    has_exits = any(tier.exit_threshold is not None for tier in ready.tiers)
    if not has_exits or is_asked_first(tier_set, inside_ms):
        return ready
    tiers = tuple(tier._replace(exit_threshold=None) for tier in ready.tiers)
    return ready._replace(tiers=tiers, passed_over=first_asked_words(tier_set, inside_ms))


def _ready(
    registry: Registry, model: LoadedModel, tier_set: TierSet, tier: TierRecord, forms: Sequence[FormName]
) -> tuple[ReadyTier, EngineChoice]:
    if tier.number == 3:
        if tier.spec != model.policy.spec:
            raise DataError(
                f"tier set {tier_set.digest}: its tier 3 is not the network of {tier_set.model}; "
                "build the tiers again"
            )
        policy = model.policy
    else:
        weights = tier_artefact(registry, tier_set, tier.weights)
        policy = policy_of(weights, tier.spec, f"tier {tier.number} of {tier_set.model}")
    accepted = {form.name: form.files for form in tier.forms if form.accepted}
    refused = tuple(form.name for form in tier.forms if not form.accepted)
    engine, choice = _fastest(
        tier.number, policy, accepted, refused, forms, lambda name: tier_artefact(registry, tier_set, name)
    )
    ready = ReadyTier(tier.number, engine, tier.temperature, tier.exit_threshold, choice.group_p50_ms)
    return ready, choice


def _fastest(
    number: Literal[1, 2, 3],
    policy: FrozenPolicy,
    accepted: dict[FormName, tuple[str, ...]],
    refused: tuple[FormName, ...],
    forms: Sequence[FormName],
    read: Callable[[str], bytes],
) -> tuple[Engine, EngineChoice]:
    """Build, check and time the forms of a tier; returns the quickest engine and the record of the choice."""
    reference = TorchEngine(policy.network)
    flat, windows = checked_observations(policy.spec)
    truth = group_logits(reference, flat, windows)
    engines: dict[FormName, Engine] = {"torch": reference}
    # Made of the weights alone: also where the set is older than this form.
    of_weights: dict[FormName, tuple[str, ...]] = {"compiled": ()}
    possible = {k: files for k, files in (of_weights | accepted).items() if k in forms_of(policy.spec)}
    engines |= {
        form: engine_of(form, policy, files, read)
        for form, files in possible.items()
        if form in forms and form != "torch" and form not in refused
    }
    measured = [_measure(engine, flat, windows, truth) for engine in engines.values()]
    best = min(measured, key=lambda timing: timing.cost_ms)
    choice = EngineChoice(tier=number, chosen=best.form, measured=tuple(measured), refused=refused)
    return engines[best.form], choice


def _measure(engine: Engine, flat: np.ndarray, windows: np.ndarray, truth: np.ndarray) -> FormTiming:
    found = deviation(engine.spec, flat, truth, group_logits(engine, flat, windows))
    if not found.within(engine.form):
        _LOG.warning("form %s deviates here by %s and is not used", engine.form, found)
        return FormTiming(form=engine.form, max_logit_error=found.logit, accepted=False)
    alone, many = time_group(engine, 1, _GROUP_RUNS), time_group(engine, BATCH, _BATCH_RUNS)
    return FormTiming(
        form=engine.form,
        max_logit_error=found.logit,
        accepted=True,
        group_p50_ms=alone.p50_ms,
        group_p99_ms=alone.p99_ms,
        cold_p50_ms=time_cold(engine),
        batch_p50_ms=many.p50_ms,
    )
