"""Giving an alias: only the challenger's place is free, and a refusal leaves the log as it was."""

import pytest
from made.registry_models import GOOD, SIMULATED, made_evidence, made_policy, made_record

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.evaluation.promotion import promote
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry


@pytest.fixture
def registry(tmp_path):
    """A registry of two models, the second one the champion."""
    store = Registry(tmp_path / "registry")
    ids = [store.add(*made_record(made_policy(seed=seed))).id for seed in range(2)]
    store.promote(CHAMPION, ids[1], reason="for the test")
    return store, ids


def judged_as(monkeypatch, act=lambda: None, **changes):
    """Evidence is what the test says; ``act`` runs while it is gathered."""
    asked = {}

    def gather(registry, model, dataset, **rest):
        asked.update(rest, model=model, dataset=dataset)
        act()
        return made_evidence(model=model, champion=rest["champion"], **changes)

    monkeypatch.setattr(promote, "gather_evidence", gather)
    return asked


def test_the_challengers_place_asks_for_no_evidence(registry, monkeypatch):
    store, (first, _) = registry
    monkeypatch.delattr(promote, "gather_evidence")
    done = promote_model(store, first, alias=CHALLENGER)
    assert done.judgement is None
    assert store.resolve(CHALLENGER) == first


def test_a_gated_alias_needs_a_dataset(registry):
    store, (first, second) = registry
    with pytest.raises(ContractError, match="alias 'champion' is gated"):
        promote_model(store, first)
    assert store.resolve(CHAMPION) == second


def test_a_model_that_passes_gets_the_alias_with_its_evidence(registry, monkeypatch):
    store, (first, second) = registry
    asked = judged_as(monkeypatch)
    done = promote_model(store, first, "/data")
    assert (asked["model"], asked["champion"], asked["dataset"]) == (first, second, "/data")
    assert store.resolve(CHAMPION) == first
    assert store.judgement(first, done.entry.evidence) == done.judgement


def test_a_refusal_changes_nothing(registry, monkeypatch):
    store, (first, second) = registry
    judged_as(monkeypatch, found=GOOD.replace(worst_drawdown=0.9))
    done = promote_model(store, first, "/data")
    assert done.entry is None
    assert not done.judgement.passed
    assert store.resolve(CHAMPION) == second
    assert len(store.aliases().entries) == 1


def test_an_alias_that_changed_while_evidence_was_gathered_is_left_alone(registry, monkeypatch):
    store, (first, _) = registry
    third = store.add(*made_record(made_policy(seed=2))).id
    judged_as(monkeypatch, act=lambda: store.promote(CHAMPION, third, reason="somebody else"))
    with pytest.raises(LimitError):
        promote_model(store, first, "/data")
    assert store.resolve(CHAMPION) == third


def test_a_model_judged_on_simulated_data_is_champion_as_marked_simulated_only(tmp_path, monkeypatch):
    store = Registry(tmp_path / "registry")
    first = store.add(*made_record(made_policy(seed=0))).id
    judged_on = {name: count.model_dump() for name, count in SIMULATED.items()}
    judged_as(monkeypatch, judged_on=judged_on, real_return=None)
    done = promote_model(store, first, "/data")
    assert done.entry.standing == "simulated"
    assert done.entry.judged_on == SIMULATED
    assert store.aliases().promotion(CHAMPION).standing == "simulated"


def test_a_simulated_model_never_follows_a_real_one_even_after_that_was_rolled_back(registry, monkeypatch):
    store, (first, second) = registry  # the second is champion by its record, which real data judged
    third = store.add(*made_record(made_policy(seed=2))).id
    judged_on = {name: count.model_dump() for name, count in SIMULATED.items()}
    judged_as(
        monkeypatch, judged_on=judged_on, real_return=None, against_champion=GOOD.mean_return.model_dump()
    )
    done = promote_model(store, third, "/data")
    assert done.entry is None
    assert second in done.judgement.refusals[0]
    store.promote(CHAMPION, first, reason="by hand", standing="simulated")
    assert promote_model(store, third, "/data").entry is None
    assert promote_model(store, third, "/data", alias="sandbox").entry.standing == "simulated"
