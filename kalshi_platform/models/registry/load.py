"""Loads a registered model as a policy that acts, or refuses it if it is not the model that was registered.

Checked    the bytes (sha256), the tensors (names, shapes, types), and that observation, actions and features
           mean to this program what they meant in training.
Not        anything that unpickles; anything of training, evaluation or the environments.
"""

from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_safetensors

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy, require_finite
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.evidence import Match
from kalshi_platform.models.registry.record import (
    WEIGHTS_NAME,
    Digests,
    ModelRecord,
    digests_of,
    running_digests,
)
from kalshi_platform.models.registry.store import Registry


class LoadedModel(NamedTuple):
    """A policy and the record of the model it comes from."""

    policy: FrozenPolicy
    record: ModelRecord


def load_model(registry: Registry, name: str) -> LoadedModel:
    """Load the model called ``name`` (an alias or an id) and verify it.

    ChecksumError where the weights' bytes changed, DataError where they do not fit the record, ContractError
    where an observation or an action has another meaning in this program than in training.
    """
    record = registry.record(registry.resolve(name))
    require_fitting(record)
    weights = registry.artefact(record, WEIGHTS_NAME)
    return LoadedModel(policy_of(bytes(weights), record.spec, f"model {record.id}"), record)


def require_fitting(record: ModelRecord) -> None:
    """Raise ContractError where observations or actions mean something else here than in training."""
    if changed := [m for m in match_digests(record) if not m.equal]:
        found = "; ".join(f"{m.name} is {m.found} here, {m.recorded} in training" for m in changed)
        raise ContractError(
            f"model {record.id} does not fit this program: {found}. It would misread what it is shown: train "
            "it anew, or use the release that trained it"
        )


def match_digests(record: ModelRecord) -> tuple[Match, ...]:
    """Observation, action and feature digest: as recorded, and as the running program computes them.

    Where a record contradicts its own layout, a fourth match named "record" stands beside them.
    """
    recorded, running = record.digests, running_digests(record.spec)
    by_layout = Digests(
        observation=digests_of(record.spec).observation,
        action=recorded.action,
        feature=record.spec.feature_digest,
    )
    own = Match(name="record", recorded=recorded.digest, found=by_layout.digest)
    return (
        *(
            Match(name=name, recorded=getattr(recorded, name), found=getattr(running, name))
            for name in Digests.model_fields
        ),
        *(() if own.equal else (own,)),
    )


def policy_of(weights: bytes, spec: PolicySpec, name: str) -> FrozenPolicy:
    """Policy with the tensors in ``weights`` (safetensors).

    A DataError names the tensors that do not fit ``spec``.
    """
    try:
        tensors = read_safetensors(weights)
    except SafetensorError as err:
        told = bounded_message(str(err), 200)
        raise DataError(
            f"{name}: its weights are no safetensors file ({told}); register the run again"
        ) from None
    network = PolicyNetwork(spec)
    expected = network.state_dict()
    wrong = [f"{key} is missing" for key in expected.keys() - tensors.keys()]
    wrong += [f"{key} is not part of such a network" for key in tensors.keys() - expected.keys()]
    wrong += [
        f"{key} is {_kind(tensors[key])}, expected {_kind(expected[key])}"
        for key in expected.keys() & tensors.keys()
        if _kind(tensors[key]) != _kind(expected[key])
    ]
    if wrong:
        raise DataError(
            f"{name}: its weights do not fit its record: {bounded_message('; '.join(sorted(wrong)), 350)}"
        )
    require_finite(tensors, name)
    network.load_state_dict(tensors)
    return FrozenPolicy(network)


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
