"""Requests drawn from a dataset: what they say is what an environment shows, in order of time."""

import copy
import json

import numpy as np
import pytest
from made.registry_models import GROUPS, made_policy

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.data.features.spec import FEATURE_DIGEST, features_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.rules.baselines import DoNothing
from kalshi_platform.serving.api.requests import DecideRequest
from kalshi_platform.serving.loadtest import dataset_rows as module
from kalshi_platform.serving.loadtest.dataset_rows import dataset_rows
from kalshi_platform.serving.server.feature_cache import FeatureCache
from kalshi_platform.serving.server.reading import Reader, columns_of
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, open_bank
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.simulation.rollout.stepper import Stepper
from kalshi_platform.simulation.simexchange import SimConfig, simulate

SPEC = made_policy("simple").spec
WINDOW = SPEC.level.window
ENV = EnvConfig(n_slots=2, decision_interval_ms=0)


def info_of(window: int = WINDOW) -> dict:
    """The part of ``GET /v1/model`` that says what a request needs."""
    return {
        "feature_digest": FEATURE_DIGEST,
        "columns": [{"name": name} for name in columns_of(SPEC)],
        "n_slots": 2,
        "window": window,
        "history_columns": [f.name for f in features_of(["temporal"])][: SPEC.n_history],
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A small dataset of six simulated events: its folder."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        simulate(SimConfig(n_events=6, messages_per_market=120, seed=5), folder / "recordings")
        config = BuildConfig(workers=0, split=SplitConfig(train=2, validation=2, test=2))
        build_dataset([folder / "recordings"], str(folder / "data"), config)
        yield str(folder / "data")


def test_a_request_is_read_as_the_observation_that_an_environment_shows(dataset):
    bodies, _ = dataset_rows(dataset, "validation", info_of(), 1_000_000)
    bank = open_bank(dataset, "validation", GROUPS)
    stage = ReplayVectorEnv(bank, FixedEpisodes(event_episodes(bank, 2)), ENV, 1)
    stepper, shown = Stepper(stage, DoNothing(stage.layout)), {}
    while not stage.done:  # one environment, one step after the other
        rows = stepper.rows[0]
        if (rows >= 0).any():
            windows = np.zeros((2, WINDOW, bank.arrays.temporal.shape[1]), np.float32)
            gather_windows(bank.arrays.temporal, bank.arrays.age, rows.astype(np.int64), windows)
            shown[stepper.flat[0].tobytes()] = windows
        stepper.step()
    trading = TradingConfig(n_slots=2)
    reader = Reader(SPEC, WINDOW, trading, FeatureCache(columns_of(SPEC)), 8)
    assert len(bodies) > 100
    for body in bodies[::7]:
        request = DecideRequest.model_validate_json(json.dumps({**body, "request_id": "r"}))
        batch = reader.read(request, "me", 0).batch
        slots = len(body["groups"][0]["markets"])
        if slots == 2:  # a lone market may stand in slot 1 of the environment; a request fills slot 0
            windows = shown[batch.flat[0].tobytes()]
            assert np.array_equal(batch.windows[0], windows[:, :, : SPEC.n_history])


def test_requests_come_in_order_of_time_and_are_spread_over_it(dataset):
    every, _ = dataset_rows(dataset, "validation", info_of(), 1_000_000)
    some, said = dataset_rows(dataset, "validation", info_of(), 50)
    assert 25 <= len(some) <= 60
    assert said.groups == len(some)
    places = [every.index(body) for body in some]
    assert places == sorted(places)
    assert places[-1] > len(every) * 0.7 > places[len(places) // 2] > len(every) * 0.2
    bids = [body["groups"][0]["markets"][0].get("bid_e4") for body in every]
    assert len(set(bids)) > 5  # prices for the rules move with the rows


def test_what_was_sent_is_named_with_dataset_split_and_provenance(dataset):
    _, said = dataset_rows(dataset, "validation", info_of(), 50)
    assert (said.kind, said.dataset, said.split) == ("dataset", dataset, "validation")
    assert said.dataset_digest == Dataset.open(dataset).digest
    assert said.data == "2 events in 2 blocks simulated"
    assert "without a position" in said.words


def test_a_model_without_history_is_sent_none(dataset):
    bodies, _ = dataset_rows(dataset, "validation", info_of(window=0), 10)
    assert {m["history"] for body in bodies for m in body["groups"][0]["markets"]} == {None}


def test_a_large_split_is_played_by_evenly_spread_events(dataset, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ROWS", 1)  # as if each event were too large
    bodies, _ = dataset_rows(dataset, "validation", info_of(), 1_000)
    assert bodies


def test_a_model_that_reads_other_columns_or_another_table_is_refused(dataset):
    with pytest.raises(ContractError, match="feature table other"):
        dataset_rows(dataset, "validation", {**info_of(), "feature_digest": "other"}, 10)
    less = copy.deepcopy(info_of())
    del less["columns"][0]
    with pytest.raises(ContractError, match="other feature sets"):
        dataset_rows(dataset, "validation", less, 10)
