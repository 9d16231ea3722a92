"""Status of a recording from its files: certified coverage, damaged segments refused, torn ends told."""

import json
import time

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder import status
from kalshi_platform.trading.recorder.segments.journal import JournalConfig, RecordingJournal
from kalshi_platform.trading.recorder.segments.lines import RUN_STARTED, RUN_STOPPED
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES
from kalshi_platform.trading.recorder.status import read_state

S = 1_000_000_000
T0 = 1_795_400_000 * S
A = "KXDEMO-26DEC01-T50"


def recording(out, begin_s: int = 0, since_ns: int | None = None) -> None:
    """A run of 100 s: wanted from 0, proven from 10 to 60 (a gap) and from 80 on."""
    take_over(out)
    journal = RecordingJournal(out, f"run{begin_s:04d}", JournalConfig(), conn_base=begin_s)

    def at(second: int) -> tuple[int, int]:
        return T0 + (begin_s + second) * S, second * S

    def frame(second: int, kind: str, seq: int, **msg) -> None:
        body = {"type": kind, "sid": 1, "seq": seq, "msg": {"market_ticker": A, **msg}}
        journal.frame(1, *at(second), json.dumps(body).encode())

    detail = {"run": "x"} if since_ns is None else {"run": "x", "since_ns": since_ns}
    journal.note(0, *at(0), RUN_STARTED, detail)
    params = {"channels": ["orderbook_delta"], "market_tickers": [A], "use_yes_price": True}
    journal.note(1, *at(0), sink.SUBSCRIBED, {"sid": 1, "channel": "orderbook_delta", "params": params})
    frame(10, "orderbook_snapshot", 1, yes_dollars_fp=[["0.4200", "5.00"]])
    frame(60, "orderbook_delta", 2, price_dollars="0.4100", delta_fp="1.00", side="yes")
    frame(60, "orderbook_delta", 9, price_dollars="0.4100", delta_fp="1.00", side="yes")
    journal.note(1, *at(60), sink.GAP, {"sid": 1, "expected": 2, "got": 9})
    frame(80, "orderbook_snapshot", 10)
    journal.note(0, *at(100), RUN_STOPPED, {"why": "test"})
    journal.close()


def test_coverage_is_recomputed_from_the_files(tmp_path):
    recording(tmp_path)
    state = read_state(tmp_path)
    (market,) = state.markets
    # wanted 100 s, proven 50 + 20
    assert (market.wanted_ns, market.proven_ns) == (100 * S, 70 * S)
    assert (state.frames, state.holes, state.kinds["gap"]) == (4, 1, 1)
    recording(tmp_path, 200, T0 + 100 * S)
    (market,) = read_state(tmp_path).markets
    # 100 s between the runs are a hole: wanted 300, proven 140
    assert (market.wanted_ns, market.proven_ns) == (300 * S, 140 * S)
    assert market.longest_hole_ns == 110 * S  # between the runs, until the snapshot


def test_the_command_tells_table_and_json(tmp_path):
    recording(tmp_path)
    said = CliRunner().invoke(app, ["record", "status", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "70.00%" in said.output
    told = json.loads(CliRunner().invoke(app, ["record", "status", str(tmp_path), "--json"]).stdout)
    assert (told["coverage"], told["frames"], told["recorder"]) == (0.7, 4, None)
    assert told["markets"][0]["share"] == 0.7


def test_an_altered_segment_is_refused(tmp_path):
    recording(tmp_path)
    (path,) = (tmp_path / FRAMES).glob("*.zst")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError):
        read_state(tmp_path)


def test_a_folder_without_a_recording_is_refused_with_what_to_give(tmp_path):
    with pytest.raises(DataError, match="--out of kalshi-platform record"):
        read_state(tmp_path)


def test_a_segment_that_is_missing_between_others_proves_nothing_from_the_last_line_before_it_on(tmp_path):
    recording(tmp_path, 0)
    recording(tmp_path, 100, T0 + 100 * S)
    recording(tmp_path, 200, T0 + 200 * S)
    for name in (".seals/run0100-000001.jsonl.zst.json", "frames/run0100-000001.jsonl.zst"):
        (tmp_path / name).unlink()
    state = read_state(tmp_path)
    (market,) = state.markets
    # the seal is gone too: nothing but the third run's own note tells that there was a second one
    assert market.proven_ns == 140 * S
    (tmp_path / "frames/run0000-000001.jsonl.zst").unlink()
    assert read_state(tmp_path).absent == 1


def test_a_segment_that_is_missing_within_a_run_ends_the_proof(tmp_path):
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig(segment_s=0.01, commit_s=0.01))
    snapshot = {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {"market_ticker": A}}
    for second, message in ((10, snapshot), (20, {"type": "ok"}), (50, {"type": "ok"})):
        journal.frame(1, T0 + second * S, second * S, json.dumps(message).encode())
        deadline = time.monotonic() + 60
        while len(list((tmp_path / FRAMES).glob("*.zst"))) < second // 20 + 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    journal.close()
    assert read_state(tmp_path).markets[0].proven_ns == 40 * S
    sorted((tmp_path / FRAMES).glob("*.zst"))[1].unlink()
    assert read_state(tmp_path).markets[0].proven_ns == 0  # nobody knows what stood in it


def test_a_segment_that_is_finished_while_the_status_is_read_is_read_under_its_new_name(
    tmp_path, monkeypatch
):
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig())
    journal.frame(1, T0, 0, b'{"type":"ok"}')
    real = status._segments

    def segments(out, seals, open_files):
        assert len(open_files) == 1
        journal.close()
        return real(out, seals, open_files)

    monkeypatch.setattr(status, "_segments", segments)
    assert read_state(tmp_path).frames == 1


@pytest.mark.parametrize("name", ["9" * 400, "../../etc/passwd", ".hidden", "a/b", ""])
def test_a_seal_of_a_file_that_cannot_be_is_refused(tmp_path, name):
    recording(tmp_path)
    (seal,) = (tmp_path / ".seals").glob("*.json")
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "segment": name}))
    with pytest.raises(DataError, match=r"is no seal of a segment \(segment: "):
        read_state(tmp_path)
