"""Telling a person how far something is, without flooding a log.

Owns    four kinds of line: a stage (a sentence when something is done), a note (a remark that ends no stage),
        a detail (for those who ask for details) and a passing line (how far a long stage is; the next one
        replaces it). ``say`` is handed down as one function; a note goes to :func:`note` of it, a detail to
        :func:`detail`, a passing line to :func:`passing`.
Units   seconds of a monotonic clock.
Not     where the lines go: ``evaluation/pages/terminal.py`` prints them.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

#: Takes one line for people.
Say = Callable[[str], None]
#: Between two lines about one thing: a log of an hour stays readable, and no CI takes the command for hung.
SAY_EVERY_S: Final = 5.0


class Teller(ABC):
    """A ``Say`` that tells stages, notes, details and passing lines apart."""

    @abstractmethod
    def __call__(self, line: str) -> None:
        """Say what was done or decided."""

    @abstractmethod
    def note(self, line: str) -> None:
        """Say what the user must know and what took no time of its own: which registry, which warning."""

    @abstractmethod
    def detail(self, line: str) -> None:
        """Say what only some want to know."""

    @abstractmethod
    def passing(self, line: str) -> None:
        """Say how far the present stage is; lines that come too fast are left out."""


def silent(line: str) -> None:
    """Say nothing."""


_program: Final[list[Say]] = [silent]


def hear(say: Say) -> None:
    """Let ``say`` hear the whole program: the stages far below a command, which are handed no ``say``."""
    _program[0] = say


def program() -> Say:
    """The ``Say`` that hears the whole program; silent in a library or a worker, which nobody hears."""
    return _program[0]


def note(say: Say) -> Say:
    """Return the ``Say`` for notes of whoever listens to ``say``; a plain function is told everything."""
    return say.note if isinstance(say, Teller) else say


def detail(say: Say) -> Say:
    """Return the ``Say`` for details of whoever listens to ``say``; a plain function is told everything."""
    return say.detail if isinstance(say, Teller) else say


def passing(say: Say) -> Say:
    """Return the ``Say`` for passing lines of one stage; a plain function gets one every few seconds."""
    if isinstance(say, Teller):
        return say.passing
    throttle = Throttle(wait_first=True)
    return lambda line: say(line) if throttle.is_due() else None


class Countdown:
    """A count of steps done as passing lines: "building: 20 of 100 rows, 40 s left"."""

    def __init__(self, say: Say, verb: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        """``verb`` names the work, such as "building"."""
        self._say, self._verb, self._clock_s = passing(say), verb, clock_s
        self._start_s = clock_s()
        self._first_done = 0

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Say that ``done`` of ``total`` is done, ``text`` and the time left.

        The time left follows from the work done since the first step: until then kernels are compiled and
        files opened, which does not come again. Work of an earlier call of the command does not count.
        """
        now_s = self._clock_s()
        if not self._first_done:
            self._first_done, self._start_s = done, now_s
        since_start, left = done - self._first_done, ""
        if since_start > 0 and done < total:
            left = f", {time_words((total - done) * (now_s - self._start_s) / since_start)} left"
        self._say(f"{self._verb}: {done:,} of {total:,}{f' {text}' if text else ''}{left}")


def time_words(seconds: float) -> str:
    """Seconds below two minutes, else minutes."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


class Throttle:
    """True at most once in ``every_s``: at once, unless ``wait_first``, and then after every pause."""

    def __init__(
        self,
        every_s: float = SAY_EVERY_S,
        *,
        wait_first: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._clock_s = every_s, clock_s
        self._next_s: float | None = clock_s() + every_s if wait_first else None

    def is_due(self, force: bool = False) -> bool:
        """True where a line is due, or wanted in any case (``force``); the next pause begins now."""
        now_s = self._clock_s()
        if self._next_s is not None and now_s < self._next_s and not force:
            return False
        self._next_s = now_s + self._every_s
        return True
