"""Recorded files of any known format to rows that passed the door, recognised by schema, never by name.

    plan = discover([Path("recordings/")])
    for job in plan.jobs():              # picklable; run them in any process, in any order
        for event in run_job(job):       # ImportedEvent: the markets of one event
            ...

Not here   frames of a live connection (market_data/decode.py). Begin reading at plan.py.
Formats: frames of the exchange (``captures``); level-2 rows, quotes and trades with named columns
(``level2``, ``quotes``, ``trades``) in the house's Parquet or, through ``foreign``, in Parquet, CSV and JSON
of other people; market metadata (``metadata``). docs/formats.md shows each.
"""

from kalshi_platform.data.market_data.importers.metadata import KnownMarkets
from kalshi_platform.data.market_data.importers.plan import ImportPlan, discover
from kalshi_platform.data.market_data.importers.run import run_job
from kalshi_platform.data.market_data.importers.types import ImportedEvent, ImportedMarket, ImportJob

__all__ = [
    "ImportJob", "ImportPlan", "ImportedEvent", "ImportedMarket", "KnownMarkets", "convert", "discover",
    "parquet", "pieces", "run_job", "types",
]  # fmt: skip
