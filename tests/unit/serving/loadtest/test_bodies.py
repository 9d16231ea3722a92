"""Bodies of a load test: varied within their bounds, never repeated, refused by line."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.api.packed import pack, unpack
from kalshi_platform.serving.loadtest.bodies import Bodies, read_bodies, varied_bodies, vary

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.integers(0, 2**32))
def test_a_varied_body_keeps_shape_sign_bounds_and_everything_that_is_no_fraction(value, seed):
    def compare(old, new):
        assert type(old) is type(new)
        if isinstance(old, dict):
            assert list(old) == list(new)
            for key in old:
                compare(old[key], new[key])
        elif isinstance(old, list):
            assert len(old) == len(new)
            for a, b in zip(old, new, strict=True):
                compare(a, b)
        elif isinstance(old, float) and -1 <= old <= 1:
            assert abs(new - old) <= 0.2 + 1e-6
            assert 0 <= new <= 1 if old >= 0 else -1 <= new <= 0
        else:
            assert old == new

    compare(value, vary(value, np.random.default_rng(seed), 0.2))


def test_packed_numbers_are_varied_as_numbers_and_other_text_stays():
    numbers = np.array([0.5, -0.5, 0.0, 1.0, -1.0, 7.0], np.float32)
    body = {"markets": [{"id": "row", "row": pack(numbers), "history": None}]}
    (market,) = vary(body, np.random.default_rng(0), 0.2)["markets"]
    found = unpack(market["row"])
    assert (market["id"], market["history"], found[-1]) == ("row", None, 7)
    assert (found[:5] != numbers[:5]).any()
    assert (np.abs(found - numbers) <= 0.2 + 1e-6).all()
    assert ((found[[0, 2, 3]] >= 0) & (found[[0, 2, 3]] <= 1)).all()
    assert ((found[[1, 4]] <= 0) & (found[[1, 4]] >= -1)).all()


def test_bodies_repeat_in_turn_under_request_ids_that_never_repeat():
    example = {"request_id": "example", "rows": [0.5, -0.5], "n": 3}
    bodies, again = (Bodies(varied_bodies(example, 2, 0.1, seed=7)) for _ in range(2))
    sent = [json.loads(bodies.of(k)) for k in range(4)]
    assert len({body["request_id"] for body in sent}) == 4
    assert sent[0]["rows"] == sent[2]["rows"] != sent[1]["rows"]
    other = json.loads(again.of(0))
    assert other["rows"] == sent[0]["rows"]  # the seed's
    assert other["request_id"] != sent[0]["request_id"]  # another test
    assert json.loads(Bodies([{"request_id": "x"}]).of(0)).keys() == {"request_id"}
    assert json.loads(Bodies([{"a": 1}]).of(5)) == {"a": 1}


def test_a_file_of_bodies_names_the_line_that_is_wrong(tmp_path):
    file = tmp_path / "bodies.jsonl"
    file.write_text('{"a": 1}\n\n{"b": 2}\n[1]\n')
    assert read_bodies(file, 2) == [{"a": 1}, {"b": 2}]
    with pytest.raises(DataError, match=r"line 4 is not a JSON object"):
        read_bodies(file, 3)
    for text in (b"{\n", b"[" * 100_000, b"\xff\n"):
        file.write_bytes(text)
        with pytest.raises(DataError, match="line 1 is not JSON"):
            read_bodies(file, 1)
    file.write_text("\n")
    with pytest.raises(DataError, match="holds no request body"):
        read_bodies(file, 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_bodies(tmp_path / "absent", 3)
