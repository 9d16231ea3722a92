"""Outcomes of a write: accepted, refused, or unknown. No code of this room ever sends a write twice.

Accepted  the exchange said so, and its answer was read.
Refused   the exchange said no (4xx), or the request never left this machine (``sent`` False).
Unknown   the request may have been carried out: no answer in time, the connection was lost after it was
          sent, the exchange failed (5xx), or its answer cannot be read. The caller finds out by reading back,
          by the order's client id; until then it counts the order as possibly there.

A task that is cancelled while a write is under way leaves that write unknown too.
"""

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Answer = TypeVar("Answer")

#: Code by which the exchange says that an order of this client id exists already: read that order back.
DUPLICATE_CODE: Final = "order_already_exists"
CONFLICT: Final = 409
TOO_MANY: Final = 429
#: Kinds of a refusal with status 409: an order of this client id is there; a fill-or-kill found too little;
#: trading or the exchange is paused; a code that nobody here knows.
Conflict = Literal["duplicate", "unfillable", "paused", "other"]
#: Codes seen with status 409 -> what they say. None but the first means that an order is there.
_CONFLICTS: Final[dict[str, Conflict]] = {
    DUPLICATE_CODE: "duplicate",
    "fill_or_kill_insufficient_resting_volume": "unfillable",
    "immediate_or_cancel_insufficient_resting_volume": "unfillable",
    "trading_is_paused": "paused",
    "exchange_is_paused": "paused",
}


@dataclass(frozen=True, slots=True)
class Accepted(Generic[Answer]):
    """The exchange carried the write out."""

    answer: Answer
    status: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The write was not carried out, for certain."""

    reason: str  # for people: status, code, message
    status: int | None  # None: never sent
    code: str | None  # of the exchange, such as invalid_order
    sent: bool = True

    @property
    def is_rate_limited(self) -> bool:
        """True where the exchange said too many requests: the same write may be made again later."""
        return self.status == TOO_MANY

    @property
    def is_duplicate(self) -> bool:
        """True where an order of this client id exists already: an earlier write of it was carried out.

        A killed fill-or-kill uses its client id up too, so that the order found by it may be a killed one.
        """
        return self.code == DUPLICATE_CODE

    @property
    def conflict(self) -> Conflict | None:
        """Kind of a refusal with status 409; None for any other.

        Only a duplicate says that an order is there. "other" is a refusal too, as the exchange documents it
        for unknown codes; whoever cannot afford to believe that reads the order back.
        """
        if self.status != CONFLICT and self.code != DUPLICATE_CODE:
            return None
        return _CONFLICTS.get(self.code or "", "other")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody here knows whether the write was carried out."""

    why: str
    status: int | None = None


WriteOutcome: TypeAlias = Accepted[Answer] | Refused | Unknown
