"""Settings of a recording: only the real exchange is unmarked; limits that contradict are refused."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.recorder.disk_guard import DiskConfig, DiskState, look_at_disk
from kalshi_platform.trading.recorder.settings import RecordConfig, is_simulated

REST, STREAM = (
    "https://external-api.kalshi.com/trade-api/v2",
    "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
)


@pytest.mark.parametrize(
    ("urls", "simulated"),
    [
        ((REST, STREAM), False),
        (("https://api.elections.kalshi.com/trade-api/v2", STREAM), False),
        ((REST, "ws://127.0.0.1:9/trade-api/ws/v2"), True),
        (("https://external-api.demo.kalshi.co/trade-api/v2", STREAM), True),
        (("https://external-api.kalshi.com.evil.example/trade-api/v2", STREAM), True),
        (("https://external-api.kalshi.com@evil.example/", STREAM), True),
    ],
)
def test_every_address_but_the_real_exchange_marks_the_recording(urls, simulated):
    assert is_simulated(*urls) is simulated


def test_a_recording_of_nothing_is_refused():
    with pytest.raises(ContractError, match="name at least one series, event or category"):
        RecordConfig.parse({"wanted": {}})


def test_a_stop_above_the_alarm_is_refused():
    with pytest.raises(ContractError, match="stop_bytes 6 is above alarm_bytes 5"):
        DiskConfig.parse({"stop_bytes": 6, "alarm_bytes": 5})


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (100, DiskState.ENOUGH),
        (50, DiskState.ENOUGH),
        (49, DiskState.ALARM),
        (10, DiskState.ALARM),
        (9, DiskState.STOP),
    ],
)
def test_free_bytes_are_enough_an_alarm_or_a_stop(free, state):
    config = DiskConfig.parse({"stop_bytes": 10, "alarm_bytes": 50})
    assert look_at_disk(Path(), config, lambda _: free) == (free, state)


def test_the_command_refuses_without_a_key_and_says_where_it_belongs(tmp_path, monkeypatch):
    for name in ("KALSHI_API_KEY_ID", "KALSHI_PRIVATE_KEY_FILE", "KALSHI_PRIVATE_KEY"):
        monkeypatch.delenv(name, raising=False)
    said = CliRunner().invoke(app, ["record", "--series", "KXHIGHNY", "--out", str(tmp_path / "out")])
    assert said.exit_code == 2
    assert "KALSHI_PRIVATE_KEY_FILE" in said.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--series", "KXHIGHNY"], "--out is missing"),
        (["--out", "x"], "name at least one series"),
        (["--series", "A", "--out", "x", "--set", "disk.stop_byte=1"], "did you mean"),
        (["--series", "A", "--out", "x", "--set", "checks.every_s=-1"], "checks.every_s"),
    ],
)
def test_a_wrong_command_line_is_refused_by_the_name_of_its_option(words, told):
    said = CliRunner().invoke(app, ["record", *words])
    assert said.exit_code == 2, said.output
    assert told in said.output
