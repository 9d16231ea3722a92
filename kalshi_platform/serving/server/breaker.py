"""A breaker before tier 3 in another process: after some failures in a row nobody asks it for a while.

Why        while tier 3 is down every question to it would wait for its whole deadline before tier 2 answers.
States     closed: every question may be asked. Open: none may, for ``pause_ms``; then the breaker lets one
           question through. An answer to it closes the breaker; its failure, or no word of it for another
           pause, keeps the breaker open.
Counted    an error, or no answer in time to a question that was given ``patience_ms`` or more: a client whose
           deadline is too short for anybody must not take tier 3 from the others.
Units      ns of a clock that does not run backwards, passed in.
Threads    one, as the event loop is.
"""

from collections.abc import Callable

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_MS


class BreakerConfig(Config):
    """Limits at which the breaker opens, and how long it stays open."""

    failures: int = Field(5, ge=1, description="in a row, after which nothing is asked for a while")
    pause_ms: float = Field(1_000.0, gt=0, le=600_000, description="without questions before one is tried")
    patience_ms: float = Field(
        10.0, ge=0, description="no answer within less time than this is not counted as a failure"
    )


class Breaker:
    """Says if a question may be asked; the caller reports how each question ended."""

    def __init__(
        self,
        config: BreakerConfig,
        clock: Callable[[], int],
        told: Callable[[bool], None] = lambda is_open: None,
    ) -> None:
        """Begin closed; the breaker calls ``told`` with True when it opens and with False when it closes."""
        self.config = config
        self._clock, self._told = clock, told
        self._in_a_row = 0
        self._ask_again_ns: int | None = None  # None: closed

    @property
    def is_open(self) -> bool:
        """True if the last questions failed and none was answered since."""
        return self._ask_again_ns is not None

    @property
    def wait_ms(self) -> float:
        """Time until a question may be asked, ms; 0 where one would be let through now."""
        if self._ask_again_ns is None:
            return 0.0
        return max(0, self._ask_again_ns - self._clock()) / NS_PER_MS

    def allows(self) -> bool:
        """Return True if a question may be asked now; while open, True at most once a pause."""
        if self._ask_again_ns is None:
            return True
        if self._clock() < self._ask_again_ns:
            return False
        self._pause()  # a trial nobody hears of again must not keep the others waiting for it
        return True

    def answered(self) -> None:
        """Note that a question was answered, whenever it was asked; the breaker closes."""
        self._in_a_row = 0
        if self._ask_again_ns is not None:
            self._ask_again_ns = None
            self._told(False)

    def failed(self) -> None:
        """Note that a question failed; after enough in a row the breaker opens."""
        self._in_a_row += 1
        if self._in_a_row < self.config.failures:
            return
        was_open = self.is_open
        self._pause()
        if not was_open:
            self._told(True)

    def ran_out(self, waited_ms: float) -> None:
        """Note that no answer came within ``waited_ms``; too short a wait is no failure."""
        if waited_ms >= self.config.patience_ms:
            self.failed()

    def _pause(self) -> None:
        self._ask_again_ns = self._clock() + round(self.config.pause_ms * NS_PER_MS)
