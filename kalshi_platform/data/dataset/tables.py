"""Columnar tables beside ``manifest.json``: all that grows with the number of markets or events.

Owns       ``tables/<kind>.<hash>.arrow``: one record batch of the Arrow IPC file format, not compressed, so
           that a local reader maps a table and its columns are numpy arrays without a copy (ADR 0011).
Invariant  a table is read only where its sha256 is the one that the manifest names; then its bytes are those
           that a build wrote. Equal columns have equal bytes.
Units      strings have 64-bit offsets and places are 64-bit: no table ends at 2^31 of anything.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.dataset.entry import Shard, TableKind
from kalshi_platform.domain.errors import ChecksumError, DataError, StorageError
from kalshi_platform.storage.storage import Storage
from kalshi_platform.storage.whole_file import file_digest

TABLES_FOLDER: Final = "tables"
_KEY: Final = b"kalshi_platform.table"
_VERSION: Final = "1"
_PATH: Final = re.compile(rf"{TABLES_FOLDER}/[a-z_]+\.[0-9a-f]{{12}}\.arrow")
STRINGS: Final = pa.large_string()
SHA256: Final = pa.binary(32)


class Table(NamedTuple):
    """One table on its way to the disk: its entry in the manifest, and its bytes."""

    shard: Shard
    data: pa.Buffer


def encode_table(kind: TableKind, columns: Mapping[str, pa.Array]) -> Table:
    """Bytes of a table and its name, which is that of its content."""
    named = pa.schema(
        [pa.field(name, column.type, nullable=False) for name, column in columns.items()],
        metadata={_KEY: f"{kind} {_VERSION}"},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, named) as writer:
        writer.write_batch(pa.record_batch(list(columns.values()), schema=named))
    data = sink.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{TABLES_FOLDER}/{kind}.{sha256[:12]}.arrow"
    return Table(Shard(path=path, kind=kind, sha256=sha256, n_bytes=data.size), data)


def read_table(storage: Storage, shard: Shard, columns: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Columns of the table that ``shard`` names, by name, mapped where the dataset is local.

    ChecksumError where the bytes are not those that were written, DataError where the table has other
    columns than ``columns`` names; both name the file.
    """
    address = storage.address(shard.path)
    try:
        data = storage.read_mapped(shard.path)
    except StorageError:
        if storage.exists(shard.path):
            raise
        raise DataError(
            f"{address} is missing, the manifest names it: restore it, or build the dataset again"
        ) from None
    found = sha256_of(storage, shard.path, data)
    if found != shard.sha256:
        raise ChecksumError(
            f"{address}: sha256 {found[:12]} ({data.size} bytes), the manifest says {shard.sha256[:12]} "
            f"({shard.n_bytes} bytes); the file was changed or damaged: "
            "restore it, or build the dataset again"
        )
    try:
        reader = pa.ipc.open_file(pa.BufferReader(data))
        version = (reader.schema.metadata or {}).get(_KEY, b"none").decode()
        if version != f"{shard.kind} {_VERSION}":
            raise DataError(
                f"{address}: a table of kind {version!r}, this program reads '{shard.kind} {_VERSION}'; "
                "rebuild the dataset with this version"
            )
        if reader.num_record_batches != 1:
            raise DataError(
                f"{address}: {reader.num_record_batches} record batches, expected 1; rebuild the dataset"
            )
        batch = reader.get_batch(0)
        batch.validate(full=True)  # texts are UTF-8 and end within the file: 25 ms a million
        have = {field.name: field.type for field in batch.schema}
    except (pa.ArrowException, OSError, ValueError) as err:
        raise DataError(f"{address}: no table ({err}); rebuild the dataset") from None
    if have != dict(columns) or any(map(_has_nulls, batch.columns)):
        raise DataError(f"{address}: columns {sorted(have)}, expected {sorted(columns)}; rebuild the dataset")
    return {name: batch.column(name) for name in columns}


def _has_nulls(column: pa.Array) -> bool:
    """True where a value is missing, or one in a list."""
    inside = column.flatten().null_count if pa.types.is_large_list(column.type) else 0
    return bool(column.null_count or inside)


def sha256_of(storage: Storage, path: str, data: pa.Buffer) -> str:
    """Hex sha256 of a file of which ``data`` are the bytes.

    A local file is read in pieces: hashing a memory map would bring all of it into the process's memory.
    """
    if "://" in storage.uri:
        return hashlib.sha256(data).hexdigest()
    try:
        return file_digest(Path(storage.uri) / path)
    except OSError as err:  # deleted since it was mapped, by a growth or a build
        raise StorageError(
            f"cannot read {storage.address(path)}: {err.strerror}; open the dataset again"
        ) from None


def is_table(path: str) -> bool:
    """True where ``path`` is named as :func:`encode_table` names a table."""
    return _PATH.fullmatch(path) is not None


def strings(values: Sequence[str]) -> pa.Array:
    """Column of texts."""
    return pa.array(values, STRINGS)


def numbers(column: pa.Array) -> np.ndarray:
    """Values of a column of numbers, without a copy and read-only."""
    return column.to_numpy(zero_copy_only=True)


def digests(column: pa.Array) -> np.ndarray:
    """Rows (N, 32) u1 of a column of sha256, without a copy."""
    start = column.offset * 32
    return np.frombuffer(column.buffers()[1], np.uint8)[start : start + 32 * len(column)].reshape(-1, 32)


def digest_column(rows: np.ndarray) -> pa.Array:
    """Column of sha256 from rows (N, 32) u1."""
    data = np.ascontiguousarray(rows, np.uint8)
    return pa.Array.from_buffers(SHA256, len(data), [None, pa.py_buffer(data)])


def first_not_ascending(texts: pa.Array) -> int | None:
    """Place of the first text that is not above the one before it; None where all ascend."""
    if len(texts) < 2:
        return None
    ascends = pc.less(texts.slice(0, len(texts) - 1), texts.slice(1))
    if pc.all(ascends).as_py():
        return None
    return int(np.flatnonzero(~ascends.to_numpy(zero_copy_only=False))[0]) + 1


def place_in(texts: pa.Array, wanted: str, order: np.ndarray | None = None) -> int | None:
    """Place of ``wanted`` in a column that ascends (in ``order``, where it is given); None where absent."""
    low, high = 0, len(texts)
    while low < high:
        middle = (low + high) // 2
        at = middle if order is None else int(order[middle])
        if texts[at].as_py() < wanted:
            low = middle + 1
        else:
            high = middle
    if low == len(texts):
        return None
    at = low if order is None else int(order[low])
    return at if texts[at].as_py() == wanted else None
