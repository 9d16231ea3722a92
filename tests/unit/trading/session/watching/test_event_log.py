"""The log keeps what happened, in bounds, and no secret."""

import json
import logging

import pytest

from kalshi_platform.trading.session.watching import event_log
from kalshi_platform.trading.session.watching.event_log import EventLog, LoggingToEvents, cleaned

KEY_ID = "12345678-1234-1234-1234-123456789abc"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"


def test_a_line_is_json_with_time_level_event_and_fields(tmp_path):
    log = EventLog(lambda: 1_800_000_000_123_000_000, tmp_path / ".session" / "log.jsonl")
    log.say("fill", "BUY_YES 10", level="warning", qty_e2=1_000)
    (line,) = (tmp_path / ".session" / "log.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.123000Z", "level": "warning", "event": "fill", "text": "BUY_YES 10",
        "qty_e2": 1_000,
    }  # fmt: skip
    assert log.lines == ("08:00:00 fill: BUY_YES 10",)
    assert log.counts == {"warning": 1}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"key {KEY_ID} was refused", "key 12345678… was refused"),
        (f"cannot read {PEM}: bad", "cannot read (secret): bad"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "(secret)"),
        ("KALSHI-ACCESS-SIGNATURE: abcdefghijklmnopqrstuv==", "KALSHI-ACCESS-SIGNATURE(secret)"),
        ("http://127.0.0.1:1/?token=abc-def#key=ghi", "http://127.0.0.1:1/?token=(secret)#key=(secret)"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer (secret)"),
        ("order 0d1e2f3a-1234-1234-1234-123456789abc", "order 0d1e2f3a-1234-1234-1234-123456789abc"),
    ],
)
def test_secrets_are_cut_out(tmp_path, text, kept):
    log = EventLog(lambda: 0, tmp_path / "log.jsonl", KEY_ID)
    log.say("warning", text, detail={"list": [text], "access_token": "tok", "headers": {"Cookie": "c"}})
    assert log.lines == (f"00:00:00 warning: {kept}",)
    told = json.loads((tmp_path / "log.jsonl").read_text())
    assert told["detail"] == {"list": [kept], "access_token": "(secret)", "headers": {"Cookie": "(secret)"}}


def test_numbers_and_none_stay():
    assert cleaned({"a": 1, "b": None, "c": (1.5, True)}) == {"a": 1, "b": None, "c": [1.5, True]}


def test_the_newest_lines_are_kept_and_the_file_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(event_log, "LOG_BYTES", 10_000)
    log = EventLog(lambda: 0, tmp_path / "log.jsonl")
    for n in range(500):
        log.say("fill", f"number {n}")
    assert len(log.lines) == 50
    assert log.lines[-1].endswith("number 499")
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 10_000


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path):
    (tmp_path / "file").touch()
    log = EventLog(lambda: 0, tmp_path / "file" / "log.jsonl")
    log.say("start", "x")
    assert (log.failed, len(log.lines)) == (1, 1)


def test_warnings_of_the_package_become_lines():
    log = EventLog(lambda: 0)
    handler, logger = LoggingToEvents(log), logging.getLogger("kalshi_platform.trading.test")
    logger.addHandler(handler)
    try:
        logger.info("quiet")
        logger.warning("%s differs", "KXA-1")
    finally:
        logger.removeHandler(handler)
    assert log.lines == ("00:00:00 warning: KXA-1 differs",)
