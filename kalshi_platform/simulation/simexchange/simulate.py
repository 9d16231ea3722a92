"""Writes a simulated exchange into a folder of recordings, all of it or nothing.

Owns       the folder's layout: ``markets.parquet`` and either ``events.parquet`` (level-2 rows, the
           default) or ``capture.jsonl.gz`` (frames as on the wire).
Invariants the folder appears under its name only when it is complete; equal configs give equal bytes.
"""

import gzip
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pyarrow.parquet as pq

from kalshi_platform.domain import slopes
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.simulation.simexchange.capture_file import capture_lines
from kalshi_platform.simulation.simexchange.generate import SimEvent
from kalshi_platform.simulation.simexchange.level2_file import (
    level2_schema,
    level2_table,
    market_rows_of,
    write_markets,
)
from kalshi_platform.simulation.simexchange.presets import ExchangeConfig, event_of, world_of
from kalshi_platform.storage.room import require_room
from kalshi_platform.storage.whole_file import whole_folder

FileFormat = Literal["parquet", "capture"]
Progress = Callable[[int, int], None]

MARKETS_NAME: Final = "markets.parquet"
EVENTS_NAMES: Final[dict[FileFormat, str]] = {"parquet": "events.parquet", "capture": "capture.jsonl.gz"}


class SimFiles(NamedTuple):
    """Counts of what :func:`simulate` wrote, and where."""

    events: Path
    markets: Path
    n_events: int
    n_markets: int
    n_messages: int  # snapshots and deltas
    n_gaps: int  # holes in the sequence numbers


def simulate(
    config: ExchangeConfig,
    out_dir: Path,
    progress: Progress | None = None,
    file_format: FileFormat = "parquet",
) -> SimFiles:
    """Write the recordings of ``config`` into the new folder ``out_dir``.

    ``progress(events done, events in all)`` is called after every event. ContractError where ``out_dir``
    exists and is not empty; StorageError where it cannot be written. Nothing stays behind on an error.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise ContractError(f"{out_dir} exists and is not an empty folder; choose another --out or remove it")
    require_room(out_dir, estimated_bytes(config, file_format), f"a simulation of {config.n_events:,} events")
    try:
        with whole_folder(out_dir) as folder:
            counts = _write(config, folder, file_format, progress or (lambda done, total: None))
    except OSError as err:
        raise StorageError(
            f"{out_dir}: cannot be written ({err.strerror or err}); free some space or choose another --out"
        ) from None
    return SimFiles(out_dir / EVENTS_NAMES[file_format], out_dir / MARKETS_NAME, config.n_events, *counts)


def estimated_bytes(config: ExchangeConfig, file_format: FileFormat) -> int:
    """Size of the recordings of ``config``, from the measured bytes a row."""
    a_row = slopes.RECORDING_BYTES_A_ROW if file_format == "parquet" else slopes.CAPTURE_BYTES_A_ROW
    return int(config.expected_rows * a_row.value)


def _write(
    config: ExchangeConfig, folder: Path, file_format: FileFormat, progress: Progress
) -> tuple[int, int, int]:
    """Write all events; returns (markets, messages, gaps)."""
    path = folder / EVENTS_NAMES[file_format]
    markets: list[dict[str, Any]] = []
    n_messages = n_gaps = 0
    world = world_of(config)
    writer = _parquet_writer(path, world) if file_format == "parquet" else _capture_writer(path, world)
    with writer as write:
        for index in range(config.n_events):
            event = event_of(config, index)
            write(event)
            markets += market_rows_of(event)
            n_messages += event.n_messages
            n_gaps += int(event.wire.lost.any())
            progress(index + 1, config.n_events)
    write_markets(markets, folder / MARKETS_NAME)
    return len(markets), n_messages, n_gaps


@contextmanager
def _parquet_writer(path: Path, world: str) -> Iterator[Callable[[SimEvent], None]]:
    schema = level2_schema(world)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda event: writer.write_table(level2_table(event).cast(schema))


@contextmanager
def _capture_writer(path: Path, world: str) -> Iterator[Callable[[SimEvent], None]]:
    # no name and no time in the gzip header, so that equal recordings are equal files
    with path.open("wb") as plain, gzip.GzipFile("", "wb", compresslevel=3, fileobj=plain, mtime=0) as packed:
        waiting: list[str] = []

        def write(event: SimEvent) -> None:
            """Write what was received before this event and all later ones opened; the rest waits."""
            assert event.specs[0].open_ns is not None  # the simulator sets it
            ready = bisect_left(waiting, event.specs[0].open_ns, key=_recv_ns)
            packed.write("".join(waiting[:ready]).encode())
            waiting[:ready] = []
            waiting.extend(capture_lines(event, world))
            waiting.sort(key=_recv_ns)  # stable: lines of one time stay in the order of their events

        yield write
        packed.write("".join(waiting).encode())


def _recv_ns(line: str) -> int:
    """Receive time of a capture line that ``capture_lines`` wrote."""
    return int(line[len('{"recv_ns":') : line.index(",")])
