"""Program of the screen's process: ``python -m ...screen_program SOCKET FOLDER``.

Ends   when the session says so, when the session's process is gone, and when the terminal is.
"""

import asyncio
import os
import select
import signal
import socket
import sys
import threading
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.session.screen.screen_app import SessionApp
from kalshi_platform.trading.session.screen.wishes import Wish, told_in, wish_line

#: Longest line that is read: a snapshot of some ten thousand markets.
_MOST_BYTES: Final = 64_000_000
_LOOK_MS: Final = 500


async def show(own: socket.socket, folder: str) -> int:
    """Show a session until its end; returns the exit code."""
    reader, writer = await asyncio.open_connection(sock=own, limit=_MOST_BYTES)

    def ask(wish: Wish) -> None:
        """Send a wish to the session."""
        writer.write(wish_line(wish))

    app = SessionApp(ask, folder=folder)
    hearing = asyncio.create_task(_hear(reader, app, folder))
    loop = asyncio.get_running_loop()
    if (
        threading.current_thread() is threading.main_thread()
    ):  # a shell's end, or a session's whose group this is
        loop.add_signal_handler(signal.SIGHUP, lambda: app.exit(return_code=1, message=_lost(folder)))
    await app.run_async()
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)
    return app.return_code or 0


async def _hear(reader: asyncio.StreamReader, app: SessionApp, folder: str) -> None:
    """Take what the session says, in the app's own context."""
    await app.ready.wait()
    why = _lost(folder)
    try:
        async for line in reader:
            told = told_in(line)
            if "end" in told:
                app.call_later(app.exit)
                return
            if "answer" in told:
                app.call_later(app.answered, told["answer"], told["refusal"], told["said"])
            else:
                app.call_later(app.take, told["snapshot"])
    except (DataError, OSError, ValueError) as err:  # ValueError: a line without an end
        why = str(err)
    app.call_later(app.exit, return_code=1, message=why)


def _lost(folder: str) -> str:
    """Words of a session that ended without a word."""
    return f"the session's process is gone; it is reported by: kalshi-platform trade report {folder}"


def _end_with_terminal() -> None:
    """End this process once its terminal is gone: a library that writes to it would wait for ever."""
    watched = select.poll()
    watched.register(0, 0)
    while not watched.poll(_LOOK_MS):
        pass
    os._exit(1)


def main() -> int:
    """Show the session at the other end of the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C while the screen begins is the session's
    threading.Thread(target=_end_with_terminal, daemon=True).start()
    return asyncio.run(show(socket.socket(fileno=int(sys.argv[1])), sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
