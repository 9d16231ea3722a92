"""Log of what was done to a paper account since the last state that nothing can change.

Stretch    a part of the log with the state in which it began, so that the account need not go back to the
           beginning: a burst that goes on is played again from the stretch in which its row was met.
Certain    a stretch is forgotten once every row that was met in it, and those before, is certain.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from kalshi_platform.trading.session.paper.paper_records import AccountState, Done

#: Entries of a stretch before the next one begins: to copy a state takes as long as to play a few of them.
STRETCH: Final = 16


class Stretch:
    """Part of the log, and the state in which it began."""

    __slots__ = ("done", "state")

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self.done: list[Done] = []


class PaperLog:
    """Stretches of one account, oldest first, numbered on without end."""

    def __init__(self, state: AccountState) -> None:
        """Begin in ``state``, which is certain."""
        self._stretches = deque([Stretch(state)])
        self._first = 0
        self._n_done = 0

    def __len__(self) -> int:
        """Entries that may have to be played again."""
        return self._n_done

    @property
    def first(self) -> int:
        """Number of the oldest stretch: before it everything is certain."""
        return self._first

    @property
    def newest(self) -> int:
        """Number of the stretch that is being written."""
        return self._first + len(self._stretches) - 1

    @property
    def certain(self) -> AccountState:
        """Last state that nothing changes any more."""
        return self._stretches[0].state

    @property
    def is_long(self) -> bool:
        """True where the next entry should begin a stretch."""
        return len(self._stretches[-1].done) >= STRETCH

    def begin(self, state: AccountState) -> None:
        """Begin a stretch in ``state``."""
        self._stretches.append(Stretch(state))

    def add(self, done: Done) -> None:
        """Take an entry."""
        self._stretches[-1].done.append(done)
        self._n_done += 1

    def since(self, number: int) -> Iterator[tuple[int, Stretch]]:
        """(number, stretch) from the stretch ``number`` on."""
        for n in range(number, self.newest + 1):
            yield n, self._stretches[n - self._first]

    def forget_before(self, number: int) -> None:
        """Forget the stretches before ``number``: what was done in them is certain."""
        while self._first < number:
            self._n_done -= len(self._stretches.popleft().done)
            self._first += 1

    def forget_all(self, state: AccountState) -> None:
        """Begin anew in ``state``, which is certain."""
        self._first, self._n_done = self.newest + 1, 0
        self._stretches = deque([Stretch(state)])

    def shift(self, dtype: np.dtype[Any], names: tuple[str, ...], by: np.ndarray) -> None:
        """Add ``by`` (S,) to the fields ``names`` of the slots of every state."""
        for stretch in self._stretches:
            stretch.state = stretch.state.shifted(dtype, names, by)
