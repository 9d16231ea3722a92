"""A table as files: whole or not at all."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.judging.table_files import write_table


def test_a_table_is_written_twice_with_the_same_rows(tmp_path):
    table = pa.table({"a_e6": [1, -(2**53) - 1, None], "b": ["x,y", '"', ""]})
    write_table(table, "some", tmp_path / "new")
    assert pyarrow.parquet.read_table(tmp_path / "new" / "some.parquet").equals(table)
    assert pyarrow.csv.read_csv(tmp_path / "new" / "some.csv").column("a_e6").to_pylist() == [
        1,
        -(2**53) - 1,
        None,
    ]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["some.csv", "some.parquet"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/some\.csv could not be written"):
        write_table(pa.table({"a": [1]}), "some", tmp_path / "file")


def test_no_spreadsheet_runs_a_name_of_the_csv_as_a_formula(tmp_path):
    names = ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "KX-A", "", None, "a=b"]
    table = pa.table({"category": names, "pnl_e6": pa.array([-5] * len(names))})
    write_table(table, "some", tmp_path)
    lines = (tmp_path / "some.csv").read_text()
    for formula in names[:5]:
        assert f'"\'{formula}"' in lines
    assert '\n"KX-A",-5\n' in lines  # numbers and plain names stay as they are
    assert '"a=b"' in lines
    assert pyarrow.parquet.read_table(tmp_path / "some.parquet").equals(table)
