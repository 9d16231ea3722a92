"""The example of the served model: what it was really shown, else made up and said to be."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from made.serving_app import App, Client

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.evaluation.promotion.example import judged_example
from kalshi_platform.serving.api.packed import unpack
from kalshi_platform.serving.server.example import MADE_UP, example_request
from kalshi_platform.serving.server.http import make_app
from kalshi_platform.serving.server.warming import rehearse
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, open_bank
from kalshi_platform.simulation.simexchange import SimConfig, simulate


@pytest.fixture(scope="module")
def app() -> App:
    return App()


def test_the_openapi_document_shows_a_request_that_is_decided(app: App):
    document = app.client.get("/openapi.json").json()
    example = document["components"]["schemas"]["DecideRequest"]["example"]
    assert app.decide(example).status_code == 200
    client = Client(make_app(app.service))
    assert client.get("/openapi.json").json() == json.loads(json.dumps(document))


def test_an_example_keeps_the_bounds_of_every_column_and_is_the_same_for_the_same_seed(app: App):
    info = app.service.info()
    one, again, other = (example_request(info, "r", seed) for seed in (1, 1, 2))
    assert one == again != other
    rows = np.array([market.row for market in one.groups[0].markets])
    assert rows.shape == (info.n_slots, len(info.columns))
    assert (rows >= [c.low for c in info.columns]).all()
    assert (rows <= [c.high for c in info.columns]).all()
    packed = example_request(info, "r", 1, packed=True).groups[0].markets
    np.testing.assert_array_equal([unpack(m.row) for m in packed], rows.astype(np.float32))
    history = np.array([market.history for market in one.groups[0].markets])
    assert history.shape == (info.n_slots, info.window, len(info.history_columns))


def test_every_example_gets_an_id_of_its_own(app: App):
    info = app.service.info()
    assert example_request(info).request_id != example_request(info).request_id


def test_without_a_kept_example_it_is_made_up_and_that_is_said(app: App):
    assert app.client.get("/v1/example").headers["x-example-source"].startswith("made up: no observation")
    assert app.client.get("/v1/model").json()["example"] == MADE_UP


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> App:
    """A service whose model has an example of a simulated dataset."""
    folder = tmp_path_factory.mktemp("example")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        simulate(SimConfig(n_events=6, messages_per_market=60, seed=3), folder / "recordings")
        build_dataset([folder / "recordings"], str(folder / "data"), BuildConfig(workers=0))
        app = App()
        spec = app.policy.spec
        bank = open_bank(str(folder / "data"), "train", EnvConfig().groups)
        example = judged_example(bank, EnvConfig(n_slots=spec.n_slots), spec, "dataset d, train split")
    app.served = replace(app.served, example=example)
    return app


@pytest.mark.parametrize("packed", ["false", "true"])
def test_a_kept_example_is_shown_as_it_was_and_is_decided(kept: App, packed: str):
    response = kept.client.get(f"/v1/example?packed={packed}")
    assert response.headers["x-example-source"] == kept.served.example.source
    assert response.headers["x-example-source"].startswith("simulated data, dataset d, train split")
    body = response.json()
    markets = body["groups"][0]["markets"]
    assert [m["id"] for m in markets] == [m.ticker for m in kept.served.example.markets]
    if packed == "false":
        assert [tuple(m["row"]) for m in markets] == [m.row for m in kept.served.example.markets]
    answer = kept.decide(body)
    assert answer.status_code == 200, answer.text
    assert kept.client.get("/v1/model").json()["example"] == kept.served.example.source
    asyncio.run(rehearse(kept.service.args, kept.served))


def test_an_example_of_other_columns_is_not_shown(kept: App):
    other = kept.served.example.replace(columns=("a",))
    app = App()
    app.served = replace(app.served, example=other)
    assert app.client.get("/v1/model").json()["example"] == MADE_UP
