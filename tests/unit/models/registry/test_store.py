"""The registry in a folder: models that never change, aliases that only grow, loading that verifies."""

import json
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
import torch
from made.registry_models import GOOD, made_evidence, made_policy, made_record
from safetensors.torch import save

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError, LimitError, StorageError
from kalshi_platform.evaluation.promotion.gates import judge
from kalshi_platform.models.registry import load as loading
from kalshi_platform.models.registry import record as records
from kalshi_platform.models.registry.export import export_weights, probes, require_equal
from kalshi_platform.models.registry.load import load_model, policy_of
from kalshi_platform.models.registry.record import WEIGHTS_NAME, ModelRecord
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE, Registry, default_registry
from kalshi_platform.storage.storage import Storage


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def add(registry: Registry, seed: int = 0, level: str = "tiny") -> ModelRecord:
    return registry.add(*made_record(made_policy(level, seed)))


@pytest.fixture
def three(registry):
    """Ids of three models."""
    return [add(registry, seed).id for seed in range(3)]


# models


@pytest.mark.parametrize("level", ["tiny", "simple"])
def test_a_registered_model_acts_bit_for_bit_like_the_original(registry, level):
    policy = made_policy(level)
    record = registry.add(*made_record(policy))
    loaded = load_model(registry, record.id)
    assert loaded.record == record
    flat, windows = probes(policy.spec)
    given = {"windows": windows} if level == "simple" else {}
    np.testing.assert_array_equal(loaded.policy.act(flat, **given), policy.act(flat, **given))
    assert loaded.policy.values(flat, **given).tobytes() == policy.values(flat, **given).tobytes()
    assert record.id.startswith(f"{level}-")


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
    with pytest.raises(ContractError, match="it holds nothing yet"):
        registry.resolve(record.id)
    assert registry.add(record, files) == record  # the same registration completes it
    assert load_model(registry, record.id).record == record


def test_files_that_are_not_the_recorded_ones_are_refused_before_anything_is_written(registry, tmp_path):
    record, _ = made_record(made_policy())
    with pytest.raises(ContractError, match="its files have sha256"):
        registry.add(record, {WEIGHTS_NAME: b"other"})
    assert not (tmp_path / "registry").exists()


def test_corrupt_weights_are_refused_by_name(registry, tmp_path):
    record = add(registry)
    path = tmp_path / "registry" / "models" / record.id / WEIGHTS_NAME
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match=f"{record.id}/{WEIGHTS_NAME} has sha256"):
        load_model(registry, record.id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(next(iter(t))), "is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra is not part of such a network"),
        (lambda t: t.update({k: v.double() for k, v in t.items()}), r"float64, expected \(.*float32"),
    ],
    ids=["missing", "unknown", "type"],
)
def test_weights_of_another_shape_are_refused(change, message):
    policy = made_policy()
    tensors = dict(policy.network.state_dict())
    change(tensors)
    with pytest.raises(DataError, match=message):
        policy_of(save(tensors), policy.spec, "model")
    with pytest.raises(DataError, match="no safetensors file"):
        policy_of(b"\x80\x04K\x01.", policy.spec, "model")


def test_an_export_that_acts_differently_is_refused():
    one, other = made_policy(seed=0), made_policy(seed=1)
    with pytest.raises(DataError, match="probabilities differ from the original's by up to"):
        require_equal(one, other)
    assert export_weights(one) == export_weights(made_policy(seed=0))


@pytest.mark.parametrize(
    ("name", "patched"),
    [
        ("feature", ("FEATURE_DIGEST", "0" * 12)),
        ("action", ("ACTIONS", {"HOLD": 0, "BUY_NO": 1, "SELL_YES": 2, "BUY_YES": 3, "SELL_NO": 4})),
        ("observation", ("features_of", lambda groups: ())),
    ],
)
def test_a_program_that_means_something_else_refuses_the_model(registry, monkeypatch, name, patched):
    record = add(registry)
    monkeypatch.setattr(records, *patched)
    with pytest.raises(ContractError, match=f"does not fit this program: {name} is [0-9a-f]+ here"):
        load_model(registry, record.id)


def test_a_record_that_contradicts_its_own_layout_is_refused(registry):
    record, files = made_record(made_policy())
    spec = record.spec.replace(n_slots=3)
    other = record.replace(spec=spec.model_dump())
    other = registry.add(other.replace(id=other.derived_id), files)
    with pytest.raises(ContractError, match="record is"):
        load_model(registry, other.id)


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
    assert default_registry().endswith("/.local/share/kalshi-platform/registry")


# aliases


def test_an_alias_and_an_id_name_the_same_model(registry, three):
    entry = registry.promote("champion", three[0], reason="best so far", evidence="e" * 12)
    assert registry.resolve("champion") == registry.resolve(three[0]) == three[0]
    assert (entry.number, entry.previous, entry.reason, entry.evidence) == (1, None, "best so far", "e" * 12)
    assert registry.promote("champion", three[1], reason="better").previous == three[0]
    assert registry.aliases().current == {"champion": three[1]}


def test_promoting_the_present_model_adds_nothing(registry, three):
    first = registry.promote("champion", three[0], reason="one")
    assert registry.promote("champion", three[0], reason="again") == first
    assert registry.aliases().number == 1


def test_rollbacks_go_back_one_promotion_each_and_history_is_kept(registry, three):
    a, b, c = three
    for model in (a, b, c):
        registry.promote("champion", model, reason="p")
    registry.promote("challenger", a, reason="other aliases do not matter")
    assert registry.rollback("champion", reason="r").model == b
    assert registry.rollback("champion", reason="r").model == a
    with pytest.raises(LimitError, match=f"names {a} and named nothing before"):
        registry.rollback("champion", reason="r")
    registry.promote("champion", c, reason="p")
    assert registry.rollback("champion", reason="r").model == a  # what stood before c this time
    log = registry.aliases()
    assert [e.kind for e in log.entries if e.alias == "champion"] == ["promote"] * 3 + ["rollback"] * 2 + [
        "promote",
        "rollback",
    ]
    assert [e.number for e in log.entries] == list(range(1, 9))
    with pytest.raises(LimitError, match="'canary' has never been set"):
        registry.rollback("canary", reason="r")


def test_the_second_of_two_promoters_is_told_who_won(registry, three):
    seen = registry.aliases()
    registry.promote("challenger", three[2], reason="another alias in between is no conflict")
    registry.promote("champion", three[0], reason="first", seen=seen)
    with pytest.raises(
        LimitError, match=f"champion was not changed to {three[1]}: .*@.* made it {three[0]} at"
    ):
        registry.promote("champion", three[1], reason="second", seen=seen)
    with pytest.raises(LimitError, match="after this decision began"):
        registry.rollback("champion", reason="r", seen=seen_with(registry, three))
    assert registry.resolve("champion") == three[1]


def seen_with(registry: Registry, three: list[str]):
    """A log of two promotions of champion, after which somebody else promotes once more."""
    registry.promote("champion", three[1], reason="p")
    seen = registry.aliases()
    registry.promote("champion", three[2], reason="p")
    registry.promote("champion", three[1], reason="p")
    return seen


def race(uri: str, model: str, start, answers) -> None:
    registry = Registry(uri)
    seen = registry.aliases()
    start.wait()
    try:
        answers.put((registry.promote("champion", model, reason="race", seen=seen).model, None))
    except LimitError as err:
        answers.put((None, str(err)))


def test_of_racing_processes_exactly_one_promotes(registry, three):
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    start, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=race, args=(registry.uri, m, start, answers)) for m in three[:2]]
    for process in processes:
        process.start()
    got = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    winners = [model for model, _ in got if model]
    assert len(winners) == 1
    assert registry.resolve("champion") == winners[0]
    assert registry.aliases().number == 1
    assert all(f"made it {winners[0]}" in refusal for _, refusal in got if refusal)


def test_an_answer_lost_on_the_way_is_recognised_as_our_own_entry(registry, three, monkeypatch):
    create = Storage.create_exclusive
    monkeypatch.setattr(
        Storage, "create_exclusive", lambda self, path, data: create(self, path, data) and False
    )
    entry = registry.promote("champion", three[0], reason="the store wrote it, the answer was lost")
    assert registry.aliases().entries == (entry,)


@pytest.mark.parametrize("alias", ["", "Champion", "a/b", "../x", "tiny-000000000001", "1st", "a" * 33])
def test_names_that_cannot_be_aliases_are_refused(registry, three, alias):
    with pytest.raises(ContractError, match="is refused"):
        registry.promote(alias, three[0], reason="p")


def test_a_model_that_is_not_there_cannot_be_promoted(registry, three):
    with pytest.raises(ContractError, match="has no model 'tiny-000000000001'"):
        registry.promote("champion", "tiny-000000000001", reason="p")
    with pytest.raises(ContractError, match=f"no model or alias 'winner'; it holds .*{three[0]}"):
        registry.resolve("winner")


def test_a_gap_or_a_damaged_entry_in_the_log_is_named(registry, three, tmp_path):
    for model in three:
        registry.promote("champion", model, reason="p")
    folder = tmp_path / "registry" / "aliases"
    kept = (folder / "000002.json").read_text()
    (folder / "000002.json").write_text(kept[:30])
    with pytest.raises(DataError, match=r"000002\.json is damaged"):
        registry.aliases()
    (folder / "000002.json").unlink()
    with pytest.raises(DataError, match=r"entry 2 is missing before aliases/000003\.json"):
        registry.aliases()


# layers


def test_loading_a_model_pulls_in_neither_environments_nor_ray():
    """Serving imports this module; a fresh interpreter says what comes along."""
    code = f"import sys, {loading.__name__}; print([m for m in sys.modules if m in ('ray', 'gymnasium') or "
    code += "m.startswith(('kalshi_platform.simulation.envs.', 'kalshi_platform.evaluation', "
    code += "'kalshi_platform.learning'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
