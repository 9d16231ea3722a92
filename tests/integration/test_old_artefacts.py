"""What `make run` wrote before the modules moved still opens, and answers what it answered then.

``tests/made/artefacts_before_move`` was written by commit a4bb0a9: dataset, run and registry of a quickstart
over 30 events of one market. ``answers.json`` holds observations and what that commit's code made of them.
"""

import json

import numpy as np
import pytest
from made.scripts import ROOT

from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.learning.training.checkpoint import newest_sound, read_checkpoint
from kalshi_platform.learning.tuning.load_runs import load
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.rules.trading_filter import FREE
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.ready import ready_tiers
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.simulation.replay.open import open_bank

FOLDER = ROOT / "tests" / "made" / "artefacts_before_move"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())
FLAT = np.array(ANSWERS["flat"], np.float32)


def same(found: np.ndarray, expected: list) -> None:
    """Equal up to what another processor's rounding may change."""
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-4, atol=2e-6)


def test_the_dataset_is_as_its_manifest_says_and_replays_the_same_rows():
    then = ANSWERS["dataset"]
    dataset = Dataset.open(FOLDER / "dataset")
    assert find_problems(dataset) == []
    assert (dataset.digest, len(dataset.manifest.markets)) == (then["digest"], then["markets"])
    bank = open_bank(str(FOLDER / "dataset"), "train", ("orderbook", "temporal"))
    assert bank.n_rows == then["rows"]
    assert int(bank.arrays.rows["bid_px_e4"][:, 0].sum()) == then["bid_sum"]
    assert bank.arrays.temporal.astype("f8").sum() == pytest.approx(then["feature_sum"])


def test_the_checkpoint_can_be_continued_and_its_policy_acts_the_same():
    then = ANSWERS["checkpoint"]
    policy, state = read_checkpoint(newest_sound(FOLDER / "run"))
    assert policy.act(FLAT).tolist() == then["actions"]
    same(policy.values(FLAT), then["values"])
    assert state.values["run"]["env_steps"] == 16_384
    assert sorted(state.arrays) == then["arrays"]


def test_the_run_is_read_with_its_settings_and_validations():
    (run,) = load([FOLDER / "run"]).runs
    assert run.problems == ()
    assert (run.status, run.env_steps, len(run.curve)) == ("finished", 16_384, 5)
    assert run.value("train.level") == "tiny"


def test_the_registrys_model_answers_the_same():
    then = ANSWERS["model"]
    registry = Registry(FOLDER / "registry")
    assert {alias: registry.aliases().model(alias) for alias in ANSWERS["aliases"]} == ANSWERS["aliases"]
    model = load_model(registry, "challenger")
    assert model.record.id == then["id"]
    assert model.policy.act(FLAT).tolist() == then["actions"]
    same(model.policy.action_probabilities(FLAT), then["probabilities"])
    assert FrozenPolicy.load(FOLDER / "run").act(FLAT).tolist() == then["actions"]  # the run's best


def test_the_tier_set_decides_the_same():
    then = ANSWERS["tiers"]
    ready = ready_tiers(Registry(FOLDER / "registry"), "challenger", forms=("onnx",))
    assert ready.tier_set is not None
    assert ready.tier_set.digest == then["digest"]
    policy = TieredPolicy(ready.model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))
    windows = np.array(ANSWERS["windows"], np.float32)
    batch = Batch(FLAT, windows, np.full((len(FLAT), policy.spec.n_slots), FREE, np.int8))
    decided = policy.decide(batch, now_ns=0)
    assert decided.tier.tolist() == then["tier"]
    assert decided.actions.tolist() == then["actions"]
    same(decided.confidence, then["confidence"])
    same(policy.ask(2, batch, now_ns=0).probabilities, then["second"])
