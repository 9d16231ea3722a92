"""Datasets: manifest, splits, shards on disk or in a bucket, and a build that can be resumed.

Not here   recordings (market_data/) and opening for stepping (simulation/replay). Begin reading at store.py.
"""

__all__ = [
    "blocks",
    "build",
    "certified",
    "columns",
    "entries",
    "factors",
    "grow",
    "inspect",
    "manifest",
    "markets_file",
    "shard",
    "split",
    "store",
    "teaching",
]
