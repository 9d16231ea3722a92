"""Pieces of a part: one a market, with the rows, the places and the trade ids of that market only."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from made.market_files import trade, write

from kalshi_platform.data.market_data.importers.parquet import read_part
from kalshi_platform.data.market_data.importers.pieces import split_by_market
from kalshi_platform.data.market_data.importers.types import Part
from kalshi_platform.data.market_data.schema import empty


def test_each_market_of_a_part_gets_its_own_rows_places_and_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [trade(t, s, 4_200) for s, t in enumerate(("E-A", "E-B", "E-A"))])
    part = read_part(Part(str(path), "trades", ("E-A", "E-B"), (0,)))
    rows = empty(3)
    rows.recv_ns[:] = 5, 6, 7
    ids = pa.array(["x", None, "y"], pa.large_string())
    a, b = split_by_market(part, rows, np.arange(3), "trade_implied", ids, received=False)
    assert (a.ticker, a.rows.recv_ns.tolist(), list(a.origin.numbers)) == ("E-A", [5, 6], [0, 2])
    assert [None if p.trade_ids is None else p.trade_ids.to_pylist() for p in (a, b)] == [["x", None], ["y"]]
    assert (b.ticker, b.span_ns, b.received, b.facts) == ("E-B", (7, 7), False, None)
