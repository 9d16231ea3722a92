"""Measured slopes: how much memory, disk and time a row or a market costs, each with its measurement.

Owns     the one table from which ``kalshi-platform plan`` and the refusals for want of disk compute.
Units    bytes, rows and seconds; a *row* is a row of the recordings (for level 2: a message or price level).
Renew    after a change of a layout or of the build: measure with the command of the line, on a machine that
         does nothing else, and put figure, date and sizes here. ``docs/scale.md`` is then made again.
"""

from typing import Final, NamedTuple


class Slope(NamedTuple):
    """One measured figure."""

    value: float
    unit: str
    what: str
    date: str
    machine: str
    command: str
    sizes: str  # at which it was measured; beyond them it is extrapolated

    @property
    def source(self) -> str:
        """Words on the measurement: date, machine and sizes."""
        return f"{self.date}, {self.machine}, {self.sizes}"


_MACHINE: Final = "2 cores, 24 GiB, local disk"
_AUDIT: Final = "simulate --events N; dataset build; train"
_BUILT: Final = "simulate --events 990; dataset build --workers 1; du -b"
_BUILT_LARGE: Final = "python benchmarks/dataset_build.py FOLDER"
_LARGE: Final = "2,997 and 8,959 markets, 6 and 17.9 M rows"
_SIX: Final = "2,972 markets, 6.0 M rows"
_TWO: Final = "493 and 2,972 markets, 1 and 6 M rows"
_THREE: Final = "300 to 3,000 events, 1.8 to 18 M rows"

RECORDING_BYTES_A_ROW: Final = Slope(
    16.9, "B a row", "simulated recordings, level-2 Parquet", "2026-11-29", _MACHINE, _BUILT, _THREE
)
CAPTURE_BYTES_A_ROW: Final = Slope(
    28.2, "B a row", "simulated recordings, frames (gzip)", "2026-11-29", _MACHINE,
    "simulate --events 34 --format capture; du -b", "104 markets, 0.2 M rows",
)  # fmt: skip
DATASET_BYTES_A_ROW: Final = Slope(
    138.0, "B a row", "dataset: shards of rows and of features", "2026-11-29", _MACHINE, _BUILT, _SIX
)
MANIFEST_BYTES_A_MARKET: Final = Slope(
    188.0, "B a market", "dataset: tables of the manifest, markets and outcomes", "2026-11-29", _MACHINE,
    "docs/adr/0011 (tables); du -b of the two files at 2,972 markets", "1,000,000 markets of 333,334 events",
)  # fmt: skip
BANK_BYTES_A_ROW: Final = Slope(
    324.0, "B a row", "bank of the train split, features of the default sets", "2026-11-28", _MACHINE,
    _AUDIT, "885 to 2,997 markets, 1.8 to 6 M rows",
)  # fmt: skip
BUILD_BASE_BYTES: Final = Slope(
    362 * 2**20, "B", "build: a process before its first market", "2026-11-29", _MACHINE, _BUILT, _TWO
)
BUILD_BYTES_A_MARKET: Final = Slope(
    18_800.0, "B a market", "build: the process that assembles", "2026-11-29", _MACHINE, _BUILT_LARGE, _LARGE
)
BUILD_ROWS_A_CORE_SECOND: Final = Slope(
    240_000.0, "rows a core-second", "build: from recordings to shards", "2026-11-29", _MACHINE,
    _BUILT_LARGE, "8,959 markets, 17.9 M rows, one process",
)  # fmt: skip
NAME_SECONDS_A_PAIR: Final = Slope(
    40e-9, "s an event and outcome", "build: naming a job by the outcomes that its markets may know",
    "2026-11-29", _MACHINE, "ResolutionHistory.digest_of, one series", "9,000 and 60,000 outcomes",
)  # fmt: skip
OUTCOME_SECONDS_A_PAIR: Final = Slope(
    200e-9, "s an event and outcome", "build: features made of other markets' outcomes",
    "2026-11-29", _MACHINE, "ResolutionHistory.of, one series", "9,000 and 60,000 outcomes",
)  # fmt: skip
OPEN_BASE_BYTES: Final = Slope(
    0.65 * 2**30, "B", "a process with torch and Ray, nothing opened", "2026-11-28", _MACHINE, _AUDIT, _THREE
)
OPEN_BYTES_A_MARKET: Final = Slope(
    194.0, "B a market", "each process that opens: tables of the manifest, mapped pages too", "2026-11-29",
    _MACHINE, "docs/adr/0011", "1,000,000 markets of 333,334 events",
)  # fmt: skip
OPEN_SECONDS_A_MARKET: Final = Slope(
    2.1e-6, "s a market", "opening: the tables are hashed and checked", "2026-11-29", _MACHINE,
    "docs/adr/0011, the slower of two runs", "1,000,000 markets of 333,334 events",
)  # fmt: skip
COLD_ROWS_A_SECOND: Final = Slope(
    379_000.0, "rows a second", "cold open: the bank is written, one process", "2026-11-29", _MACHINE,
    "benchmarks/open_cold.py", "7,470 markets, 15.0 M rows",
)  # fmt: skip
OBJECT_SECONDS: Final = Slope(
    0.03, "s an object", "waiting for a bucket, assumed, not measured", "2026-11-28", "S3 in one region",
    "none", "assumed",
)  # fmt: skip
TRAINER_BYTES: Final = Slope(
    2 * 2**30, "B", "a trainer beside its bank", "2026-11-28", _MACHINE, _AUDIT, _THREE
)
TRAIN_SAMPLES_A_SECOND: Final = Slope(
    23_657.0, "samples a second", "training, level tiny, bank in memory", "2026-11-23", _MACHINE,
    "make bench ARGS='--only train_iteration'", "one bank of 120 markets",
)  # fmt: skip

#: Share of the rows that lies in the train split by default.
TRAIN_SHARE: Final = 0.84
#: Events of three markets each, as the simulator draws them: one events shard and one features shard each.
MARKETS_AN_EVENT: Final = 3.0

SLOPES: Final = (
    RECORDING_BYTES_A_ROW,
    CAPTURE_BYTES_A_ROW,
    DATASET_BYTES_A_ROW,
    MANIFEST_BYTES_A_MARKET,
    BANK_BYTES_A_ROW,
    BUILD_BASE_BYTES,
    BUILD_BYTES_A_MARKET,
    BUILD_ROWS_A_CORE_SECOND,
    NAME_SECONDS_A_PAIR,
    OUTCOME_SECONDS_A_PAIR,
    OPEN_BASE_BYTES,
    OPEN_BYTES_A_MARKET,
    OPEN_SECONDS_A_MARKET,
    COLD_ROWS_A_SECOND,
    OBJECT_SECONDS,
    TRAINER_BYTES,
    TRAIN_SAMPLES_A_SECOND,
)


#: Measured on two cores (benchmarks/RESULTS.md): 6 million rows take two processes as long as one, because
#: Ray starts meanwhile; 18 million take them 0.82 of its time.
ROWS_THAT_PAY_A_WORKER: Final = 5_000_000


def paying_workers(rows: int, cores: int) -> int:
    """Number of processes that pays for a build of ``rows`` source rows.

    One for every five million, at least one, at most one a core.
    """
    return max(min(rows // ROWS_THAT_PAY_A_WORKER, cores), 1)


def dataset_bytes(rows: float, markets: float) -> int:
    """Size of a dataset of ``rows`` source rows in ``markets``."""
    return int(rows * DATASET_BYTES_A_ROW.value + markets * MANIFEST_BYTES_A_MARKET.value)
