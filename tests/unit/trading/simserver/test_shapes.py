"""Recorded frames and answers of the exchange, where they are present, have the keys of the served ones."""

import gzip
import json
from pathlib import Path

import pytest
from made.sim_server import serve_for

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
#: Sent when the recordings were made, since then gone or optional: the server never sends them.
OLD = {"liquidity_dollars", "expiration_value", "subtitle"}
#: Facts about the question that only some markets have.
SOME = {
    "custom_strike",
    "occurrence_datetime",
    "early_close_condition",
    "settlement_ts",
    "settlement_value_dollars",
}
pytestmark = pytest.mark.recorded


def recorded_frames():
    for path in sorted((DATA / "captures").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                yield json.loads(json.loads(line)["raw"])


def keys_by_type(frames):
    """Type -> (keys of the envelope, keys of ``msg``) over all frames."""
    found = {}
    for frame in frames:
        outer, inner = found.setdefault(frame.get("type"), (set(), set()))
        outer |= frame.keys()
        inner |= frame["msg"].keys() if isinstance(frame.get("msg"), dict) else set()
    return found


@pytest.fixture(scope="module")
def captures():
    if not (DATA / "captures").exists():
        pytest.skip("no recorded captures in ../shared/data")
    return keys_by_type(recorded_frames())


def test_served_frames_have_the_keys_of_recorded_ones(captures):
    async def body(scene):
        market = await scene.open_market()
        async with scene.socket() as ws:
            await ws.send(
                1, "subscribe", channels=["orderbook_delta", "fill"], market_tickers=[market["ticker"]]
            )
            await ws.send(
                2, "update_subscription", sids=[1], action="add_markets", market_tickers=[market["ticker"]]
            )
            await ws.send(3, "subscribe", channels=["none"])
            await ws.answer(3)  # all three are done: the order's frames are wanted
            await scene.rest.order(
                market["ticker"], "bid", market["yes_ask_dollars"], "1", client_order_id="c"
            )
            await ws.send(4, "list_subscriptions")
            await ws.answer(4)  # it comes after all frames sent before
        served = keys_by_type(ws.frames)
        for kind, (outer, inner) in captures.items():
            mine_outer, mine_inner = served[kind]
            assert outer <= mine_outer, kind
            assert inner <= mine_inner, kind
            assert mine_outer - outer <= {"sending_ts_ms", "id"}, kind  # later than the recordings
            assert mine_inner - inner <= {"client_order_id", "exchange_index", "subaccount", "ts_ms"}, kind

    serve_for(body, speed=1e-6)


def test_served_markets_and_events_have_the_keys_of_recorded_ones():
    path = DATA / "rest" / "events_sports_nested.json.gz"
    if not path.exists():
        pytest.skip("no recorded answers in ../shared/data")
    events = json.loads(gzip.decompress(path.read_bytes()))
    recorded = set.intersection(*(set(m) for e in events for m in e["markets"]))

    async def body(scene):
        served = await scene.rest.all("/events", "events", with_nested_markets="true")
        for event in served:
            for market in event["markets"]:
                assert recorded - market.keys() <= OLD | SOME | {"strike_type"}
        assert set.intersection(*(set(e) for e in events)) - served[0].keys() <= {
            "product_metadata",
            "settlement_sources",
        }

    serve_for(body, speed=1e-6)
