"""What a recording is refused for before it begins."""

import asyncio
import os
import signal

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.rest import RestSettings
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.recorder.live import TERMINAL_GONE, refuse_other_exchange, run_until_ended
from kalshi_platform.trading.simserver.keys import make_keys


def test_the_real_exchange_and_another_one_are_not_recorded_into_one_folder(tmp_path):
    refuse_other_exchange(tmp_path, simulated=True)
    refuse_other_exchange(tmp_path, simulated=True)
    with pytest.raises(ContractError, match="'simulated', and this one is 'real': record into another --out"):
        refuse_other_exchange(tmp_path, simulated=False)


@pytest.mark.parametrize(
    "url",
    ["ws://", "foo", "ws://127.0.0.1:99999/x", "ws://h:0/x", "https://host/x", "wss://me:secret@host/x"],
)
def test_an_address_of_the_stream_that_cannot_be_is_refused_where_it_is_given(url):
    with pytest.raises(ContractError, match="address"):
        ExchangeStreamSettings.parse({"url": url})


@pytest.mark.parametrize("url", ["foo", "http://", "http://127.0.0.1:99999/x", "ws://host/x"])
def test_an_address_of_rest_that_cannot_be_is_refused_where_it_is_given(url):
    with pytest.raises(ContractError, match="expected https://HOST"):
        RestSettings.parse({"url": url})


@pytest.mark.parametrize(("out", "words"), [("file", "cannot be made a folder"), ("", "--out is empty")])
def test_a_place_that_cannot_be_a_folder_is_refused_without_a_traceback(tmp_path, monkeypatch, out, words):
    (tmp_path / "file").write_text("x")
    name, path = next(iter(make_keys(tmp_path / "keys").items()))
    monkeypatch.setenv("KALSHI_API_KEY_ID", name)
    monkeypatch.setenv("KALSHI_PRIVATE_KEY_FILE", str(path))
    place = str(tmp_path / out) if out else ""
    said = CliRunner().invoke(app, ["record", "--series", "KXA", "--out", place])
    assert said.exit_code == 2, said.output
    assert words in said.output


def test_an_empty_name_of_a_series_is_refused(tmp_path):
    said = CliRunner().invoke(app, ["record", "--series", " ", "--out", str(tmp_path)])
    assert said.exit_code == 2, said.output
    assert "is empty" in said.output


class FakeRecorder:
    """Runs until it is stopped."""

    why_stopped = None

    def __init__(self, numbers):
        self._numbers, self._over = numbers, asyncio.Event()

    def stop(self, why):
        self.why_stopped = self.why_stopped or why
        self._over.set()

    async def run(self):
        for number in self._numbers:
            os.kill(os.getpid(), number)
        await asyncio.wait_for(self._over.wait(), 60)


@pytest.fixture
def _hangups():
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangups")
@pytest.mark.parametrize(
    ("begins", "numbers", "why", "ends"),
    [
        (signal.SIG_DFL, [signal.SIGHUP, signal.SIGHUP], TERMINAL_GONE, signal.SIG_IGN),
        (signal.SIG_DFL, [signal.SIGTERM], "SIGTERM", signal.SIG_DFL),
        (signal.SIG_IGN, [signal.SIGHUP, signal.SIGTERM], "SIGTERM", signal.SIG_IGN),  # nohup
    ],
)
def test_the_end_of_the_terminal_ends_a_run_and_nothing_after_it(begins, numbers, why, ends):
    signal.signal(signal.SIGHUP, begins)

    async def run():
        recorder = FakeRecorder(numbers)
        await run_until_ended(recorder, None)
        return recorder.why_stopped

    assert asyncio.run(run()) == why
    assert signal.getsignal(signal.SIGHUP) is ends
