"""The recordings `simulate` writes: the same way in as recorded data, whole or not at all, byte for byte."""

import gzip
import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.dataset import app as dataset_app
from kalshi_platform.cli.simulate import app
from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.data.market_data.schema import GAP, MarketRows, take
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.simulation.simexchange import SimConfig, generate_event, simulate
from kalshi_platform.simulation.simexchange.generate import simulate_event

SMALL = SimConfig(n_events=6, messages_per_market=300, gap_share=0.5, fine_grid_share=0.5)
FORMATS = ("parquet", "capture")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def imported(folder):
    plan = discover([folder])
    return {m.spec.ticker: m for job in plan.jobs() for event in run_job(job) for m in event.markets}


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_configs_give_equal_bytes_and_another_seed_others(tmp_path, file_format):
    for name, config in (("a", SMALL), ("b", SMALL), ("c", SMALL.replace(seed=1))):
        simulate(config, tmp_path / name, file_format=file_format)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "c").values())


def test_the_importer_reads_the_parquet_as_exactly_the_rows_in_memory(tmp_path):
    simulate(SMALL, tmp_path / "out")
    found = imported(tmp_path / "out")
    n_gaps = 0
    for index in range(SMALL.n_events):
        for market in generate_event(SMALL, index):
            other = found.pop(market.spec.ticker)
            assert (other.spec, other.settlement) == (market.spec, market.settlement)
            for name, mine, theirs in zip(MarketRows._fields, market.rows, other.rows, strict=True):
                np.testing.assert_array_equal(mine, theirs, err_msg=f"{market.spec.ticker} {name}")
            n_gaps += int((market.rows.kind == GAP).sum())
    assert not found
    assert n_gaps > 0


def test_the_importer_reads_the_capture_as_the_same_changes_prints_and_snapshots(tmp_path):
    config = SMALL.replace(gap_share=0.0)
    simulate(config, tmp_path / "out", file_format="capture")
    found = imported(tmp_path / "out")
    for index in range(config.n_events):
        for market in generate_event(config, index):
            rows, others = market.rows, found[market.spec.ticker].rows
            for kind in range(6):  # a print and its delta are two frames: their order may differ
                mine, theirs = take(rows, rows.kind == kind), take(others, others.kind == kind)
                for name in ("recv_ns", "side", "price_e4", "qty_e2"):
                    np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


def test_a_capture_with_lost_messages_has_a_gap_in_every_market_of_the_event(tmp_path):
    config = SMALL.replace(gap_share=1.0)
    simulate(config, tmp_path / "out", file_format="capture")
    for ticker, market in imported(tmp_path / "out").items():
        assert (market.rows.kind == GAP).sum() == 1, ticker


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_dataset_of_simulated_files_says_so_with_and_without_their_metadata(tmp_path, file_format):
    files = simulate(SMALL, tmp_path / "sim", file_format=file_format)
    for number, given in enumerate((tmp_path / "sim", files.events)):
        out = tmp_path / str(number)
        built = CliRunner().invoke(dataset_app, ["build", "--input", str(given), "--out", str(out)])
        assert built.exit_code == 0, built.output
        info = json.loads(CliRunner().invoke(dataset_app, ["info", str(out), "--json"]).stdout)
        assert info["provenance"] == {"simulated": files.n_markets}


def test_any_part_of_a_simulated_capture_is_still_simulated(tmp_path):
    files = simulate(SMALL, tmp_path / "sim", file_format="capture")
    lines = gzip.decompress(files.events.read_bytes()).splitlines()
    tail = tmp_path / "tail.jsonl"
    tail.write_bytes(b"\n".join(json.dumps(json.loads(line)).encode() for line in lines[len(lines) // 2 :]))
    found = {m.provenance for job in discover([tail]).jobs() for e in run_job(job) for m in e.markets}
    assert found == {"simulated"}


def test_the_summary_counts_what_was_written_and_progress_ends_at_all_events(tmp_path):
    seen = []
    files = simulate(SMALL, tmp_path / "out", lambda done, total: seen.append((done, total)))
    events = [simulate_event(SMALL, i) for i in range(SMALL.n_events)]
    assert seen == [(i + 1, 6) for i in range(6)]
    assert files.n_markets == sum(len(e.specs) for e in events)
    assert files.n_messages == sum(e.n_messages for e in events)
    assert files.n_gaps == sum(bool(e.wire.lost.any()) for e in events)
    assert files.events.is_file()
    assert files.markets.is_file()


def test_fair_values_are_nowhere_in_the_files(tmp_path):
    import pyarrow.parquet as pq

    files = simulate(SMALL, tmp_path / "out")
    for path in (files.events, files.markets):
        assert not [name for name in pq.read_schema(path).names if "fair" in name]


def test_an_interrupted_simulation_leaves_nothing_behind(tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(SMALL, tmp_path / "out", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(ContractError, match="not an empty folder"):
        simulate(SMALL, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


def test_an_impossible_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        simulate(SMALL, tmp_path / "file" / "out")


def test_the_command_prints_one_json_object(tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["--out", str(out), "--events", "2", "--seed", "3", "--preset", "martingale", "--json"]
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["n_events"] == 2
    assert summary["config_digest"] == SimConfig.martingale(seed=3).replace(n_events=2).digest
    assert (out / "events.parquet").is_file()
