"""Program of the screen's process, without a session at the other end."""

import asyncio
import socket

import pytest
from made.session_snapshot import made_snapshot

from kalshi_platform.domain.json_text import json_text
from kalshi_platform.trading.session.screen import screen_program, wishes
from kalshi_platform.trading.session.screen.screen_app import SessionApp


def shown(lines: list[bytes], monkeypatch, keys=()) -> tuple[int, list[wishes.Wish], list]:
    """(exit code, wishes, equities shown) of a screen that is told ``lines``, then nothing."""
    apps: list[SessionApp] = []

    class Headless(SessionApp):
        async def run_async(self, **more):
            apps.append(self)
            return await super().run_async(headless=True, size=(80, 24))

    monkeypatch.setattr(screen_program, "SessionApp", Headless)

    async def run():
        own, other = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=own)
        program = asyncio.create_task(screen_program.show(other, "a-folder"))
        writer.writelines(lines)
        asked = []
        if keys:
            while not apps or apps[0].snapshot is None:
                await asyncio.sleep(0.01)
            apps[0].action_halt()
            asked.append(wishes.wish_in(await reader.readline()))
        writer.write_eof()
        code = await program
        writer.close()
        return code, asked

    code, asked = asyncio.run(run())
    return code, asked, list(apps[0].equities_e6)


SNAPSHOT = wishes.snapshot_line(json_text(made_snapshot().as_json()))


def test_an_end_that_the_session_tells_is_a_good_one(monkeypatch):
    code, _, equities = shown([SNAPSHOT, SNAPSHOT, wishes.end_line("over")], monkeypatch)
    assert (code, len(equities)) == (0, 2)


def test_a_session_that_is_gone_is_told_with_an_exit_code(monkeypatch, capsys):
    code, asked, _ = shown([SNAPSHOT, wishes.answer_line(5, "", "done")], monkeypatch, keys="h")
    assert code == 1
    assert [wish.what for wish in asked] == ["halt"]


@pytest.mark.parametrize("line", [b"no JSON\n", b"[]\n", b'{"snapshot": {"markets": []}}\n'])
def test_a_message_that_cannot_be_read_ends_the_screen(monkeypatch, line):
    assert shown([SNAPSHOT, line], monkeypatch)[0] == 1
