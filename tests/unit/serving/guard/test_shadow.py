"""A challenger beside the champion: counted exactly, never waited for, switched off when it keeps failing."""

import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from made import registry_models
from made.registry_models import made_record
from made.serving_tiers import made_batch, made_policy

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.guard import candidate
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.guard.shadow import Shadow, ShadowConfig
from kalshi_platform.serving.inference import ready as load
from kalshi_platform.serving.inference.batch import Note, Tier
from kalshi_platform.serving.inference.ready import probe_batch
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def champion():
    return made_policy()[0]


class Rival:
    """The champion, its decisions changed by ``answer``; waits while ``gate`` is shut."""

    def __init__(self, champion, answer=lambda found: None) -> None:
        self.spec, self.window, self._champion, self.answer = (
            champion.spec,
            champion.window,
            champion,
            answer,
        )
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()

    def decide(self, batch, now_ns):
        self.asked.set()
        assert self.gate.wait(30)
        found = self._champion.decide(batch, now_ns)
        self.answer(found)
        return found


def shadow_of(champion, challenger, **config):
    made = Shadow("challenger-1", challenger, champion, ShadowConfig(**config))
    made.start()
    return made


def decided(champion, n, actions=None):
    """A batch of ``n`` groups and the champion's decisions about it."""
    batch = made_batch(champion, n)
    found = champion.decide(batch, 0)
    if actions is not None:
        found.actions[:] = actions
    return batch, found


def test_slots_decided_otherwise_are_counted_by_tier_and_pair_of_actions(champion):
    def answer(found):
        found.actions[:] = HOLD
        found.actions[0, :3] = BUY_NO

    batch, found = decided(champion, 4, HOLD)
    found.actions[0, 0] = BUY_YES  # BUY_YES against BUY_NO once, HOLD against BUY_NO twice
    found.actions[1, 0] = BUY_YES  # BUY_YES against HOLD once
    found.tier[:] = [Tier.TIER_1, Tier.TIER_3, Tier.TIER_3, Tier.TIER_3]
    challenger = Rival(champion, answer)
    shadow = shadow_of(champion, challenger)
    assert shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.groups, report.slots, report.differing) == (4, 20, 4)
    assert report.by_tier == {"tier_1": (5, 3), "tier_3": (15, 1)}
    assert report.pairs == {"BUY_YES > BUY_NO": 1, "HOLD > BUY_NO": 2, "BUY_YES > HOLD": 1}
    assert (report.offered, report.dropped, report.failures, report.switched_off) == (1, 0, 0, "")


def test_a_challenger_that_is_the_champion_differs_nowhere(champion):
    shadow = shadow_of(champion, Rival(champion))
    shadow.offer(*decided(champion, 8), 0)
    shadow.stop(finish=True)
    assert (shadow.report().slots, shadow.report().differing, shadow.report().pairs) == (40, 0, {})


def test_empty_and_forced_slots_say_nothing_about_a_challenger(champion):
    batch, found = decided(champion, 2, HOLD)
    champion.layout.slot_mask(batch.flat)[0] = 0  # no market in group 0
    batch.forced[1, :4] = BUY_YES
    shadow = shadow_of(champion, Rival(champion, lambda found: found.actions.fill(BUY_YES)))
    shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    assert (shadow.report().slots, shadow.report().differing) == (1, 1)


def test_a_full_queue_drops_and_counts_and_whoever_offers_waits_for_nothing(champion):
    challenger = Rival(champion)
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger, max_waiting=2)
    told = decided(champion, 1)
    assert shadow.offer(*told, 0)
    assert challenger.asked.wait(30)  # the first is in hand, two may wait
    assert [shadow.offer(*told, 0) for _ in range(4)] == [True, True, False, False]
    challenger.gate.set()
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.offered, report.dropped, report.groups) == (5, 2, 3)


def test_the_champions_answer_is_not_touched_and_its_arrays_may_be_reused_at_once(champion):
    challenger = Rival(champion, lambda found: found.actions.fill(BUY_NO))
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger)
    batch, found = decided(champion, 3, HOLD)
    before = [column.copy() for column in found]
    shadow.offer(batch, found, 0)
    for column, kept in zip(found, before, strict=True):
        np.testing.assert_array_equal(column, kept)
    batch.flat.fill(np.nan)
    found.actions.fill(BUY_NO)
    challenger.gate.set()
    shadow.stop(finish=True)
    assert shadow.report().pairs == {"HOLD > BUY_NO": 15}


def test_a_challenger_that_keeps_failing_is_switched_off_with_the_reason(champion):
    def fail(found):
        raise RuntimeError("planted")

    challenger = Rival(champion, fail)
    shadow = shadow_of(champion, challenger, max_failures=2)
    told = decided(champion, 1)
    shadow.offer(*told, 0)
    shadow.offer(*told, 0)
    shadow._thread.join(30)
    assert not shadow.offer(*told, 0)
    shadow.stop()
    report = shadow.report()
    assert (report.failures, report.groups, report.slots) == (2, 0, 0)
    assert report.switched_off == "it failed 2 times, last with RuntimeError: planted"


def test_a_challenger_that_answers_in_another_shape_has_failed(champion):
    challenger = Rival(champion)
    challenger.decide = lambda batch, now_ns: decided(champion, 1)[1]
    shadow = shadow_of(champion, challenger)
    shadow.offer(*decided(champion, 3), 0)
    shadow.stop(finish=True)
    assert (shadow.report().failures, shadow.report().groups) == (1, 0)


def test_stopping_ends_after_the_call_in_hand_and_drops_what_waits(champion):
    challenger = Rival(champion)
    challenger.gate.clear()
    shadow = shadow_of(champion, challenger)
    told = decided(champion, 1)
    shadow.offer(*told, 0)
    assert challenger.asked.wait(30)
    shadow.offer(*told, 0)
    stopping = threading.Thread(target=shadow.stop)
    stopping.start()
    while not shadow._stopping:
        threading.Event().wait(0.001)
    challenger.gate.set()
    stopping.join(30)
    assert not shadow._thread.is_alive()
    assert (shadow.report().groups, shadow.report().dropped) == (1, 1)
    assert not shadow.offer(*told, 0)


def test_a_shadow_is_started_once_and_drops_what_comes_before(champion):
    shadow = Shadow("challenger-1", Rival(champion), champion)
    assert not shadow.offer(*decided(champion, 1), 0)
    shadow.start()
    with pytest.raises(ContractError, match="was started before"):
        shadow.start()
    shadow.stop()


def test_a_challenger_that_reads_other_columns_is_refused(champion):
    other = SimpleNamespace(spec=champion.spec.replace(market=("yes_mid",)), window=champion.window)
    with pytest.raises(ContractError, match="cannot be a challenger here: it reads other market"):
        Shadow("x", Rival(champion), other)


def test_what_stands_in_for_a_failed_network_is_a_failure_and_compared_with_nothing(champion):
    def answer(found):
        found.notes[0] = Note.FALLBACK

    shadow = shadow_of(champion, Rival(champion, answer))
    shadow.offer(*decided(champion, 2), 0)
    shadow.stop(finish=True)
    report = shadow.report()
    assert (report.failures, report.groups, report.slots) == (1, 0, 0)


def test_comparisons_are_told_as_they_are_made(champion):
    told = []
    shadow = Shadow(
        "challenger-1", Rival(champion), champion, compared=lambda *found: told.append(found)
    )  # fmt: skip
    shadow.start()
    batch, found = decided(champion, 2)
    batch.forced[0, 0] = HOLD
    shadow.offer(batch, found, 0)
    shadow.stop(finish=True)
    ((ours, its, slots),) = told
    assert ours.tobytes() == found.actions.tobytes()
    np.testing.assert_array_equal(ours[slots], its[slots])
    assert slots.sum() == 9, "of 10 slots one is forced"


# the alias that names it


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
    ids = [registry.add(*made_record(registry_models.made_policy("tiny", seed))).id for seed in range(3)]
    broken = registry_models.made_policy("tiny", 3)
    broken.network.action_head[-1].weight.fill_(3e38)  # finite: its logits are not
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


def guard_of(registry, **keywords):
    config = GuardConfig(
        check=CheckConfig(min_agreement=0.0), shadow="challenger", caches=TieredConfig(inference_ttl_ms=0)
    )
    return ModelGuard(registry, config, **keywords)


@pytest.fixture
def compared():
    """Comparisons that a shadow handed on."""
    return []


@pytest.fixture
def shadowed(registry, ids, compared):
    """Models with a challenger beside them, followed once."""
    registry.promote("challenger", ids[1], reason="promising")
    models = guard_of(registry, compared=lambda *found: compared.append(found))
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
    return [(event.kind, event.model) for event in models.events]


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
    ready = load.ready_tiers(registry, ids[2])
    expected = TieredPolicy(ready.model.record.spec, ready.tiers).decide(batch, 0).actions
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
    heard = []
    models = guard_of(registry, listener=heard.append)
    models.start()
    other = registry.add(*made_record(registry_models.made_policy("simple", 9))).id

    def followed(model):
        registry.promote("challenger", model, reason="to be seen")
        for _ in range(2):
            models.follow_shadow()
        answer(models)
        assert models.shadow() is None
        return models.events[-1]

    for _ in range(2):
        models.follow_shadow()
    assert "has no alias 'challenger'" in models.events[-1].words
    assert followed(ids[0]).words == "challenger is the model that answers: there is nothing to compare"
    told = followed(other)
    assert (told.kind, told.model) == ("shadow_refused", other)
    assert "rows of history" in told.words
    assert len(models.events) == 4, "each told once"
    assert heard == list(models.events), "a metric counts what the listener hears"


def test_a_challenger_that_keeps_failing_is_told_and_the_answers_go_on(registry, ids):
    registry.promote("challenger", ids[3], reason="a mistake")
    models = guard_of(registry)
    models.start()
    models.follow_shadow()
    for _ in range(5):
        answer(models)
    models._challenger._running[1]._thread.join(30)
    models.follow_shadow()
    assert models.events[-1].kind == "shadow_ended"
    assert "failed 5 times" in models.events[-1].words
    assert models.current().key.model == ids[0]
    models.close()
