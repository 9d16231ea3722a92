"""A dataset of many markets that exists as a manifest and its tables alone: no rows, no features."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.dataset.blocks import PARTS
from kalshi_platform.data.dataset.columns import (
    MARKET_NUMBERS,
    PROVENANCES,
    EventColumns,
    JoinedColumns,
    MarketColumns,
)
from kalshi_platform.data.dataset.entries import EventShards, MarketEntries
from kalshi_platform.data.dataset.job import encode_shard, write_shard
from kalshi_platform.data.dataset.manifest import Manifest
from kalshi_platform.data.dataset.markets_file import MARKETS_SCHEMA, ROWS_A_GROUP
from kalshi_platform.data.dataset.tables import strings
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.storage.storage import open_storage

A_EVENT = 3
_FIRST_NS = 1_790_000_000_000_000_000
_CATEGORIES = ("Climate and Weather", "Crypto", None)


def write_many(root, n_markets, seed=0):
    """Write the manifest, its tables and the markets file of ``n_markets`` markets; returns the manifest."""
    storage = open_storage(root)
    rng = np.random.default_rng(seed)
    n_events = -(-n_markets // A_EVENT)
    events = [f"KXHIGHNY-26NOV{number:07d}" for number in range(n_events)]
    event = np.arange(n_markets) // A_EVENT
    tickers = [f"{events[code]}-B{at % A_EVENT}" for at, code in enumerate(event.tolist())]
    first_ns = _FIRST_NS + event * 60_000_000_000
    numbers = {
        "event": event,
        "provenance": np.full(n_markets, PROVENANCES.index("simulated")),
        "first_ns": first_ns,
        "last_ns": first_ns + 3_600_000_000_000,
        "batch": np.arange(n_markets) % A_EVENT,
        "volatility": rng.random(n_markets),
        "settled": event % 2,
    } | {name: rng.integers(1, 9_000, n_markets) for name in ("n_events", "n_rows")}
    columns = MarketColumns(
        ticker=strings(tickers),
        order=None,
        **{
            name: numbers.get(name, np.zeros(n_markets)).astype(kind) for name, kind in MARKET_NUMBERS.items()
        },
    )
    part = np.where(np.arange(n_events) % 300 < 250, 0, np.where(np.arange(n_events) % 300 < 275, 1, 2))
    assert PARTS[:3] == ("train", "validation", "test")
    names = EventColumns(
        name=strings(events),
        part=part.astype(np.int8),
        block=np.full(n_events, -1),
        blocks=strings([]),
        sha256=tuple(np.frombuffer(rng.bytes(32 * n_events), np.uint8).reshape(-1, 32) for _ in range(2)),
        n_bytes=tuple(rng.integers(1, 10**6, n_events) for _ in range(2)),
    )
    columns.check(part)
    names.check()
    file = encode_shard("markets", "markets", _markets_file(columns, events))
    write_shard(storage, file)
    manifest = Manifest(
        feature_digest=FEATURE_DIGEST,
        shards=EventShards([file.shard], names, FEATURE_DIGEST),
        markets=MarketEntries(columns, names, JoinedColumns.of(())),
        sources=["made"],
        counters={},
    )
    manifest.write(storage)
    return manifest


def _markets_file(columns, events):
    """Bytes of the markets file: every market a plain one, known since its opening."""
    history = constant_history(MarketSpec(ticker="T", event="E")).model_dump_json()
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, MARKETS_SCHEMA, compression="zstd") as writer:
        for start in range(0, columns.n_markets, ROWS_A_GROUP):
            n = min(ROWS_A_GROUP, columns.n_markets - start)
            code = columns.event[start : start + n].tolist()
            made = {
                "ticker": columns.ticker.slice(start, n).to_pylist(),
                "event": [events[at] for at in code],
                "category": [_CATEGORIES[at % len(_CATEGORIES)] for at in code],
                "close_ns": (columns.last_ns[start : start + n]).tolist(),
                "price_ranges": ['[{"start_e4": 0, "end_e4": 10000, "step_e4": 100}]'] * n,
                "fee_type": ["quadratic"] * n,
                "fee_multiplier_e6": [1_000_000] * n,
                "settlement_value_e4": [
                    10_000 if settled else None for settled in columns.settled[start : start + n].tolist()
                ],
                "history": [history] * n,
            }
            arrays = [pa.array(made.get(field.name, [None] * n), field.type) for field in MARKETS_SCHEMA]
            writer.write_table(pa.table(arrays, schema=MARKETS_SCHEMA))
    return sink.getvalue()
