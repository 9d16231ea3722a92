"""Recorder: every frame of the exchange, durable within a second, every hole named.

Begin reading at record.py, one recording from start to stop, then tasks.py, its periodic work.

Rooms      segments/ (lines on the disk, seals, upload), facts/ (what REST says, point in time), follow/
           (books, proof, coverage, figures), page/ (what a browser shows); each knows only those before it.
Beside     live.py (key, client, folder, signals), status.py (certified coverage), exchange_time.py (the
           clock of a simulated exchange).
Not here   the connection (trading/exchange), building of datasets (data/dataset).
"""

__all__ = [
    "alarms", "disk_guard", "exchange_time", "filling", "live", "record", "settings", "sinks", "status",
    "tasks",
]  # fmt: skip
