"""Simulated captures: read as the rows in memory, each line marked as simulated."""

import gzip
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from made.sim_events import SMALL, imported

from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.data.market_data.schema import GAP, STATUS, STATUS_ACTIVE, STATUS_PAUSED, take
from kalshi_platform.simulation.simexchange import event_of, generate_event, simulate
from kalshi_platform.simulation.simexchange.capture_file import capture_lines
from kalshi_platform.simulation.simexchange.generate import simulate_event
from kalshi_platform.simulation.simexchange.world import WorldConfig


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


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Lines of one event of several markets, parsed."""
    event = next(
        e for e in (simulate_event(SMALL.replace(gap_share=0.0), i) for i in range(9)) if len(e.specs) > 1
    )
    return [json.loads(line) for line in capture_lines(event, "calibrated")]


def test_every_line_says_simulated_outside_its_frame(lines):
    for line in lines:
        assert line["provenance"] == "simulated"
        assert "simulated" not in line["raw"]
        assert line["conn"] == lines[0]["conn"]


def test_each_subscription_counts_by_itself_and_answers_use_up_numbers(lines):
    frames = [json.loads(line["raw"]) for line in lines]
    assert [f["type"] for f in frames[:2]] == ["subscribed", "subscribed"]
    for sid in (1, 2):
        numbers = [f["seq"] for f in frames if f.get("sid") == sid]
        assert numbers == list(range(1, len(numbers) + 1))
    oks = [f["msg"]["market_tickers"] for f in frames if f["type"] == "ok"]
    assert [len(tickers) for tickers in oks] == list(range(2, len(oks) + 2))  # each names one market more


def test_a_print_stands_behind_the_delta_it_took_from_at_the_same_time_and_size(lines):
    frames = [json.loads(line["raw"]) for line in lines]
    at = [i for i, f in enumerate(frames) if f["type"] == "trade"]
    assert at
    for i in at:
        delta, trade = frames[i - 1]["msg"], frames[i]["msg"]
        assert delta["market_ticker"] == trade["market_ticker"]
        assert lines[i - 1]["recv_ns"] == lines[i]["recv_ns"]
        assert Decimal(trade["count_fp"]) == -Decimal(delta["delta_fp"]) > 0
        assert trade["taker_side"] != delta["side"]
        assert trade[f"{delta['side']}_price_dollars"] == delta["price_dollars"]
        assert Decimal(trade["yes_price_dollars"]) + Decimal(trade["no_price_dollars"]) == 1


def test_pauses_and_new_bands_are_told_by_lifecycle_frames_of_every_market(tmp_path):
    config = WorldConfig(
        n_events=2, min_duration_s=600, max_duration_s=600, pause_share=1.0, regrid_share=1.0, gap_share=0.0,
        pause_s=20.0,
    )  # fmt: skip
    simulate(config, tmp_path / "out", file_format="capture")
    for ticker, market in imported(tmp_path / "out").items():
        rows = take(market.rows, market.rows.kind == STATUS)
        assert rows.qty_e2.tolist() == [STATUS_PAUSED, STATUS_ACTIVE], ticker
        assert rows.recv_ns[1] - rows.recv_ns[0] == pytest.approx(20_000_000_000, abs=2)
    for index in range(2):
        frames = [
            json.loads(json.loads(line)["raw"])
            for line in capture_lines(event_of(config, index), "calibrated")
        ]
        told = [f for f in frames if f["type"] == "market_lifecycle_v2"]
        assert [f["seq"] for f in told] == list(range(1, len(told) + 1))
        bands = [f["msg"]["price_ranges"] for f in told if "price_ranges" in f["msg"]]
        assert len(bands) == len(told) // 3
        assert bands[0][0] == {"start": "0.0000", "end": "0.1000", "step": "0.0010"}
