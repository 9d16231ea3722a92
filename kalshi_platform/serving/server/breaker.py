"""A breaker for whoever answers elsewhere: after some failures in a row it is left alone for a while.

Why        while tier 3 is down every question to it would wait for its whole deadline before tier 2 answers.
States     closed: everything is asked. Open: nothing is, for ``pause_ms``. Then one question is let through;
           its answer closes the breaker, its failure, or no word of it for another pause, keeps it open.
Counted    an error, or no answer in time to a question that was given ``patience_ms`` or more: a client
           whose deadline is too short for anybody must not take tier 3 from the others.
Units      ns of a clock that does not run backwards, passed in.
Threads    one, as the event loop is.
"""

from collections.abc import Callable

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_MS


class BreakerConfig(Config):
    """When to stop asking, and for how long."""

    failures: int = Field(5, ge=1, description="in a row, after which nothing is asked for a while")
    pause_ms: float = Field(1_000.0, gt=0, le=600_000, description="without questions before one is tried")
    patience_ms: float = Field(
        10.0, ge=0, description="no answer within less time than this is not counted as a failure"
    )


class Breaker:
    """Says whether to ask; is told what came of it."""

    def __init__(
        self,
        config: BreakerConfig,
        clock: Callable[[], int],
        told: Callable[[bool], None] = lambda is_open: None,
    ) -> None:
        """``told`` is called with True when it opens and with False when it closes."""
        self.config = config
        self._clock, self._told = clock, told
        self._in_a_row = 0
        self._ask_again_ns: int | None = None  # None: closed

    @property
    def is_open(self) -> bool:
        """Whether the last questions failed and none was answered since."""
        return self._ask_again_ns is not None

    @property
    def wait_ms(self) -> float:
        """For how long nothing will be asked; 0 where a question would be let through now."""
        if self._ask_again_ns is None:
            return 0.0
        return max(0, self._ask_again_ns - self._clock()) / NS_PER_MS

    def allows(self) -> bool:
        """Whether to ask now; where it is open, True at most once a pause."""
        if self._ask_again_ns is None:
            return True
        if self._clock() < self._ask_again_ns:
            return False
        self._pause()  # a trial nobody hears of again must not keep the others waiting for it
        return True

    def answered(self) -> None:
        """A question was answered, whenever it was asked."""
        self._in_a_row = 0
        if self._ask_again_ns is not None:
            self._ask_again_ns = None
            self._told(False)

    def failed(self) -> None:
        """A question failed."""
        self._in_a_row += 1
        if self._in_a_row < self.config.failures:
            return
        was_open = self.is_open
        self._pause()
        if not was_open:
            self._told(True)

    def ran_out(self, waited_ms: float) -> None:
        """No answer came within ``waited_ms``."""
        if waited_ms >= self.config.patience_ms:
            self.failed()

    def _pause(self) -> None:
        self._ask_again_ns = self._clock() + round(self.config.pause_ms * NS_PER_MS)
