"""A planned rollback is written once, by the log as it was seen, or left where somebody was faster."""

import pytest
from made.guards import Clock

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.guard.alias_rollback import AliasRollback, PlannedRollback
from kalshi_platform.serving.guard.guard_events import GuardEvents
from kalshi_platform.serving.inference.ready import ModelKey


@pytest.fixture
def events():
    return GuardEvents(10, Clock())


def planned(registry, models) -> PlannedRollback:
    registry.promote(CHAMPION, models[1], reason="better")
    registry.promote(CHAMPION, models[2], reason="better still")
    return PlannedRollback(ModelKey(models[2], None), registry.aliases(), "it fails", models[0])


def test_a_rollback_goes_to_the_model_that_answers_again_and_is_written_once(registry, models, events):
    rollback = AliasRollback(registry, CHAMPION, events)
    rollback.write()
    rollback.plan(planned(registry, models))
    rollback.write()
    rollback.write()
    entries = registry.aliases().entries
    assert (len(entries), entries[-1].model, entries[-1].kind) == (4, models[0], "rollback")
    assert [e.kind for e in events.all] == ["alias_changed"]


def test_an_alias_changed_meanwhile_is_left(registry, models, events):
    rollback = AliasRollback(registry, CHAMPION, events)
    rollback.plan(planned(registry, models))
    registry.promote(CHAMPION, models[1], reason="by somebody")
    rollback.write()
    assert registry.aliases().model(CHAMPION) == models[1]
    assert [e.kind for e in events.all] == ["alias_left"]


def test_a_rollback_that_was_not_written_stays_planned(registry, models, events, monkeypatch):
    rollback = AliasRollback(registry, CHAMPION, events)
    rollback.plan(planned(registry, models))
    with monkeypatch.context() as broken:

        def fail(self, alias, *, reason, seen, to):
            raise StorageError("bucket away")

        broken.setattr(Registry, "rollback", fail)
        with pytest.raises(StorageError):
            rollback.write()
    rollback.write()
    assert registry.aliases().model(CHAMPION) == models[0]
