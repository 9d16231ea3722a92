"""Requests become arrays, packed or not, and what is wrong is refused by its kind and field."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.serving_app import App

from kalshi_platform.data.features.spec import ROW_FEATURE_SETS, features_of
from kalshi_platform.domain.actions import BUY_NO, HOLD, N_ACTIONS
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.registry.record import ACTIONS
from kalshi_platform.models.rules.trading_filter import FREE, REASONS, allocate_inputs, forced_slots
from kalshi_platform.serving.api.packed import pack, packed_body
from kalshi_platform.serving.api.requests import DecideRequest, MarketRow
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.server import reading
from kalshi_platform.serving.server.feature_cache import CLASS_OF_COLUMN, FeatureCache, FeatureClass
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.reading import Asked, Reader, columns_of
from kalshi_platform.simulation.replay.layout import layout_of
from kalshi_platform.simulation.replay.trading import TradingConfig

APP = App()
WINDOW = APP.policy.window
#: Of every group, so that there are columns that may be left out.
SPEC = APP.policy.spec.replace(
    market=tuple(f.name for f in features_of(ROW_FEATURE_SETS)), groups=tuple(ROW_FEATURE_SETS)
)
COLUMNS, N_HISTORY = columns_of(SPEC), SPEC.n_history
TRADING = TradingConfig(position_limit_e2=4_000)  # orders of 10 contracts, a cent of slippage
POSITION = COLUMNS.index("position")


def made() -> dict[str, Any]:
    """A request about one full group."""
    rng = np.random.default_rng(0)
    markets = [
        {"id": f"M{s}", "state": "active", "allowed": ["SELL_NO"],
         "row": rng.uniform(0, 1, len(COLUMNS)).tolist(),
         "history": rng.uniform(0, 1, (WINDOW, N_HISTORY)).tolist()}
        for s in range(SPEC.n_slots)
    ]  # fmt: skip
    digest = SPEC.feature_digest
    return {
        "request_id": "r",
        "feature_digest": digest,
        "columns": list(COLUMNS),
        "groups": [{"markets": markets}],
    }


EXAMPLE = made()
MARKET = "groups.0.markets.1"


def read(body: dict[str, Any]) -> Asked:
    reader = Reader(SPEC, WINDOW, TRADING, FeatureCache(COLUMNS), 8)
    return reader.read(DecideRequest.model_validate(body), "me", 0)


def read_plainly(body: dict[str, Any]) -> Asked:
    """The meaning of a request of whole rows in plain Python: one slot at a time, features by their names."""
    n, s = len(body["groups"]), SPEC.n_slots
    market, own = np.zeros((n, s, len(SPEC.market)), "f4"), np.zeros((n, s, len(SPEC.portfolio)), "f4")
    slots, allowed = np.zeros((n, s), "f4"), np.zeros((n, s, N_ACTIONS), "f4")
    windows = np.zeros((n, s, WINDOW, N_HISTORY), "f4")
    asked = allocate_inputs(n, s)
    allowed[..., ACTIONS["HOLD"]] = 1.0
    for at in np.ndindex(n, s):
        markets = body["groups"][at[0]]["markets"]
        if at[1] >= len(markets) or markets[at[1]]["state"] != "active":
            continue
        one = markets[at[1]]
        values = dict(zip(body["columns"], one["row"], strict=True))
        market[at], own[at] = [values[f] for f in SPEC.market], [values[f] for f in SPEC.portfolio]
        slots[at] = 1.0
        allowed[at][[ACTIONS[name] for name in one["allowed"]]] = 1.0
        rows = one["history"][-WINDOW:]
        windows[at][WINDOW - len(rows) :] = rows
        asked.bid_e4[at], asked.ask_e4[at] = one.get("bid_e4", -1), one.get("ask_e4", -1)
        asked.bid_size_e2[at] = one.get("bid_size_e2", -1)
        asked.age_ns[at] = one["age_ms"] * NS_PER_MS if "age_ms" in one else -1
        asked.exclusive_set[at] = {None: -1, "one": 0, "two": 1}[one.get("exclusive_set")]
        asked.taker_rate_e6[at] = one.get("taker_rate_e6", MarketRow.model_fields["taker_rate_e6"].default)
        asked.may_buy_no[at] = "BUY_NO" in one["allowed"]
        if "bid_e4" in one:
            held_e2 = round(float(np.float32(values["position"])) * 4_000)
            asked.limit_e4[at] = min(one["bid_e4"], max(one["bid_e4"] - 100, 1))
            asked.qty_e2[at] = min(max(4_000 + held_e2, 0), 1_000) if held_e2 <= 0 else 0
            asked.unit_e6[at] = 100
    forced, reasons = forced_slots(asked, is_taker=True)
    flat = np.concatenate([part.reshape(n, -1) for part in (market, own, slots, allowed)], axis=1)
    return Asked(Batch(flat, windows, forced), slots > 0, reasons, 0)


def refusal(body: dict[str, Any]) -> tuple[str, str | None] | None:
    """Kind and field of the refusal of ``body``; None where it is read."""
    try:
        read(body)
    except Problem as problem:
        return problem.kind, problem.field
    return None


def assert_equal(found: Asked, expected: Asked) -> None:
    for mine, theirs in zip(
        (*found.batch, found.occupied, found.reasons),
        (*expected.batch, expected.occupied, expected.reasons),
        strict=True,
    ):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        assert mine.tobytes() == theirs.tobytes()
        assert mine.flags.c_contiguous
    assert found.stale_ns == expected.stale_ns


PRICES, RATES = st.integers(0, 10_000), st.sampled_from([0, 70_000, 1_000_000])


@st.composite
def bodies(draw: Any) -> dict[str, Any]:
    """Valid requests of every shape that a reader tells apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = list(COLUMNS)
    if draw(st.booleans()):
        rng.shuffle(columns)
    groups = []
    same = draw(st.booleans())  # all histories of one length
    length = draw(st.integers(1, WINDOW + 3))
    for g in range(draw(st.integers(1, 3))):
        markets = []
        for s in range(draw(st.integers(1, SPEC.n_slots))):
            rows = length if same else draw(st.integers(1, WINDOW + 3))
            market = {
                "id": f"M{g}-{s}",
                "state": draw(st.sampled_from(["active", "active", "active", "paused"])),
                "row": rng.uniform(0, 1, len(columns)).tolist(),
                "allowed": draw(
                    st.sampled_from([[], ["HOLD", "BUY_YES"], ["SELL_NO"], ["BUY_NO", "BUY_YES"]])
                ),
                "history": rng.uniform(0, 1, (rows, N_HISTORY)).tolist(),
            }
            if draw(st.booleans()):
                market |= {"bid_e4": draw(PRICES), "taker_rate_e6": draw(RATES)}
                market["exclusive_set"] = draw(st.sampled_from(["one", "two"]))
                market["row"][columns.index("position")] = draw(st.sampled_from([0, 0, -0.25, -0.9, 0.1]))
                market |= draw(
                    st.sampled_from([{}, {"bid_size_e2": 1_000}, *[{"bid_size_e2": 9_999, "age_ms": 5}] * 4])
                )
            if draw(st.booleans()):
                market["ask_e4"] = draw(PRICES)
            markets.append(market)
        groups.append({"markets": markets})
    return {**EXAMPLE, "columns": columns, "groups": groups}


@settings(max_examples=60, deadline=None)
@given(body=bodies(), data=st.data())
def test_what_is_read_is_bit_for_bit_what_the_request_means_packed_or_not(body, data):
    expected = read_plainly(body)
    assert_equal(read(body), expected)
    packed = packed_body(body)
    assert_equal(read(packed), expected)
    for group, others in zip(packed["groups"], body["groups"], strict=True):  # some packed, some not
        for market, other in zip(group["markets"], others["markets"], strict=True):
            for name in ("row", "history"):
                if data.draw(st.booleans()):
                    market[name] = other[name]
    assert_equal(read(packed), expected)


@settings(max_examples=60, deadline=None)
@given(body=bodies(), data=st.data())
def test_one_wrong_thing_anywhere_is_refused_by_kind_and_field(body, data):
    g = data.draw(st.integers(0, len(body["groups"]) - 1))
    s = data.draw(st.integers(0, len(body["groups"][g]["markets"]) - 1))
    market, at = body["groups"][g]["markets"][s], f"groups.{g}.markets.{s}"
    wrong = data.draw(st.sampled_from([-1.5, 1.0000001, 2.0]))
    change = data.draw(st.sampled_from(["row", "history", "short row", "short history", "no history", "id"]))
    # The history of a market that is not active is not looked at, nor what lies before the window.
    seen = market["state"] == "active"
    if change == "row":
        c = data.draw(st.integers(0, len(COLUMNS) - 1))
        market["row"][c] = wrong
        expected = ("out-of-bounds", f"{at}.row.{c}")
    elif change == "history":
        i = data.draw(st.integers(0, len(market["history"]) - 1))
        market["history"][i][0] = wrong
        seen = seen and i >= len(market["history"]) - WINDOW
        expected = ("out-of-bounds", f"{at}.history.{i}.0") if seen else None
    elif change == "short row":
        market["row"].pop()
        expected = ("wrong-shape", f"{at}.row")
    elif change == "short history":
        market["history"][-1].pop()
        expected = ("wrong-shape", f"{at}.history.{len(market['history']) - 1}") if seen else None
    elif change == "no history":
        market["history"] = data.draw(st.sampled_from([None, []]))
        expected = ("missing-history", f"{at}.history") if seen else None
    else:
        market["id"] = body["groups"][g]["markets"][0]["id"]
        expected = ("repeated-market", f"{at}.id") if s else None
    assert refusal(body) == expected


#: A leg of an arbitrage as a client tells it, flat and with its whole order on display.
LEG = {"bid_e4": 6_000, "bid_size_e2": 1_000, "age_ms": 0, "exclusive_set": "one", "allowed": ["BUY_NO"]}


@pytest.mark.parametrize(
    ("change", "position", "actions", "word"),
    [
        ({}, 0.0, [BUY_NO, BUY_NO], "riskless"),
        ({"exclusive_set": "two"}, 0.0, [FREE, FREE], ""),
        ({"taker_rate_e6": 1_000_000}, 0.0, [HOLD, HOLD], "costs"),
        ({"bid_e4": 4_100}, 0.0, [HOLD, HOLD], "costs"),  # .41 + .60 > 1, .40 + .59 < 1
        ({"bid_size_e2": 999}, 0.0, [HOLD, HOLD], "too small"),
        ({"bid_size_e2": None}, 0.0, [HOLD, HOLD], "size unknown"),
        ({"age_ms": 3 * 86_400_000}, 0.0, [HOLD, HOLD], "stale"),
        ({"age_ms": None}, 0.0, [HOLD, HOLD], "age unknown"),
        ({"allowed": ["HOLD", "BUY_YES"]}, 0.0, [HOLD, HOLD], "closed"),
        ({}, 0.25, [HOLD, HOLD], "closed"),  # YES is held: no NO can be bought
        ({}, -0.875, [HOLD, HOLD], "sizes differ"),  # 35 of 40 contracts are held: room for 5
        ({"state": "paused"}, 0.0, [FREE, FREE], ""),  # no slot: nothing is left to be exclusive with
    ],
)
def test_an_arbitrage_is_judged_by_what_each_market_tells(change, position, actions, word):
    body = copy.deepcopy(EXAMPLE)
    markets = body["groups"][0]["markets"][:2]
    for market in markets:
        market.update(LEG)
        market["row"][POSITION] = 0.0
    markets[1].update(change)
    markets[1]["row"][POSITION] = position
    body["groups"][0]["markets"] = markets
    found = read(body)
    assert found.batch.forced[0, :2].tolist() == actions
    assert [REASONS[code].split(":")[0] for code in found.reasons[0, :2]] == [word, word]


def test_a_maker_model_is_given_no_arbitrage():
    body = copy.deepcopy(EXAMPLE)
    for market in body["groups"][0]["markets"]:
        market.update(LEG)
        market["row"][POSITION] = 0.0
    reader = Reader(SPEC, WINDOW, TradingConfig(order_style="maker"), FeatureCache(COLUMNS), 8)
    found = reader.read(DecideRequest.model_validate(body), "me", 0)
    assert set(found.batch.forced[0].tolist()) == {HOLD}
    assert {REASONS[code].split(":")[0] for code in found.reasons[0]} == {"maker"}


def test_left_out_columns_are_filled_and_their_age_is_told():
    reader, body = Reader(SPEC, WINDOW, TRADING, FeatureCache(COLUMNS), 8), copy.deepcopy(EXAMPLE)
    whole = reader.read(DecideRequest.model_validate(body), "me", 0)
    gone = next(k for k, name in enumerate(COLUMNS) if CLASS_OF_COLUMN[name] is not FeatureClass.FAST)
    del body["columns"][gone]
    for market in body["groups"][0]["markets"]:
        del market["row"][gone]
    found = reader.read(DecideRequest.model_validate(packed_body(body)), "me", 7_000)
    assert found.stale_ns == 7_000
    assert_equal(found, whole._replace(stale_ns=7_000))


def changed(name: str, value: Any) -> dict[str, Any]:
    """The packed example with one field of its second market changed."""
    body = packed_body(EXAMPLE)
    body["groups"][0]["markets"][1][name] = value
    return body


ROW = np.asarray(EXAMPLE["groups"][0]["markets"][1]["row"], "f4")
HISTORY = np.asarray(EXAMPLE["groups"][0]["markets"][1]["history"], "f4")


def with_number(array: np.ndarray, at: Any, value: float) -> str:
    found = array.copy()
    found[at] = value
    return pack(found)


@pytest.mark.parametrize(
    ("name", "value", "kind", "field"),
    [
        ("row", "not base64!", "invalid-field", "row"),
        ("row", "\u00e4\u00f6", "invalid-field", "row"),
        ("row", "AAAA", "invalid-field", "row"),  # three bytes
        ("row", "", "wrong-shape", "row"),
        ("row", pack(ROW[1:]), "wrong-shape", "row"),
        ("row", pack(np.append(ROW, 0)), "wrong-shape", "row"),
        ("row", with_number(ROW, 3, np.nan), "invalid-field", "row.3"),
        ("row", with_number(ROW, 3, -np.inf), "invalid-field", "row.3"),
        ("row", with_number(ROW, 3, 1.5), "out-of-bounds", "row.3"),
        ("history", "", "missing-history", "history"),
        ("history", "AA", "invalid-field", "history"),
        ("history", pack(HISTORY.ravel()[1:]), "wrong-shape", "history"),
        ("history", with_number(HISTORY, (15, 2), np.nan), "invalid-field", "history.15.2"),
        ("history", with_number(HISTORY, (0, 0), 2.0), "out-of-bounds", "history.0.0"),
        ("history", pack(np.vstack([HISTORY, HISTORY + 2])), "out-of-bounds", "history.16.0"),
    ],
)
def test_wrong_packed_numbers_are_refused_by_name(name, value, kind, field):
    with pytest.raises(Problem) as found:
        read(changed(name, value))
    assert (found.value.kind, found.value.field) == (kind, f"{MARKET}.{field}")


def test_the_kinds_of_numbers_are_no_part_of_a_fields_name():
    """A number as text in a row, and a row that is neither numbers nor text."""
    wrong = [("row", ["0.5"], "row.0"), ("row", {"a": 1}, "row"), ("history", 3, "history"),
             ("history", [[0.5, None]], "history.0.1")]  # fmt: skip
    for name, value, field in wrong:
        problem = APP.decide(changed(name, value)).json()
        assert (problem["status"], problem["field"]) == (422, f"{MARKET}.{field}")
        assert "more fields" not in problem["detail"]
    problem = APP.decide(changed("row", ["0.5", 1, None])).json()
    assert (problem["field"], "1 more wrong field:" in problem["detail"]) == (f"{MARKET}.row.0", True)


def test_packed_and_plain_requests_are_answered_alike():
    example = APP.client.get("/v1/example?packed=true").json()
    assert all(isinstance(m[k], str) for m in example["groups"][0]["markets"] for k in ("row", "history"))
    plain = {**APP.client.get("/v1/example").json(), "request_id": "plain-1"}
    assert packed_body(plain)["groups"] == example["groups"]
    assert APP.decide(example).json()["groups"] == APP.decide(plain).json()["groups"]
    wrong = APP.client.get("/v1/example?packed=perhaps")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "packed")


def test_kernels_do_compiled_what_they_do_in_python():
    rows = np.array([[0.5, 0.25, -1], [0.125, 1, 0]], np.float32)
    low, high = np.array([0.0, 0, -1]), np.ones(3)
    for rows_, expected in ((rows, -1), (rows * 2, 2), (rows - 1, 0), (rows * np.nan, 0)):
        for run in (reading.first_outside, reading.first_outside.py_func):
            assert run(rows_, low, high) == expected
    # 2 slots, F = 2, P = 1: market m0 m0' m1 m1' | portfolio p0 p1 | slots | 5 actions each
    slots, bits = np.array([1, 2]), np.array([0b01010, 0b1])
    for run in (reading.place_rows, reading.place_rows.py_func):
        flat = np.zeros((2, 18), np.float32)
        run(rows, slots, bits, layout_of(2, 2, 1), flat)
        assert flat[0].tolist() == [0, 0, 0.5, 0.25, 0, -1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0]
        assert flat[1].tolist() == [0.125, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    for run in (reading.place_windows, reading.place_windows.py_func):
        windows = np.zeros((4, 2, 3), np.float32)
        assert run(rows[:, None], slots, low, high, windows) == -1
        assert windows[1].tolist() == [[0, 0, 0], [0.5, 0.25, -1]]
        assert windows[2].tolist() == [[0, 0, 0], [0.125, 1, 0]]
        assert not windows[[0, 3]].any()
        assert run(rows[:, None] * np.float32([[[1]], [[2]]]), slots, low, high, windows) == 1
