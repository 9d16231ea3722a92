"""Text on a terminal, or whole in a file or a pipe: results on stdout, what happens meanwhile on stderr.

Owns   ``show`` and ``output`` for results; ``tell`` for the lines of the work, each but a note with the time
       since the command began. A passing line is rewritten in place on a terminal; elsewhere one comes every
       10 s, later every minute. Details come with --verbose (``cli/options.py``).
"""

import errno
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType

from kalshi_platform.domain.saying import SAY_EVERY_S, Teller, hear

#: Columns where stdout is no terminal: what the widest of our tables needs.
LOG_WIDTH: Final = 160
#: Seconds between two passing lines of a log: the first, and the longest in a stage of an hour.
LOG_EVERY_S: Final = (10.0, 60.0)
#: Erases the line that the cursor is on, and goes to its start.
_ERASE: Final = "\r\x1b[2K"


def output() -> Console:
    """Stdout: as wide as the terminal, or as our tables need where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def show(view: RenderableType, page: Path | None = None) -> None:
    """Print ``view`` and, where there is one, the path of its page in one piece."""
    tell.settle()
    console = output()
    console.print(view)
    if page is not None:
        console.print(f"report: {page}", soft_wrap=True)


class Terminal(Teller):
    """Stderr, so that stdout carries the result only; lines are printed as they are, never as markup."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._is_open = False  # a passing line stands on the terminal
        self.begin()

    def begin(self, verbose: bool = False) -> None:
        """Begin a command: the time counts from here, and ``verbose`` decides on details."""
        self.verbose = verbose
        hear(self)
        # Ray's warnings and our own of level INFO follow (domain/quiet_ray.py).
        logging.getLogger("kalshi_platform").setLevel(logging.DEBUG if verbose else logging.NOTSET)
        self._begun_s = self._stage_s = self._last_s = self._clock_s()

    def __call__(self, line: str) -> None:
        """Print a line that stays; a new stage begins after it."""
        self._print(line)
        self._stage_s = self._last_s

    def note(self, line: str) -> None:
        """Print a line that stays, without the time: the stage goes on."""
        self._put(line)

    def detail(self, line: str) -> None:
        """Print a line that stays with --verbose; else it stands on a terminal until the next line."""
        if self.verbose:
            self._print(line)
        else:
            self._rewrite(line)

    def passing(self, line: str) -> None:
        """Rewrite the terminal's line; in a log print one where a pause has passed since the last line."""
        if self._rewrite(line):
            return
        first_s, longest_s = (SAY_EVERY_S, SAY_EVERY_S) if self.verbose else LOG_EVERY_S
        now_s = self._clock_s()
        pause_s = min(max(first_s, (now_s - self._stage_s) / 4), longest_s)
        if now_s - self._last_s >= pause_s:
            self._print(line)

    def settle(self) -> None:
        """Remove the passing line, so that something else can be printed."""
        if self._is_open:
            self._is_open = False
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    def _print(self, line: str) -> None:
        self._put(self._stamped(line))
        self._last_s = self._clock_s()

    def _put(self, line: str) -> None:
        try:
            self.settle()
            Console(stderr=True).print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)
        except OSError as err:
            if err.errno != errno.EIO:  # a terminal that went away: the work and its end go on without it
                raise

    def _rewrite(self, line: str) -> bool:
        """Put ``line`` in place of the passing line; False without a terminal, or with --verbose."""
        console = Console(stderr=True)
        if self.verbose or not console.is_terminal or console.is_dumb_terminal:
            return False
        self._is_open = True
        sys.stderr.write(_ERASE + self._stamped(line.partition("\n")[0])[: console.width - 1])
        sys.stderr.flush()
        return True

    def _stamped(self, line: str) -> str:
        passed_s = self._clock_s() - self._begun_s
        stamp = f"{passed_s:3.0f} s" if passed_s < 1_000 else f"{passed_s / 60:.0f} min"
        return f"[{stamp}] {line}"


#: The terminal of this program.
tell: Final = Terminal()
