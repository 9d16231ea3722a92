"""Banks written market by market: the same arrays, to the bit, as those that are made in memory."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.replay_bank import T0_NS

from kalshi_platform.data.features.rows import LEVELS, Rows, empty
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.replay.assemble import Columns, Index, build_bank, market_part
from kalshi_platform.simulation.replay.bank import UNSETTLED, BankArrays, BankMarket, MarketInfo
from kalshi_platform.simulation.replay.cold import write_bank, write_index
from kalshi_platform.storage.whole_file import file_digest

ROOT = Path(__file__).resolve().parents[4]
COLUMNS = Columns((0, 3, 4), (1, 2))


def plain_arrays(markets) -> BankArrays:
    path = ROOT / "benchmarks" / "plain_bank.py"
    spec = importlib.util.spec_from_file_location("plain_bank", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.plain_arrays(markets, *COLUMNS)


def drawn_rows(rng: np.random.Generator, n: int) -> Rows:
    rows = empty(n, 5)
    rows.recv_ns[:] = T0_NS + np.cumsum(rng.integers(0, 10**9, n))
    rows.valid[:] = rng.choice(3, n, p=(0.2, 0.7, 0.1))
    for column in (rows.bid_px_e4, rows.ask_px_e4, rows.bid_qty_e2, rows.ask_qty_e2):
        column[:] = rng.integers(1, 10_000, (n, LEVELS))
    rows.print_px_e4[:] = np.where(rng.random(n) < 0.3, rng.integers(1, 9_999, n), -1)
    rows.print_qty_e2[:] = rng.integers(1, 1_000, n)
    rows.burst_end[:] = rng.integers(0, 2, n)
    rows.features[:] = rng.random((n, 5), np.float32)
    return rows


def drawn_markets(seed: int, sizes: list[int]) -> list[BankMarket]:
    rng = np.random.default_rng([seed, len(sizes)])
    markets = []
    for k, n in enumerate(sizes):
        close_ns = int(T0_NS + rng.integers(0, 100 * 10**9)) if rng.random() < 0.5 else None
        spec = MarketSpec(ticker=f"M{k}", event=f"E{k // 3}", close_ns=close_ns)
        outcome = int(rng.choice([UNSETTLED, 0, 10_000]))
        provenance = str(rng.choice(["recorded", "quotes", "trade_implied"]))
        markets.append(BankMarket(MarketInfo(spec, provenance, 0.1), drawn_rows(rng, n), outcome))
    return markets


def same_arrays(found, expected: BankArrays) -> None:
    for name in BankArrays._fields:
        one, other = np.asarray(found[name]), np.asarray(getattr(expected, name))
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        np.testing.assert_array_equal(one, other, err_msg=name)


@settings(max_examples=40)
@given(seed=st.integers(0, 999), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_a_streamed_bank_is_the_plain_one_to_the_bit(tmp_path_factory, seed, sizes):
    folder = tmp_path_factory.mktemp("cold")
    markets = drawn_markets(seed, sizes)
    try:
        made = build_bank(markets, ("a", "b", "c"), *COLUMNS)
    except DataError:
        with pytest.raises(DataError, match="nothing to step over"):
            write_bank(folder, markets, sum(sizes), COLUMNS, "/data")
        return
    digests = write_bank(folder, iter(markets), sum(sizes), COLUMNS, "/data")
    expected = plain_arrays(markets)
    same_arrays(made.arrays._asdict(), expected)
    same_arrays({name: np.load(folder / f"{name}.npy") for name in BankArrays._fields}, expected)
    assert digests == {path.name: file_digest(path) for path in folder.iterdir()}


def test_markets_with_other_rows_than_the_manifest_says_are_refused(tmp_path):
    with pytest.raises(DataError, match="/data: shards hold 30 rows, the manifest 31: build it again"):
        write_bank(tmp_path, drawn_markets(1, [10, 20]), 31, COLUMNS, "/data")


def test_an_index_of_other_rows_than_the_manifest_says_is_refused(tmp_path):
    with pytest.raises(DataError, match="/data: shards hold 30 rows, the manifest 31: build it again"):
        write_index(tmp_path, drawn_markets(1, [10, 20]), 31, COLUMNS, "/data")
    write_index(tmp_path, drawn_markets(1, [10, 20]), 30, COLUMNS, "/data")
    assert {path.stem for path in tmp_path.iterdir()} == {"segments", "markets", "terms"}


def test_an_index_holds_few_arrays_whatever_the_number_of_markets(monkeypatch):
    monkeypatch.setattr(Index, "MARKETS_JOINED", 4)
    markets, index = drawn_markets(3, [9] * 26), Index()
    for market in markets:
        index.add(market, *market_part(market, COLUMNS))
    assert index.n_arrays == 3 * (1 + 6 + 2)
    same = index.arrays()
    for name, array in plain_arrays(markets)._asdict().items():
        if name in same:
            np.testing.assert_array_equal(same[name], array, err_msg=name)
