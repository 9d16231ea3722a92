"""Any table becomes a house file by a map; a wrong map says what is wrong with it."""

from pathlib import Path

import pytest
from made.foreign_files import M, lines, same_trades, text
from made.market_files import CORE, load, table

from kalshi_platform.data.market_data.importers.convert import EXAMPLES, KINDS, convert_file
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, TRADE, YES
from kalshi_platform.domain.errors import ContractError, DataError, PlatformError

CSV = "When,Sym,Px,Qty,Dir\n2026-11-23T02:13:20.5Z,{0},42.5,1.5,buy\n2026-11-23T02:13:21Z,{0},43,2,sell\n"
MAP = """kind: trades
columns:
  market_ticker: Sym
  time: {from: When, unit: rfc3339}
  yes_price: {from: Px, unit: cents}
  count: Qty
  taker_side: {from: Dir, values: {buy: yes, sell: no}}
"""
ROWS = [(TRADE, YES, 4_250, 150, FLAG_LAST), (TRADE, NO, 4_300, 200, FLAG_LAST)]


def test_a_mapped_csv_is_imported_as_it_says(tmp_path: Path) -> None:
    source, mapping = text(tmp_path / "t.csv", CSV.format(M)), text(tmp_path / "m.yaml", MAP)
    done = convert_file(source, mapping, tmp_path / "out.parquet")
    assert done == ("trades", 2, 1, {})
    market = load(tmp_path / "out.parquet")[0][M]
    assert table(market, *CORE) == ROWS
    assert market.rows.recv_ns.tolist() == [1_795_400_000_500_000_000, 1_795_400_001_000_000_000]
    with pytest.raises(ContractError, match=r"out\.parquet exists"):
        convert_file(source, mapping, tmp_path / "out.parquet")


def test_a_constant_fills_a_field_that_the_file_lacks(tmp_path: Path) -> None:
    records = [
        {"w": "2026-11-23T02:13:20.5Z", "p": 0.425, "n": 1.5, "d": "yes"},
        {"w": "2026-11-23T02:13:21Z", "p": 0.43, "n": 2, "d": "no"},
    ]
    mapping = (
        f"kind: trades\ncolumns:\n  market_ticker: {{value: {M}}}\n  time: {{from: w, unit: rfc3339}}\n"
        "  yes_price: {from: p, unit: dollars}\n  count: n\n  taker_side: d\n"
    )
    convert_file(lines(tmp_path / "t.jsonl", records), text(tmp_path / "m", mapping), tmp_path / "o.parquet")
    assert table(load(tmp_path / "o.parquet")[0][M], *CORE) == ROWS


def test_names_that_leave_no_doubt_need_no_map(tmp_path: Path) -> None:
    forms = same_trades(tmp_path)
    wanted = table(load(forms["house"])[0][M], "recv_ns", *CORE)
    for name, path in forms.items():
        convert_file(path, None, tmp_path / f"{name}-out.parquet")
        assert table(load(tmp_path / f"{name}-out.parquet")[0][M], "recv_ns", *CORE) == wanted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("from: Px", "from: Price", r"yes_price: column 'Price' is not in .*columns are When, Sym, Px"),
        (", unit: cents", "", "yes_price: give its unit, dollars, cents, e4: yes_price: {from: COLUMN"),
        ("unit: cents", "unit: pence", "unit 'pence'; expected dollars, cents, e4"),
        ("unit: cents", "unit: dollars", r"line 2: Px = 42.5 is outside 0..1 dollar when read as dollars"),
        ("kind: trades", "kind: fills", "expected kind .one of trades, quotes, level2, markets"),
        ("yes_price:", "price:", "trades have no field 'price'; known are market_ticker, time, yes_price"),
        ("  count: Qty\n", "", "trades need count; name the column of each"),
        ("unit: rfc3339", "unit: ms", "looks like text|looks like"),
        ("  count: Qty", "  count: {fro: Qty}", "a line of a map is count:"),
        ("market_ticker: Sym", "market_ticker: {from: Sym, unit: ms}", "has no unit; leave unit: ms out"),
        ("kind: trades", "kind: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_map_is_refused_by_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    source = text(tmp_path / "t.csv", CSV.format(M))
    with pytest.raises(PlatformError, match=message):
        convert_file(source, text(tmp_path / "m.yaml", MAP.replace(old, new)), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\x00")
    with pytest.raises(DataError, match="SQLite: export each table"):
        convert_file(tmp_path / "x.db", None, tmp_path / "out.parquet")


def test_every_kind_has_an_example_that_reads(tmp_path: Path) -> None:
    assert set(EXAMPLES) == set(KINDS)
    csv = f"Ticker,Time,Price,Contracts,Side\n{M},2026-11-23T02:13:20Z,43,2,yes\n"
    mapping = text(tmp_path / "m.yaml", EXAMPLES["trades"])
    assert convert_file(text(tmp_path / "t.csv", csv), mapping, tmp_path / "o.parquet").n_rows == 1
