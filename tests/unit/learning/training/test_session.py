"""A run on a dataset: settings by name, and refusals before anything expensive."""

import json
from types import SimpleNamespace

import pytest
from made.evaluation_bank import random_bank
from made.fake_import import FakeImport

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.learning.training import session
from kalshi_platform.learning.training.session import RUN_FILE, RunSettings, require_ready, validator
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.open import SplitOpener


def dataset_of(digest=FEATURE_DIGEST, empty=""):
    """What ``require_ready`` looks at."""
    manifest = SimpleNamespace(feature_digest=digest, parents=(), events=lambda split: ())
    return SimpleNamespace(
        uri="/data", digest="d" * 12, manifest=manifest,
        entries=lambda split: [] if split == empty else ["a market"],
    )  # fmt: skip


def test_a_dotted_setting_is_replaced_and_the_others_stay():
    changed = RunSettings().with_values({"train.learning_rate": 1e-3, "env.n_slots": 2})
    assert (changed.train.learning_rate, changed.env.n_slots) == (1e-3, 2)
    assert (
        changed.with_values({"train.learning_rate": 7e-4, "env.n_slots": EnvConfig().n_slots})
        == RunSettings()
    )


@pytest.mark.parametrize("name", ["train.learning", "learning_rate", "trian.seed", "train."])
def test_an_unknown_setting_is_named(name):
    with pytest.raises(ContractError, match=f"unknown setting '{name}'"):
        RunSettings().with_values({name: 1})


@pytest.mark.parametrize(
    ("dataset", "settings", "error", "named"),
    [
        (dataset_of("0" * 12), {}, DataError, "0" * 12),
        (dataset_of(empty="train"), {}, DataError, "train split"),
        (dataset_of(empty="validation"), {}, DataError, "validation split"),
        (dataset_of(), {"train.level": "huge"}, ContractError, "huge"),
    ],
)
def test_a_run_that_could_not_begin_is_refused(dataset, settings, error, named):
    with pytest.raises(error, match=named):
        require_ready(RunSettings().with_values(settings), dataset)


def test_a_run_that_can_begin_is_let_through():
    require_ready(RunSettings(), dataset_of(empty="test"))


def test_a_run_is_continued_on_its_own_dataset_and_environment_only(tmp_path):
    settings = RunSettings()
    session._record(tmp_path, settings, dataset_of(), resume=False)
    kept = json.loads((tmp_path / RUN_FILE).read_text())
    assert tuple(kept[name] for name in ("dataset", "dataset_digest", "feature_digest")) == (
        "/data",
        "d" * 12,
        FEATURE_DIGEST,
    )
    longer = settings.with_values({"train.total_env_steps": 9})
    session._record(tmp_path, longer, dataset_of(), resume=True)
    other = dataset_of()
    other.digest = "e" * 12
    with pytest.raises(ContractError, match=r"began on dataset dddddddddddd.*eeeeeeeeeeee"):
        session._record(tmp_path, settings, other, resume=True)
    for part, change in (("env", {"env.n_slots": 2}), ("episodes", {"episodes.min_steps": 7})):
        with pytest.raises(ContractError, match=f"other {part} settings"):
            session._record(tmp_path, settings.with_values(change), dataset_of(), resume=True)


def test_run_training_leaves_record_and_environment_and_closes_its_data(tmp_path, monkeypatch):
    FakeImport(tmp_path, tuple(f"EV{k}" for k in range(8))).install(monkeypatch)
    build_dataset([], tmp_path / "data", BuildConfig(workers=0))
    seen = {}

    def train(source, out, config, validate, *rest):
        seen.update(rows=source.bank.n_rows, source=source, config=config)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "train", train)
    settings = RunSettings().with_values({"env.n_slots": 2})
    with pytest.raises(KeyboardInterrupt):
        session.run_training(settings, str(tmp_path / "data"), tmp_path / "run")
    assert seen["rows"] > 0
    assert seen["source"]._recipe._bank is None
    assert EnvConfig.parse(json.loads((tmp_path / "run" / "env.json").read_text())) == settings.env
    recorded = json.loads((tmp_path / "run" / RUN_FILE).read_text())
    assert recorded["dataset_digest"] == Dataset.open(str(tmp_path / "data")).digest


def test_a_resumed_run_opens_the_state_of_the_dataset_that_it_began_on(tmp_path, monkeypatch):
    fake = FakeImport(tmp_path, tuple(f"EV{k}" for k in range(8)))
    fake.install(monkeypatch)
    began = build_dataset([], tmp_path / "data", BuildConfig(workers=0)).digest
    (tmp_path / RUN_FILE).write_text(json.dumps({"dataset_digest": began}))
    fake.events = (*fake.events, "NEW")
    add_to_dataset([], tmp_path / "data", workers=0)
    uri = str(tmp_path / "data")
    assert session._open(uri, tmp_path, resume=True).digest == began
    assert session._open(uri, tmp_path, resume=False).manifest.parents == (began,)
    assert SplitOpener(uri, "train", ("orderbook",), state=began)().n_rows > 0
    fake.events = (*fake.events, "NEWER")
    add_to_dataset([], tmp_path / "data", workers=0)
    with pytest.raises(DataError, match=f"dataset {began} is asked for, .* no longer kept: start anew"):
        session._open(uri, tmp_path, resume=True)


def test_the_validator_scores_with_one_seed_and_no_ladder(monkeypatch):
    asked = []
    bank, env = random_bank(2, 1, 60), EnvConfig(n_slots=2)
    monkeypatch.setattr(session, "trained", lambda policy: policy)
    monkeypatch.setattr(session, "score", lambda *given: asked.append(given) or "a result")
    monkeypatch.setattr(session.Validation, "of", lambda result: result)
    assert validator(bank, env)("a policy") == "a result"
    ((policy, on, under, config),) = asked
    assert (policy, on, under) == ("a policy", bank, env)
    assert config == EvalConfig(seeds=(0,), fee_ladder=False)
