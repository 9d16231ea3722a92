"""Tier 3 of a few models by name, over a registry of made ones."""

import asyncio
import shutil

import pytest
from made.registry_models import made_policy, made_record

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.inference import ready as load
from kalshi_platform.serving.inference.ready import ModelKey, probe_batch
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.serving.server.tier_3 import KEPT, Tier3Models

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    monkeypatch.setattr(load, "time_group", lambda engine, groups, runs: CallTimes(1.0, 2.0, 3.0, runs))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    registry = Registry(folder)
    ids = [registry.add(*made_record(made_policy("tiny", seed))).id for seed in range(3)]
    registry.promote(CHAMPION, ids[0], reason="first")
    return folder, ids


@pytest.fixture
def registry(tmp_path, made):
    shutil.copytree(made[0], tmp_path / "registry")
    return Registry(tmp_path / "registry")


@pytest.fixture
def ids(made):
    return made[1]


def test_tier_3_answers_for_the_model_it_is_asked_about(registry, ids):
    tier_3 = Tier3Models(registry, CHAMPION)

    async def scenario():
        await tier_3.follow()
        answers = []
        for model in (*ids[:3], ids[0]):
            policy = models_policy(registry, model)
            batch = probe_batch(policy)
            found = await tier_3.decide(ModelKey(model, None), batch)
            assert found.probabilities.tobytes() == policy.ask(3, batch, 0).probabilities.tobytes()
            answers.append(found.probabilities.tobytes())
            assert len(tier_3._models) <= KEPT
        assert answers[0] == answers[3]
        assert len(set(answers)) == 3

    asyncio.run(scenario())


def models_policy(registry, model):
    ready = load.ready_tiers(registry, model)
    return TieredPolicy(ready.model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))


def test_one_loading_serves_everybody_who_waits_for_it(registry, ids, monkeypatch):
    tier_3 = Tier3Models(registry, CHAMPION)
    loaded = []
    inner = tier_3._load
    monkeypatch.setattr(tier_3, "_load", lambda key: loaded.append(key) or inner(key))

    async def scenario():
        key = ModelKey(ids[1], None)
        gone = asyncio.create_task(tier_3.prepare(key))
        await asyncio.sleep(0)
        gone.cancel()  # who stops waiting does not stop the loading
        await asyncio.gather(*(tier_3.prepare(key) for _ in range(3)))
        assert loaded == [key]

    asyncio.run(scenario())


def test_a_tier_set_that_is_not_there_is_refused_by_name(registry, ids):
    with pytest.raises(DataError, match="no tier set 0123456789ab"):
        asyncio.run(Tier3Models(registry, CHAMPION).prepare(ModelKey(ids[0], "0123456789ab")))
