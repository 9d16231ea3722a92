"""A model that does badly after its swap is taken back; one may also go back by hand."""

import threading

import pytest
from made.guards import Clock, S, answered, damaged, guard_of, kinds, swapped, tier_set

from kalshi_platform.domain.errors import DataError, LimitError, StorageError
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import add_tier_set
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.watch import WatchConfig
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import free

pytestmark = pytest.mark.usefixtures("one_torch_thread", "cost_ms")


def test_a_model_that_fails_after_the_swap_is_taken_back_here_and_in_the_registry(registry, models, loader):
    guard = swapped(registry, models, loader)
    bad = guard.active
    answered(guard, 60)
    answered(guard, 4, failed=True)  # 4 errors are not judged
    assert guard.active is bad
    answered(guard, 1, failed=True)  # 5 of 65 = 7.7 %
    assert guard.active.record.id == models[0]
    assert guard.previous is None
    assert registry.aliases().model(CHAMPION) == models[1]  # the answering path reads and writes nothing
    assert guard.refresh() is None
    entry = registry.aliases().entries[-1]
    assert (entry.kind, entry.model) == ("rollback", models[0])
    assert entry.reason == "automatic: 5 of 65 requests failed (7.7%), allowed 5.0%; 0.0% before"
    assert kinds(guard) == ["loaded", "swapped", "taken_back", "alias_changed"]
    answered(guard, 10, failed=True, served=bad)  # late answers of the model that is gone change nothing
    assert guard.refresh() is None


def test_a_model_whose_tiers_fail_is_taken_back_though_every_request_was_answered(registry, models, loader):
    guard = swapped(registry, models, loader)
    policy = guard.active.policy
    policy.tiers[0].engine.broken = True
    flat, _ = probes(policy.spec, 1)
    for k in range(5):
        assert guard.active.record.id == models[1]
        policy.decide(Batch(flat, None, free(1, 2)), k)
        answered(guard, 1)
    assert guard.active.record.id == models[0]
    assert guard.active.watch.figures(1_000 * S).errors == 0


def test_a_model_that_is_slow_after_the_swap_is_taken_back(registry, models, loader):
    guard = swapped(registry, models, loader)
    answered(guard, 199, latency_ms=80)
    assert guard.active.record.id == models[1]
    answered(guard, 32, latency_ms=80)
    assert guard.active.record.id == models[0]
    assert "80.0 ms, allowed 75 ms; 1.0 ms before" in guard.events[-1].words


def test_a_model_that_does_well_stands_after_its_watch(registry, models, loader):
    clock = Clock()
    guard = swapped(registry, models, loader, clock, watch=WatchConfig(watch_s=10))
    clock.now_ns += 10 * S + 1
    answered(guard, 32)
    assert kinds(guard)[-1] == "stands"
    answered(guard, 300, failed=True)  # no longer watched: the model before is not fresher
    assert guard.active.record.id == models[1]


def test_the_registry_is_rolled_back_later_where_it_does_not_answer_now(
    registry, models, loader, monkeypatch
):
    guard = swapped(registry, models, loader)
    answered(guard, 5, failed=True)
    with monkeypatch.context() as broken:

        def fail(self, alias, *, reason, seen, to):
            raise StorageError("bucket away")

        broken.setattr(Registry, "rollback", fail)
        with pytest.raises(StorageError, match="bucket away"):
            guard.refresh()
    assert guard.active.record.id == models[0]  # and the alias still names the other one: not tried again
    guard.refresh()
    assert registry.aliases().model(CHAMPION) == models[0]
    assert kinds(guard)[2:] == ["taken_back", "unreachable", "alias_changed"]


def test_an_alias_that_somebody_changed_meanwhile_is_left_alone(registry, models, loader):
    guard = swapped(registry, models, loader)
    answered(guard, 5, failed=True)
    registry.promote(CHAMPION, models[2], reason="by somebody")
    verdict = guard.refresh()
    assert (verdict.model, guard.active.record.id) == (models[2], models[2])
    assert [e.model for e in registry.aliases().entries] == models
    assert kinds(guard)[2:] == ["taken_back", "alias_left", "swapped"]


def test_a_new_tier_set_that_fails_is_taken_back_here_and_the_alias_stays(registry, models, loader):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    made = add_tier_set(registry, tier_set(registry.record(models[1]), "2026-02-01T00:00:00+00:00"), {})
    guard.refresh()
    away_and_back(registry, models[2])  # between two looks: the alias names the same model by another entry
    assert guard.refresh() is None
    answered(guard, 5, failed=True)
    assert guard.active.key == (models[1], None)
    assert not guard.refresh().accepted  # not tried again
    assert not guard_of(registry, loader).active.key.tier_set  # neither by a replica that starts
    assert registry.aliases().number == 4
    assert guard.events[-1].tiers == made.digest


def away_and_back(registry, model):
    registry.promote(CHAMPION, model, reason="by somebody")
    registry.rollback(CHAMPION, reason="by somebody")


def test_a_model_is_taken_back_by_the_log_as_it_was_last_seen_to_name_it(registry, models, loader):
    guard = swapped(registry, models, loader)
    away_and_back(registry, models[2])
    assert guard.refresh() is None
    answered(guard, 5, failed=True)
    guard.refresh()
    assert registry.aliases().model(CHAMPION) == models[0]
    assert kinds(guard)[2:] == ["taken_back", "alias_changed"]


def test_what_the_alias_was_rolled_back_to_is_never_left_for_the_model_it_was_rolled_back_from(
    registry, models, loader
):
    guard = swapped(registry, models, loader)
    registry.rollback(CHAMPION, reason="by somebody")
    guard.refresh()
    answered(guard, 20, failed=True)
    assert guard.active.record.id == models[0]
    assert kinds(guard)[-1] == "not_taken_back"
    assert kinds(guard).count("not_taken_back") == 1


def test_of_two_replicas_that_take_the_same_model_back_one_writes_one_entry(registry, models, loader):
    guards = [guard_of(registry, loader) for _ in range(2)]
    registry.promote(CHAMPION, models[1], reason="better")
    for guard in guards:
        guard.refresh()
        answered(guard, 5, failed=True)
    start = threading.Barrier(2)

    def refresh(guard):
        start.wait()
        guard.refresh()

    threads = [threading.Thread(target=refresh, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.model for e in registry.aliases().entries] == [models[0], models[1], models[0]]
    assert sorted(kinds(guard)[-1] for guard in guards) == ["alias_changed", "alias_left"]
    assert [guard.active.record.id for guard in guards] == [models[0]] * 2
    assert [guard.refresh() for guard in guards] == [None, None]


def test_a_candidate_that_was_prepared_while_the_active_model_was_taken_back_is_looked_at_anew(
    registry, models, loader
):
    guard = swapped(registry, models, loader)
    registry.promote(CHAMPION, models[2], reason="next")
    loader.damage[models[2]] = lambda engine: answered(guard, 5, failed=True)  # while it is being loaded
    verdict = guard.refresh()
    assert (verdict.model, guard.active.record.id, guard.previous.record.id) == (
        models[2],
        models[2],
        models[0],
    )
    assert kinds(guard)[2:] == ["taken_back", "alias_left", "swapped"]
    assert loader.loaded == [*models, models[2]]


def test_a_rollback_by_hand_goes_back_here_and_in_the_registry(registry, models, loader):
    guard = swapped(registry, models, loader)
    assert guard.rollback("it trades too much").record.id == models[0]
    entry = registry.aliases().entries[-1]
    assert (entry.model, entry.reason) == (models[0], "by hand: it trades too much")
    assert guard.refresh() is None
    assert kinds(guard)[2:] == ["rolled_back", "alias_changed"]


def test_a_replica_that_still_holds_the_model_which_the_alias_returns_to_does_not_load_it_again(
    registry, models, loader
):
    here, there = swapped(registry, models, loader), guard_of(registry, loader)
    n_loaded = len(loader.loaded)
    there.rollback("it trades too much")  # another replica: it had to load the model before
    assert len(loader.loaded) == n_loaded + 1
    loader.damage[models[0]] = damaged  # what is loaded from now on fails; what answered before does not
    assert here.refresh().accepted
    assert here.active.record.id == models[0]
    assert len(loader.loaded) == n_loaded + 1
    assert here.previous is None  # nobody goes back to what was rolled back from
    assert kinds(here)[-1] == "swapped"


def test_a_rollback_by_hand_on_a_replica_that_just_started_loads_what_the_registry_had_before(
    registry, models, loader
):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    assert guard.rollback("worse").record.id == models[0]
    assert guard.previous is None  # what was rolled back from is nothing to go back to
    with pytest.raises(LimitError, match="nothing to roll back to"):
        guard.rollback("once more")
    assert guard.active.record.id == models[0]


def test_a_rollback_by_hand_to_a_model_that_fails_its_checks_says_why_and_changes_no_alias(
    registry, models, loader
):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    loader.damage[models[0]] = damaged
    words = rf"{models[0]}, which champion named before, cannot be served here, .* not changed: .*planted"
    with pytest.raises(LimitError, match=words):
        guard.rollback("worse")
    assert guard.active.record.id == registry.aliases().model(CHAMPION) == models[1]
    assert registry.aliases().number == 2
    assert kinds(guard) == ["loaded", "refused"]
    del loader.damage[models[0]]  # what was only asked for by hand is not refused for good
    assert guard.rollback("worse").record.id == registry.aliases().model(CHAMPION) == models[0]


def test_a_rollback_by_hand_goes_to_the_model_that_answers_again_past_one_that_was_refused(
    registry, models, loader
):
    loader.damage[models[1]] = damaged
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="a mistake")
    assert not guard.refresh().accepted
    registry.promote(CHAMPION, models[2], reason="better")
    assert guard.refresh().accepted
    assert guard.rollback("worse").record.id == models[0]
    assert registry.aliases().model(CHAMPION) == models[0]  # not the refused one between them
    assert guard.refresh() is None


def test_a_log_that_lost_its_last_entry_is_not_written_to(registry, models, loader, tmp_path):
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    (tmp_path / "registry" / "aliases" / "000002.json").unlink()
    with pytest.raises(DataError, match="ends at entry 1, it had 2 before"):
        guard.rollback("worse")
    assert registry.aliases().number == 1


@pytest.mark.parametrize("from_the_registry", [False, True])
def test_after_a_restart_a_rollback_passes_over_what_no_replica_ever_served(
    registry, models, loader, from_the_registry
):
    first = guard_of(registry, loader, check=CheckConfig(min_probe_agreement=0.999))
    registry.promote(CHAMPION, models[1], reason="decides otherwise")
    assert not first.refresh().accepted
    registry.promote(CHAMPION, models[2], reason="better")
    guard = guard_of(registry, loader)  # knows no previous model of its own
    assert guard.active.record.id == models[2]
    if from_the_registry:
        registry.rollback(CHAMPION, reason="models rollback")
        guard.refresh()
    else:
        guard.rollback("worse")
    assert guard.active.record.id == registry.aliases().model(CHAMPION) == models[0]
    assert guard_of(registry, loader).active.record.id == models[0]


def test_a_rollback_by_hand_while_the_alias_names_a_refused_model_says_how_to_set_the_alias_back(
    registry, models, loader
):
    loader.damage[models[1]] = damaged
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="a mistake")
    guard.refresh()
    words = rf"champion names {models[1]}, which does not answer here .*models rollback --alias champion$"
    with pytest.raises(LimitError, match=words):
        guard.rollback("wrong model")
    assert registry.aliases().model(CHAMPION) == models[1]
    registry.rollback(CHAMPION, reason="as it said")
    assert guard.refresh() is None
    assert guard.active.record.id == models[0]
