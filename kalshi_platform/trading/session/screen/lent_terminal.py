"""The terminal while another process draws on it: nothing else of this process may write there.

Output     of this process, its libraries and their C code goes to a file meanwhile (``output_to``).
Restored   settings and modes of the terminal, whatever became of the process that drew (``restore``).
"""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

#: Leave the second screen, show the cursor, wrap lines; no mouse, no focus, no paste marks, plain keys.
_PLAIN: Final = (
    b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l"
    b"\x1b[?2048l\x1b[0m"
)


def is_terminal() -> bool:
    """True where a person can see and type: keyboard and stderr are a terminal that draws."""
    return (
        sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        and os.environ.get("TERM", "") not in ("", "dumb")
    )  # fmt: skip


class TerminalBefore:
    """Settings of the terminal at one moment."""

    def __init__(self, keyboard: int = 0, drawn: int = 2) -> None:
        """Take the settings of the terminal at ``keyboard``; ``drawn`` is where modes are written to."""
        self._keyboard, self._drawn = keyboard, drawn
        self._settings: list[Any] | None = self._read()

    def _read(self) -> list[Any] | None:
        """Settings now; None without a terminal."""
        try:
            return termios.tcgetattr(self._keyboard)
        except (termios.error, ValueError):
            return None

    @property
    def is_gone(self) -> bool:
        """True where there was a terminal, and now there is none."""
        return self._settings is not None and self._read() is None

    def restore(self, *, modes: bool) -> None:
        """Bring the settings back, and with ``modes`` what only escape sequences can change."""
        if self._settings is None or self.is_gone:
            return
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._settings)
        if modes:
            termios.tcflush(self._keyboard, termios.TCIFLUSH)
            os.write(self._drawn, _PLAIN)


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2 to a file inside the block; a file that stays empty is removed."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    kept = [os.dup(1), os.dup(2)]
    _flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        yield
    finally:
        _flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
        is_empty = os.fstat(file).st_size == 0
        os.close(file)
        if is_empty:
            path.unlink(missing_ok=True)


def _flush() -> None:
    """Bring out what Python holds back."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
