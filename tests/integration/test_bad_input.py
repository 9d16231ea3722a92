"""Bad input through the command as a user meets it: one line that names file and value, and no dataset.

Two more ways to end badly are tested elsewhere: ``kill -9`` (``test_build_files.py``) and a damaged shard of
a finished dataset, which no build reads but verification and every reader do (``test_store.py``).
"""

import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from made.market_files import BOOK_SCHEMA, T0, book, capture, delta, rest, snapshot, trade, write
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.store import Dataset

CENTS = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]


def build(given, out):
    arguments = ["dataset", "build", "--input", given, "--out", out, "--workers", "0", "--json"]
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path):
    """Inputs that are sound so far."""
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "good.parquet", [trade(f"GOOD-{i}-A", i, 4_200) for i in range(3)])
    return folder


def truncated_gzip(folder):
    path = capture(folder / "bad.jsonl.gz", [(i, 1, snapshot("E-A", i)) for i in range(1, 200)])
    path.write_bytes(path.read_bytes()[:-20])


def broken_line(folder):
    path = capture(folder / "bad.jsonl", [(i, 1, snapshot("E-A", i)) for i in range(1, 4)])
    path.write_text(path.read_text().replace(f'{{"recv_ns":{(T0 + 3) * 10**9}', '{"recv_ns":oops'))


def no_order_of_time(folder):
    write(folder / "bad.parquet", [trade("E-A", second, 4_200) for second in (7, 5, 4, 3)])


def empty_file(folder):
    (folder / "bad.parquet").touch()


def empty_gzip(folder):
    (folder / "bad.jsonl.gz").write_bytes(gzip.compress(b""))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated_gzip, r"bad\.jsonl\.gz: gzip data ends in the middle, after line \d+"),
        (broken_line, r"bad\.jsonl: line 3 is not JSON .*oops"),
        (no_order_of_time, r"bad\.parquet: row 1, market E-A: recv_ns \d+ is 2000000000 ns before"),
        (empty_file, r"bad\.parquet: the file is empty"),
        (empty_gzip, r"bad\.jsonl\.gz: the file is empty"),
    ],
)
def test_one_bad_file_refuses_the_build_in_one_line_and_leaves_no_dataset(folder, tmp_path, spoil, message):
    spoil(folder)
    refused(build(folder, tmp_path / "out"), message)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_an_odd_row_is_put_aside_counted_and_named_and_the_rest_is_built(folder, tmp_path):
    (folder / "m.json").write_text(json.dumps({"markets": [rest("E-A", "E", price_ranges=CENTS)]}))
    write(folder / "bad.parquet", [trade("E-A", 1, 4_200), trade("E-A", 2, 4_215)])
    summary = json.loads(build(folder, tmp_path / "out").stdout)
    assert (summary["markets"], summary["counters"]["rows_refused:price_off_grid"]) == (4, 1)
    (note,) = summary["notes"]
    assert re.search(r"bad\.parquet: row 1, market E-A: trade has a price off the market's grid.*4215", note)
    assert "put aside" in CliRunner().invoke(app, ["dataset", "info", str(tmp_path / "out")]).stdout


def test_a_build_of_odd_rows_only_fails_and_names_them(tmp_path):
    bad = write(tmp_path / "bad.parquet", [trade("E-A", 1, 10_200)])
    done = build(bad, tmp_path / "out")
    assert done.exit_code == 3
    assert re.search(r"bad\.parquet: row 0, market E-A: .*10200", done.stderr)


def test_a_named_file_of_unknown_columns_is_refused(tmp_path):
    odd = write(tmp_path / "odd.parquet", [{"ticker": "E-A", "mid": 0.5}])
    shown = r"odd\.parquet: unknown columns ticker \(string, 'E-A'\), mid \(double, 0\.5\); "
    remedy = r".* dataset convert odd\.parquet --columns map\.yaml --out odd-mapped\.parquet"
    refused(build(odd, tmp_path / "out"), shown + remedy)
    assert not (tmp_path / "out" / "manifest.json").exists()


def refused(done, message):
    assert done.exit_code == 3, done.output
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("kalshi-platform: ")
    assert re.search(message, line), line


def test_a_gap_in_the_numbers_is_recorded_and_the_book_is_invalid_until_its_snapshot(folder, tmp_path):
    messages = [snapshot("E-A", 1), delta("E-A", 2), delta("E-A", 5), delta("E-A", 6), snapshot("E-A", 7)]
    capture(folder / "c.jsonl.gz", [(i, 1, message) for i, message in enumerate(messages)])
    built = build(folder, tmp_path / "out")
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["gaps"] == 1
    ((_, rows),) = read_rows(Dataset.open(tmp_path / "out"), "E")
    # The two deltas after the hole are dropped; the gap stands where the first of them came.
    assert ((rows.recv_ns // 10**9 - T0).tolist(), rows.valid.tolist()) == ([0, 1, 2, 4], [1, 1, 0, 1])


def test_a_frame_that_is_no_json_is_counted_and_its_missing_number_is_a_gap(folder, tmp_path):
    frames = [
        json.dumps(snapshot("E-A", 1)),
        '{"type":"orderbook_delta","sid":1,"se',
        json.dumps(delta("E-A", 3)),
    ]
    lines = [{"recv_ns": (T0 + i) * 10**9, "conn": 1, "raw": raw} for i, raw in enumerate(frames)]
    (folder / "c.jsonl").write_text("\n".join(map(json.dumps, lines)))
    summary = json.loads(build(folder, tmp_path / "out").stdout)
    assert summary["gaps"] == 1
    assert summary["counters"]["frames_not_json_objects"] == 1


def test_a_level_below_zero_is_a_gap_that_the_summary_counts(folder, tmp_path):
    rows = [book("E-A", 1, "start"), book("E-A", 1, "level", "yes", 4_000, 500)]
    write(folder / "e.parquet", [*rows, book("E-A", 2, "delta", "yes", 4_000, -700)], BOOK_SCHEMA)
    built = build(folder, tmp_path / "out")
    assert built.exit_code == 0, built.output
    summary = json.loads(built.stdout)
    assert (summary["gaps"], summary["counters"]["books_ended:level_below_zero"]) == (1, 1)
    assert (
        "books_ended:level_below_zero: 1"
        in CliRunner().invoke(app, ["dataset", "info", str(tmp_path / "out")]).stdout
    )


def test_a_market_without_metadata_is_kept_with_its_outcome_unknown_and_that_is_said(folder, tmp_path):
    (folder / "m.json").write_text(json.dumps({"markets": [rest("GOOD-0-A", "GOOD-0", result="yes")]}))
    built = build(folder, tmp_path / "out")
    assert built.exit_code == 0, built.output
    summary = json.loads(built.stdout)
    assert (summary["markets"], summary["settled_markets"]) == (3, 1)
    assert summary["counters"]["metadata_missing"] == 2
    told = CliRunner().invoke(app, ["dataset", "info", str(tmp_path / "out")]).stdout
    assert re.search(r"markets +│ 3 markets", told), told
    assert re.search(r"outcomes +│ 1 markets with a known one", told), told
    assert "metadata_missing: 2" in told


def test_a_trade_that_comes_twice_counts_once_and_that_is_said(tmp_path):
    twice = [trade("E-A", second, 4_200, trade_id=f"id-{second}") for second in (1, 2, 2)]
    built = build(write(tmp_path / "t.parquet", twice), tmp_path / "out")
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["counters"]["repeated_trades"] == 1
    rows = Dataset.open(tmp_path / "out").rows_of("E-A")
    np.testing.assert_array_equal(rows.recv_ns // 10**9, [T0 + 1, T0 + 2])


def test_a_store_that_does_not_answer_is_named_with_the_variable_to_check(folder, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_STORE_PATIENCE_S", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    done = build(folder, "s3://bucket/set")
    refused(done, r"s3://bucket/set.*127\.0\.0\.1:9.*AWS_ENDPOINT_URL")
    assert "very-secret-value" not in done.output


def test_a_full_disk_ends_the_command_in_one_line_and_leaves_no_dataset(folder, tmp_path):
    """A file that the kernel does not let grow stands for the full disk: the write is cut short alike."""
    assert build(folder, tmp_path / "fits").exit_code == 0  # compiles, so that the child writes no cache

    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, 1_024))

    out = tmp_path / "out"
    arguments = ["dataset", "build", "--input", str(folder), "--out", str(out), "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-c", "from kalshi_platform.cli.main import app; app()", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit_file_size,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.search(rf"cannot write {out}/events/GOOD-0\.", line), line
    assert "File too large" in line
    assert not (out / "manifest.json").exists()
    assert not list(out.rglob("*.partial"))
