"""One import job: import, validate, write the events shard, compute features, write the feature shard.

Memory   one event at a time: its rows, its features and two encoded shards (in a bucket also the shards that
         are on their way, ``storage/many.py``).
"""

import hashlib
from collections import Counter
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.events_file import decode_market_rows, encode_market_rows
from kalshi_platform.data.dataset.journal import BuiltJob, BuiltMarket, Journal
from kalshi_platform.data.dataset.manifest import Shard, ShardKind
from kalshi_platform.data.dataset.shard import encode_rows
from kalshi_platform.data.dataset.volatility import mid_volatility
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.rows import Rows, find_segments
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.facts import Told
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.gaps import facts_rows
from kalshi_platform.data.market_data.history import told_by
from kalshi_platform.data.market_data.importers import ImportedEvent, ImportedMarket, ImportJob, run_job
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.types import MAX_NOTES, HeldEvent, HeldMarket
from kalshi_platform.data.market_data.schema import FLAG_JOINED, MarketRows
from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.storage.many import Writer
from kalshi_platform.storage.storage import Storage

#: Name of the source of rows that a dataset held before it grew.
EARLIER: Final = "earlier rows"


def run_and_record(job: ImportJob, key: str, storage: Storage, history: ResolutionHistory) -> BuiltJob:
    """Write the shards of every event of ``job``, then the job's journal record, which is returned.

    ``history`` holds the outcomes of all markets. DataError names the file and value that were refused,
    StorageError the file that could not be written.
    """
    shards: list[Shard] = []
    markets: list[BuiltMarket] = []
    counters: Counter[str] = Counter()
    notes: list[str] = []
    events = run_job(job, lambda held: read_held(storage, held)) if job.held else run_job(job)
    with Writer(storage) as writer:
        for event in events:
            counters += event.counters
            notes += event.notes
            new_shards, new_markets = _build_event(event, writer, history)
            shards += new_shards
            markets += new_markets
    built = BuiltJob(
        key=key,
        shards=tuple(shards),
        markets=tuple(markets),
        counters=dict(sorted(counters.items())),
        notes=tuple(notes[:MAX_NOTES]),
    )
    Journal(storage).write(built)
    return built


def read_held(storage: Storage, event: HeldEvent) -> list[Piece]:
    """Rows that the dataset in ``storage`` holds of ``event``; ChecksumError where the shard was changed."""
    address = storage.address(event.path)
    data = storage.read_mapped(event.path)
    if hashlib.sha256(data).hexdigest() != event.sha256:
        raise ChecksumError(f"{address}: the file was changed or damaged: build the dataset again")
    pieces = []
    for market in event.markets:
        rows = decode_market_rows(data, address, market.group)
        origin, is_joined = Origin(address, "row", np.arange(rows.kind.size)), rows.flags & FLAG_JOINED != 0
        if is_joined.any():  # prints of other files are joined anew, beside those that come now
            prints = schema.take(rows, is_joined)
            prints = prints._replace(flags=prints.flags & np.uint8(0xFF ^ FLAG_JOINED))
            rows = schema.take(rows, ~is_joined)
            pieces.append(Piece(market.ticker, "trade_implied", prints, origin, EARLIER, is_held=True))
        # A file of trades tells no receive time: the exchange's time stands in its place.
        is_print = rows.kind == schema.TRADE
        received = market.provenance != "trade_implied" or bool(
            (rows.recv_ns != rows.exch_ns)[is_print].any()
        )
        rows, told = _retold(rows, market)
        pieces.append(
            Piece(
                market.ticker, market.provenance, rows, origin, EARLIER, told, received=received, is_held=True
            )
        )
    return pieces


def _retold(rows: MarketRows, market: HeldMarket) -> tuple[MarketRows, tuple[Told, ...]]:
    """(rows with a FACTS row for every step of the market's history, the tellings that made the steps).

    A step that frames told after the last row has no FACTS row yet: its row follows the others.
    """
    facts = told_by(market.history, market.spec)
    there = rows.qty_e2[rows.kind == schema.FACTS].tolist()
    late = [k for k in range(1, len(facts) + 1) if k not in there]
    more = facts_rows(late, [market.history.known[k].known_ns or 0 for k in late])
    rows = schema.concat([rows, more]) if late else rows
    at = {int(rows.qty_e2[row]): int(row) for row in np.flatnonzero(rows.kind == schema.FACTS)}
    return rows, tuple(Told(at[k], int(rows.recv_ns[at[k]]), told) for k, told in enumerate(facts, start=1))


class EncodedShard(NamedTuple):
    """Bytes of a shard and its entry for the manifest."""

    shard: Shard
    data: pa.Buffer


def encode_shard(kind: ShardKind, stem: str, data: pa.Buffer, event: str | None = None) -> EncodedShard:
    """Name ``data`` after its content: ``<stem>.<hash>.<suffix>``."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{stem}.{sha256[:12]}.{'arrow' if kind == 'features' else 'parquet'}"
    return EncodedShard(Shard(path=path, kind=kind, sha256=sha256, n_bytes=data.size, event=event), data)


def write_shard(storage: Storage, encoded: EncodedShard) -> None:
    """Store the shard as a whole file; a failure leaves no part of it."""
    storage.write_bytes_atomic(encoded.shard.path, encoded.data)


def _build_event(
    event: ImportedEvent, writer: Writer, history: ResolutionHistory
) -> tuple[list[Shard], list[BuiltMarket]]:
    name = event.event
    if not event.markets:
        return [], []
    rows = [(market.spec.ticker, _rows(market, history)) for market in event.markets]
    rows_file = encode_market_rows([(market.spec.ticker, market.rows) for market in event.markets])
    encoded = (
        encode_shard("events", f"events/{name}", rows_file, name),
        encode_shard("features", f"features/{FEATURE_DIGEST}/{name}", encode_rows(rows), name),
    )
    for each in encoded:
        writer.write(each.shard.path, each.data)
    built = [
        _describe(m, r, batch) for batch, (m, (_, r)) in enumerate(zip(event.markets, rows, strict=True))
    ]
    return [e.shard for e in encoded], built


def _rows(market: ImportedMarket, history: ResolutionHistory) -> Rows:
    try:
        known = market.history.known
        return build_rows(market.rows, market.spec, history.of(market.spec), market.tick_e4, known)
    except DataError as err:
        raise DataError(f"{market.source}: {err}") from None


def _describe(market: ImportedMarket, rows: Rows, batch: int) -> BuiltMarket:
    recorded = market.rows
    return BuiltMarket(
        spec=market.spec,
        settlement=market.settlement,
        history=market.history,
        provenance=market.provenance,
        source=market.source,
        n_events=recorded.recv_ns.size,
        n_rows=rows.recv_ns.size,
        n_gaps=int(np.count_nonzero(recorded.kind == schema.GAP)),
        first_ns=int(recorded.recv_ns[0]),
        last_ns=int(recorded.recv_ns[-1]),
        batch=batch,
        volatility=mid_volatility(rows),
        n_segments=find_segments(rows.valid)[0].size,
        grid_declared=market.grid_declared,
        joined=market.joined,
        gap_detection=market.gap_detection,
    )
