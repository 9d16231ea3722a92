"""Simulated captures: read as the rows in memory, each line marked as simulated."""

import gzip
import json

import numpy as np
from made.sim_events import SMALL, imported

from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.data.market_data.schema import GAP, take
from kalshi_platform.simulation.simexchange import generate_event, simulate


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


def test_any_part_of_a_simulated_capture_is_still_simulated(tmp_path):
    files = simulate(SMALL, tmp_path / "sim", file_format="capture")
    lines = gzip.decompress(files.events.read_bytes()).splitlines()
    tail = tmp_path / "tail.jsonl"
    tail.write_bytes(b"\n".join(json.dumps(json.loads(line)).encode() for line in lines[len(lines) // 2 :]))
    found = {m.provenance for job in discover([tail]).jobs() for e in run_job(job) for m in e.markets}
    assert found == {"simulated"}
