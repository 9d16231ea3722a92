"""Tier sets: the small networks distilled from a model, and the confidence at which each may answer.

Layout     models/<id>/tiers-<digest>.json (written last), beside it the files it names, each with its sha256
Invariant  a set never changes; a model may have several, of which the newest is served unless one is named.
Not        making tiers (serving/distillation/) nor deciding with them (serving/inference/).
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.store import Registry

TIER_SET_VERSION: Final = 1
#: How a network may be run; those of torch and the compiled one are made from the weights, the others are
#: files of the set.
FormName = Literal["torch", "torchscript", "compiled", "onnx", "onnx_int8"]
_SET: Final = re.compile(r"tiers-([0-9a-f]{12})\.json")


class FormRecord(Config):
    """One form of a tier's network: how exact it is, and how fast it was on the machine that made the set."""

    name: FormName
    files: tuple[str, ...] = Field(description="of the set; none for torch's own")
    max_logit_error: float = Field(ge=0, description="against torch, on seeded observations")
    max_probability_error: float = Field(0.0, ge=0, le=1, description="of any legal action, at temperature 1")
    agreement: float = Field(ge=0, le=1, description="share of slots with the same best action")
    p50_ms: float = Field(ge=0, description="one group, one thread, this thread's own time")
    p99_ms: float = Field(ge=0)
    accepted: bool = Field(description="exact enough to be served")


class TierRecord(Config):
    """One network of the cascade."""

    number: Literal[1, 2, 3]
    spec: PolicySpec
    weights: str = Field(description="file of the set; of tier 3 the model's own weights")
    temperature: float = Field(gt=0, description="logits are divided by it (Guo et al. 2017)")
    exit_threshold: float | None = Field(
        description="a group whose every slot is at least so sure leaves here; None: never (the last tier)"
    )
    forms: tuple[FormRecord, ...] = ()


class TierSet(Config):
    """All tiers of one model."""

    version: int = TIER_SET_VERSION
    model: str
    dataset_digest: str
    tiers: tuple[TierRecord, ...] = Field(min_length=1, description="ascending; the last is the model itself")
    artefacts: dict[str, str] = Field(description="file -> sha256")
    max_value_loss: float = Field(description="share of the model's value the thresholds may cost")
    report: dict[str, float] = Field(default_factory=dict, description="what the tier report found")
    machine: str = Field(description="where forms were timed")
    created_at: str

    @property
    def window(self) -> int:
        """Rows of history that the tier with the longest window reads."""
        return max(tier.spec.level.window for tier in self.tiers)


def add_tier_set(registry: Registry, tier_set: TierSet, artefacts: Mapping[str, bytes]) -> TierSet:
    """Store a set with its files; ContractError where the files are not those that the set names."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in artefacts.items()}
    if sums != tier_set.artefacts:
        raise ContractError(f"tier set of {tier_set.model}: its files have sha256 {sums}, not as recorded")
    registry.add_files(tier_set.model, artefacts)
    text = tier_set.model_dump_json(indent=1) + "\n"
    registry.add_files(tier_set.model, {f"tiers-{tier_set.digest}.json": text.encode()})
    return tier_set


def tier_sets(registry: Registry, model: str) -> list[TierSet]:
    """All sets of the model with id ``model``, oldest first; DataError where one is damaged."""
    found = [name for name in registry.files(model) if _SET.fullmatch(name)]
    return sorted((_read(registry, model, name) for name in found), key=lambda s: (s.created_at, s.digest))


def newest_tier_set(registry: Registry, model: str) -> TierSet | None:
    """Newest set of the model, the one that is served; None where nobody made one."""
    found = tier_sets(registry, model)
    return found[-1] if found else None


def tier_artefact(registry: Registry, tier_set: TierSet, name: str) -> bytes:
    """Content of one file of a set, verified by its sha256."""
    return registry.file(tier_set.model, name, tier_set.artefacts[name])


def _read(registry: Registry, model: str, name: str) -> TierSet:
    data = registry.file(model, name, None)
    try:
        found = TierSet.parse(json_value(data))
    except (ValueError, ContractError) as err:
        raise DataError(f"{registry.uri}: {model}/{name} is damaged ({err}); build the tiers again") from None
    if f"tiers-{found.digest}.json" != name or found.model != model:
        raise DataError(f"{registry.uri}: {model}/{name} was edited or moved; build the tiers again")
    return found
