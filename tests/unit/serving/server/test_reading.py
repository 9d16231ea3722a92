"""Requests become arrays: as the plain reader reads them, packed or not, and what is wrong is named."""

import base64
import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.reading_reference import Reader as PlainReader
from made.serving_app import App

from kalshi_platform.data.features.spec import ROW_GROUPS, features_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.packed import pack, packed_body, unpack
from kalshi_platform.serving.api.requests import DecideRequest
from kalshi_platform.serving.server import reading_kernels
from kalshi_platform.serving.server.feature_cache import CLASS_OF_COLUMN, FeatureCache, FeatureClass
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.reading import Asked, Reader, columns_of
from kalshi_platform.simulation.replay.layout import layout_of

APP = App()
WINDOW = APP.policy.window
#: Of every group, so that there are columns that may be left out.
SPEC = APP.policy.spec.replace(
    market=tuple(f.name for f in features_of(ROW_GROUPS)), groups=tuple(ROW_GROUPS)
)
COLUMNS, N_HISTORY = columns_of(SPEC), SPEC.n_history


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


def reader(kind: Any = Reader) -> Any:
    return kind(SPEC, WINDOW, FeatureCache(columns_of(SPEC)), 8)


def read(body: dict[str, Any], kind: Any = Reader) -> Asked:
    found: Asked = reader(kind).read(DecideRequest.model_validate(body), "me", 0)
    return found


def outcome(body: dict[str, Any], kind: Any) -> Asked | tuple[object, ...]:
    """What is read, or what a refusal says."""
    try:
        return read(body, kind)
    except Problem as problem:
        return problem.status, problem.kind, problem.detail, problem.field


def assert_equal(found: Asked, expected: Asked) -> None:
    for mine, theirs in zip(
        (*found.batch, found.occupied), (*expected.batch, expected.occupied), strict=True
    ):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
            assert mine.tobytes() == theirs.tobytes()
            assert mine.flags.c_contiguous
    assert found.stale_ns == expected.stale_ns


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
                    st.lists(st.sampled_from(["HOLD", "BUY_YES", "SELL_NO", "BUY_NO"]), max_size=4)
                ),
                "history": rng.uniform(0, 1, (rows, N_HISTORY)).tolist(),
            }
            if draw(st.booleans()):
                market |= {"bid_e4": draw(st.integers(0, 10_000)), "exclusive_set": "one"}
            if draw(st.booleans()):
                market["ask_e4"] = draw(st.integers(0, 10_000))
            markets.append(market)
        groups.append({"markets": markets})
    return {**EXAMPLE, "columns": columns, "groups": groups}


@settings(max_examples=60, deadline=None)
@given(body=bodies(), data=st.data())
def test_what_is_read_is_bit_for_bit_what_the_plain_reader_reads_packed_or_not(body, data):
    expected = read(body, PlainReader)
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
def test_what_the_plain_reader_refuses_is_refused_in_the_same_words(body, data):
    market = data.draw(st.sampled_from([m for group in body["groups"] for m in group["markets"]]))
    wrong = data.draw(st.sampled_from([-1.5, 1.0000001, 2.0]))
    change = data.draw(st.sampled_from(["row", "history", "short row", "short history", "no history", "id"]))
    if change == "row":
        market["row"][data.draw(st.integers(0, len(COLUMNS) - 1))] = wrong
    elif change == "history":
        market["history"][data.draw(st.integers(0, len(market["history"]) - 1))][0] = wrong
    elif change == "short row":
        market["row"].pop()
    elif change == "short history":
        market["history"][-1].pop()
    elif change == "no history":
        market["history"] = data.draw(st.sampled_from([None, []]))
    else:
        body["groups"][0]["markets"][-1]["id"] = body["groups"][0]["markets"][0]["id"]
    expected = outcome(body, PlainReader)
    if isinstance(expected, Asked):  # the market was not active
        assert_equal(read(body), expected)
    else:
        assert outcome(body, Reader) == expected


def test_left_out_columns_are_filled_and_their_age_is_told():
    body = copy.deepcopy(EXAMPLE)
    mine, plain = reader(), reader(PlainReader)
    for each in (mine, plain):
        each.read(DecideRequest.model_validate(body), "me", 0)
    gone = next(k for k, name in enumerate(COLUMNS) if CLASS_OF_COLUMN[name] is not FeatureClass.FAST)
    del body["columns"][gone]
    for market in body["groups"][0]["markets"]:
        del market["row"][gone]
    request = DecideRequest.model_validate(packed_body(body))
    found = mine.read(request, "me", 7_000)
    assert found.stale_ns == 7_000
    assert_equal(found, plain.read(DecideRequest.model_validate(body), "me", 7_000))


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
    assert (problem["field"], "1 more fields" in problem["detail"]) == (f"{MARKET}.row.0", True)


def test_packed_and_plain_requests_are_answered_alike():
    example = APP.client.get("/v1/example?packed=true").json()
    assert all(isinstance(m[k], str) for m in example["groups"][0]["markets"] for k in ("row", "history"))
    plain = {**APP.client.get("/v1/example").json(), "request_id": "plain-1"}
    assert packed_body(plain)["groups"] == example["groups"]
    assert APP.decide(example).json()["groups"] == APP.decide(plain).json()["groups"]
    wrong = APP.client.get("/v1/example?packed=perhaps")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "packed")


def test_packed_numbers_come_out_as_they_went_in():
    """float32 of 0.25 is 3E800000 hex, of -0.5 BF000000; the lowest byte comes first."""
    assert (
        pack([0.25, -0.5]) == base64.b64encode(bytes.fromhex("0000803E000000BF")).decode() == "AACAPgAAAL8="
    )
    assert unpack("AACAPgAAAL8=").tolist() == [0.25, -0.5]
    for wrong in ([[1], [1, 2]], ["0.5"], [None]):
        with pytest.raises(ContractError, match="packed"):
            pack(wrong)


def test_a_body_that_cannot_be_packed_is_left_to_the_server():
    odd = {"groups": [1, {"markets": 2}, {"markets": [3, {"row": ["x"], "history": None}]}]}
    assert packed_body(odd) == odd
    assert packed_body({"a": 1}) == {"a": 1}


def test_kernels_do_compiled_what_they_do_in_python():
    rows = np.array([[0.5, 0.25, -1], [0.125, 1, 0]], np.float32)
    low, high = np.array([0.0, 0, -1]), np.ones(3)
    for rows_, expected in ((rows, -1), (rows * 2, 2), (rows - 1, 0), (rows * np.nan, 0)):
        for run in (reading_kernels.first_outside, reading_kernels.first_outside.py_func):
            assert run(rows_, low, high) == expected
    # 2 slots, F = 2, P = 1: market m0 m0' m1 m1' | portfolio p0 p1 | slots | 5 actions each
    slots, bits = np.array([1, 2]), np.array([0b01010, 0b1])
    for run in (reading_kernels.place_rows, reading_kernels.place_rows.py_func):
        flat = np.zeros((2, 18), np.float32)
        run(rows, slots, bits, layout_of(2, 2, 1), flat)
        assert flat[0].tolist() == [0, 0, 0.5, 0.25, 0, -1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0]
        assert flat[1].tolist() == [0.125, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    for run in (reading_kernels.place_windows, reading_kernels.place_windows.py_func):
        windows = np.zeros((4, 2, 3), np.float32)
        assert run(rows[:, None], slots, low, high, windows) == -1
        assert windows[1].tolist() == [[0, 0, 0], [0.5, 0.25, -1]]
        assert windows[2].tolist() == [[0, 0, 0], [0.125, 1, 0]]
        assert not windows[[0, 3]].any()
        assert run(rows[:, None] * np.float32([[[1]], [[2]]]), slots, low, high, windows) == 1
