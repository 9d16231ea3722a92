"""The screen's process, as the session sees it: snapshots go out, wishes come in and are granted on the loop.

Loss       of the screen ends nothing: the session goes on and says so in lines. Loss of the terminal ends the
           session as SIGTERM does. No wish of a screen that is gone is granted.
Slow       a terminal that stops reading stops the screen; snapshots that it does not take are left out.
Secrets    none of the key's variables reaches the screen's process.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.recorder.live import TERMINAL_GONE
from kalshi_platform.trading.session.screen.lent_terminal import TerminalBefore, output_to
from kalshi_platform.trading.session.screen.wishes import (
    QUIT,
    SessionActs,
    answer_line,
    end_line,
    grant,
    snapshot_line,
    wish_in,
)

_PROGRAM: Final = "kalshi_platform.trading.session.screen.screen_program"
#: Seconds that the screen has to put the terminal in order; then it is killed, and done from here.
_PATIENCE_S: Final = 10.0
#: Bytes that wait for a screen beyond which a snapshot is left out.
_MOST_WAITING: Final = 4_000_000
#: Variables that the screen does not get: secrets, and sizes that the terminal tells better.
_KEPT_BACK: Final = ("KALSHI_", "COLUMNS", "LINES")


class SessionScreen:
    """A screen in its own process."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        acts: SessionActs,
        stop: Callable[[str], None],
    ) -> None:
        """Take a process that was started; ``stop`` ends the session."""
        self._process, self._reader, self._writer = process, reader, writer
        self._acts, self._stop = acts, stop
        self.is_open = True
        self._granted = asyncio.Event()

    def show(self, snapshot_text: str) -> None:
        """Send a snapshot, JSON text, unless the screen is gone or far behind."""
        if self.is_open and self._writer.transport.get_write_buffer_size() < _MOST_WAITING:
            self._writer.write(snapshot_line(snapshot_text))

    async def pause(self, seconds: float) -> None:
        """Wait until the next snapshot is due: ``seconds``, or less after a wish."""
        try:
            await asyncio.wait_for(self._granted.wait(), seconds)
        except TimeoutError:
            return
        self._granted.clear()

    async def grant_wishes(self) -> str:
        """Grant wishes until the screen is gone; returns how it went."""
        try:
            async for line in self._reader:
                wish = wish_in(line)
                if wish.what == QUIT:
                    self._stop(wish.text)
                    continue
                self._writer.write(answer_line(wish.number, *grant(self._acts, wish)))
                self._granted.set()
            why = "its process ended"
        except (DataError, OSError, ValueError) as err:  # ValueError: a line without an end
            why = f"{type(err).__name__}: {err}"
        self.is_open = False
        return why

    async def end(self, why: str) -> bool:
        """End the screen; True where it put the terminal in order itself."""
        if self.is_open:
            self._writer.write(end_line(why))
        self.is_open = False
        try:
            code = await asyncio.to_thread(self._process.wait, _PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        self._writer.close()
        return code == 0


@asynccontextmanager
async def lent_terminal(
    acts: SessionActs,
    stop: Callable[[str], None],
    fail: Callable[[BaseException], None],
    folder: Path,
    tell: Callable[[str], None],
) -> AsyncIterator[SessionScreen]:
    """A screen on this terminal for one session; everything else that is written goes to a file meanwhile.

    ``stop`` ends the session, ``fail`` ends it with an error, ``tell`` says a line once the screen is gone.
    """
    output, before, lent = folder / ".session" / "terminal.log", TerminalBefore(), ExitStack()
    output.parent.mkdir(parents=True, exist_ok=True)
    screen = await _started(acts, stop, folder)
    lent.enter_context(output_to(output))

    async def give_back(why: str) -> None:
        """End the screen and put the terminal in order."""
        is_in_order = await screen.end(why)
        lent.close()
        before.restore(modes=not is_in_order)
        if output.exists():
            tell(f"written to this terminal meanwhile: {output}")

    async def serve() -> None:
        """Grant wishes; where the screen goes before the session does, go on without."""
        why = await screen.grant_wishes()
        await give_back(why)
        if before.is_gone:
            stop(TERMINAL_GONE)
        else:
            tell(f"the screen is gone ({why}): the session goes on; Ctrl-C ends it, SIGUSR1 halts it")

    def served(task: "asyncio.Task[None]") -> None:
        """End the session where a wish met an error that nobody foresaw."""
        if not task.cancelled() and (error := task.exception()) is not None:
            fail(error)

    serving = asyncio.create_task(serve(), name="screen")
    serving.add_done_callback(served)
    try:
        yield screen
    finally:
        if screen.is_open:
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        if screen.is_open:
            await give_back("the session ended")
        lent.close()


async def _started(acts: SessionActs, stop: Callable[[str], None], folder: Path) -> SessionScreen:
    """Start the process."""
    own, other = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_BACK)}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the new process begins without Ctrl-C
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM, str(other.fileno()), str(folder)],
            stdout=2, pass_fds=[other.fileno()], env=environment,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
        other.close()
    reader, writer = await asyncio.open_connection(sock=own)
    return SessionScreen(process, reader, writer, acts, stop)
