"""Artefacts of an earlier release: records are still read; data and models of another table are refused.

``tests/made/artefacts_before_move`` was written by commit a4bb0a9: what a dataset, a run and a registry of a
quickstart over 30 events of one market left behind, as far as anything still reads it. Since then the feature
table, the layout of a feature shard and the table of markets have changed, so this program would misread what
stands in them. ``answers.json`` says what that commit's code made of the run's policy.
"""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from made.scripts import ROOT

from kalshi_platform.data.dataset.inspect import find_problems, summarise
from kalshi_platform.data.dataset.shard import decode_rows
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.learning.training.checkpoint import newest_sound, read_checkpoint
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.learning.tuning.load_runs import load
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.inference.ready import ready_tiers
from kalshi_platform.simulation.replay.open import open_bank

FOLDER = ROOT / "tests" / "made" / "artefacts_before_move"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())
FLAT = np.array(ANSWERS["flat"], np.float32)
SHARD = "features/2ff52f2d07e6/SIMONE-00000.3d7cb56b30fd.arrow"


def test_the_datasets_summary_is_read_and_says_that_the_table_is_another():
    then = ANSWERS["dataset"]
    summary = summarise(Dataset.open(FOLDER / "dataset"))
    assert (summary.dataset_digest, summary.markets) == (then["digest"], then["markets"])
    assert summary.splits["train"].rows == then["rows"]
    assert (summary.feature_digest, summary.readable) == ("2ff52f2d07e6", False)


def test_the_dataset_is_refused_with_both_tables_and_what_to_do():
    refusal = (
        f"dataset was made with feature table 2ff52f2d07e6, this program has {FEATURE_DIGEST}: "
        "build the dataset again from its recordings"
    )
    with pytest.raises(DataError, match=refusal):
        open_bank(str(FOLDER / "dataset"), "train", ("orderbook", "temporal"))


def test_every_changed_file_of_the_dataset_is_refused_by_its_name_and_version():
    dataset = Dataset.open(FOLDER / "dataset")
    markets = r"markets\.40a1b0bc6b18\.parquet: schema version 1, this program reads 2; rebuild the dataset"
    shard = f"{SHARD}: shard layout 1, this program reads 2; rebuild the dataset"
    with pytest.raises(DataError, match=markets):
        dataset.markets()
    with pytest.raises(DataError, match=shard):
        decode_rows(pa.py_buffer((FOLDER / "dataset" / SHARD).read_bytes()), SHARD)
    problems = find_problems(dataset)
    assert any(SHARD in line and "shard layout 1" in line for line in problems)
    assert any("markets.40a1b0bc6b18.parquet: schema version 1" in line for line in problems)


def test_the_run_is_read_with_its_settings_and_validations():
    (run,) = load([FOLDER / "run"]).runs
    assert run.problems == ()
    assert (run.status, run.env_steps, len(run.curve)) == ("finished", 16_384, 5)
    assert run.value("train.level") == "tiny"


def test_the_checkpoints_policy_still_acts_the_same_and_refuses_rows_of_todays_table():
    then = ANSWERS["checkpoint"]
    policy, state = read_checkpoint(newest_sound(FOLDER / "run"))
    assert policy.act(FLAT).tolist() == then["actions"]
    # Equal up to what another processor's rounding may change.
    np.testing.assert_allclose(policy.values(FLAT), np.array(then["values"]), rtol=1e-4, atol=2e-6)
    assert state.values["run"]["env_steps"] == 16_384
    assert sorted(state.arrays) == then["arrays"]
    best = FrozenPolicy.load(FOLDER / "run")
    assert best.act(FLAT).tolist() == ANSWERS["model"]["actions"]
    with pytest.raises(ContractError, match=f"feature table 2ff52f2d07e6 .* the data has {FEATURE_DIGEST}"):
        best.require_features(FEATURE_DIGEST, best.spec.groups)


def test_the_run_is_not_continued_on_its_old_dataset(tmp_path):
    shutil.copytree(FOLDER / "run", tmp_path / "run", symlinks=True)
    settings = RunSettings.parse(json.loads((tmp_path / "run" / "run.json").read_text())["settings"])
    with pytest.raises(DataError, match="feature table 2ff52f2d07e6, this program has"):
        run_training(settings, str(FOLDER / "dataset"), tmp_path / "run", resume=True)


def test_the_registry_lists_the_model_and_its_alias():
    registry = Registry(FOLDER / "registry")
    assert {alias: registry.aliases().model(alias) for alias in ANSWERS["aliases"]} == ANSWERS["aliases"]
    assert [record.id for record in registry.models()] == [ANSWERS["model"]["id"]]
    assert registry.record(registry.resolve("challenger")).spec.feature_digest == "2ff52f2d07e6"


@pytest.mark.parametrize(
    "ask",
    [load_model, lambda registry, name: ready_tiers(registry, name, forms=("onnx",))],
    ids=["model", "tiers"],
)
def test_the_registrys_model_is_refused_by_its_name_before_its_weights_are_read(ask):
    refusal = (
        f"{ANSWERS['model']['id']} does not fit this program: feature is {FEATURE_DIGEST} here, 2ff52f2d07e6 "
        "in training. It would misread what it is shown: train it anew, or use the release that trained it"
    )
    with pytest.raises(ContractError, match=refusal):
        ask(Registry(FOLDER / "registry"), "challenger")
