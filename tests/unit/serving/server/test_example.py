"""A made-up request for whatever model is served."""

import json

import numpy as np
import pytest
from made.serving_app import App, Client

from kalshi_platform.serving.api.packed import unpack
from kalshi_platform.serving.server.example import example_request
from kalshi_platform.serving.server.http import make_app


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
