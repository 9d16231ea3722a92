"""Page, log and their folder while a session runs, and after it."""

import asyncio
import stat
from types import SimpleNamespace

from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.showing import PAGE_FILE, SCRAPE_FILE, showing


def made_session(log: EventLog) -> SimpleNamespace:
    """Session of which nothing runs."""
    recorder = SimpleNamespace(
        clock=SimpleNamespace(wall_ns=lambda: 0), alarms=Alarms(None, lambda: 0.0), run_name="run-1",
        sink=SimpleNamespace(note_hooks=[]), why_stopped="SIGTERM",
    )  # fmt: skip
    return SimpleNamespace(
        log=log, controls=SimpleNamespace(state="active", why="started"), recorder=recorder, mode="paper",
        core=SimpleNamespace(model="tiny-1"), fail=print,
    )  # fmt: skip


def test_what_is_shown_lies_in_a_folder_of_its_owner_and_the_address_goes_with_the_session(tmp_path):
    place = tmp_path / ".session"
    log = EventLog(lambda: 0, place / "log.jsonl")
    log.say("begins", "x")  # made before, for everybody to read

    async def run() -> None:
        async with showing(made_session(log), place, 0, lambda: 0) as (watch, page):
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            assert (place / PAGE_FILE).read_text().strip() == page.address
            assert watch.latest is None

    asyncio.run(run())
    assert [line[9:] for line in log.lines] == ["begins: x", "start: mode paper, run run-1", "stop: SIGTERM"]
    assert not (place / PAGE_FILE).exists()
    assert not (place / SCRAPE_FILE).exists()
