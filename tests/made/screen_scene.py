"""A session without an exchange that lends its terminal to a screen: for tests on a pseudo-terminal.

Run   python screen_scene.py FOLDER; writes FOLDER/acts, a line an act, and FOLDER/end, why it ended.
"""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.trading.session.screen.screen_process import lent_terminal
from made.session_snapshot import made_snapshot


class NotedActs:
    """Writes down what a screen does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.state, self.why = "active", "started"

    def _note(self, act: str, why: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{act}: {why}\n")

    def halt(self, why: str) -> str:
        self._note("halt", why)
        self.state, self.why = "halted", why
        return "trading is halted"

    def reduce(self, why: str) -> str:
        self._note("reduce", why)
        raise ZeroDivisionError("an error that nobody foresaw")

    def resume(self, why: str) -> str:
        raise LimitError("not yet")

    def cancel_order(self, name: str, why: str) -> str:
        self._note("cancel", name)
        return "the order is being cancelled"

    def cancel_all(self, why: str) -> str:
        self._note("cancel all", why)
        return "no order works: nothing to cancel"


async def session(folder: Path) -> None:
    """Show snapshots until stopped."""
    acts, ended = NotedActs(folder / "acts"), asyncio.Event()

    def stop(why: str) -> None:
        (folder / "end").write_text(why)
        ended.set()

    def fail(error: BaseException) -> None:
        stop(f"failed: {error!r}")

    def tell(line: str) -> None:
        try:
            os.write(2, f"{line}\r\n".encode())
        except OSError:
            (folder / "unread").write_text(line)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number.name)
    async with lent_terminal(acts, stop, fail, folder, tell) as screen:
        os.write(2, b"a library that writes where it should not\n")
        while not ended.is_set():
            now_ns = time.time_ns()
            shown = replace(made_snapshot(), now_ns=now_ns, state=acts.state, state_why=acts.why)
            screen.show(json_text(shown.as_json()))
            waiting = asyncio.create_task(screen.pause(0.3))
            await asyncio.wait([waiting, asyncio.create_task(ended.wait())], return_when="FIRST_COMPLETED")
    tell("the terminal is mine again")


if __name__ == "__main__":
    asyncio.run(session(Path(sys.argv[1])))
