"""The outcomes file: what is written comes back as far as features ask, and another file is refused."""

from dataclasses import replace

import pyarrow as pa
import pytest

from kalshi_platform.data.dataset.outcomes import decode_outcomes, encode_outcomes
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec, Settlement


def record(ticker, value_e4, determined_ns=None, expiration_ns=None, last_e4=None, **facts):
    spec = MarketSpec(ticker=ticker, event=ticker[:2], **facts)
    settlement = Settlement(ticker=ticker, value_e4=value_e4, determined_ns=determined_ns)
    return MarketRecord(spec, settlement, True, expiration_ns, last_e4)


RECORDS = [
    record("E2-A", 10_000, 50, 90, 9_000, series="S", category="C"),
    record("E1-A", 0, None, 70, None, series="S", category="C", close_ns=80),
    record("E3-A", 2_500, None, None, 100),
]


def test_the_outcomes_that_features_show_come_back_and_their_order_does_not_matter():
    data = encode_outcomes(RECORDS)
    assert encode_outcomes(RECORDS[::-1]).equals(data)
    found = decode_outcomes(data, "x")
    assert [r.spec.ticker for r in found] == ["E1-A", "E2-A", "E3-A"]
    assert [r.known_ns for r in found] == [80, 50, None]
    assert [r.settlement.value_e4 for r in found] == [0, 10_000, 2_500]
    asks = MarketSpec(ticker="Z-A", event="Z", series="S", category="C")
    was, now = ResolutionHistory(RECORDS).of(asks), ResolutionHistory(found).of(asks)
    assert was.known_ns.tolist() == now.known_ns.tolist() == [50, 80]
    assert was.values.tolist() == now.values.tolist()


def test_an_outcome_keeps_the_time_at_which_it_was_heard():
    late = replace(RECORDS[0], heard_ns=65)  # determined at 50
    found = {r.spec.ticker: r.known_ns for r in decode_outcomes(encode_outcomes([late, *RECORDS[1:]]), "x")}
    assert found == {"E1-A": 80, "E2-A": 65, "E3-A": None}


def test_a_market_without_an_outcome_is_not_written():
    open_market = MarketRecord(MarketSpec(ticker="E9-A", event="E9"), None, False)
    assert encode_outcomes([*RECORDS, open_market]).equals(encode_outcomes(RECORDS))


def test_another_file_is_refused_by_address():
    with pytest.raises(DataError, match=r"outcomes\.parquet: no outcomes file"):
        decode_outcomes(pa.py_buffer(b"rows"), "outcomes.parquet")
