"""Values that do not belong where they stand: JSON texts and Parquet columns for the importer's fuzz targets.

A fuzz target draws cases with a seeded generator. ``FUZZ_CASES`` says how many each target tries (CI: 120),
``FUZZ_SEED`` which; a failure names seed and case, which give the same file again.
"""

import copy
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.domain.errors import PlatformError
from made.fuzzing import CASES as ASKED
from made.fuzzing import SEED
from made.market_files import BOOK_SCHEMA, T0, book, delta, meta, quote, rest, snapshot, trade, ws_trade

CASES = 120 if ASKED is None else ASKED

#: JSON texts that stand where another kind of value belongs; digits and texts beyond every bound among them.
ODD_JSON = (
    "0", "1", "-1", "17", "true", "false", "null", '""', '"x"', '"17"', '"0.5"', "1e400", "-1e400",
    "1e30", "0.1", "[]", "{}", "[1]", "[[]]", "[[1,2,3]]", '[{"a":1}]', '{"a":{"b":[1]}}', str(2**63),
    str(-(2**63)), str(2**64), "9" * 400, "9" * 5_000, f'"{"9" * 5_000}"', f'"{"x" * 5_000}"',
    '"\\ud800"', '"\\u0000"', '"NaN"', "NaN", "Infinity", '"1e999999999"', '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59Z"', '"9999-12-31T23:59:59-23:59"', '"2026-02-30T00:00:00Z"', '"-1"', "1e18",
    '"yes"', '"no"', '"0x10"', '"1_000"', '"\\u0661"',
)  # fmt: skip
_MARK = "@@odd@@"

_MARKET = rest(
    "E-A", "E", open_time="2024-08-01T00:00:00Z", expected_expiration_time="2024-08-18T00:00:00Z",
    latest_expiration_time="2024-08-19T00:00:00Z", can_close_early=True, last_price_dollars="0.42",
    settlement_value_dollars="1.0000", settlement_ts="2024-08-17T05:00:00Z", fee_type="quadratic",
    price_ranges=[{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], fee_multiplier=1,
    series_ticker="S", category="C", mutually_exclusive=False,
)  # fmt: skip
METADATA: tuple[Any, ...] = (
    {"markets": [_MARKET]},
    {
        "event": {
            "event_ticker": "E",
            "series_ticker": "S",
            "category": "C",
            "mutually_exclusive": True,
            "fee_type_override": "quadratic",
            "fee_multiplier_override": "1",
            "markets": [_MARKET],
        }
    },
    {"series": [{"ticker": "S", "category": "C", "fee_type": "quadratic", "fee_multiplier": 1}]},
    {
        "series_fee_change_arr": [
            {
                "series_ticker": "S",
                "fee_type": "quadratic",
                "fee_multiplier": 1,
                "scheduled_ts": "2024-08-01T00:00:00Z",
            }
        ]
    },
)
_LIFECYCLE = {"type": "market_lifecycle_v2", "sid": 3, "seq": 1}
FRAMES: tuple[Any, ...] = (
    snapshot("E-A", 1), delta("E-A", 2), ws_trade("E-A", "t", T0 + 3),
    {"type": "ticker", "sid": 2, "seq": 1, "msg": {
        "market_ticker": "E-A", "price_dollars": "0.40", "yes_bid_dollars": "0.40", "yes_ask_dollars": "0.45",
        "yes_bid_size_fp": "3", "yes_ask_size_fp": "1", "ts": T0,
    }},
    _LIFECYCLE | {"msg": {
        "market_ticker": "E-A", "event_type": "created", "open_ts": T0, "close_ts": T0 + 100,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "additional_metadata": {"can_close_early": True, "event_ticker": "E"},
    }},
    _LIFECYCLE | {"msg": {
        "market_ticker": "E-A", "event_type": "determined", "result": "yes", "settlement_value": "1.0",
        "determination_ts": T0 + 5,
    }},
    _LIFECYCLE | {"msg": {"market_ticker": "E-A", "event_type": "close_date_updated", "close_ts": T0 + 5}},
    {"type": "event_fee_update", "sid": 3, "seq": 2, "msg": {
        "event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 0.5, "ts": T0,
    }},
    {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
    {"type": "unsubscribed", "id": 1, "sid": 1, "seq": 1},
    {"type": "error", "id": 1, "msg": {"code": 25, "msg": "x", "market_ticker": "E-A"}},
    {"id": 1, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"], "market_tickers": ["E-A"]}},
)  # fmt: skip
ANSWERS: tuple[Any, ...] = (
    {
        "trades": [
            {
                "ticker": "E-A",
                "created_time": "2024-08-01T00:00:00Z",
                "yes_price": 42,
                "no_price": 58,
                "count": 3,
                "taker_side": "yes",
                "trade_id": "a",
            }
        ]
    },
    {
        "ticker": "E-A",
        "candlesticks": [
            {
                "end_period_ts": T0 + 60,
                "yes_bid": {"close": 42, "open": 42},
                "yes_ask": {"close": 44},
                "price": {"close": 43},
            }
        ],
    },
    {
        "recv_ns": T0 * 10**9,
        "ticker": "E-A",
        "orderbook_fp": {"yes_dollars": [["0.4000", "5.00"]], "no_dollars": [["0.5500", "3.00"]]},
    },
)


def tables() -> dict[str, pa.Table]:
    """A small sound table of every kind that the importer reads from Parquet."""
    moment = {"sid": 1, "exch_ts_ms": T0 * 1_000}
    rows = [
        book("E-A", 1, "start", seq=1, **moment) | moment,
        book("E-A", 1, "level", "yes", 4_000, 500) | moment | {"seq": 1},
        book("E-A", 2, "delta", "yes", 4_000, 100) | moment | {"seq": 2, "is_fill": False},
        book("E-A", 3, "delta", "no", 4_000, 100) | moment | {"seq": 5, "is_fill": True, "taker_side": "yes"},
    ]
    schema = pa.schema(list({**BOOK_SCHEMA, "exch_ts_ms": pa.int64()}.items()))
    full = meta(
        "E-A", "E", "yes", open_time="2024-08-01T00:00:00Z", status="settled", category="X",
        settlement_ts="2024-08-17T04:59:00Z", settlement_value_dollars="1.0",
    )  # fmt: skip
    return {
        "trades": pa.Table.from_pylist(
            [trade("E-A", i, 4_200, trade_id=str(i), is_block_trade=False) for i in range(4)]
        ),
        "quotes": pa.Table.from_pylist(
            [quote("E-A", i, 4_000, 4_200, yes_bid_size_e2=100, yes_ask_size_e2=100) for i in range(4)]
        ),
        "level2": pa.Table.from_pylist(rows, schema=schema),
        "metadata": pa.Table.from_pylist([full]),
        "their_trades": pa.Table.from_pylist(ANSWERS[0]["trades"] * 4),
        "their_quotes": pa.Table.from_pylist(
            [{"timestamp": T0 + i, "ticker": "E-A", "yes_bid": 42, "yes_ask": 44} for i in range(4)]
        ),
        "their_markets": pa.Table.from_pylist([{
            "ticker": "E-A", "event_ticker": "E", "status": "finalized", "result": "yes", "last_price": 99,
            "open_time": "2024-08-01T00:00:00Z", "close_time": "2024-08-11T00:00:00Z",
        }]),
    }  # fmt: skip


def odd_columns(n: int) -> dict[str, pa.Array]:
    """Columns (n,) of every type and of values that no column of the importer holds."""
    offsets = b"".join((2 * i).to_bytes(4, "little") for i in range(n + 1))
    no_utf8 = pa.Array.from_buffers(
        pa.string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(b"\xff\xfe" * n)]
    )
    values: dict[str, tuple[Any, pa.DataType | None]] = {
        "list": ([1, 2], None), "struct": ({"a": 1}, None), "text": ("odd", None), "digits": ("17", None),
        "true": (True, None), "null": (None, None), "null text": (None, pa.string()),
        "null number": (None, pa.int64()), "nan": (float("nan"), None), "infinite": (float("inf"), None),
        "half": (0.5, None), "huge": (2**63 - 1, None), "unsigned": (2**64 - 1, pa.uint64()),
        "lowest": (-(2**63), None), "zero": (0, None), "bytes": (b"\xff\xfe", None),
        "decimal": (Decimal("1.5"), None),
        "timestamp": (T0 * 10**9, pa.timestamp("ns")), "zoned": (T0, pa.timestamp("s", "UTC")),
        "late": (2**62, pa.timestamp("s")), "date": (1, pa.date32()), "clock": (1, pa.time64("us")),
        "duration": (1, pa.duration("s")), "map": ([("a", 1)], pa.map_(pa.string(), pa.int64())),
        "long": ("x" * 5_000, None), "empty": ("", None), "large text": ("yes", pa.large_string()),
        "view": ("yes", pa.string_view()), "fixed": (b"abc", pa.binary(3)), "nested": ([{"a": [1]}], None),
    }  # fmt: skip
    made = {name: pa.array([value] * n, kind) for name, (value, kind) in values.items()}
    return made | {"no UTF-8": no_utf8, "dictionary": pa.array(["yes"] * n).dictionary_encode()}


def odd_tables(kind: str) -> list[tuple[str, pa.Table]]:
    """(Words, table) of every table of ``kind`` with one column odd, twice there, or gone."""
    table = tables()[kind]
    made = []
    for at, name in enumerate(table.column_names):
        made += [
            (f"{kind}.{name}: {odd}", table.set_column(at, name, column))
            for odd, column in odd_columns(table.num_rows).items()
        ]
        made.append((f"{kind}.{name}: twice", table.append_column(name, table.column(name))))
        made.append((f"{kind}.{name}: gone", table.drop_columns([name])))
    return made


def _places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value below ``node``."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from _places(value, (*at, key))


def odd_texts(documents: tuple[Any, ...]) -> list[tuple[str, str]]:
    """(Words, JSON text) of every document with one value odd."""
    made = []
    for document in documents:
        for place in _places(document):
            changed = copy.deepcopy(document)
            node = changed
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = _MARK
            whole = json.dumps(changed)
            where = ".".join(map(str, place))
            made += [(f"{where} = {odd[:30]}", whole.replace(json.dumps(_MARK), odd)) for odd in ODD_JSON]
    return made


def drawn(cases: list[Any]) -> list[Any]:
    """CASES of ``cases`` by SEED, all of them where there are no more."""
    return cases if len(cases) <= CASES else random.Random(SEED).sample(cases, CASES)


def refused_or_taken(words: str, use: Any) -> str:
    """Words of the refusal by ``use``, "" where it took the case; AssertionError on any other error."""
    try:
        use()
    except PlatformError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"seed {SEED}, case {words}: {type(error).__name__}: {error}") from error
    return ""


def save(table: pa.Table, path: Path) -> Path:
    """Write ``table`` to ``path``."""
    pq.write_table(table, path)
    return path
