"""File of facts: an answer is written when it is news, with its time; no empty or torn file is left."""

import json

import pytest

from kalshi_platform.trading.recorder.facts import facts_file
from kalshi_platform.trading.recorder.facts.facts_file import FactsFile, LineFile, mend_files

NOW = 1_795_400_000_000_000_000


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_answer_is_written_again_only_where_more_than_prices_and_volumes_changed(tmp_path):
    facts = FactsFile(tmp_path, "run")
    answer = {"ticker": "A-1", "close_time": "x", "volume_fp": "1.00", "yes_bid_dollars": "0.40"}
    assert facts.tell(NOW, "market", "A-1", answer)
    assert not facts.tell(
        NOW + 1, "market", "A-1", {**answer, "volume_fp": "9.00", "yes_bid_dollars": "0.50"}
    )
    assert facts.tell(NOW + 2, "market", "A-1", {**answer, "close_time": "y"})
    assert facts.tell(NOW + 3, "market", "A-2", answer)
    facts.file.close()
    told = lines(tmp_path / "facts" / "run.jsonl")
    assert [(line["known_ns"] - NOW, line["market"]["close_time"]) for line in told] == [
        (0, "x"),
        (2, "y"),
        (3, "x"),
    ]


def test_prices_nested_in_an_event_are_no_news_either(tmp_path):
    facts = FactsFile(tmp_path, "run")
    event = {"event_ticker": "A", "markets": [{"ticker": "A-1", "last_price_dollars": "0.40"}]}
    assert facts.tell(NOW, "event", "A", event)
    moved = {"event_ticker": "A", "markets": [{"ticker": "A-1", "last_price_dollars": "0.41"}]}
    assert not facts.tell(NOW, "event", "A", moved)


def test_a_file_without_a_line_is_never_made(tmp_path):
    file = LineFile(tmp_path / "facts" / "run.jsonl")
    file.flush()
    file.close()
    assert not (tmp_path / "facts").exists()


def test_a_disk_that_is_full_leaves_whole_lines_and_what_waits_is_written_later(tmp_path, monkeypatch):
    file = LineFile(tmp_path / "run.jsonl")
    file.append([{"n": 1}])
    file.flush()
    real = facts_file.os.write

    def full(handle, data):
        real(handle, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(facts_file.os, "write", full)
    file.append([{"n": 2}])
    with pytest.raises(OSError, match="No space"):
        file.flush()
    assert (tmp_path / "run.jsonl").read_text() == '{"n":1}\n'
    monkeypatch.undo()
    file.close()
    assert lines(tmp_path / "run.jsonl") == [{"n": 1}, {"n": 2}]


def test_torn_lines_of_a_killed_run_are_cut_and_empty_files_go(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"n":1}\n{"n":')
    (tmp_path / "b.jsonl").write_bytes(b'{"n":')
    mend_files(tmp_path)
    assert (tmp_path / "a.jsonl").read_bytes() == b'{"n":1}\n'
    assert not (tmp_path / "b.jsonl").exists()
