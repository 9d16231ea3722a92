"""Problems of a session that come one by one, such as a refused frame: how many, and when the newest came.

Over       a problem of which none came for QUIET_NS: it is shown no more while the session runs.
At the end all of them are told once more: a report must not lose those of hours ago.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from kalshi_platform.domain.units import NS_PER_SECOND

#: A problem of which none came for so long is over.
QUIET_NS: Final = 600 * NS_PER_SECOND
_MOST_WORDS: Final = 200


class _Repeated(NamedTuple):
    """Problem so far."""

    times: int
    newest_ns: int
    words: str


class RepeatedProblems:
    """Counts and newest words by name, shown among the problems of a session."""

    def __init__(self, problems: dict[str, str]) -> None:
        """Show in ``problems``, which others fill too."""
        self._problems = problems
        self._by_name: dict[str, _Repeated] = {}

    def add(self, name: str, words: str, at_ns: int) -> None:
        """Take one more problem of this name; ``words`` are those of the newest."""
        before = self._by_name.get(name)
        times = 1 if before is None else before.times + 1
        self._by_name[name] = _Repeated(times, at_ns, words[:_MOST_WORDS])
        self._show(name)

    def end_quiet(self, now_ns: int) -> None:
        """End the problems of which none came for QUIET_NS."""
        for name, each in self._by_name.items():
            if now_ns - each.newest_ns > QUIET_NS:
                self._problems.pop(name, None)

    def show_all(self) -> None:
        """Show every problem that there was, also those that are over."""
        for name in self._by_name:
            self._show(name)

    def _show(self, name: str) -> None:
        """Show one problem."""
        times, newest_ns, words = self._by_name[name]
        at = f"{datetime.fromtimestamp(newest_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S}"
        self._problems[name] = f"{times} so far, the newest at {at} UTC: {words}"
