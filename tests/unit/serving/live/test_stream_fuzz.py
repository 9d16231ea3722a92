"""Whatever a client sends, a session answers, shows the policy numbers in range and stays usable."""

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made.stream_texts import MODEL, T0_NS, M, Policy, delta, line, snapshot

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.live.stream import StreamLimits, StreamSession

LIMITS = StreamLimits(max_refused=10_000, max_markets=4, max_counters=10_000, max_streams=10_000)
TRADE = {
    "trade_id": "t-1", "market_ticker": M, "yes_price_dollars": "0.4500", "count_fp": "3.00",
    "taker_outcome_side": "yes", "ts_ms": 1_700_000_000_000,
}  # fmt: skip
LIFECYCLE = {
    "market_ticker": M, "event_type": "activated", "open_ts": 1_600_000_000, "close_ts": 1_800_000_000,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], "result": "yes",
}  # fmt: skip
FRAMES = [
    json.loads(snapshot()),
    json.loads(snapshot(2, yes=[["0.4100", "7.00"], ["0.3000", "1.00"]])),
    json.loads(delta(2)),
    json.loads(delta(3, side="no", price="0.5000", change="-4.00")),
    json.loads(delta(4, ticker="OTHER")),
    {"type": "trade", "sid": 2, "seq": 1, "msg": TRADE},
    {"type": "market_lifecycle_v2", "sid": 3, "seq": 1, "msg": LIFECYCLE},
    {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
    {"type": "unsubscribed", "sid": 1, "seq": 5},
    {"type": "account", "cash_e6": 10**8, "markets": {M: {"position_e2": 5, "opened_ns": T0_NS}}},
    {"type": "ack"},
]
NASTY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from([
        -1, 0, 2**31, 2**62, 2**63, 2**64, 10**40, "1e999999", "-0.0000", "0.4051", "1.0001", "NaN", "١.٠٠٠٠",
        "9" * 4_400, "yes", "no", [], {}, [[]], [["0.5000", "1.00"], ["0.5000", "1.00"]], [[1, 2]],
        M, "OTHER", "X" * 129, "deactivated", "settled",
        {"start": "0"}, [{"start": "0", "end": "1", "step": "0.0001"}],
    ]),
)  # fmt: skip


@st.composite
def mutated(draw: Any, value: Any) -> Any:
    """``value`` with some leaf, key or list changed."""
    if draw(st.integers(0, 3)) == 0:
        return draw(NASTY)
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        rest = {k: v for k, v in value.items() if k != key}
        how = draw(st.integers(0, 6))
        if how == 0:
            return rest
        return {**rest, (draw(st.text(max_size=5)) if how == 1 else key): draw(mutated(value[key]))}
    if isinstance(value, list) and value:
        k = draw(st.integers(0, len(value) - 1))
        return [*value[:k], draw(mutated(value[k])), *value[k:][draw(st.integers(0, 1)) :]]
    return draw(NASTY)


@st.composite
def texts(draw: Any) -> str:
    """A frame or message: sound, mutated, wrapped as a capture line, cut, or noise."""
    frame = draw(st.sampled_from(FRAMES))
    if draw(st.booleans()):
        frame = draw(mutated(frame))
    if isinstance(frame, dict) and draw(st.booleans()) and "seq" in frame:
        frame = {**frame, "seq": draw(st.integers(1, 12))}
    text = json.dumps(frame)
    if draw(st.integers(0, 3)) == 0:
        text = line(T0_NS + draw(st.integers(-5, 50)), text, draw(st.integers(0, 2)))
        if draw(st.booleans()):
            text = json.dumps(draw(mutated(json.loads(text))))
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text


@settings(max_examples=300)
@given(sent=st.lists(texts(), min_size=1, max_size=25))
def test_no_text_breaks_a_session(sent: list[str]) -> None:
    stream, policy = (
        StreamSession("s", OpenMessage(type="open", accept_missing_inputs=True), MODEL, LIMITS),
        Policy(),
    )
    for k, text in enumerate(sent):
        for message in stream.step(text, T0_NS + k, policy):
            json.loads(message)
        if stream.closed:
            return
        check_books(stream)
    stream.step(snapshot(1, ticker="M-9", sid=77), 1 << 61, policy)
    for batch in policy.batches:
        check_shown(batch.flat)


def check_books(stream: StreamSession) -> None:
    """Everything the kernels read next is in range."""
    for group in stream.books.groups:
        rows, slots = group.bank.rows, group.slots
        for name in ("bid_px_e4", "ask_px_e4"):
            assert (rows[name] >= -1).all()
            assert (rows[name] <= 10_000).all()
        assert (rows["bid_qty_e2"] >= -1).all()
        assert set(slots["state"][0].tolist()) <= {0, 2}


def check_shown(flat: np.ndarray) -> None:
    """Features lie within the bounds of the feature table."""
    features = features_of(MODEL.trading.groups)
    market = [f for f in features if f.feature_set != "portfolio"]
    n_slots = MODEL.trading.n_slots
    assert np.isfinite(flat).all()
    block = flat[:, : n_slots * len(market)].reshape(-1, n_slots, len(market))
    live = block[(flat[:, -6 * n_slots : -5 * n_slots] > 0).reshape(-1, n_slots)]
    assert (live >= np.array([f.low for f in market]) - 1e-6).all()
    assert (live <= np.array([f.high for f in market]) + 1e-6).all()
