"""What an import puts aside: single messages, whole markets, never a whole build; files in no order."""

from pathlib import Path

import pytest
from made.market_files import load, notes_of, trade, write

from kalshi_platform.domain.errors import DataError


def test_one_late_row_is_put_aside_and_the_rest_is_kept(tmp_path: Path) -> None:
    rows = [trade("E-A", second, 4_200) for second in (1, 2, 3, 2, 4, 5)]
    path = write(tmp_path / "t.parquet", rows)
    markets, counters = load(path)
    assert (markets["E-A"].rows.kind.size, counters["rows_refused:time_goes_backwards"]) == (5, 1)
    assert "row 3, market E-A: trade is 1000000000 ns before" in notes_of(path)


def test_a_file_in_no_order_of_time_is_refused(tmp_path: Path) -> None:
    rows = [trade("E-A", second, 4_200) for second in (9, 8, 7, 6, 5)]
    with pytest.raises(
        DataError, match=r"t\.parquet: row 1, market E-A: .* as 4 of 5 rows are.* sort the file"
    ):
        load(write(tmp_path / "t.parquet", rows))


def test_a_market_of_many_odd_messages_is_put_aside_whole_and_named_and_others_stay(tmp_path: Path) -> None:
    sound = [trade("E-B", second, 4_200) for second in range(9)]
    odd = [trade("E-A", second, 4_200 if second > 2 else 10_100) for second in range(20)]
    path = write(tmp_path / "t.parquet", sound + odd)
    markets, counters = load(path)
    assert markets.keys() == {"E-B"}
    assert (counters["markets_put_aside"], counters["rows_refused:price_outside"]) == (1, 3)
    assert "market E-A is put aside: 3 of 20 messages break a rule" in notes_of(path)


def test_notes_about_one_market_are_few(tmp_path: Path) -> None:
    odd = [trade("E-A", second, 4_200 if second % 15 else 10_100) for second in range(100)]
    path = write(tmp_path / "t.parquet", odd)
    assert load(path)[0]["E-A"].rows.kind.size == 93
    assert "put aside: 4 more messages of market E-A" in notes_of(path)
