"""Progress of a long command: a bar on a terminal, elsewhere a plain line every few seconds.

Both go to stderr, so that stdout carries the command's result only.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kalshi_platform.domain.saying import Throttle

#: ``show(done, total, what is done)``
Show = Callable[[int, int, str], None]


@contextmanager
def progress(
    verb: str, console: Console | None = None, clock_s: Callable[[], float] = time.monotonic
) -> Iterator[Show]:
    """Yield a function to call with every step; ``verb`` names the work, such as "building"."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(verb, console, clock_s).show
        return
    columns = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


class _Lines:
    """Plain lines, at most one every SAY_EVERY_S; a command that is quicker than that prints none."""

    def __init__(self, verb: str, console: Console, clock_s: Callable[[], float]) -> None:
        self._verb = verb
        self._console = console
        self._clock_s = clock_s
        self._start_s = clock_s()
        self._throttle = Throttle(wait_first=True, clock_s=clock_s)
        self._first_done: int | None = None

    def show(self, done: int, total: int, text: str) -> None:
        """Print one line if a line is due: ``done`` of ``total``, ``text`` and the seconds left.

        The seconds left follow from the work done since the first call; earlier work does not count.
        """
        now_s = self._clock_s()
        if self._first_done is None:
            self._first_done, self._start_s = done, now_s
        if not self._throttle.is_due():
            return
        left = self._left(done - self._first_done, total - done, now_s)
        line = f"{self._verb}: {done:,} of {total:,} {text}{left}"
        self._console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def _left(self, since_start: int, remaining: int, now_s: float) -> str:
        if since_start <= 0:
            return ""
        return f", {remaining * (now_s - self._start_s) / since_start:.0f} s left"
