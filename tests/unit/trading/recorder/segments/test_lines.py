"""Lines of a recording: any frame comes back byte by byte, notes are passed over by importers."""

import base64
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.capture import ConnectionNote, Frame, is_note, read_capture
from kalshi_platform.trading.exchange.sink import GAP, SUBSCRIBED
from kalshi_platform.trading.recorder.segments.lines import frame_line, note_line, parsed

NOW = 1_795_400_000_000_000_000


@given(st.binary(max_size=80))
def test_a_frame_of_any_bytes_comes_back(raw):
    line = frame_line(NOW, 5, 1, raw, parsed(raw), None, None)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record = json.loads(line)
    if "raw" in record:
        assert record["raw"].encode() == raw
    else:
        assert base64.b64decode(record["detail"]["base64"]) == raw


@given(st.text(max_size=40))
def test_a_frame_of_any_text_is_a_frame_for_importers(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("line") / "capture.jsonl"
    path.write_bytes(frame_line(NOW, 5, 1, text.encode(), None, None, None))
    assert list(read_capture(path, NOW)) == [Frame(1, NOW, 1, text)]


def test_a_line_carries_the_numbers_of_the_frame_itself_and_not_of_its_message():
    raw = b'{"type":"ok","msg":{"sid":9,"seq":8},"sid":3,"seq":12}'
    record = json.loads(frame_line(NOW, 5, 1, raw, parsed(raw), "calibrated", NOW - 7))
    assert (record["sid"], record["seq"], record["provenance"], record["wall_ns"]) == (
        3,
        12,
        "simulated",
        NOW - 7,
    )
    assert record["world"] == "calibrated"
    raw = b'{"type":"subscribed","msg":{"channel":"trade","sid":2}}'
    assert json.loads(frame_line(NOW, 5, 1, raw, parsed(raw), None, None)).keys() == {
        "recv_ns", "mono_ns", "conn", "raw",
    }  # fmt: skip


def test_a_subscription_to_books_tells_importers_the_scale_and_other_notes_tell_them_nothing(tmp_path: Path):
    params = {"channels": ["orderbook_delta"], "use_yes_price": True}
    subscribed = {"sid": 1, "channel": "orderbook_delta", "params": params}
    lines = [
        note_line(NOW, 1, 4, SUBSCRIBED, subscribed),
        note_line(NOW, 1, 4, SUBSCRIBED, {**subscribed, "channel": "trade"}),
        note_line(NOW, 2, 4, GAP, {"sid": 1, "expected": 5, "got": 9}),
        frame_line(NOW, 3, 4, b"x", None, None, None),
    ]
    path = tmp_path / "capture.jsonl"
    path.write_bytes(b"".join(lines))
    assert list(read_capture(path, NOW)) == [ConnectionNote(4, True), Frame(4, NOW, 4, "x")]
    assert [is_note(line) for line in lines] == [True, True, True, False]


def test_a_note_of_somebody_else_is_no_note_of_a_recorder():
    assert not is_note(b'{"note": "polled by hand", "orderbook_fp": {}}')
