"""Sessions of streams, kept for a while after their connection broke; bounded, the clock passed in.

Owns       the choice of the session for a connecting client: its own, if it is still here, or a new one.
Invariant  at most ``max_sessions`` sessions, of which one owner has at most ``max_of_one`` with a connection;
           one connection a session, the newest: an older one no longer holds it. A session is given only to
           the owner that opened it.
Time       ns of a clock that does not go back (``time.monotonic_ns``), another one than the frames'.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import NamedTuple

from pydantic import Field
from pydantic_core import from_json

from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.api.wrong_fields import parse_message
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.live.admission import refusal_of
from kalshi_platform.serving.live.stream import StreamLimits, StreamSession


class SessionConfig(Config):
    """Number of sessions kept, and the time for which they are kept without a connection."""

    max_sessions: int = Field(64, ge=1)
    max_of_one: int = Field(32, ge=1, description="sessions of one client that have a connection")
    keep_s: int = Field(300, ge=0, description="life of a session without a connection")
    limits: StreamLimits = StreamLimits()


class Lease(NamedTuple):
    """Hold of a connection on a session."""

    session: StreamSession
    number: int  # of the connection; a later one takes the session over
    messages: list[str]  # first messages to the client


@dataclass(slots=True)
class _KeptSession:
    """One session of the store, its owner and its connection."""

    session: StreamSession
    owner: str
    connection: int
    left_ns: int | None  # None: it has a connection


class SessionStore:
    """Sessions of one process; one thread (the event loop that serves)."""

    def __init__(
        self,
        config: SessionConfig | None = None,
        resolutions: ResolutionHistory | None = None,
        new_id: Callable[[], str] = lambda: token_urlsafe(16),
    ) -> None:
        """Begin empty; ``new_id`` must give names that nobody can guess, a name opens its session."""
        self.config = config or SessionConfig()
        self._resolutions = resolutions
        self._new_id = new_id
        self._kept: OrderedDict[str, _KeptSession] = OrderedDict()  # those left longest ago first
        self._n_connections = 0

    def __len__(self) -> int:
        """Number of sessions kept, with a connection or without."""
        return len(self._kept)

    def open(self, text: str, served: ServedModel, now_ns: int, owner: str = "") -> Lease:
        """Open or resume the session that a client asks for by its first text, ``open``.

        A client whose session is not here (any more), is another owner's, or builds arrays that ``served``
        does not read, gets a new one and replays the frames it kept. ContractError where the text is no
        ``open`` message, or asks for what ``served`` must not answer; LimitError where there are as many
        sessions with a connection as there may be.
        """
        self.require_short(text)
        opening = _opening(text)
        self.expire(now_ns)
        kept = self._kept.get(opening.session or "")
        if kept is not None and kept.owner == owner and self._can_go_on(kept.session, served, opening):
            _refuse(kept.session.refuses(served))
            return self._lease(kept, kept.session.resume(opening, served))
        _refuse(refusal_of(opening, served))
        self._make_room(owner)
        session = StreamSession(self._new_id(), opening, served, self.config.limits, self._resolutions)
        kept = self._kept[session.id] = _KeptSession(session, owner, 0, None)
        return self._lease(kept, session.opened(resumed=False))

    def require_short(self, text: str) -> None:
        """Raise ContractError for a first text that is too long to be read."""
        longest = self.config.limits.max_open_bytes
        if len(text) > longest:
            raise ContractError(f"the open message has {len(text)} characters; at most {longest} are read")

    def holds(self, lease: Lease) -> bool:
        """True while the connection of ``lease`` is the one that feeds its session."""
        kept = self._kept.get(lease.session.id)
        return kept is not None and kept.connection == lease.number

    def leave(self, lease: Lease, now_ns: int) -> None:
        """End the connection of ``lease``: its session waits for another, a closed one is forgotten."""
        if not self.holds(lease):
            return
        if lease.session.closed:
            del self._kept[lease.session.id]
            return
        self._kept[lease.session.id].left_ns = now_ns
        self._kept.move_to_end(lease.session.id)

    def expire(self, now_ns: int) -> int:
        """Forget sessions that waited too long; returns their number."""
        oldest_ns = now_ns - self.config.keep_s * NS_PER_SECOND
        left = {n: kept.left_ns for n, kept in self._kept.items() if kept.left_ns is not None}
        gone = [name for name, left_ns in left.items() if left_ns <= oldest_ns]
        for name in gone:
            del self._kept[name]
        return len(gone)

    def _can_go_on(self, session: StreamSession, served: ServedModel, opening: OpenMessage) -> bool:
        is_same_source = opening.source in (None, session.source)  # what was allowed was allowed for it
        return not session.closed and session.is_read_by(served) and is_same_source

    def _lease(self, kept: _KeptSession, messages: list[str]) -> Lease:
        """Give the session to a new connection."""
        self._n_connections += 1
        kept.connection, kept.left_ns = self._n_connections, None
        return Lease(kept.session, self._n_connections, messages)

    def _make_room(self, owner: str) -> None:
        """Forget a session without a connection where there is no room for one more of ``owner``.

        The owner's own is forgotten first, then the one left longest ago. LimitError where all have a
        connection, or the owner has as many as one may have.
        """
        own = sum(kept.owner == owner and kept.left_ns is None for kept in self._kept.values())
        if own >= self.config.max_of_one:
            raise LimitError(
                f"{own} sessions of this client are open, as many as one may have: close one, or feed more "
                "markets to each"
            )
        if len(self._kept) < self.config.max_sessions:
            return
        left = [name for name, kept in self._kept.items() if kept.left_ns is not None]
        if not left:
            raise LimitError(
                f"{self.config.max_sessions} sessions are open, as many as there may be; try again later"
            )
        del self._kept[next((name for name in left if self._kept[name].owner == owner), left[0])]


def _refuse(reason: str) -> None:
    if reason:
        raise ContractError(reason)


def _opening(text: str) -> OpenMessage:
    """``open`` message in the first text of a client; ContractError where it is none."""
    try:
        value = from_json(text)
    except ValueError as err:
        raise ContractError(f"the first message is not JSON ({err}); it must be an open message") from None
    if not isinstance(value, dict) or value.get("type") != "open":
        raise ContractError('the first message must be {"type": "open", ...}; see docs/streaming.md')
    return parse_message(OpenMessage, value, "open")
