"""The registry in a folder: models that never change, records and judgements that cannot be edited unseen."""

import json

import pytest
from made.registry_models import GOOD, add, made_evidence, made_policy, made_record

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.evaluation.promotion.gates import judge
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE, Registry, default_registry
from kalshi_platform.storage.storage import Storage


def test_the_same_model_registered_twice_is_one_model_and_the_first_record_stays(registry):
    first = add(registry)
    record, files = made_record(made_policy(), created_at="2027-01-01T00:00:00+00:00")
    assert registry.add(record, files) == first
    assert registry.models() == [first]


def test_another_commit_or_other_weights_are_another_model(registry, three):
    assert len(set(three)) == 3
    assert [r.id for r in registry.models()] == sorted(three)


def test_a_crash_between_weights_and_record_leaves_no_model(registry, monkeypatch):
    def full(self, path, data):
        raise StorageError("disk full")

    record, files = made_record(made_policy())
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "create_exclusive", full)
        with pytest.raises(StorageError):
            registry.add(record, files)
    assert registry.models() == []
    assert not registry.holds(record.id)
    with pytest.raises(ContractError, match="holds no model yet"):
        registry.resolve(record.id)
    assert registry.add(record, files) == record  # the same registration completes it
    assert load_model(registry, record.id).record == record


def test_files_that_are_not_the_recorded_ones_are_refused_before_anything_is_written(registry, tmp_path):
    record, _ = made_record(made_policy())
    with pytest.raises(ContractError, match="its files have sha256"):
        registry.add(record, {WEIGHTS_NAME: b"other"})
    assert not (tmp_path / "registry").exists()


def test_a_damaged_record_is_named(registry, tmp_path):
    record = add(registry)
    path = tmp_path / "registry" / "models" / record.id / "record.json"
    whole = path.read_text()
    path.write_text(whole[:100])
    with pytest.raises(DataError, match=r"record\.json is not JSON"):
        registry.record(record.id)
    path.write_text(json.dumps({**json.loads(whole), "version": 99}))
    with pytest.raises(DataError, match="use the release that wrote it"):
        registry.models()
    path.write_text(json.dumps({**json.loads(whole), "id": "tiny-000000000000"}))
    with pytest.raises(DataError, match="it was edited or moved"):
        registry.record(record.id)
    environment = {**record.environment, "position_limit_e2": 1_000_000}
    path.write_text(json.dumps({**json.loads(whole), "environment": environment}))
    with pytest.raises(DataError, match="it was edited or moved"):
        load_model(registry, record.id)


def test_a_judgement_is_kept_beside_its_model_and_cannot_be_changed_unseen(registry, tmp_path):
    record = add(registry)
    judgement = judge(made_evidence(model=record.id))
    digest = registry.add_judgement(judgement)
    assert registry.add_judgement(judgement) == digest
    assert registry.judgement(record.id, digest) == judgement
    path = tmp_path / "registry" / "models" / record.id / f"evidence-{digest}.json"
    path.write_text(path.read_text().replace('"n_events": 12', '"n_events": 90'))
    with pytest.raises(DataError, match="was changed after it was written"):
        registry.judgement(record.id, digest)
    assert GOOD.n_events == 12


def test_the_address_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(REGISTRY_VARIABLE, str(tmp_path / "there"))
    assert Registry().uri == str(tmp_path / "there")
    monkeypatch.delenv(REGISTRY_VARIABLE)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    assert default_registry() == str(tmp_path / "home" / "registry")
    monkeypatch.delenv(HOME_VARIABLE)
    assert default_registry().endswith("/.local/share/kalshi-platform/registry")
