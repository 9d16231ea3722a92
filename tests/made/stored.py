"""A dataset of one event and two markets, written by hand."""

import pyarrow as pa

from kalshi_platform.data.dataset.job import encode_shard, write_shard
from kalshi_platform.data.dataset.manifest import Manifest, MarketEntry
from kalshi_platform.data.dataset.manifest_v1 import ManifestV1
from kalshi_platform.data.dataset.store import (
    StoredMarket,
    encode_market_rows,
    encode_markets,
)
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.market import MarketSpec, PriceBand, Settlement
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.storage.storage import open_storage
from made.strategies import random_rows

SPEC = MarketSpec(
    ticker="EV-A",
    event="EV",
    series="S",
    category="Climate",
    open_ns=1,
    close_ns=2_000_000_000_000_000_001,
    price_ranges=(
        PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
        PriceBand(start_e4=1_000, end_e4=10_000, step_e4=100),
    ),
    fee_type="quadratic_with_maker_fees",
    fee_multiplier_e6=500_000,
    mutually_exclusive=True,
)


BARE = MarketSpec(ticker="EV-B", event="EV")


def stored(spec, settlement=None):
    return StoredMarket(spec, settlement, constant_history(spec))


def entry(ticker, split, batch, rows):
    return MarketEntry(
        ticker=ticker, event="EV", split=split, provenance="recorded", n_events=rows.recv_ns.size,
        n_rows=1, n_gaps=0, first_ns=int(rows.recv_ns[0]), last_ns=int(rows.recv_ns[-1]), batch=batch,
        volatility=0.0, settled=False,
    )  # fmt: skip


def make_dataset(root, rng, split_of=lambda ticker: "train"):
    storage = open_storage(root)
    markets = [("EV-A", random_rows(rng, 50)), ("EV-B", random_rows(rng, 30, "quotes"))]
    encoded = [
        encode_shard(
            "markets",
            "markets",
            encode_markets([stored(SPEC), stored(BARE, Settlement(ticker="EV-B", value_e4=10_000))]),
        ),
        encode_shard("events", "events/EV", encode_market_rows(markets), "EV"),
        encode_shard("features", "features/f/EV", pa.py_buffer(b"rows"), "EV"),
    ]
    for shard in encoded:
        write_shard(storage, shard)
    manifest = Manifest(
        feature_digest="f",
        shards=tuple(e.shard for e in encoded),
        markets=tuple(
            entry(ticker, split_of(ticker), batch, rows) for batch, (ticker, rows) in enumerate(markets)
        ),
        sources=("a.parquet",),
        counters={},
    )
    manifest.write(storage)
    return dict(markets), manifest


def v1_text(manifest):
    """The text that an earlier release wrote of the same dataset."""
    fields = {name: getattr(manifest, name) for name in ManifestV1.model_fields if name != "version"}
    text = ManifestV1(**{k: tuple(v) if k in ("shards", "markets") else v for k, v in fields.items()})
    return json_text(text.model_dump(mode="json"), sort_keys=True, indent=1) + "\n"
