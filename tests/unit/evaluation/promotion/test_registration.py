"""A run's record is read before it is registered; what is missing is named."""

import json

import pytest
from made.judging import QUICK
from made.registry_models import GOOD, made_policy

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.worlds import OWN_SETTINGS
from kalshi_platform.evaluation.promotion.registration import _read_run, register_run
from kalshi_platform.models.registry.provenance import standing_of
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, environment_text
from kalshi_platform.simulation.simexchange import SimConfig, simulate

WHOLE = {"dataset": "/data", "dataset_digest": "d" * 12, "commit": "0123456789ab", "packages": {"torch": "2"}}


def test_the_record_is_found_beside_the_run_and_above_its_checkpoints(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(WHOLE))
    checkpoint = tmp_path / "checkpoints" / "iter-3"
    checkpoint.mkdir(parents=True)
    assert _read_run(tmp_path) == _read_run(checkpoint) == WHOLE


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "run.json"),
        ("{", "is not JSON"),
        ("[]", "its fields"),
        (json.dumps({k: v for k, v in WHOLE.items() if k != "commit"}), "commit"),
    ],
    ids=["absent", "cut off", "no object", "without a commit"],
)
def test_a_run_whose_record_is_absent_or_not_whole_is_refused(tmp_path, text, named):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=named):
        _read_run(tmp_path)


def test_a_folder_that_is_no_run_registers_nothing(tmp_path):
    with pytest.raises((ContractError, DataError), match="nothing"):
        register_run(Registry(tmp_path / "registry"), tmp_path / "nothing", str(tmp_path))
    assert Registry(tmp_path / "registry").models() == []


def untrained_run(folder, dataset_digest):
    """The folder of a run whose best policy was never trained."""
    (folder / "best").mkdir(parents=True)
    made_policy().save(folder / "best")
    env = EnvConfig(n_slots=2, decision_interval_ms=60_000)
    (folder / ENVIRONMENT_FILE).write_text(environment_text(env))
    (folder / "run.json").write_text(json.dumps(WHOLE | {"dataset_digest": dataset_digest}))
    return folder


def test_a_record_counts_the_data_that_taught_and_judged_the_model(tmp_path):
    simulate(SimConfig(n_events=8, messages_per_market=120, seed=3), tmp_path / "recordings")
    place = tmp_path / "dataset"
    split = SplitConfig(train=4, validation=3, test=1)
    build_dataset([tmp_path / "recordings"], str(place), BuildConfig(workers=0, split=split))
    manifest = Dataset.open(place).manifest
    registry = Registry(tmp_path / "registry")
    record = register_run(
        registry, untrained_run(tmp_path / "run", manifest.digest), str(place),
        config=QUICK.replace(split="validation"), measure=lambda policy: GOOD.latency,
    )  # fmt: skip
    assert list(record.trained_on) == list(record.judged_on) == ["simulated"]
    taught = {m.event for m in manifest.markets if m.split == "train" and m.is_playable}
    assert record.trained_on["simulated"].events == len(taught)
    assert record.judged_on["simulated"].events == record.claims.performance.n_events
    stored = registry.record(record.id)
    assert (stored.trained_on, stored.judged_on) == (record.trained_on, record.judged_on)
    assert stored.worlds == manifest.worlds == (OWN_SETTINGS,)
    assert standing_of(stored.judged_on) == "simulated"
