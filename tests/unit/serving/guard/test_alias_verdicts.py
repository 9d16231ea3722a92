"""A refusal holds in every replica that starts or looks; a start begins with what stood."""

import pytest
from made.guards import Clock, S, answered, damaged, guard_of, kinds, swapped, tier_set
from made.registry_models import made_policy, made_record

from kalshi_platform.domain.errors import DataError, LimitError, StorageError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import add_tier_set
from kalshi_platform.serving.guard import alias_verdicts as rules
from kalshi_platform.serving.guard.alias_verdicts import Deployed, deployed_now
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.watch import WatchConfig

pytestmark = pytest.mark.usefixtures("one_torch_thread", "cost_ms")


def refused(registry, models, loader, **config):
    """A guard that refused the second model, for agreement: nothing is wrong with the model alone."""
    guard = guard_of(registry, loader, check=CheckConfig(min_probe_agreement=0.999), **config)
    registry.promote(CHAMPION, models[1], reason="better")
    assert not guard.refresh().accepted
    return guard


def test_a_model_that_one_replica_refused_is_served_by_none_that_starts(registry, models, loader):
    reason = refused(registry, models, loader).refresh().reason
    for _ in range(2):  # its own bounds would let the model pass
        guard = guard_of(registry, loader)
        assert guard.active.record.id == models[0]
        assert guard.refresh().reason.startswith(f"{reason} (refused by ")
        assert kinds(guard) == ["refused", "loaded"]
    assert loader.loaded.count(models[1]) == 1  # nobody tries it again


def test_the_alias_named_anew_is_a_new_chance(registry, models, loader):
    refused(registry, models, loader)
    registry.rollback(CHAMPION, reason="a mistake")
    registry.promote(CHAMPION, models[1], reason="on purpose")
    assert guard_of(registry, loader).active.record.id == models[1]


def test_a_service_deployed_with_a_refused_model_does_not_serve_it(registry, models, loader):
    refused(registry, models, loader)
    guard = guard_of(registry, loader, deployed=deployed_now(registry, CHAMPION))
    assert guard.active.record.id == models[0]


def test_what_was_promoted_while_the_service_ran_is_first_compared_with_what_stood(registry, models, loader):
    deployed = deployed_now(registry, CHAMPION)
    guard_of(registry, loader, deployed=deployed)
    other = registry.add(*made_record(made_policy("simple"))).id  # reads 16 rows of history
    registry.promote(CHAMPION, other, reason="larger")  # the replica died before it saw that
    again = guard_of(registry, loader, deployed=deployed)
    assert again.active.record.id == models[0]
    assert "clients of the active model send 0" in again.refresh().reason


def test_a_service_that_is_deployed_anew_may_begin_with_other_columns(registry, models, loader):
    guard_of(registry, loader)
    other = registry.add(*made_record(made_policy("simple"))).id
    registry.promote(CHAMPION, other, reason="larger")
    guard = guard_of(registry, loader, deployed=deployed_now(registry, CHAMPION))
    assert guard.active.record.id == other


def test_a_good_model_promoted_just_before_a_restart_is_brought_in_beside_what_stood(
    registry, models, loader
):
    guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    guard = guard_of(registry, loader)
    assert guard.active.record.id == models[1]
    assert guard.previous.record.id == models[0]
    assert kinds(guard) == ["loaded", "swapped"]
    loader.loaded.clear()
    assert guard_of(registry, loader).active.record.id == models[1]  # it stood: begun with at once
    assert loader.loaded == [models[1]]


def test_a_rolled_back_alias_begins_with_the_model_it_was_rolled_back_to(registry, models, loader):
    guard_of(registry, loader)
    swapped(registry, models, loader)
    registry.rollback(CHAMPION, reason="by somebody")
    loader.loaded.clear()
    assert guard_of(registry, loader).active.record.id == models[0]
    assert loader.loaded == [models[0]]


def test_a_taken_back_tier_set_is_not_served_by_a_replica_that_starts(registry, models, loader):
    guard = guard_of(registry, loader)
    made = add_tier_set(registry, tier_set(registry.record(models[0]), "2026-02-01T00:00:00+00:00"), {})
    guard.refresh()
    assert guard.active.key.tier_set == made.digest
    answered(guard, 5, failed=True)
    guard.refresh()
    assert guard_of(registry, loader).active.key == (models[0], None)


def test_a_replica_goes_back_where_another_refused_what_it_has_on_trial(registry, models, loader):
    first = guard_of(registry, loader)
    second = guard_of(registry, loader, check=CheckConfig(min_probe_agreement=0.999))
    registry.promote(CHAMPION, models[1], reason="better")
    assert first.refresh().accepted
    assert not second.refresh().accepted
    verdict = first.refresh()
    assert (verdict.accepted, first.active.record.id) == (False, models[0])
    assert kinds(first) == ["loaded", "swapped", "refused", "taken_back"]
    assert registry.aliases().model(CHAMPION) == models[1]  # a refusal changes no alias
    assert not first.refresh().accepted


def test_a_refusal_does_not_end_what_has_stood(registry, models, loader):
    clock = Clock()
    first = swapped(registry, models, loader, clock, watch=WatchConfig(watch_s=10))
    clock.now_ns += 10 * S + 1
    answered(first, 32)
    assert kinds(first)[-1] == "stands"
    loader.damage[models[1]] = damaged  # in the replica that starts now
    second = guard_of(registry, loader)
    assert second.active.record.id == models[0]
    assert first.refresh() is None
    del loader.damage[models[1]]
    assert guard_of(registry, loader).active.record.id == models[1]  # nothing was written against it


def out_of_memory(engine):
    def logits(flat, codes):
        raise MemoryError("planted")

    engine.logits = logits


@pytest.mark.parametrize("slow", [False, True])
def test_a_fault_of_one_machine_binds_that_machine_alone_until_it_is_deployed_anew(
    registry, models, loader, cost_ms, monkeypatch, slow
):
    monkeypatch.setattr(rules.socket, "gethostname", lambda: "small")
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    if slow:
        cost_ms["p99"] = 1_000.0
    else:
        loader.damage[models[1]] = out_of_memory
    assert guard.refresh().fault == "machine"
    (kept,) = [v for v in registry.verdicts(CHAMPION, 2) if not v.served]
    assert (kept.fault, kept.host) == ("machine", "small")
    loader.damage.clear()
    cost_ms["p99"] = 1.0
    assert guard_of(registry, loader).active.record.id == models[0]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(rules.socket, "gethostname", lambda: "large")
        assert guard_of(registry, loader).active.record.id == models[1]
    anew = deployed_now(registry, CHAMPION)
    assert guard_of(registry, loader, deployed=anew).active.record.id == models[1]


def test_a_machines_refusal_after_the_deployment_binds_again(registry, models, loader):
    guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    deployed = deployed_now(registry, CHAMPION)
    loader.damage[models[1]] = out_of_memory
    guard = guard_of(registry, loader, deployed=deployed._replace(at="2020-01-01T00:00:00.000+00:00"))
    assert guard.active.record.id == models[0]
    loader.damage.clear()
    early = deployed._replace(at="2020-01-01T00:00:00.000+00:00")
    assert guard_of(registry, loader, deployed=early).active.record.id == models[0]
    assert guard_of(registry, loader, deployed=deployed).active.record.id == models[0]
    anew = deployed_now(registry, CHAMPION)
    assert guard_of(registry, loader, deployed=anew).active.record.id == models[1]


def test_a_registry_that_takes_nothing_is_said_and_a_start_falls_back_on_what_was_deployed(
    registry, models, loader, monkeypatch
):
    def read_only(self, verdict):
        raise StorageError("cannot create: read-only file system")

    monkeypatch.setattr(Registry, "add_verdict", read_only)
    deployed = deployed_now(registry, CHAMPION)
    guard = guard_of(registry, loader, deployed=deployed)
    loader.damage[models[1]] = damaged
    registry.promote(CHAMPION, models[1], reason="better")
    assert not guard.refresh().accepted
    assert kinds(guard) == ["loaded", "not_written", "refused", "not_written"]
    assert "a replica that starts on another machine knows nothing of it" in guard.events[-1].words
    again = guard_of(registry, loader, deployed=deployed)
    assert again.active.record.id == models[0]
    monkeypatch.undo()
    guard.refresh()  # what waited is written as soon as the registry takes it
    assert [v.fault for v in registry.verdicts(CHAMPION, 2)] == ["model"]


@pytest.fixture
def read_only(monkeypatch):
    """A registry that takes no verdicts."""

    def refuse(self, verdict):
        raise StorageError("cannot create: read-only file system")

    monkeypatch.setattr(Registry, "add_verdict", refuse)


@pytest.mark.usefixtures("read_only")
def test_a_refusal_that_the_registry_does_not_take_binds_this_machine(registry, models, loader):
    deployed = deployed_now(registry, CHAMPION)
    refused(registry, models, loader, deployed=deployed)
    again = guard_of(registry, loader, deployed=deployed)  # its own bounds would let the model pass
    assert again.active.record.id == models[0]
    assert "at least 99.9% are asked for" in again.refresh().reason
    assert loader.loaded.count(models[1]) == 1


@pytest.mark.usefixtures("read_only")
def test_a_refusal_that_nobody_can_keep_is_said(registry, models, loader, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "file"))
    guard = refused(registry, models, loader)
    assert "nor can this machine keep it (" in guard.events[-1].words


@pytest.mark.usefixtures("read_only")
def test_a_refusal_kept_here_of_a_registry_that_lay_there_before_binds_nobody(
    registry, models, loader, tmp_path
):
    deployed = deployed_now(registry, CHAMPION)
    refused(registry, models, loader, deployed=deployed)
    (path,) = (tmp_path / "home").rglob("*.refused.json")
    path.write_text(path.read_text().replace('"at":"20', '"at":"19').replace('"at": "20', '"at": "19'))
    assert guard_of(registry, loader, deployed=deployed).active.record.id == models[1]


def test_where_only_a_refused_model_is_left_the_start_says_who_refused_it(registry, models, loader):
    guard = guard_of(registry, loader)
    registry.promote(CHAMPION, models[1], reason="better")
    loader.damage[models[1]] = damaged
    guard.refresh()
    loader.damage[models[0]] = damaged
    with pytest.raises(LimitError, match=rf"{models[1]}, which stays refused: .*planted.*{models[0]}, which"):
        guard_of(registry, loader)


@pytest.mark.parametrize("content", ["", "{", '{"alias": "champion"}'])
def test_a_damaged_verdict_is_refused_by_name(registry, models, loader, tmp_path, content):
    refused(registry, models, loader)
    (path,) = (tmp_path / "registry" / "verdicts" / CHAMPION / "000002").iterdir()
    path.write_text(content)
    with pytest.raises(
        DataError, match=rf"verdicts/{CHAMPION}/000002/{models[1]}.alone.refused.json is damaged"
    ):
        guard_of(registry, loader)


@pytest.mark.parametrize("harm", ["truncated", "empty", "gap", "last", "changed"])
def test_a_damaged_alias_log_is_an_error_also_where_a_refusal_stands(
    registry, models, loader, tmp_path, harm
):
    registry.promote("challenger", models[2], reason="another")
    guard = refused(registry, models, loader)
    last, middle = (tmp_path / "registry" / "aliases" / f"00000{n}.json" for n in (3, 2))
    if harm == "truncated":
        last.write_text(last.read_text()[:40])
    elif harm == "empty":
        last.write_text("")
    elif harm == "changed":
        last.write_text(last.read_text().replace(models[1], models[0]))
    else:
        (middle if harm == "gap" else last).unlink()
    with pytest.raises(DataError, match="restore it from a backup"):
        guard.refresh()
    assert guard.active.record.id == models[0]
    assert kinds(guard)[-1] == "unreachable"


def test_what_an_alias_names_when_a_service_is_deployed(registry, models):
    found = deployed_now(registry, CHAMPION)
    assert found.named((models[0], None), 1)
    assert not found.named((models[0], None), 2)
    assert isinstance(found, Deployed)
    assert deployed_now(registry, "canary") is None
