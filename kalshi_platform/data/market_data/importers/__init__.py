"""Recorded files of any known format to rows that passed the door, recognised by schema, never by name.

    plan = discover([Path("recordings/")])
    for job in plan.jobs():              # picklable; run them in any process, in any order
        for event in run_job(job):       # ImportedEvent: the markets of one event
            ...

Not here   frames of a live connection (market_data/decode.py). Begin reading at plan.py.
Formats: capture files (``capture``), level-2 Parquet (``level2``), quote Parquet (``quotes``),
trade Parquet (``trades``), market metadata as Parquet or REST JSON (``metadata``).
"""

from kalshi_platform.data.market_data.importers.metadata import KnownMarkets
from kalshi_platform.data.market_data.importers.plan import ImportPlan, discover
from kalshi_platform.data.market_data.importers.run import run_job
from kalshi_platform.data.market_data.importers.types import ImportedEvent, ImportedMarket, ImportJob

__all__ = [
    "ImportJob", "ImportPlan", "ImportedEvent", "ImportedMarket", "KnownMarkets", "discover", "parquet",
    "pieces", "run_job", "types",
]  # fmt: skip
