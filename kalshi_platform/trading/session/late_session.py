"""The session for those who are made before it: an account's questions, a signal's halt, an error.

Nothing is lost before the session is there: a halt and an error wait for it.
"""

from functools import partial

from kalshi_platform.trading.session.running import RunningSession


class LateSession:
    """Questions of an account, a halt and an error, to the session that is made after them."""

    def __init__(self) -> None:
        self.session: RunningSession | None = None
        self._halted = ""
        self._error: BaseException | None = None

    def take(self, session: RunningSession) -> None:
        """Take the session; halt it, or end it with an error, where that was asked before."""
        self.session = session
        if self._halted:
            self.halt(self._halted)
        if self._error is not None:
            session.fail(self._error)

    def halt(self, why: str) -> None:
        """Halt the session, now or once it is there; a halt that fails ends it."""
        self._halted = why
        if self.session is not None:
            self.session.guarded(partial(self.session.controls.halt, why))

    def fail(self, error: BaseException) -> None:
        """End the session with an error, now or once it is there."""
        self._error = self._error or error
        if self.session is not None:
            self.session.fail(error)

    def shard_of(self, ticker: str) -> int | None:
        """Shard of a market; None where REST did not tell."""
        return None if self.session is None else self.session.shards.get(ticker)

    def frame_mono_ns(self) -> int:
        """Time at which the newest frame left the socket, monotonic; 0 before the first."""
        return 0 if self.session is None else self.session.frame_mono_ns

    def order_left(self, taken_ns: int) -> None:
        """Count the time from a frame to an order."""
        if self.session is not None:
            self.session.latencies.stages["order"].add(taken_ns)

    def left(self, client_id: str, left_e2: int) -> None:
        """Tell the books what is left of an order."""
        if self.session is not None:
            self.session.core.tell_left(client_id, left_e2)
