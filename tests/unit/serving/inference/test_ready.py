"""A model with its tiers is loaded verified, and each tier runs in the form measured fastest here."""

import hashlib
import json
import math

import numpy as np
import pytest
from made.registry_models import DATASET, made_policy, made_record

from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierRecord, TierSet, add_tier_set
from kalshi_platform.serving.inference import export
from kalshi_platform.serving.inference import ready as load
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.engine_onnx import OnnxEngine
from kalshi_platform.serving.inference.export import checked_observations, export_forms
from kalshi_platform.serving.inference.ready import ready_model, ready_tiers
from kalshi_platform.serving.inference.tiered import TieredPolicy, free

SMALL, WHOLE = "tiny", "simple"


@pytest.fixture(scope="module")
def exported():
    """Forms and files of a small and of the whole network, timed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "time_group", lambda engine: CallTimes(1.0, 2.0, 3.0, 4))
        return {level: export_forms(made_policy(level), level) for level in (SMALL, WHOLE)}


@pytest.fixture
def costs(monkeypatch):
    """(form, groups) -> milliseconds, as the clock would find them; 1 where a test says nothing."""
    told: dict[tuple[str, int], float] = {}

    def timed(engine, groups, runs):
        cost = told.get((engine.form, groups), 1.0)
        return CallTimes(cost, 2 * cost, 3 * cost, runs)

    monkeypatch.setattr(load, "time_group", timed)
    monkeypatch.setattr(load, "time_cold", lambda engine: told.get((engine.form, 1), 1.0))
    return told


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def registered(registry, exported):
    """A model with a set of tiers 1 and 3, stored; returns its id and the set."""
    model = registry.add(*made_record(made_policy(WHOLE)))
    small = export_weights(made_policy(SMALL))
    files = {"tier1.safetensors": small} | exported[SMALL][1] | exported[WHOLE][1]
    tiers = (
        TierRecord(number=1, spec=made_policy(SMALL).spec, weights="tier1.safetensors", temperature=1.5,
                   exit_threshold=0.9, forms=exported[SMALL][0]),
        TierRecord(number=3, spec=made_policy(WHOLE).spec, weights=WEIGHTS_NAME, temperature=1.1,
                   exit_threshold=None, forms=exported[WHOLE][0]),
    )  # fmt: skip
    tier_set = TierSet(
        model=model.id, dataset_digest=DATASET, tiers=tiers, max_value_loss=0.01, machine="here",
        artefacts={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        created_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    return model.id, add_tier_set(registry, tier_set, files)


def test_every_tier_runs_in_the_form_that_costs_least(registry, exported, costs):
    costs["onnx", 1], costs["onnx", 20] = 0.2, 1.0  # 0.2 + 1.0 / 20 = 0.25
    costs["torchscript", 1], costs["torchscript", 20] = 0.1, 4.0  # 0.1 + 4.0 / 20 = 0.30
    name, tier_set = registered(registry, exported)
    ready = ready_tiers(registry, name)
    assert [(t.number, t.engine.form, t.temperature, t.exit_threshold) for t in ready.tiers] == [
        (1, "onnx", 1.5, 0.9),
        (3, "onnx", 1.1, None),
    ]
    assert ready.tier_set == tier_set
    first = ready.choices[0]
    assert {t.form: pytest.approx(t.cost_ms) for t in first.measured if t.form != "onnx_int8"} == {
        "torch": 1.05,
        "compiled": 1.05,
        "torchscript": 0.30,
        "onnx": 0.25,
    }
    assert next(t.group_p99_ms for t in first.measured if t.form == "onnx") == 0.4
    assert "tier 1 as onnx, tier 3 as onnx" in ready.note
    assert json.loads(first.model_dump_json())["chosen"] == "onnx"


@pytest.mark.parametrize(("inside_ms", "exits_at"), [(math.inf, None), (0.0, 0.9)])
def test_exits_that_save_next_to_nothing_are_passed_over_and_the_log_says_so(
    registry, exported, costs, inside_ms, exits_at
):
    name, tier_set = registered(registry, exported)
    # Every tier takes 1 ms. Inside the replica exits cost 0.1 ms (0.8 x 1 + 0.1 x 1 against 0.8 x 1); behind
    # a hop of 1 ms they save 0.6 (0.8 x 1 + 0.1 x 2 against 0.8 x 2).
    told = {"exit_share_1": 0.7, "exit_share_2": 0.0, "exit_share_3": 0.1}
    second = tier_set.tiers[0].replace(number=2, exit_threshold=None)
    tiers = [t.model_dump() for t in (tier_set.tiers[0], second, tier_set.tiers[1])]
    known = add_tier_set(
        registry,
        tier_set.replace(report=told, tiers=tiers, created_at="2026-01-02T00:00:00+00:00"),
        exported[SMALL][1] | exported[WHOLE][1] | {"tier1.safetensors": export_weights(made_policy(SMALL))},
    )
    ready = ready_model(registry, load_model(registry, name), known, inside_ms=inside_ms)
    assert [t.exit_threshold for t in ready.tiers] == [exits_at, None, None]
    assert bool(ready.passed_over) is (exits_at is None)
    assert ("every decision asks the model itself" in ready.note) is (exits_at is None)


def test_the_tiers_decide_together_like_their_networks(registry, exported, costs):
    name, _ = registered(registry, exported)
    ready = ready_tiers(registry, name, forms=("onnx",))
    policy = ready.model.policy
    flat, windows = checked_observations(policy.spec, 6)
    tiers = tuple(tier._replace(exit_threshold=None) for tier in ready.tiers)
    decided = TieredPolicy(policy.spec, tiers).decide(Batch(flat, windows, free(6, policy.spec.n_slots)), 0)
    wanted = policy.act(flat, windows=windows)
    present = policy.spec.layout.slot_mask(flat) > 0.5
    assert np.array_equal(decided.actions[present], wanted[present])


def test_a_model_without_a_tier_set_is_its_own_only_tier_and_says_so(registry, costs):
    costs["torchscript", 1] = 0.5
    model = registry.add(*made_record(made_policy(SMALL)))
    ready = ready_tiers(registry, model.id)
    assert [(t.number, t.engine.form, t.temperature, t.exit_threshold) for t in ready.tiers] == [
        (3, "torchscript", 1.0, None)
    ]
    assert ready.tier_set is None
    assert "has no tier set" in ready.note


@pytest.mark.parametrize("name", ["tiny-decide.onnx", "simple-encode.onnx", "tier1.safetensors"])
def test_a_damaged_file_is_refused(registry, exported, costs, tmp_path, name):
    model, _ = registered(registry, exported)
    path = tmp_path / "registry" / "models" / model / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ChecksumError, match=name):
        ready_tiers(registry, model)


def test_a_form_refused_when_it_was_made_is_not_tried(registry, exported, costs):
    records, files = exported[SMALL]
    refused = tuple(
        r.replace(accepted=False, files=()) if r.name == "onnx" else r for r in records
    )  # of tier 1 alone
    costs["onnx", 1] = costs["onnx", 20] = 0.01
    kept = {k: v for k, v in files.items() if k != "tiny-decide.onnx"}
    name, _ = registered(registry, exported | {SMALL: (refused, kept)})
    ready = ready_tiers(registry, name)
    assert "onnx" not in [t.form for t in ready.choices[0].measured]
    assert "onnx" in ready.choices[0].refused
    assert ready.tiers[1].engine.form == "onnx"


def test_a_form_that_answers_otherwise_on_this_machine_is_not_used(registry, exported, costs, monkeypatch):
    costs["onnx", 1] = costs["onnx", 20] = 0.01
    logits = OnnxEngine.logits
    monkeypatch.setattr(
        OnnxEngine, "logits", lambda self, flat, codes: logits(self, flat, codes) + np.float32(0.01)
    )
    name, _ = registered(registry, exported)
    ready = ready_tiers(registry, name)
    found = {t.form: t for t in ready.choices[0].measured}
    assert not found["onnx"].accepted
    assert found["onnx"].group_p50_ms is None
    assert ready.tiers[0].engine.form == "torch"


def test_tiers_of_another_network_are_refused(registry, exported, costs):
    other = made_policy(SMALL)
    model = registry.add(*made_record(made_policy(WHOLE)))
    tier = TierRecord(
        number=3, spec=other.spec, weights=WEIGHTS_NAME, temperature=1.0, exit_threshold=None, forms=()
    )
    add_tier_set(
        registry,
        TierSet(
            model=model.id, dataset_digest=DATASET, tiers=(tier,), artefacts={}, max_value_loss=0.0,
            machine="here", created_at="2026-01-01T00:00:00+00:00",
        ),
        {},
    )  # fmt: skip
    with pytest.raises(DataError, match="build the tiers again"):
        ready_tiers(registry, model.id)
