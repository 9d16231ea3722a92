"""A program on a terminal of its own: what it draws, and keys for it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

PATIENCE_S = 600.0


class PseudoTerminal:
    """A program whose controlling terminal is this one."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], *, columns: int = 80, lines: int = 24
    ) -> None:
        """Start the program ``words``."""
        self._master, slave = pty.openpty()
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(slave)
        self._drawn, self._news = bytearray(), threading.Condition()
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={"TERM": "xterm-256color", **env},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )  # fmt: skip
        self._slave = slave
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self._master, 65_536)
            except OSError:
                return
            if not some:
                return
            with self._news:
                self._drawn += some
                self._news.notify_all()

    @property
    def drawn(self) -> str:
        """Everything that was drawn so far."""
        with self._news:
            return self._drawn.decode(errors="replace")

    def wait_for(self, words: str, begin: int = 0) -> int:
        """Wait until ``words`` are drawn after character ``begin``; where they end."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            drawn = self.drawn
            if (at := drawn.find(words, begin)) >= 0:
                return at + len(words)
            assert self.process.poll() is None, f"ended with {self.process.poll()}: {drawn[-3_000:]}"
            assert time.monotonic() < deadline, f"{words!r} was not drawn: {drawn[-3_000:]!r}"
            with self._news:
                self._news.wait(0.2)

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, and say so."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def settings_now(self) -> list:
        """Settings of the terminal now."""
        return termios.tcgetattr(self._slave)

    def hang_up(self) -> None:
        """Go away, as a closed window does."""
        os.close(self._slave)
        self._slave = -1
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """End the program where it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(120)
        for number in (self._slave, self._master):
            if number >= 0:
                os.close(number)
