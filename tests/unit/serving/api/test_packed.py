"""Numbers of a request as text."""

import base64
import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.packed import pack, packed_body, unpack, unpack_alike


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


@given(npst.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=True)))
def test_every_float32_comes_back_to_the_bit(numbers):
    assert unpack(pack(numbers)).tobytes() == numbers.tobytes()


def test_texts_of_one_length_are_unpacked_together_and_others_left_to_be_looked_at_alone():
    rows = np.array([[0.5, -1.0], [0.25, 3.0]], np.float32)
    together = unpack_alike(pack(row) for row in rows)
    np.testing.assert_array_equal(together, rows)
    assert together.flags.writeable
    with pytest.raises(ValueError, match="different lengths"):
        unpack_alike([pack(rows[0]), pack(rows[0, :1])])


@pytest.mark.parametrize(("text", "named"), [("not base64!", "not base64"), ("AAAA", "3 bytes")])
def test_text_that_packs_no_whole_numbers_is_refused(text, named):
    with pytest.raises(ContractError, match=named):
        unpack(text)


def test_a_body_is_packed_without_changing_the_one_that_was_given():
    body = {"groups": [{"markets": [{"id": "A", "row": [0.5], "history": [[0.5, 0.25]]}]}], "n": 1}
    before = copy.deepcopy(body)
    (market,) = packed_body(body)["groups"][0]["markets"]
    assert body == before
    assert market == {"id": "A", "row": pack([0.5]), "history": pack([[0.5, 0.25]])}
