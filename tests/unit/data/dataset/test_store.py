"""Event shards, the markets file and the Dataset that guards them."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.stored import BARE, SPEC, make_dataset, stored

from kalshi_platform.data.dataset.store import (
    Dataset,
    StoredMarket,
    decode_markets,
    encode_markets,
)
from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError
from kalshi_platform.domain.market import Settlement
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory, constant_history


def test_a_file_of_another_schema_is_refused_by_name():
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), sink)
    with pytest.raises(DataError, match=r"markets.parquet: schema version none"):
        decode_markets(pa.py_buffer(sink.getvalue()), "markets.parquet")


def test_specifications_and_settlements_come_back_equal():
    settlement = Settlement(ticker="EV-A", value_e4=3_700, determined_ns=5)
    told = MarketHistory(
        known=(*constant_history(SPEC).known, KnownFacts(known_ns=7, price_ranges=SPEC.price_ranges))
    )
    markets = [StoredMarket(SPEC, settlement, told), stored(BARE)]
    assert decode_markets(encode_markets(markets), "x") == markets


def test_settlements_are_columns_with_the_time_they_became_known():
    table = pq.read_table(
        pa.BufferReader(
            encode_markets([stored(BARE, Settlement(ticker="EV-B", value_e4=0, determined_ns=9))])
        )
    )
    assert table.column("settlement_value_e4").to_pylist() == [0]
    assert table.column("settlement_known_ns").to_pylist() == [9]
    assert table.column("close_known_ns").to_pylist() == [None]


def test_the_time_at_which_the_last_close_became_known_is_a_column():
    known = [
        KnownFacts(known_ns=t, close_ns=c, price_ranges=BARE.price_ranges)
        for t, c in ((None, 9), (3, 8), (4, 8))
    ]
    data = encode_markets([StoredMarket(BARE, None, MarketHistory(known=tuple(known), close_ns=8))])
    assert pq.read_table(pa.BufferReader(data)).column("close_known_ns").to_pylist() == [3]


def test_a_dataset_hands_out_what_was_written(tmp_path, rng):
    markets, manifest = make_dataset(tmp_path, rng)
    dataset = Dataset.open(tmp_path)
    assert dataset.manifest == manifest
    assert dataset.digest == manifest.digest
    assert dataset.specs() == {"EV-A": SPEC, "EV-B": BARE}
    assert dataset.settlements() == {"EV-B": Settlement(ticker="EV-B", value_e4=10_000)}
    for ticker, rows in markets.items():
        for have, want in zip(dataset.rows_of(ticker), rows, strict=True):
            np.testing.assert_array_equal(have, want)
    assert [e.ticker for e in dataset.entries("train")] == ["EV-A", "EV-B"]
    assert dataset.entries("test") == ()


def test_unknown_markets_and_events_are_refused(tmp_path, rng):
    make_dataset(tmp_path, rng)
    dataset = Dataset.open(tmp_path)
    with pytest.raises(ContractError, match="no market 'NO'"):
        dataset.rows_of("NO")
    with pytest.raises(ContractError, match="no features shard of event 'NO'"):
        dataset.shard("NO", "features")


@pytest.mark.parametrize("kind", ["markets", "events", "features"])
def test_a_damaged_shard_is_refused_by_name_and_never_skipped(tmp_path, rng, kind):
    make_dataset(tmp_path, rng)
    dataset = Dataset.open(tmp_path)
    shard = next(s for s in dataset.manifest.shards if s.kind == kind)
    path = tmp_path / shard.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match=str(path)):
        dataset.read_verified(shard)
    if kind == "events":
        with pytest.raises(ChecksumError, match=str(path)):
            dataset.rows_of("EV-A")
    if kind == "markets":
        with pytest.raises(ChecksumError, match=str(path)):
            dataset.specs()


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    with pytest.raises(DataError, match=r"has no manifest.json"):
        Dataset.open(tmp_path)


def test_a_link_opens_the_dataset_that_it_names_under_that_datasets_own_address(tmp_path):
    make_dataset(tmp_path / "work", np.random.default_rng(0))
    (tmp_path / "dataset").symlink_to("work")
    assert Dataset.open(tmp_path / "dataset").uri == str(tmp_path / "work")
    assert Dataset.open(tmp_path / "dataset").digest == Dataset.open(tmp_path / "work").digest
