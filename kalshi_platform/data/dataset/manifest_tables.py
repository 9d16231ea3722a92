"""The tables of a manifest: how its columns are written, and read back with their checks.

entries        one row a market: ``MarketColumns``
order          places that sort the tickers; only where they do not ascend by themselves
event_table    one row an event: ``EventColumns``
joined         trades put beside books: ``JoinedColumns``; only where there are any
names          lists of names: sources, imported, left_out, blocks, and the events that a stratum names
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.columns import (
    FILES,
    JOINED_NUMBERS,
    MARKET_NUMBERS,
    EventColumns,
    JoinedColumns,
    MarketColumns,
)
from kalshi_platform.data.dataset.entries import EventShards, MarketEntries
from kalshi_platform.data.dataset.manifest_text import ManifestText
from kalshi_platform.data.dataset.tables import (
    SHA256,
    STRINGS,
    Table,
    digest_column,
    digests,
    encode_table,
    numbers,
    read_table,
    strings,
)
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.storage.storage import Storage

BLOCKS: Final = "blocks"


def _types(columns: Mapping[str, np.dtype]) -> dict[str, pa.DataType]:
    return {name: pa.from_numpy_dtype(kind) for name, kind in columns.items()}


_SCHEMAS: Final[dict[str, dict[str, pa.DataType]]] = {
    "entries": {"ticker": STRINGS, **_types(MARKET_NUMBERS)},
    "order": {"market": pa.int64()},
    "event_table": {
        "name": STRINGS, "part": pa.int8(), "block": pa.int64(),
        **{f"{file}_sha256": SHA256 for file in FILES}, **{f"{file}_n_bytes": pa.int64() for file in FILES},
    },
    "joined": {"files": STRINGS, **_types(JOINED_NUMBERS)},
    "names": {"list": STRINGS, "names": pa.large_list(STRINGS)},
}  # fmt: skip


class TableContent(NamedTuple):
    """Content of the tables of a manifest; ``lists`` are columns of texts by the name of the list."""

    markets: MarketEntries
    shards: EventShards
    lists: Mapping[str, pa.Array]


def encode_content(markets: MarketEntries, lists: Mapping[str, pa.Array]) -> list[Table]:
    """The tables of a manifest; equal content, equal bytes."""
    columns, events, joined = markets.columns, markets.events, markets.joined
    tables = [
        encode_table(
            "entries",
            {"ticker": columns.ticker} | {name: pa.array(getattr(columns, name)) for name in MARKET_NUMBERS},
        ),
        encode_table("event_table", _event_arrays(events)),
        encode_table("names", _list_arrays({**lists, BLOCKS: events.blocks})),
    ]
    if columns.order is not None:
        tables.append(encode_table("order", {"market": pa.array(columns.order)}))
    if joined.market.size:
        numbers_of = {name: pa.array(getattr(joined, name)) for name in JOINED_NUMBERS}
        tables.append(encode_table("joined", {"files": joined.files, **numbers_of}))
    return tables


def _event_arrays(events: EventColumns) -> dict[str, pa.Array]:
    arrays = {"name": events.name, "part": pa.array(events.part), "block": pa.array(events.block)}
    for at, file in enumerate(FILES):
        arrays[f"{file}_sha256"] = digest_column(events.sha256[at])
    for at, file in enumerate(FILES):
        arrays[f"{file}_n_bytes"] = pa.array(events.n_bytes[at])
    return arrays


def _list_arrays(lists: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    names = sorted(name for name, texts in lists.items() if len(texts))
    offsets = np.cumsum([0, *(len(lists[name]) for name in names)])
    texts = pa.concat_arrays([strings([]), *(lists[name] for name in names)])
    return {"list": strings(names), "names": pa.LargeListArray.from_arrays(pa.array(offsets), texts)}


def read_tables(storage: Storage, text: ManifestText, address: str) -> TableContent:
    """Columns of the tables that the manifest at ``address`` names, mapped, verified and checked.

    DataError where a table is not named or its columns contradict each other, ChecksumError where its bytes
    are not those that were written.
    """
    found: dict[str, dict[str, pa.Array]] = {}
    for table in text.tables:
        if table.kind not in _SCHEMAS:
            raise DataError(f"{address}: a table of kind {table.kind}; rebuild the dataset")
        found[table.kind] = read_table(storage, table, _SCHEMAS[table.kind])
    if missing := sorted({"entries", "event_table", "names"} - found.keys()):
        raise DataError(f"{address}: names no table of kind {missing[0]}; rebuild the dataset")
    lists = {
        name: texts.values
        for name, texts in zip(found["names"]["list"].to_pylist(), found["names"]["names"], strict=True)
    }
    events = _events(found["event_table"], lists.pop(BLOCKS, strings([])))
    order = numbers(found["order"]["market"]) if "order" in found else None
    markets = MarketColumns(
        ticker=found["entries"]["ticker"],
        order=order,
        **{name: numbers(found["entries"][name]) for name in MARKET_NUMBERS},
    )
    if (have := (markets.n_markets, events.n_events)) != (text.n_markets, text.n_events):
        raise ContractError(
            f"its tables hold (markets, events) {have}, not {shown_value((text.n_markets, text.n_events))}"
        )
    events.check()
    markets.check(events.part)
    entries = MarketEntries(markets, events, _joined(found.get("joined")))
    return TableContent(entries, EventShards(text.files, events, text.feature_digest), lists)


def _events(table: Mapping[str, pa.Array], blocks: pa.Array) -> EventColumns:
    return EventColumns(
        name=table["name"],
        part=numbers(table["part"]),
        block=numbers(table["block"]),
        blocks=blocks,
        sha256=tuple(digests(table[f"{file}_sha256"]) for file in FILES),
        n_bytes=tuple(numbers(table[f"{file}_n_bytes"]) for file in FILES),
    )


def _joined(table: Mapping[str, pa.Array] | None) -> JoinedColumns:
    if table is None:
        return JoinedColumns.of(())
    return JoinedColumns(files=table["files"], **{name: numbers(table[name]) for name in JOINED_NUMBERS})
