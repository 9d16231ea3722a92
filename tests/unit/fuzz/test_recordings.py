"""Fuzz targets: files that a dataset is built from, damaged anywhere and more than once.

Taken     then every row lies in the format's ranges and in order of time, and counters have bounded names.
Refused   by the name of the file.
Singles   one odd value or column a file: ``tests/unit/data/market_data/importers/test_odd_files.py``.
"""

import json

import numpy as np
from made.fuzzing import FindingError, check_counters, fuzz, refusal
from made.market_files import T0, load, snapshot, trade, write
from made.mutations import odd_bytes, odd_document, odd_text
from made.odd_values import ANSWERS, FRAMES, METADATA, save, tables

from kalshi_platform.data.market_data.schema import FACTS, GAP, STATUS


def check_markets(markets, counters):
    """Refuse rows that a kernel would read beyond its tables, or out of order."""
    check_counters(counters)
    for ticker, market in markets.items():
        rows = market.rows
        if len(ticker) > 200:
            raise FindingError(f"a ticker of {len(ticker)} characters was taken")
        if (np.diff(rows.recv_ns) < 0).any():
            raise FindingError(f"{ticker[:40]}: rows out of order")
        if ((rows.price_e4 < -1) | (rows.price_e4 > 10_000)).any():
            raise FindingError(f"{ticker[:40]}: prices outside 0..10_000")
        sized = ~np.isin(rows.kind, (GAP, STATUS, FACTS))
        if (np.abs(rows.qty_e2[sized]) > 10**15).any():
            raise FindingError(f"{ticker[:40]}: sizes beyond every book")


def taken_or_refused(path, *beside):
    """Words of the refusal of ``path``, which they name; what is taken is checked."""
    return refusal(lambda: check_markets(*load(path, *beside)), path.name)


def test_captures(place):
    path = place / "c.jsonl"

    def one(rng):
        raws = [json.dumps(snapshot("E-A", 1))]
        raws += [odd_document(rng, rng.choice(FRAMES)) for _ in range(rng.randint(1, 4))]
        raws.append(json.dumps(snapshot("E-A", 9)))
        lines = [{"recv_ns": (T0 + i) * 10**9, "conn": 1, "raw": raw} for i, raw in enumerate(raws)]
        texts = [json.dumps(line).encode() for line in lines]
        if rng.randrange(2):
            at = rng.randrange(len(texts))
            texts[at] = odd_text(rng, lines[at])
        data = b"\n".join(texts)
        path.write_bytes(odd_bytes(rng, data) if rng.randrange(4) == 0 else data)
        return taken_or_refused(path)

    counts = fuzz("captures", 400, one)
    assert counts["refused"]
    assert counts["taken"]


def test_metadata(place):
    path = place / "m.json"
    good = write(place / "good.parquet", [trade("E-A", second, 4_200) for second in range(3)])

    def one(rng):
        path.write_bytes(odd_text(rng, rng.choice(METADATA)))
        return taken_or_refused(path, good)

    assert fuzz("metadata", 300, one)["refused"]


def test_answers_in_files(place):
    path = place / "a.json"

    def one(rng):
        path.write_bytes(odd_text(rng, rng.choice(ANSWERS)))
        return taken_or_refused(path)

    assert fuzz("answers-in-files", 300, one)["refused"]


def test_parquet(place):
    good = write(place / "good.parquet", [trade("E-A", second, 4_200) for second in range(3)])
    path = place / "odd.parquet"
    whole = {kind: save(table, place / "whole.parquet").read_bytes() for kind, table in tables().items()}

    def one(rng):
        kind = rng.choice(sorted(whole))
        path.write_bytes(odd_bytes(rng, whole[kind]))
        beside = [good] if "market" in kind or kind == "metadata" else []
        return taken_or_refused(path, *beside)

    assert fuzz("parquet", 300, one)["refused"]
