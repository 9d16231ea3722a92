"""Losses that halt trading: of the day, from the best of a rolling window, and markets lost in a row.

Result    of the account: the sum over its markets, settled ones at what they paid, open ones at the mark, all
          fees taken off, 1e-6 dollar. Payments in and out are no result.
Unknown   what orders of unknown outcome may have lost is taken off the present result and no other: no day,
          best or minute begins at it, or its end would be a gain.
Window    rolling: the best result of the last hours; midnight changes nothing. Minutes are kept in the
          journal, so that a restart forgets no loss.
Accepted  a person who lets trading go on after a loss accepts it: window, day and streak begin anew there.
Streak    of markets whose position ended, sold or paid, in the order of these ends.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

MINUTE_NS: Final = 60 * NS_PER_SECOND


class Best(NamedTuple):
    """Best result of one minute."""

    minute: int
    best_e6: int


class LossWatch:
    """Results as time goes by; ``save`` gets (minute, best, last) of each minute that changed."""

    def __init__(self, window_ns: int, save: Callable[[int, int, int], None]) -> None:
        self._window_minutes = max(1, -(-window_ns // MINUTE_NS))
        self._save = save
        self._bests: deque[Best] = deque()  # falling: the first is the window's best
        self._minute = -1
        self._minute_best_e6 = 0
        self._saved_last_e6: int | None = None
        self._day = -1
        self._day_start_e6 = 0
        self.known_e6 = 0  # the last result
        self.result_e6 = 0  # the same less what orders of unknown outcome may have lost
        self.streak = 0  # markets lost in a row; whoever knows the markets sets it

    @property
    def day_loss_e6(self) -> int:
        """Loss since midnight UTC, 0 where there is none."""
        return max(0, self._day_start_e6 - self.result_e6)

    @property
    def drawdown_e6(self) -> int:
        """Fall of the result from the best of the window."""
        best = self._bests[0].best_e6 if self._bests else self.known_e6
        return max(0, best - self.result_e6)

    def restore(self, minute: int, best_e6: int, last_e6: int) -> None:
        """Take one minute of the journal, oldest first."""
        if self._minute < 0:
            self._day_start_e6, self._day = best_e6, minute * MINUTE_NS // NS_PER_DAY
        self._roll(minute)
        self._observe_best(minute, best_e6)
        self.known_e6 = self.result_e6 = last_e6
        self._minute, self._minute_best_e6, self._saved_last_e6 = minute, best_e6, last_e6

    def observe(self, known_e6: int, wall_ns: int, unknown_loss_e6: int = 0) -> None:
        """Take the result at a time; a wall clock that is set back stays in the later minute.

        ``unknown_loss_e6``: what orders of unknown outcome may have lost beside it.
        """
        minute = max(wall_ns // MINUTE_NS, self._minute)
        if self._minute < 0:  # the first result ever is no loss: nothing was before
            self.known_e6 = self._day_start_e6 = known_e6
            self._day = minute * MINUTE_NS // NS_PER_DAY
        self._roll(minute)
        self.known_e6, self.result_e6 = known_e6, known_e6 - unknown_loss_e6
        if minute != self._minute:
            self._minute, self._minute_best_e6, self._saved_last_e6 = minute, known_e6, None
        self._minute_best_e6 = max(self._minute_best_e6, known_e6)
        self._observe_best(minute, known_e6)

    def save(self) -> None:
        """Hand the present minute to the journal where it changed."""
        if self._minute >= 0 and self._saved_last_e6 != self.known_e6:
            self._save(self._minute, self._minute_best_e6, self.known_e6)
            self._saved_last_e6 = self.known_e6

    def accept(self) -> None:
        """Begin window, day and streak anew at the present result."""
        self._bests.clear()
        if self._minute >= 0:
            self._minute_best_e6, self._saved_last_e6 = self.known_e6, None
            self._bests.append(Best(self._minute, self.known_e6))
        self._day_start_e6 = self.known_e6

    def shift(self, change_e6: int) -> None:
        """Move every result alike: a change that is no gain and no loss since any of them."""
        self._bests = deque(Best(each.minute, each.best_e6 + change_e6) for each in self._bests)
        self.known_e6 += change_e6
        self.result_e6 += change_e6
        self._day_start_e6 += change_e6
        self._minute_best_e6 += change_e6
        if self._saved_last_e6 is not None:
            self._saved_last_e6 += change_e6

    def _roll(self, minute: int) -> None:
        """Begin a new day where one began, with the last result before it, and drop what left the window."""
        day = minute * MINUTE_NS // NS_PER_DAY
        if day > self._day:
            if self._day >= 0:
                self._day_start_e6 = self.known_e6
            self._day = day
        while self._bests and self._bests[0].minute <= minute - self._window_minutes:
            self._bests.popleft()

    def _observe_best(self, minute: int, result_e6: int) -> None:
        """Take a result into the window's bests."""
        while self._bests and self._bests[-1].best_e6 <= result_e6:
            self._bests.pop()
        self._bests.append(Best(minute, result_e6))


def losing_streak(results_e6: Iterable[int], before: int = 0) -> int:
    """Return how many of the last markets were lost in a row; results oldest first, 0 changes nothing.

    ``before``: markets lost in a row before the first of them.
    """
    streak = before
    for result_e6 in results_e6:
        if result_e6:
            streak = streak + 1 if result_e6 < 0 else 0
    return streak
