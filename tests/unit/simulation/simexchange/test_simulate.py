"""The recordings `simulate` writes: whole or not at all, byte for byte, and never taken for real ones."""

import hashlib
import json

import pytest
from made.sim_events import SMALL
from typer.testing import CliRunner

from kalshi_platform.cli.dataset import app as dataset_app
from kalshi_platform.cli.simulate import app
from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.simulation.simexchange import SimConfig, simulate
from kalshi_platform.simulation.simexchange.capture_file import capture_lines
from kalshi_platform.simulation.simexchange.generate import simulate_event
from kalshi_platform.simulation.simexchange.simulate import estimated_bytes

FORMATS = ("parquet", "capture")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_configs_give_equal_bytes_and_another_seed_others(tmp_path, file_format):
    for name, config in (("a", SMALL), ("b", SMALL), ("c", SMALL.replace(seed=1))):
        simulate(config, tmp_path / name, file_format=file_format)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "c").values())


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_dataset_of_simulated_files_says_so_with_and_without_their_metadata(tmp_path, file_format):
    files = simulate(SMALL, tmp_path / "sim", file_format=file_format)
    for number, given in enumerate((tmp_path / "sim", files.events)):
        out = tmp_path / str(number)
        built = CliRunner().invoke(dataset_app, ["build", "--input", str(given), "--out", str(out)])
        assert built.exit_code == 0, built.output
        info = json.loads(CliRunner().invoke(dataset_app, ["info", str(out), "--json"]).stdout)
        assert info["provenance"] == {"simulated": files.n_markets}


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


@pytest.mark.parametrize("file_format", ["parquet", "capture"])
def test_a_disk_without_room_is_refused_beforehand_by_an_estimate_near_the_truth(
    tmp_path, monkeypatch, file_format
):
    config = SimConfig(n_events=6, seed=1)
    simulate(config, tmp_path / "there", file_format=file_format)
    true = sum(path.stat().st_size for path in (tmp_path / "there").iterdir())
    assert estimated_bytes(config, file_format) == pytest.approx(true, rel=0.5)
    monkeypatch.setattr("kalshi_platform.storage.room.free_disk_bytes", lambda place: true // 3)
    with pytest.raises(StorageError, match="a simulation of 6 events needs about"):
        simulate(config, tmp_path / "new", file_format=file_format)
    assert not (tmp_path / "new").exists()


def test_an_impossible_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        simulate(SMALL, tmp_path / "file" / "out")


def test_the_command_prints_one_json_object(tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["--out", str(out), "--events", "2", "--seed", "3", "--exchange", "martingale", "--json"]
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["n_events"] == 2
    assert summary["config_digest"] == SimConfig.martingale(seed=3).replace(n_events=2).digest
    assert (out / "events.parquet").is_file()


def test_a_simulated_capture_is_in_order_of_arrival_though_events_overlap(tmp_path):
    files = simulate(SMALL, tmp_path / "sim", file_format="capture")
    frames = list(read_frames(files.events))
    times = [frame.recv_ns for frame in frames]
    assert times == sorted(times)
    events = [simulate_event(SMALL, i) for i in range(SMALL.n_events)]
    alone = [line for event in events for line in capture_lines(event, "own_settings")]
    assert len(frames) == len(alone)
    for conn in {frame.conn for frame in frames}:  # a connection's own frames keep their order
        own = [json.loads(line)["raw"] for line in alone if f'"conn":{conn},' in line]
        assert [frame.raw for frame in frames if frame.conn == conn] == own
