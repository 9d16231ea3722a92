"""The bank of a process: shared, closed, and shares of it."""

import copy

import pytest
from made.fake_import import FakeImport
from made.training import BANK, SMALL, made_source

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import (
    ContractError,
)
from kalshi_platform.learning.training.ppo import ppo_config
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.open import SplitOpener


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    """Twelve events of two markets, of which the training split has several."""
    folder = tmp_path_factory.mktemp("events")
    with pytest.MonkeyPatch.context() as patch:
        FakeImport(folder, tuple(f"EV{k}" for k in range(12))).install(patch)
        build_dataset([], folder / "data", BuildConfig(workers=0, split=SplitConfig(salt="shares")))
    return str(folder / "data")


def test_events_of_their_own_need_a_dataset_and_enough_events(dataset: str):
    config = SMALL.replace(num_env_runners=2, worker_events="own")
    with pytest.raises(ContractError, match="needs a dataset's split"):
        ppo_config(made_source(), config)
    source = TrainingSource(SplitOpener(dataset, "train", EnvConfig().groups), FEATURE_DIGEST)
    with pytest.raises(ContractError, match="too few for 40 workers"):
        ppo_config(source, config.replace(num_env_runners=40))


def test_copies_in_one_process_share_one_bank_and_a_pickled_source_travels_unopened():
    opened = []

    def open_bank():
        opened.append(1)
        return BANK

    source = TrainingSource(open_bank, "f" * 12, env=EnvConfig(n_slots=3))
    assert copy.deepcopy(source) is source
    assert copy.copy(source).bank is source.bank is BANK
    assert len(opened) == 1
    rebuild, arguments = source._recipe.__reduce__()
    assert rebuild(*arguments).open_bank is open_bank
    assert len(opened) == 1
    source.close()
    assert source.bank is BANK
    assert len(opened) == 2


def test_each_worker_has_events_of_its_own_and_the_learner_all(dataset: str):
    source = TrainingSource(SplitOpener(dataset, "train", EnvConfig().groups), FEATURE_DIGEST)
    shared = source.shared_by(3)
    shares = [{m.event for m in shared.of_worker(k).bank.markets} for k in (1, 2, 3)]
    everything = {m.event for m in source.bank.markets}
    assert set().union(*shares) == everything
    assert sum(map(len, shares)) == len(everything)  # nobody shares an event
    assert shared.of_worker(0) is shared
    assert shared.of_worker(2) is shared.of_worker(2)
    assert source.of_worker(2) is source  # worker_events=all


def test_a_policys_record_names_what_the_source_shows():
    spec = made_source().policy_spec("simple")
    assert (spec.n_slots, spec.feature_digest, spec.market) == (3, "f" * 12, BANK.feature_names)
    assert spec.n_history == BANK.arrays.temporal.shape[1]
