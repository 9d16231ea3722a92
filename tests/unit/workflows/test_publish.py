"""A run becomes challenger first, has its tiers before the gates are asked, and nothing is made twice."""

from types import SimpleNamespace

import pytest
from made.registry_models import made_policy, made_record

from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from kalshi_platform.serving.distillation.build import Built
from kalshi_platform.workflows import publish
from kalshi_platform.workflows.publish import publish_run


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """A registry, and steps of the way that do what the test says; their order is kept."""
    found = SimpleNamespace(order=[], refusals=(), tiers="a tier set", stored=None)
    registry = found.registry = Registry(tmp_path / "registry")

    def register(store, run, dataset, say):
        found.order.append("register")
        return store.add(*made_record(made_policy()))

    def promote(store, model, dataset=None, *, alias=CHAMPION, reason="", say):
        found.order.append(alias)
        if alias == CHAMPION and found.refusals:
            return SimpleNamespace(judgement=SimpleNamespace(refusals=found.refusals), entry=None)
        return SimpleNamespace(judgement=None, entry=store.promote(alias, model, reason=reason or "tried"))

    def build(store, model, dataset, tiers, say):
        found.order.append("tiers")
        if isinstance(found.tiers, Exception):
            raise found.tiers
        return Built("a report", found.tiers)

    monkeypatch.setattr(publish, "register_run", register)

    def ask(store, record):
        promote(store, record.id, alias=CHALLENGER, say=print)
        return SimpleNamespace(taken=True, words="challenger")

    monkeypatch.setattr(publish, "promote_model", promote)
    monkeypatch.setattr(publish, "challenge", ask)
    monkeypatch.setattr(publish, "build_tiers", build)
    monkeypatch.setattr(publish, "newest_tier_set", lambda store, model: found.stored)
    monkeypatch.setattr(publish, "stored_report", lambda store, tier_set: f"the report of {tier_set}")
    found.run = lambda say=lambda line: None: publish_run(registry, tmp_path / "run", "/data", say=say)
    return found


def test_the_tiers_are_there_before_the_model_may_be_champion(steps):
    done = steps.run()
    assert steps.order == ["register", CHALLENGER, "tiers", CHAMPION]
    assert (done.tier_set, done.champion, done.refusals) == ("a tier set", True, ())
    assert steps.registry.resolve(CHAMPION) == done.record.id


def test_a_model_that_the_gates_refuse_stays_challenger_and_the_reasons_are_told(steps):
    steps.refusals = ("too slow", "stale")
    said: list[str] = []
    done = steps.run(said.append)
    assert (done.champion, done.refusals) == (False, ("too slow", "stale"))
    assert steps.registry.resolve(CHALLENGER) == done.record.id
    assert [line for line in said if line.startswith("not champion")] == [
        "not champion: too slow; stale",
    ]  # fmt: skip


def test_where_the_data_is_too_little_for_tiers_the_whole_network_is_served(steps):
    steps.tiers = DataError("one event cannot be halved")
    said: list[str] = []
    done = steps.run(said.append)
    assert (done.tier_set, done.champion) == (None, True)
    assert any("one event cannot be halved" in line for line in said)


def test_tiers_that_save_nothing_are_reported_and_not_served(steps):
    steps.tiers = None
    done = steps.run()
    assert (done.tier_set, done.tier_report, done.champion) == (None, "a report", True)


def test_other_failures_of_the_tiers_are_not_passed_over(steps):
    steps.tiers = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        steps.run()


def test_a_champion_is_not_judged_again_and_stored_tiers_are_kept(steps):
    steps.run()
    steps.order.clear()
    steps.stored = "the stored set"
    done = steps.run()
    assert steps.order == ["register", CHALLENGER]
    assert (done.tier_set, done.champion) == ("the stored set", True)
    assert done.tier_report == "the report of the stored set"


def test_a_champion_of_before_the_data_were_counted_is_judged_once_more(steps, monkeypatch):
    def register(store, run, dataset, say):
        record, files = made_record(made_policy())
        claims = record.claims.model_dump() | {"judged_on": None}
        return store.add(record.replace(claims=claims), files)

    monkeypatch.setattr(publish, "register_run", register)
    done = steps.run()
    assert done.cautions[0].startswith("simulated: on which data it was judged is unknown")
    steps.order.clear()
    steps.run()
    assert steps.order[-1] == CHAMPION
