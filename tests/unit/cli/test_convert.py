"""``kalshi-platform dataset convert``."""

import json

from made.foreign_files import same_trades
from typer.testing import CliRunner

from kalshi_platform.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, ["dataset", "convert", *map(str, arguments)])


def test_a_file_is_converted_and_the_next_command_is_named(tmp_path):
    done = run(same_trades(tmp_path)["daily"], "--out", tmp_path / "o.parquet")
    assert done.exit_code == 0, done.stderr
    assert "3 rows of trades, 1 markets" in done.stdout
    assert "takers_from_price_moves: 2" in done.stdout
    assert f"dataset build --input {tmp_path / 'o.parquet'}" in done.stdout


def test_json_carries_the_counts(tmp_path):
    done = run(same_trades(tmp_path)["page"], "--out", tmp_path / "o.parquet", "--json")
    assert json.loads(done.stdout) == {
        "kind": "trades",
        "n_rows": 3,
        "n_markets": 1,
        "counters": {"trades_put_in_order_of_time": 2},
        "out": str(tmp_path / "o.parquet"),
    }


def test_an_example_is_printed_and_a_wrong_one_or_a_missing_out_is_a_usage_error(tmp_path):
    assert run("--example", "quotes").stdout.startswith("kind: quotes\ncolumns:\n")
    assert run("--example", "fills").exit_code == 2
    assert run("x.csv").exit_code == 2
