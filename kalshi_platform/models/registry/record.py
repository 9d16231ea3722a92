"""The record of a registered model, kept beside its weights, and the digests that make it loadable.

Owns       ModelRecord, its identity, and the digests of observation, actions and features.
Identity   two models with the same weights, layout, environment, data and commit are one model; claims and
           times are no part of it.
Not        EnvConfig: serving reads these records and must not pull in the environments, so the settings
           travel as the JSON of one; evaluation/promotion/evidence.py parses it.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field, field_validator

from kalshi_platform.data.features.spec import FEATURE_DIGEST, TEMPORAL, features_of
from kalshi_platform.domain.actions import ACTIONS
from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.evidence import Performance
from kalshi_platform.models.registry.flaws import Fitness, Flaw
from kalshi_platform.models.registry.provenance import DataCounts
from kalshi_platform.simulation.replay.layout import layout_of

RECORD_VERSION: Final = 1
WEIGHTS_NAME: Final = "weights.safetensors"
MODEL_ID: Final = re.compile(r"[a-z0-9_]+-[0-9a-f]{12}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Claims(Config):
    """Measurements from when the model was registered; gates measure again and compare."""

    dataset_digest: str
    split: str
    performance: Performance
    judged_on: DataCounts | None = Field(
        None,
        description="events and blocks played, by provenance; None: registered before they were counted",
        exclude_if=lambda counts: counts is None,
    )
    flaws: tuple[Flaw, ...] | None = Field(
        None,
        description="errors of the checkup; None: registered by a release that kept none",
        exclude_if=lambda flaws: flaws is None,
    )


class Digests(Config):
    """Digests that must be the same where a model is trained, registered, loaded, judged and served."""

    observation: str
    action: str
    feature: str

    def differences(self, other: "Digests") -> tuple[str, ...]:
        """Names of the digests in which ``other`` differs."""
        return tuple(name for name in Digests.model_fields if getattr(self, name) != getattr(other, name))


class ModelRecord(Config):
    """Record of one registered model; immutable once written."""

    version: int = RECORD_VERSION
    id: str
    artefacts: dict[str, str] = Field(description="file beside the record -> sha256 of its bytes")
    spec: PolicySpec
    environment: dict[str, Any] = Field(description="EnvConfig as JSON: what the policy was trained in")
    digests: Digests
    dataset: str = Field(description="address of the dataset it was trained on")
    dataset_digest: str
    commit: str | None = Field(description='of the run; "-dirty" at the end = a changed checkout')
    packages: dict[str, str]
    claims: Claims | None = Field(description="None where it was registered without being judged")
    created_at: str
    source_run: str
    #: Left out where unknown, so that an older record keeps its bytes.
    trained_on: DataCounts | None = Field(
        None,
        description="events and blocks of the training split, by provenance; None: nobody counted",
        exclude_if=lambda counts: counts is None,
    )
    worlds: tuple[str, ...] = Field(
        (),
        description="simulated worlds that taught and judged it; left out where there is none",
        exclude_if=lambda worlds: not worlds,
    )

    @property
    def judged_on(self) -> DataCounts | None:
        """Events and blocks that gave the claims, by provenance; None: not judged, or nobody counted."""
        return self.claims.judged_on if self.claims else None

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        """Errors that the checkup found when the model was registered."""
        return (self.claims.flaws if self.claims else None) or ()

    @property
    def fitness(self) -> Fitness:
        """Place of the model in the order of what is known against it."""
        sent = self.claims.performance.n_orders if self.claims else None
        if sent == 0 or any(flaw.idle for flaw in self.flaws):
            return Fitness.IDLE
        if self.claims is None or self.claims.flaws is None:
            return Fitness.UNKNOWN
        return Fitness.FLAWED if self.flaws else Fitness.SOUND

    @property
    def derived_id(self) -> str:
        """Id that follows from the content; it differs from ``id`` in a record that somebody edited."""
        return model_id(
            self.artefacts[WEIGHTS_NAME],
            self.spec,
            self.environment,
            self.digests,
            self.dataset_digest,
            self.commit,
        )

    @field_validator("version")
    @classmethod
    def _readable(cls, version: int) -> int:
        if version != RECORD_VERSION:
            raise ValueError(f"this program reads version {RECORD_VERSION}; use the release that wrote it")
        return version

    @field_validator("artefacts")
    @classmethod
    def _has_weights(cls, artefacts: dict[str, str]) -> dict[str, str]:
        if WEIGHTS_NAME not in artefacts:
            raise ValueError(f"holds no {WEIGHTS_NAME}")
        for name, sha256 in artefacts.items():
            if "/" in name or name.startswith(".") or not _SHA256.fullmatch(sha256):
                raise ValueError(f"{name!r}: {sha256!r} is not a file name with the sha256 of its bytes")
        return artefacts


def with_flaws(record: ModelRecord, flaws: Sequence[Flaw]) -> ModelRecord:
    """Copy of ``record`` with ``flaws`` beside its own; unchanged where it has no claims to hold them."""
    if record.claims is None:
        return record
    claims = record.claims.replace(flaws=(*record.flaws, *flaws))
    return record.replace(claims=claims.model_dump())


def model_id(
    weights_sha256: str,
    spec: PolicySpec,
    environment: dict[str, Any],
    digests: Digests,
    dataset_digest: str,
    commit: str | None,
) -> str:
    """Id ``<level>-<12 hex digits>`` of a model.

    The digits are made from everything that decides how the model acts and where it comes from.
    """
    identity = {
        "weights": weights_sha256,
        "spec": spec.model_dump(mode="json"),
        "environment": environment,
        "digests": digests.model_dump(),
        "dataset": dataset_digest,
        "commit": commit,
    }
    return f"{spec.level.name}-{digest_of(identity)}"


def digests_of(spec: PolicySpec) -> Digests:
    """Digests of a policy by its own layout, as it was trained."""
    shown = _shown(spec, spec.market, spec.portfolio, spec.n_history)
    return Digests(observation=digest_of(shown), action=digest_of(ACTIONS), feature=spec.feature_digest)


def running_digests(spec: PolicySpec) -> Digests:
    """Digests of the layout that the running program would show such a policy, and of its actions.

    A value other than the recorded one means that a column or an action has another meaning now.
    """
    try:
        market = tuple(f.name for f in features_of(spec.groups))
    except ContractError:
        market = ()  # the running table lacks a group: no layout of it can equal the recorded one
    portfolio = tuple(f.name for f in features_of(["portfolio"]))
    shown = _shown(spec, market, portfolio, len(TEMPORAL) if spec.n_history else 0)
    return Digests(observation=digest_of(shown), action=digest_of(ACTIONS), feature=FEATURE_DIGEST)


def _shown(
    spec: PolicySpec, market: tuple[str, ...], portfolio: tuple[str, ...], n_history: int
) -> dict[str, Any]:
    """Names and sizes of everything a policy is shown; their digest is the observation's."""
    return {
        "n_slots": spec.n_slots,
        "market": market,
        "portfolio": portfolio,
        "window": spec.level.window,
        "n_history": n_history,
        "width": layout_of(spec.n_slots, len(market), len(portfolio)).width,
    }
