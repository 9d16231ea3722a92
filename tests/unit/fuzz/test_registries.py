"""Fuzz targets: a registry with a damaged record, log, verdict, judgement or weights, and a damaged tier set.

Taken     the model that an untouched registry gives, with the same decisions; nothing is written by reading.
Refused   by the file's name, or the model's.
"""

import json
import shutil

import numpy as np
import torch
from made.fuzzing import FindingError, fuzz, refusal
from made.guards import tier_set
from made.mutations import odd_bytes, odd_text
from made.registry_models import made_policy, made_record
from safetensors.torch import save

from kalshi_platform.models.registry.load import load_model, policy_of
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import add_tier_set, newest_tier_set, tier_sets
from kalshi_platform.models.registry.verdicts import KeptVerdict


def made(folder):
    """A registry of two models, three changes of an alias, a verdict and a tier set."""
    registry = Registry(folder)
    first, second = (registry.add(*made_record(made_policy("tiny", seed))) for seed in (0, 1))
    registry.promote(CHAMPION, first.id, reason="first")
    registry.promote(CHAMPION, second.id, reason="second")
    registry.rollback(CHAMPION, reason="back")
    registry.add_verdict(
        KeptVerdict(
            alias=CHAMPION,
            entry=1,
            model=first.id,
            tier_set=None,
            fault="",
            reason="",
            host="h",
            at="2026",
            by="a@h",
        )
    )
    add_tier_set(registry, tier_set(first, "2026-01-01T00:00:00+00:00"), {})
    return first.id


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_registries(place):
    sound, folder = place / "sound", place / "reg"
    champion = made(sound)
    contents = files(sound)

    def one(rng):
        shutil.copytree(sound, folder)
        try:
            name = rng.choice(sorted(contents))
            is_text = name.endswith(".json") and rng.randrange(4)
            before = contents[name]
            data = odd_text(rng, json.loads(before)) if is_text else odd_bytes(rng, before)
            (folder / name).write_bytes(data)
            seen = files(folder)
            said = refusal(lambda: look(folder, champion), name, name.split("/")[1], f"{name.split('/')[0]}/")
            if files(folder) != seen:
                raise FindingError("reading changed the registry")
            return said
        finally:
            shutil.rmtree(folder)

    counts = fuzz("registries", 200, one)
    assert counts["refused"]


def look(folder, champion):
    """Read all that serving, the gates and the commands read of a registry."""
    registry = Registry(folder)
    log = registry.aliases()
    for record in registry.models():
        newest_tier_set(registry, record.id)
        loaded = load_model(registry, record.id)
        if loaded.record.derived_id != record.id:
            raise FindingError("a model under another id")
    for entry in log.entries:
        registry.verdicts(entry.alias, entry.number)
        log.stack(entry.alias)
        log.promotion(entry.alias)
    if registry.aliases().current.keys() != log.current.keys():
        raise FindingError("two readings differ")
    tier_sets(registry, champion)
    load_model(registry, CHAMPION)


def test_weights(place):
    policy = made_policy("tiny", 0)
    data = save(policy.network.state_dict())

    def one(rng):
        odd = odd_bytes(rng, data)

        def read():
            found = policy_of(odd, policy.spec, "model m")
            if not all(torch.isfinite(t).all() for t in found.network.state_dict().values()):
                raise FindingError("weights that are not finite were read")
            flat = np.zeros((1, policy.spec.width), np.float32)
            found.act(flat)

        return refusal(read, "model m")

    counts = fuzz("weights", 200, one)
    assert counts["refused"]
    assert counts["taken"]
