"""The models of a replica and tier 3 of a few models by name, over a registry of made ones."""

import asyncio
import shutil

import numpy as np
import pytest
from made.registry_models import made_policy, made_record

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.guard import candidate
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.reload import GuardConfig
from kalshi_platform.serving.inference import ready as load
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.serving.server.full_tier import KEPT, FullTierModels, Key
from kalshi_platform.serving.server.models import GuardedModels, require_model
from kalshi_platform.serving.server.service import probe_batch

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    def timed(call, runs, min_runs):
        call(0)
        return CallTimes(0.5, 1.0, 2.0, runs)

    monkeypatch.setattr(candidate, "time_calls", timed)
    monkeypatch.setattr(load, "time_group", lambda engine, groups, runs: CallTimes(1.0, 2.0, 3.0, runs))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    registry = Registry(folder)
    ids = [registry.add(*made_record(made_policy("tiny", seed))).id for seed in range(3)]
    broken = made_policy("tiny", 3)
    broken.network.action_head[-1].weight.fill_(float("nan"))
    ids.append(registry.add(*made_record(broken)).id)
    registry.promote(CHAMPION, ids[0], reason="first")
    return folder, ids


@pytest.fixture
def registry(tmp_path, made):
    shutil.copytree(made[0], tmp_path / "registry")
    return Registry(tmp_path / "registry")


@pytest.fixture
def ids(made):
    return made[1]


def models_of(registry, **keywords) -> GuardedModels:
    guard = GuardConfig(check=CheckConfig(min_agreement=0.0))
    return GuardedModels(registry, guard, TieredConfig(inference_ttl_ms=0), **keywords)


def test_before_the_start_nothing_answers(registry):
    assert models_of(registry).current() is None


def test_what_the_alias_names_is_served_with_the_settings_it_was_trained_in(registry, ids):
    served = models_of(registry).start()
    assert (served.model, served.tier_set) == (ids[0], None)
    assert served.trading.n_slots == served.policy.spec.n_slots == 2


def test_whoever_holds_tier_3_is_told_before_a_model_is_checked_and_observers_after(registry, ids):
    told = []
    models = models_of(
        registry,
        prepare=lambda model, tiers: told.append(("prepare", model, tiers)),
        reloaded=lambda result, model, reason: told.append((result, model)),
    )
    models.start()
    registry.promote(CHAMPION, ids[1], reason="better")
    assert models.refresh().accepted
    registry.promote(CHAMPION, ids[3], reason="a mistake")
    assert not models.refresh().accepted
    registry.rollback(CHAMPION, reason="a mistake", seen=registry.aliases())
    assert models.refresh() is None
    assert models.rollback("by hand") == ids[0]
    assert registry.aliases().model(CHAMPION) == ids[0]
    assert told == [
        ("prepare", ids[0], None),
        ("prepare", ids[1], None),
        ("accepted", ids[1]),
        ("prepare", ids[3], None),
        ("refused", ids[3]),
        ("rolled_back", ids[1]),
    ]
    assert [event.kind.value for event in models.events()][:3] == ["loaded", "swapped", "refused"]


def test_a_request_keeps_its_model_and_what_was_replaced_is_not_judged(registry, ids):
    models = models_of(registry)
    first = models.start()
    assert models.current() is first
    registry.promote(CHAMPION, ids[1], reason="better")
    models.refresh()
    second = models.current()
    assert (second.model, second.number) == (ids[1], 2)
    for _ in range(1_000):
        models.failed(first, 1)
    assert models.current() is second
    batch = probe_batch(second.policy)
    for _ in range(400):
        models.answered(second, batch, second.policy.decide(batch, 0), 1_000)
    for _ in range(100):  # of 500 requests a fifth: over the 5 % it may be
        models.failed(second, 1)
    assert models.current().model == ids[0]


@pytest.mark.parametrize(
    ("name", "words"), [("challenger", "has no challenger"), ("tiny-0123456789ab", "is an id")]
)
def test_a_name_that_cannot_be_followed_is_refused_with_what_to_do(registry, name, words):
    with pytest.raises(ContractError, match=words):
        require_model(registry, name)


def test_tier_3_answers_for_the_model_it_is_asked_about(registry, ids):
    full = FullTierModels(registry, CHAMPION)

    async def scenario():
        await full.follow()
        answers = []
        for model in (*ids[:3], ids[0]):
            policy = models_policy(registry, model)
            batch = probe_batch(policy)
            found = await full.decide(Key(model, None), batch)
            assert found.probabilities.tobytes() == policy.ask(3, batch, 0).probabilities.tobytes()
            answers.append(found.probabilities.tobytes())
            assert len(full._models) <= KEPT
        assert answers[0] == answers[3]
        assert len(set(answers)) == 3

    asyncio.run(scenario())


def models_policy(registry, model):
    ready = load.ready_tiers(registry, model)
    return TieredPolicy(ready.model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))


def test_one_loading_serves_everybody_who_waits_for_it(registry, ids, monkeypatch):
    full = FullTierModels(registry, CHAMPION)
    loaded = []
    inner = full._load
    monkeypatch.setattr(full, "_load", lambda key: loaded.append(key) or inner(key))

    async def scenario():
        key = Key(ids[1], None)
        gone = asyncio.create_task(full.prepare(key))
        await asyncio.sleep(0)
        gone.cancel()  # who stops waiting does not stop the loading
        await asyncio.gather(*(full.prepare(key) for _ in range(3)))
        assert loaded == [key]

    asyncio.run(scenario())


def test_a_tier_set_that_is_not_there_is_refused_by_name(registry, ids):
    with pytest.raises(DataError, match="no tier set 0123456789ab"):
        asyncio.run(FullTierModels(registry, CHAMPION).prepare(Key(ids[0], "0123456789ab")))


@pytest.fixture
def compared():
    """What a shadow told."""
    return []


@pytest.fixture
def shadowed(registry, ids, compared):
    """Models with a challenger beside them, followed once."""
    registry.promote("challenger", ids[1], reason="promising")
    models = models_of(registry, shadow="challenger", compared=lambda *found: compared.append(found))
    models.start()
    models.follow_shadow()
    yield models
    models.close()


def answer(models):
    """One answered request."""
    served = models.current()
    batch = probe_batch(served.policy)
    decisions = served.policy.decide(batch, 0)
    models.answered(served, batch, decisions, 1_000)
    return batch, decisions


def kinds_of(models):
    return [(event.kind.value, event.model) for event in models.events()]


def test_a_challenger_decides_what_was_answered_and_its_alias_is_followed(registry, ids, shadowed, compared):
    assert shadowed.shadow().model == ids[1]
    registry.promote("challenger", ids[2], reason="the next")
    shadowed.follow_shadow()
    assert shadowed.shadow().model == ids[2]
    batch, decisions = answer(shadowed)
    shadowed._challenger._running[1].stop(finish=True)
    report = shadowed.shadow()
    assert (report.offered, report.groups, report.slots) == (1, 1, 2)
    ours, its, slots = compared[-1]
    assert ours.tobytes() == decisions.actions.tobytes()
    expected = models_policy(registry, ids[2]).decide(batch, 0).actions
    np.testing.assert_array_equal(its, expected)
    assert slots.all()
    assert kinds_of(shadowed) == [
        ("loaded", ids[0]),
        ("shadowed", ids[1]),
        ("shadowed", ids[2]),
    ]


def test_another_champion_begins_another_comparison_with_the_challenger_in_memory(
    registry, ids, shadowed, monkeypatch
):
    answer(shadowed)
    registry.promote(CHAMPION, ids[2], reason="better")
    shadowed.refresh()
    answer(shadowed)  # before the shadow is followed: of another champion than it is compared with
    assert shadowed.shadow().offered == 1
    monkeypatch.setattr(load, "time_group", None)  # loading again would fail
    shadowed.follow_shadow()
    answer(shadowed)
    assert (shadowed.shadow().model, shadowed.shadow().offered) == (ids[1], 1)


def test_what_the_alias_cannot_give_is_told_once_and_skipped(registry, ids):
    models = models_of(registry, shadow="challenger")
    models.start()
    other = registry.add(*made_record(made_policy("simple", 9))).id

    def followed(model):
        registry.promote("challenger", model, reason="to be seen")
        for _ in range(2):
            models.follow_shadow()
        answer(models)
        assert models.shadow() is None
        return models.events()[-1]

    for _ in range(2):
        models.follow_shadow()
    assert "has no alias 'challenger'" in models.events()[-1].words
    assert followed(ids[0]).words == "challenger is the model that answers: there is nothing to compare"
    told = followed(other)
    assert (told.kind.value, told.model) == ("shadow_refused", other)
    assert "rows of history" in told.words
    assert len(models.events()) == 4, "each told once"


def test_a_challenger_that_keeps_failing_is_told_and_the_answers_go_on(registry, ids):
    registry.promote("challenger", ids[3], reason="a mistake")
    models = models_of(registry, shadow="challenger")
    models.start()
    models.follow_shadow()
    for _ in range(5):
        answer(models)
    models._challenger._running[1]._thread.join(30)
    models.follow_shadow()
    assert models.events()[-1].kind.value == "shadow_ended"
    assert "failed 5 times" in models.events()[-1].words
    assert models.current().model == ids[0]
    models.close()


def test_without_a_shadow_nothing_is_compared(registry, ids):
    models = models_of(registry)
    models.start()
    models.follow_shadow()
    answer(models)
    assert models.shadow() is None
    models.close()
