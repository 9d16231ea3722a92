"""``kalshi-platform dataset``: tables for people, one JSON object for programs, exit codes for both."""

import json

import pytest
from made.fake_import import FakeImport
from made.market_files import quote, trade, write
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.store import Dataset


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeImport(tmp_path, ("EV0", "EV1", "EV2"))
    fake.install(monkeypatch)
    return fake


def run(*arguments):
    return CliRunner().invoke(app, ["dataset", *map(str, arguments)])


def build(out, *more):
    return run("build", "--input", "recordings", "--out", out, "--workers", "0", *more)


def test_build_info_and_verify_agree_in_json(fake, tmp_path):
    built = build(tmp_path / "out", "--json")
    assert built.exit_code == 0, built.stderr
    summary = json.loads(built.stdout)
    assert summary.pop("skipped") == {}
    assert summary == json.loads(run("info", tmp_path / "out", "--json").stdout)
    assert summary["dataset_digest"] == Dataset.open(tmp_path / "out").digest
    assert (summary["events"], summary["markets"], summary["provenance"]) == (3, 6, {"recorded": 6})
    assert {name: split["events"] for name, split in summary["splits"].items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    verified = json.loads(run("verify", tmp_path / "out", "--json").stdout)
    assert verified["ok"] is True
    assert verified["problems"] == []
    assert verified["books_ended"] == {}


def test_people_get_tables(fake, tmp_path):
    built = build(tmp_path / "out")
    assert built.exit_code == 0, built.stderr
    for word in ("recorded: 6 markets", "validation", "frames:ok:: 2", "source.parquet"):
        assert word in built.stdout
    assert "are as the manifest says" in run("verify", tmp_path / "out").stdout


def test_build_names_the_files_that_it_skipped_and_why(fake, tmp_path):
    fake.skipped = {f"/r/{i:02}.txt": f"/r/{i:02}.txt: no market data {'x' * 300}" for i in range(22)}
    built = build(tmp_path / "out")
    assert "22 files skipped:" in built.stdout
    assert f"  /r/19.txt: no market data {'x' * 182}...\n  and 2 more (--json lists all)" in built.stdout
    as_json = json.loads(build(tmp_path / "out", "--json").stdout)
    assert as_json["skipped"] == fake.skipped


def test_verify_names_the_damaged_file_and_exits_with_3(fake, tmp_path):
    build(tmp_path / "out")
    shard = next((tmp_path / "out" / "events").iterdir())
    shard.write_bytes(b"junk")
    done = run("verify", tmp_path / "out", "--json")
    assert done.exit_code == 3
    assert shard.name in done.stderr
    assert json.loads(done.stdout)["ok"] is False
    assert run("verify", tmp_path / "out").exit_code == 3


def test_refused_data_exits_with_3_and_names_the_row(fake, tmp_path):
    fake.broken = {"EV1"}
    done = build(tmp_path / "out")
    assert done.exit_code == 3
    assert "row 7: price 12000" in done.stderr
    assert "Traceback" not in done.output
    assert run("info", tmp_path / "out").exit_code == 3


def test_another_dataset_is_replaced_only_when_asked(fake, tmp_path):
    build(tmp_path / "out")
    refused = build(tmp_path / "out", "--split-salt", "another")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert build(tmp_path / "out", "--split-salt", "another", "--overwrite").exit_code == 0


def test_a_folder_without_a_dataset_exits_with_3(tmp_path):
    done = run("info", tmp_path, "--json")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert "manifest.json" in done.stderr


def add(out, *more):
    return run("build", "--add", "recordings", "--to", out, "--workers", "0", *more)


def test_files_are_added_and_a_repeated_add_says_that_nothing_is_new(fake, tmp_path):
    build(tmp_path / "out")
    fake.events = (*fake.events, "EV3", "EV4")
    added = add(tmp_path / "out")
    assert added.exit_code == 0, added.stderr
    assert (
        "2 new events (train 0, validation 0, test 2, judge_only 0, in no split 0), 0 events" in added.stdout
    )
    assert "grew from" in added.stdout
    again = add(tmp_path / "out")
    assert "already there: EV0.source, EV1.source, EV2.source, EV3.source, EV4.source" in again.stdout
    assert "nothing new" in again.stdout
    parts = json.loads(add(tmp_path / "out", "--json").stdout)
    assert parts.pop("added")["is_new"] is False
    assert parts.pop("skipped") == {}
    assert parts == json.loads(run("info", tmp_path / "out", "--json").stdout)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--add", "x"), "give both"),
        (("--to", "x"), "give both"),
        (("--add", "x", "--to", "y", "--split-salt", "z"), "--split-salt beside --add"),
        (("--add", "x", "--to", "y", "--block", "1d", "--embargo", "1d"), "--block, --embargo beside --add"),
        (("--input", "x", "--out", "y", "--block", "7"), "--block '7' is no duration"),
        (("--input", "x", "--out", "y", "--embargo", "-1d"), "--embargo '-1d' is no duration"),
        (("--input", "x", "--out", "y", "--time-cut", "yesterday"), "--time-cut 'yesterday' is no time"),
        (("--add", "x", "--to", "y", "--overwrite", "--input", "z"), "--input, --overwrite beside --add"),
        (("--input", "x"), "give --input FILE and --out DATASET, or --add FILE and --to DATASET"),
        ((), "give --input FILE and --out DATASET"),
    ],
)
def test_options_that_do_not_go_together_are_refused_by_name(words, named):
    done = run("build", *words)
    assert done.exit_code == 2
    assert named in " ".join(done.stderr.split())


def test_info_says_how_each_factor_is_divided_and_what_is_in_no_split(fake, tmp_path):
    fake.events = tuple(f"EV{i:02}" for i in range(12))
    done = build(tmp_path / "out", "--embargo", "36h")
    assert done.exit_code == 0, done.stderr
    assert "weather (recorded): blocks of 15m, embargo 1d 12h" in done.stdout
    assert "train 8 / 8 / 16, validation 1 / 1 / 2, test 1 / 1 / 2" in done.stdout
    assert "2 events in an embargo or across a cut: EV08, EV10" in done.stdout
    (stratum,) = json.loads(run("info", tmp_path / "out", "--json").stdout)["strata"]
    assert stratum["parts"]["train"] == {
        "blocks": 8,
        "events": 8,
        "markets": 16,
        "playable_blocks": 8,
    }
    assert (stratum["factor"], stratum["left_out"]) == ("weather", ["EV08", "EV10"])


def test_two_recorded_events_are_judge_only_and_say_why(fake, tmp_path):
    fake.events = ("EV0", "EV1")
    done = build(tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "judge only: fewer than 3 blocks" in done.stdout
    assert "evaluate --split all" in done.stdout
    assert Dataset.open(tmp_path / "out").entries("all") == Dataset.open(tmp_path / "out").entries()


def test_a_mapping_file_makes_factors_and_a_time_cut_divides_all(fake, tmp_path):
    fake.events = tuple(f"EV{i:02}" for i in range(12))
    rules = tmp_path / "factors.csv"
    rules.write_text("EV0,early\nEV1,late\n")
    assert build(tmp_path / "out", "--factors", rules, "--block", "1d").exit_code == 0
    strata = Dataset.open(tmp_path / "out").manifest.strata
    assert [(s.name, s.block_ns) for s in strata] == [("early", 86_400 * 10**9), ("late", 86_400 * 10**9)]
    wrong = build(tmp_path / "other", "--time-cut", "1999-01-01")
    assert wrong.exit_code == 2
    assert "--time-cut 1999-01-01 00:00:00 UTC leaves no event in train" in " ".join(wrong.stderr.split())


def test_info_says_which_trades_stand_beside_books_and_how_late_they_were_received(tmp_path, monkeypatch):
    write(tmp_path / "t.parquet", [trade("E-A", 2, 4_200)])
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in range(6)])
    monkeypatch.setenv("COLUMNS", "200")
    inputs = ["--input", tmp_path / "t.parquet", "--input", tmp_path / "q.parquet"]
    assert run("build", "--workers", "0", *inputs, "--out", tmp_path / "d").exit_code == 0
    shown = run("info", tmp_path / "d").stdout
    assert "q.parquet+t.parquet: 1 prints of 1 markets joined, received 2,000.0 ms after the exch" in shown
    assert "(assumed)" in shown


def test_the_price_scale_of_captures_is_an_option_that_nobody_needs_to_give(fake, tmp_path):
    for n, option in enumerate(((), ("--use-yes-price",), ("--no-use-yes-price",))):
        assert build(tmp_path / str(n), *option).exit_code == 0
    assert fake.use_yes_price == [None, True, False]


@pytest.mark.parametrize(
    ("detection", "text"), [("none", "none (gaps cannot be seen): 6 markets"), (None, "not kept: 6 markets")]
)
def test_info_says_whether_gaps_can_be_seen(fake, tmp_path, detection, text):
    fake.gap_detection = detection
    build(tmp_path / "out")
    assert text in run("info", tmp_path / "out").stdout
