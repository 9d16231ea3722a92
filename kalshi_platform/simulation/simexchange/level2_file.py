"""Simulated events as a recorder's level-2 Parquet, and their metadata as markets Parquet.

Owns   the column layouts shared with recorded data (``data/market_data/importers`` reads both alike).
Layout events: one row group an event, rows in the order received; ``is_fill`` marks prints. The session
       is the event's index, so that ``seq`` counts per (session, sid).
Mark   the schema metadata says "simulated" and names the world, so that nobody takes the rows for a
       recording.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.importers.parquet import PROVENANCE_KEY, SIMULATED, WORLD_KEY
from kalshi_platform.data.market_data.schema import DELTA, FLAG_FILL, FLAG_START
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4, NO_TIME, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.simexchange.generate import DETERMINATION_NS, SimEvent

_PROVENANCE: Final = {PROVENANCE_KEY: SIMULATED}

_LEVEL2_SCHEMA: Final = pa.schema(
    [
        ("recv_ts_ms", pa.int64()),
        ("exch_ts_ms", pa.int64()),
        ("recv_ts_us", pa.int64()),
        ("market_ticker", pa.large_string()),
        ("sid", pa.int64()),
        ("seq", pa.int64()),
        ("session", pa.int32()),
        ("type", pa.large_string()),
        ("snap_start", pa.bool_()),
        ("side", pa.large_string()),
        ("price_e4", pa.int32()),
        ("size_e2", pa.int64()),
        ("taker_side", pa.large_string()),
        ("is_fill", pa.bool_()),
    ],
    metadata=_PROVENANCE,
)

_BAND: Final = pa.struct([("start", pa.string()), ("end", pa.string()), ("step", pa.string())])
MARKETS_SCHEMA: Final = pa.schema(
    [
        ("market_ticker", pa.large_string()),
        ("event_ticker", pa.large_string()),
        ("series_ticker", pa.large_string()),
        ("category", pa.large_string()),
        ("title", pa.large_string()),
        ("subtitle", pa.large_string()),
        ("open_time", pa.large_string()),
        ("close_time", pa.large_string()),
        ("expiration_time", pa.large_string()),
        ("settlement_ts", pa.large_string()),
        ("status", pa.large_string()),
        ("result", pa.large_string()),
        ("volume", pa.float64()),
        ("strike_type", pa.large_string()),
        ("floor_strike", pa.float64()),
        ("cap_strike", pa.float64()),
        ("mutually_exclusive", pa.bool_()),
        ("result_source", pa.large_string()),
        ("price_ranges", pa.list_(_BAND)),
    ],
    metadata=_PROVENANCE,
)


def level2_schema(world: str) -> pa.Schema:
    """Layout of the level-2 rows of ``world`` (``domain/worlds.py``)."""
    return _LEVEL2_SCHEMA.with_metadata({**_PROVENANCE, WORLD_KEY: world})


def _strings(codes: np.ndarray, words: list[str], null: np.ndarray | None = None) -> pa.Array:
    """Words picked by ``codes``; null where the mask ``null`` is set."""
    indices = pa.array(codes.astype("i4"), mask=null)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.large_string())).cast(pa.large_string())


def level2_table(event: SimEvent) -> pa.Table:
    """Table of the event's level-2 rows."""
    rows, market = event.wire.rows, event.wire.market
    start, delta = rows.flags & FLAG_START != 0, rows.kind == DELTA
    fill = rows.flags & FLAG_FILL != 0
    columns = [
        pa.array(rows.recv_ns // NS_PER_MS),
        pa.array(rows.exch_ns // NS_PER_MS, mask=rows.exch_ns == NO_TIME),
        pa.array(rows.recv_ns // 1_000),
        _strings(market, [spec.ticker for spec in event.specs]),
        pa.array(rows.sid.astype("i8")),
        pa.array(rows.seq),
        pa.array(np.full(market.size, event.index, "i4")),
        _strings(delta, ["snapshot", "delta"]),
        pa.array(start, mask=delta),
        _strings(rows.side % 2, ["yes", "no"], start),
        pa.array(rows.price_e4, mask=start),
        pa.array(rows.qty_e2, mask=start),
        _strings((1 - rows.side) % 2, ["yes", "no"], ~fill),
        pa.array(fill, mask=~delta),
    ]
    return pa.Table.from_arrays(columns, schema=_LEVEL2_SCHEMA)


def _rfc3339(time_ns: int | None) -> str:
    if time_ns is None:
        raise ValueError("a simulated market always has its times")
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _band(band: PriceBand) -> dict[str, str]:
    values = {"start": band.start_e4, "end": band.end_e4, "step": band.step_e4}
    return {name: f"{value / DOLLAR_E4:.4f}" for name, value in values.items()}


def _market_row(event: SimEvent, m: int, spec: MarketSpec) -> dict[str, Any]:
    contract, wire = event.contracts[m], event.wire
    traded = (wire.market == m) & (wire.rows.flags & FLAG_FILL != 0)
    return {
        "market_ticker": spec.ticker,
        "event_ticker": spec.event,
        "series_ticker": spec.series,
        "category": spec.category,
        "title": f"Simulated value of event {event.index}",
        "subtitle": contract.name,
        "open_time": _rfc3339(spec.open_ns),
        "close_time": _rfc3339(spec.close_ns),
        "expiration_time": _rfc3339((spec.close_ns or 0) + DETERMINATION_NS),
        "settlement_ts": _rfc3339(event.settlements[m].determined_ns),
        "status": "finalized",
        "result": "yes" if event.settlements[m].value_e4 == DOLLAR_E4 else "no",
        "volume": float(-wire.rows.qty_e2[traded].sum()) / 100.0,
        "strike_type": contract.strike_type,
        "floor_strike": contract.lower,
        "cap_strike": contract.upper,
        "mutually_exclusive": spec.mutually_exclusive,
        "result_source": "simulated",
        "price_ranges": [_band(band) for band in spec.price_ranges],
    }


def market_rows_of(event: SimEvent) -> list[dict[str, Any]]:
    """Lines of the metadata file for the markets of the event."""
    return [_market_row(event, m, spec) for m, spec in enumerate(event.specs)]


def write_markets(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the metadata of all simulated markets, in the layout of recorded metadata plus price ranges."""
    pq.write_table(pa.Table.from_pylist(rows, schema=MARKETS_SCHEMA), path, compression="zstd")
