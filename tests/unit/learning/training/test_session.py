"""A run on a dataset: settings by name, and refusals before anything expensive."""

import fcntl
import functools
import json
import os
import re
import shutil
from types import SimpleNamespace

import pytest
from made.evaluation_bank import random_bank
from made.fake_import import FakeImport
from made.training import begun

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import ContractError, DataError, PlatformError
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.learning.training import run as running
from kalshi_platform.learning.training import session
from kalshi_platform.learning.training.folder import CONFIG
from kalshi_platform.learning.training.session import RUN_FILE, RunSettings, require_ready, validator
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, SplitOpener
from kalshi_platform.storage import locks


def dataset_of(digest=FEATURE_DIGEST, empty=""):
    """What ``require_ready`` looks at."""
    manifest = SimpleNamespace(feature_digest=digest, parents=(), events=lambda split: ())
    return SimpleNamespace(
        uri="/data", digest="d" * 12, manifest=manifest,
        entries=lambda split: [] if split == empty else ["a market"],
    )  # fmt: skip


def test_a_dotted_setting_is_replaced_and_the_others_stay():
    changed = RunSettings().with_values({"train.learning_rate": 3e-4, "env.n_slots": 2})
    assert (changed.train.learning_rate, changed.env.n_slots) == (3e-4, 2)
    assert (
        changed.with_values({"train.learning_rate": 1e-3, "env.n_slots": EnvConfig().n_slots})
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


def test_a_run_is_continued_on_its_own_dataset_and_settings_only(tmp_path):
    settings = RunSettings()
    out = begun(tmp_path / "run", settings, dataset_of())
    kept = json.loads((out / RUN_FILE).read_text())
    assert tuple(kept[name] for name in ("dataset", "dataset_digest", "feature_digest")) == (
        "/data",
        "d" * 12,
        FEATURE_DIGEST,
    )
    longer = settings.with_values({"train.total_env_steps": 9_000})
    session._require_same_run(out, longer, dataset_of(), frozenset())
    other = dataset_of()
    other.digest = "e" * 12
    with pytest.raises(
        ContractError, match=r"began on dataset dddddddddddd.*eeeeeeeeeeee.*leave out --dataset"
    ):
        session._require_same_run(out, settings, other, frozenset())
    for name, value in (("env.n_slots", 2), ("episodes.min_steps", 7), ("train.seed", 3)):
        settings_now = settings.with_values({name: value})
        section, field = name.split(".")
        was = getattr(getattr(settings, section), field)
        with pytest.raises(ContractError, match=rf"other settings \({name} {was} -> {value}\): leave these"):
            session._require_same_run(out, settings_now, dataset_of(), frozenset())
    mutated = settings.with_values({"train.gamma": 0.5})
    session._require_same_run(out, mutated, dataset_of(), frozenset({"gamma"}))


def test_a_resumed_run_has_every_setting_of_its_own(tmp_path):
    settings = RunSettings().with_values(
        {"train.total_env_steps": 3_000_000, "env.order_style": "maker", "curriculum.name": "phases"}
    )
    out = begun(tmp_path / "run", settings, dataset_of())
    assert session.stored_settings(out) == settings
    assert session.stored_dataset(out) == "/data"
    changed = settings.train.replace(gamma=0.9)  # as population-based training leaves it
    (out / CONFIG).write_text(changed.model_dump_json())
    assert session.stored_settings(out).train == changed


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda run: rewrite(run / CONFIG, '"seed":0', '"seed":4'), r"train\.seed 4 and 0\)"),
        (lambda run: rewrite(run / RUN_FILE, '"level": "tiny"', '"level": "simple"'), "'tiny' and 'simple'"),
        (lambda run: rewrite(run / CONFIG, '"seed"', '"sead"'), r"config\.json: .*\s.*sead"),
        (lambda run: rewrite(run / RUN_FILE, '"latency_ms"', '"latenby_ms"'), r"run\.json: .*\s.*latenby_ms"),
        (
            lambda run: (run / RUN_FILE).write_text('{"settings": 7, "dataset": 1, "dataset_digest": 1}'),
            "run",
        ),
    ],
)
def test_records_of_a_run_that_were_changed_are_refused_by_file_and_setting(tmp_path, damage, named):
    out = begun(tmp_path / "run", RunSettings(), dataset_of())
    damage(out)
    with pytest.raises(DataError, match=rf"{named}[\s\S]*restore it, or start the run in another --out"):
        session.stored_settings(out)


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def contents(folder):
    """Everything in a folder: names, bytes, links."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink()
        else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two datasets, and a run that was begun on the first."""
    folder = tmp_path_factory.mktemp("refused")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        for name, n_events in (("data", 8), ("other", 9)):
            (folder / f"rec-{name}").mkdir()
            FakeImport(folder / f"rec-{name}", tuple(f"EV{k}" for k in range(n_events))).install(patch)
            build_dataset([], folder / name, BuildConfig(workers=0))
        begun(folder / "run", RunSettings(), Dataset.open(str(folder / "data")))
        yield folder


def empty(name):
    return lambda run: (run / name).write_text("")


def gone(name):
    return lambda run: (run / name).unlink()


#: Name of a refusal -> dataset, whether to resume, settings, damage done before, error.
REFUSALS = {
    "another run is there": ("data", False, {}, None, "already holds a run"),
    "another run of other settings": ("data", False, {"env.latency_ms": 0}, None, "already holds a run"),
    "another run of other data": ("other", False, {}, None, "already holds a run"),
    "other seed": ("data", True, {"train.seed": 3}, None, "train.seed 0 -> 3"),
    "other environment": ("data", True, {"env.fee_scale_e6": 0}, None, "env.fee_scale_e6 1000000 -> 0"),
    "other curriculum": (
        "data",
        True,
        {"curriculum.name": "phases"},
        None,
        "curriculum.name 'none' -> 'phases'",
    ),
    "other data": ("other", True, {}, None, "began on dataset"),
    "fewer steps than made": (
        "data",
        True,
        {"train.total_env_steps": 9},
        None,
        "has made 8,192 steps already",
    ),
    "no dataset": ("nowhere", True, {}, None, "nowhere"),
    "no such level": ("data", False, {"train.level": "huge"}, None, "huge"),
    "no such teacher": ("data", False, {"train.teacher": "nobody"}, gone("latest"), "already holds"),
    "empty config": ("data", True, {}, empty(CONFIG), "config.json is not JSON"),
    "empty record": ("data", True, {}, empty(RUN_FILE), "run.json is not JSON"),
    "lost record": ("data", True, {}, gone(RUN_FILE), "run.json does not exist"),
    "record of nothing": ("data", True, {}, lambda run: (run / RUN_FILE).write_text("{}"), "run.json lacks"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refused_run_writes_nothing(kind, place, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
    dataset, resume, changes, damage, named = REFUSALS[kind]
    run = tmp_path / "run"
    shutil.copytree(place / "run", run, symlinks=True)
    if damage is not None:
        damage(run)
    before = contents(run)
    settings = RunSettings().with_values(changes)
    with pytest.raises(PlatformError, match=re.escape(named)):
        session.run_training(settings, str(place / dataset), run, resume=resume)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("resume", "changes", "named"),
    [
        (True, {}, "holds no checkpoint to resume from: leave out --resume"),
        (False, {"train.teacher": "nobody"}, "holds no policy"),
        (False, {"train.num_env_runners": 64, "train.worker_events": "own"}, "worker_events=own"),
        (False, {"env.groups": ["nothing"]}, "nothing"),
    ],
)
def test_a_refused_run_makes_no_folder(place, tmp_path, monkeypatch, resume, changes, named):
    monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
    settings = RunSettings().with_values(changes)
    with pytest.raises(PlatformError, match=named):
        session.run_training(settings, str(place / "data"), tmp_path / "new", resume=resume)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_written_over_a_file_or_beside_a_run_that_goes_on(place, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ContractError, match="is a file: name a folder"):
        session.run_training(RunSettings(), str(place / "data"), tmp_path / "file")
    assert contents(tmp_path) == {"file": b"mine"}
    shutil.copytree(place / "run", tmp_path / "run", symlinks=True)
    before = contents(tmp_path / "run")
    impatient = functools.partial(locks.writing, patience_s=0.0)
    monkeypatch.setattr(running.locks, "writing", impatient)
    monkeypatch.setattr(running.ray, "is_initialized", lambda: True)
    with (tmp_path / "run" / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ContractError, match="is being written by process 1234"):
            session.run_training(RunSettings(), str(place / "data"), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before


def test_run_training_hands_over_record_and_environment_and_closes_its_data(tmp_path, monkeypatch):
    FakeImport(tmp_path, tuple(f"EV{k}" for k in range(8))).install(monkeypatch)
    build_dataset([], tmp_path / "data", BuildConfig(workers=0))
    seen = {}

    def train(source, out, config, validate, progress, resume, stop, mutated, papers):
        seen.update(rows=source.bank.n_rows, source=source, config=config, papers=papers)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "train", train)
    settings = RunSettings().with_values({"env.n_slots": 2})
    with pytest.raises(KeyboardInterrupt):
        session.run_training(settings, str(tmp_path / "data"), tmp_path / "run")
    assert seen["rows"] > 0
    assert seen["source"]._recipe._bank is None
    assert not (tmp_path / "run").exists()  # the run itself writes them, when it has the folder
    assert EnvConfig.parse(json.loads(seen["papers"][ENVIRONMENT_FILE])) == settings.env
    recorded = json.loads(seen["papers"][RUN_FILE])
    assert recorded["dataset_digest"] == Dataset.open(str(tmp_path / "data")).digest


def test_a_resumed_run_opens_the_state_of_the_dataset_that_it_began_on(tmp_path, monkeypatch):
    fake = FakeImport(tmp_path, tuple(f"EV{k}" for k in range(8)))
    fake.install(monkeypatch)
    began = build_dataset([], tmp_path / "data", BuildConfig(workers=0)).digest
    record = {"settings": {}, "dataset": str(tmp_path / "data"), "dataset_digest": began}
    (tmp_path / RUN_FILE).write_text(json.dumps(record))
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
    ((policy, on, under, config, blocks),) = asked
    assert blocks is None
    assert (policy, on, under) == ("a policy", bank, env)
    assert config == EvalConfig(seeds=(0,), fee_ladder=False)
