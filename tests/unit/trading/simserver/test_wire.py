"""Numbers, times and ids are written as the exchange writes them."""

import pytest

from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.stream.connection import framed


def test_money_and_sizes_have_their_decimals_and_signs():
    assert [wire.dollars(v) for v in (0, 5, 4_370, 10_000, -123)] == [
        "0.0000", "0.0005", "0.4370", "1.0000", "-0.0123",
    ]  # fmt: skip
    assert [wire.count(v) for v in (0, 1_250, 1, -225)] == ["0.00", "12.50", "0.01", "-2.25"]
    assert [wire.cash(v) for v in (215_300, -5_677_800)] == ["0.215300", "-5.677800"]
    assert wire.DOLLARS[4_210] == wire.dollars(4_210)


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (1_795_400_000_388_000_000, "2026-11-23T02:13:20.388Z"),  # the fact sheet's own pair
        (1_795_400_000_000_000_000, "2026-11-23T02:13:20Z"),
        (1_795_400_000_558_680_999, "2026-11-23T02:13:20.55868Z"),
    ],
)
def test_times_drop_the_zeros_of_their_fraction(time_ns, text):
    assert wire.rfc3339(time_ns) == text


def test_an_id_gives_its_number_back_and_no_two_kinds_share_one():
    ids = [wire.uuid_text(kind, 0, n) for kind in range(1, 6) for n in (1, 70_000)]
    assert len(set(ids)) == 10
    assert [wire.unmixed(i) for i in ids[:2]] == [1, 70_000]
    assert wire.unmixed("no id") is None


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_frames_carry_their_length_in_the_form_for_their_size(size, head):
    data = framed(["x" * size, "y"])
    assert data[0] == 0x81
    length = data[1] if head == 2 else int.from_bytes(data[2:head], "big")
    assert length == size
    assert data[head:] == b"x" * size + b"\x81\x01y"
