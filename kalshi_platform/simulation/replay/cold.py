"""Writes the files of a bank market by market: whatever its size, memory holds the rows of a few events.

Owns       the streamed ``.npy`` files, byte for byte what ``numpy.save`` writes of the same arrays, and their
           sha256, taken from the bytes before they go to the disk: what the disk changes is found out.
Units      bytes.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from kalshi_platform.domain.errors import DataError
from kalshi_platform.simulation.replay.assemble import PER_ROW, Columns, Index, MarketPart, market_part
from kalshi_platform.simulation.replay.bank import ROW_DTYPE, BankMarket

#: So much of a file may wait in memory for the disk: dirty pages beyond stall a process with a memory limit.
_SYNC_BYTES: Final = 128 * 2**20


def shapes(n_rows: int, columns: Columns) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array with an entry a row, in a bank of ``n_rows`` rows."""
    f4 = np.dtype(np.float32)
    return {
        "rows": ((n_rows,), ROW_DTYPE),
        "features": ((n_rows, len(columns.features)), f4),
        "temporal": ((n_rows, len(columns.temporal)), f4),
        "age": ((n_rows,), np.dtype(np.int32)),
    }


def write_bank(
    folder: Path, markets: Iterable[BankMarket], n_rows: int, columns: Columns, uri: str
) -> Mapping[str, str]:
    """Write the bank of ``markets`` into ``folder``; returns the sha256 of each file, by name.

    ``n_rows``: rows of all markets, as the manifest of the dataset ``uri`` has them; DataError where the
    markets hold another number.
    """
    index = Index()
    files = {
        name: _ArrayFile(folder / f"{name}.npy", *kind) for name, kind in shapes(n_rows, columns).items()
    }
    try:
        with _frees_memory():
            for market in markets:
                part, terms = market_part(market, columns)
                index.add(market, part, terms)
                _append(files, part)
    finally:
        for file in files.values():
            file.close()
    _require_rows(index, n_rows, uri)
    for name, array in index.arrays().items():
        files[name] = _ArrayFile(folder / f"{name}.npy", array.shape, array.dtype)
        files[name].append(array)
        files[name].close()
    return {f"{name}.npy": file.digest for name, file in files.items()}


def write_index(
    folder: Path, markets: Iterable[BankMarket], n_rows: int, columns: Columns, uri: str
) -> Mapping[str, str]:
    """Write only the small arrays of the bank of ``markets``, which is opened on demand.

    ``n_rows`` and ``uri`` as for :func:`write_bank`: segments name rows by their numbers.
    """
    index = Index()
    with _frees_memory():
        for market in markets:
            index.add(market, *market_part(market, columns))
    _require_rows(index, n_rows, uri)
    for name, array in index.arrays().items():
        np.save(folder / f"{name}.npy", array)
    return {}


@contextmanager
def _frees_memory() -> Iterator[None]:
    """Let Arrow use the system's allocator: its own keeps what threads free, 80 MiB of decoded shards."""
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


def _require_rows(index: Index, n_rows: int, uri: str) -> None:
    """Refuse by DataError shards that hold another number of rows than the manifest says."""
    if index.n_rows != n_rows:
        raise DataError(f"{uri}: shards hold {index.n_rows} rows, the manifest {n_rows}: build it again")


def _append(files: Mapping[str, "_ArrayFile"], part: MarketPart) -> None:
    for name in PER_ROW:
        files[name].append(getattr(part, name))


class _ArrayFile:
    """One ``.npy`` file whose shape is known before its content."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self._unsynced = 0
        npy: Any = np.lib.format  # without types
        about = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self, about)

    def append(self, array: np.ndarray) -> None:
        """Write the next entries of the array."""
        self.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes; numpy's header comes this way too."""
        self._hash.update(data)
        self._file.write(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_BYTES:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced = 0

    def close(self) -> None:
        """End the file."""
        self._file.close()

    @property
    def digest(self) -> str:
        """Sha256 of what was written, in hex."""
        return self._hash.hexdigest()
