"""A champion that decides something, though nobody trained it."""

import torch
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.models.registry.record import WEIGHTS_NAME, model_id
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig
from made.registry_models import made_policy, made_record

SPLIT = SplitConfig(train=10, validation=8, test=4)


ENV = EnvConfig(n_slots=2, decision_interval_ms=60_000)


def registered(registry: Registry, dataset_digest: str) -> str:
    """A champion that decides something, though nobody trained it."""
    policy = made_policy("tiny", seed=4)
    with torch.no_grad():
        policy.network.action_head[-1].weight.mul_(300)
    record, files = made_record(
        policy, dataset_digest=dataset_digest, environment=ENV.model_dump(mode="json")
    )
    named = model_id(
        record.artefacts[WEIGHTS_NAME], record.spec, record.environment, record.digests, dataset_digest,
        record.commit,
    )  # fmt: skip
    registry.add(record.replace(id=named), files)
    registry.promote("champion", named, reason="made")
    return named


def invoke(place, *arguments):
    folder = place[0]
    return CliRunner().invoke(app, ["tiers", *arguments, "--registry", str(folder / "registry")])
