"""Feature shards: the rows of one event's markets as an Arrow IPC file, one record batch a market.

Owns    the layout of the file: scalar columns as they are, price levels and features as fixed-size lists.
Keyed   by the digest of the feature table and the version of this layout, both in the file's metadata.
        :func:`decode_rows` refuses a shard of another digest or version and never reinterprets it.
Arrays  read back are views of the file's decompressed buffers, so they are read-only.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.rows import LEVELS, Rows
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value

SHARD_VERSION: Final = 2

_VERSION_KEY: Final = b"kalshi_platform.rows"
_DIGEST_KEY: Final = b"kalshi_platform.feature_digest"
_MARKETS_KEY: Final = b"kalshi_platform.markets"

#: Arrow type of one value, and values a row (0: a scalar column; -1: the feature table's width).
_COLUMNS: Final = {
    "recv_ns": (pa.int64(), 0),
    "valid": (pa.uint8(), 0),
    "bid_px_e4": (pa.int32(), LEVELS),
    "bid_qty_e2": (pa.int64(), LEVELS),
    "ask_px_e4": (pa.int32(), LEVELS),
    "ask_qty_e2": (pa.int64(), LEVELS),
    "print_px_e4": (pa.int32(), 0),
    "print_qty_e2": (pa.int64(), 0),
    "print_side": (pa.uint8(), 0),
    "burst_end": (pa.uint8(), 0),
    "known": (pa.uint16(), 0),
    "features": (pa.float32(), -1),
}


def encode_rows(markets: Sequence[tuple[str, Rows]], feature_digest: str = FEATURE_DIGEST) -> pa.Buffer:
    """The file's bytes: a record batch (lz4) for each ``(ticker, rows)``, in order; equal rows, equal bytes.

    All markets share the width of the feature table; a shard holds at least one market.
    """
    width = markets[0][1].features.shape[1]
    schema = _schema(width, [ticker for ticker, _ in markets], feature_digest)
    sink = pa.BufferOutputStream()
    # Measured: zstd is a quarter smaller but reads half as fast, and every training run reads (ADR 0001).
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(sink, schema, options=options) as writer:
        for _, rows in markets:
            arrays = [_to_arrow(c, f.type) for c, f in zip(rows, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()


def decode_rows(
    data: pa.Buffer, address: str, feature_digest: str = FEATURE_DIGEST
) -> list[tuple[str, Rows]]:
    """Markets of a shard, in order.

    DataError names ``address`` where the shard is of another feature table.
    """
    try:
        with pa.ipc.open_file(data) as reader:
            metadata = reader.schema.metadata or {}
            _check(metadata, feature_digest, address)
            tickers: list[str] = json_value(metadata[_MARKETS_KEY])
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        return [(t, _from_arrow(b)) for t, b in zip(tickers, batches, strict=True)]
    except (pa.ArrowException, OSError, ValueError, KeyError) as err:
        raise DataError(f"{address}: no feature shard ({err}); rebuild the dataset") from None


def read_rows(dataset: Dataset, event: str) -> list[tuple[str, Rows]]:
    """Rows of every market of ``event``, in the order of its batches; the shard's checksum is verified."""
    shard = dataset.shard(event, "features")
    return decode_rows(dataset.read_verified(shard), dataset.storage.address(shard.path))


def _schema(width: int, tickers: Sequence[str], feature_digest: str) -> pa.Schema:
    fields = []
    for name in Rows._fields:
        value, size = _COLUMNS[name]
        size = width if size < 0 else size
        kind = pa.list_(pa.field("item", value, nullable=False), size) if size else value
        fields.append(pa.field(name, kind, nullable=False))
    metadata = {
        _VERSION_KEY: str(SHARD_VERSION).encode(),
        _DIGEST_KEY: feature_digest.encode(),
        _MARKETS_KEY: json_text(list(tickers)).encode(),
    }
    return pa.schema(fields, metadata=metadata)


def _check(metadata: dict[bytes, bytes], feature_digest: str, address: str) -> None:
    version = metadata.get(_VERSION_KEY, b"none").decode()
    if version != str(SHARD_VERSION):
        raise DataError(
            f"{address}: shard layout {version}, this program reads {SHARD_VERSION}; rebuild the dataset"
        )
    digest = metadata.get(_DIGEST_KEY, b"none").decode()
    if digest != feature_digest:
        raise DataError(
            f"{address}: made with feature table {digest}, this program has {feature_digest}; "
            "rebuild the dataset, or use the version that made it"
        )


def _to_arrow(column: np.ndarray, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(column, type=kind)
    values = pa.array(np.ascontiguousarray(column).reshape(-1), type=kind.value_type)
    return pa.FixedSizeListArray.from_arrays(values, type=kind)


def _from_arrow(batch: pa.RecordBatch) -> Rows:
    columns = []
    for name in Rows._fields:
        column = batch.column(name)
        if pa.types.is_fixed_size_list(column.type):
            flat = column.flatten().to_numpy(zero_copy_only=True)
            columns.append(flat.reshape(batch.num_rows, column.type.list_size))
        else:
            columns.append(column.to_numpy(zero_copy_only=True))
    return Rows(*columns)
