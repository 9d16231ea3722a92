"""Blocks: the independent observations of recorded data, and the strata that hold their lengths and cuts.

Block     the events of one stratum that begin in one stretch of time: ``<stratum>@<start>``. The stretch is
          as long as the longest life of an event, rounded up to a rung of the ladder. So only neighbouring
          blocks can overlap in time.
Long      at most one event in twenty (but one is always allowed) that lives more than four times as long
          as the rung that holds the others does not set the length: a market of a year beside those of 15
          minutes would make one block of everything. It is named (``Stratum.long``).
Life      from an event's first row to its last, or to its settlement where that is known: what a result on
          the event depends on.
Simulated events are independent: each is a block of its own and has none of these.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Provenance
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

_MINUTE: Final = 60 * NS_PER_SECOND
_HOUR: Final = 60 * _MINUTE
#: Lengths of a block, ns: 15 and 30 minutes, 1 to 12 hours, 1 to 4 days, 1 to 26 weeks; then years.
LADDER_NS: Final = (
    *(n * _MINUTE for n in (15, 30)), *(n * _HOUR for n in (1, 2, 4, 6, 12)),
    *(n * NS_PER_DAY for n in (1, 2, 4)), *(7 * n * NS_PER_DAY for n in (1, 2, 4, 8, 13, 26)),
)  # fmt: skip
_YEAR: Final = 364 * NS_PER_DAY
#: One event in this many may be long; it lives more than so many times as long as the rung of the others.
_ONE_LONG_IN: Final = 20
_LONG_TIMES: Final = 4
_UNITS: Final = ((NS_PER_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (NS_PER_SECOND, "s"))

Undivided = Literal["fewer_than_3_blocks", "no_room_for_embargo"]
Part = Literal["train", "validation", "test", "judge_only"]
PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test", "judge_only")
UNDIVIDED_WORDS: Final[dict[Undivided, str]] = {
    "fewer_than_3_blocks": "judge only: fewer than 3 blocks that can be played, so no split holds any of it; "
    "judge it with evaluate --split all, or record more and build anew",
    "no_room_for_embargo": "judge only: its blocks leave no room for an embargo between three parts; "
    "judge it with evaluate --split all, or record more and build anew",
}


class Stratum(Config):
    """Recorded events of one factor that are divided in time together; times in ns.

    Cuts, once made, never move. A part that the stratum lacks has None for its cuts; ``validation_to_ns`` is
    also None where nothing follows the validation part.
    """

    name: str = Field(description="the factor; further strata of it are numbered: weather.2")
    factor: str
    provenances: tuple[Provenance, ...]
    block_ns: int = Field(gt=0, description="length of a block")
    embargo_ns: int = Field(
        ge=0, description="time between parts: the longest life but the long ones, or more"
    )
    first_ns: int = Field(description="begin of the first event")
    last_ns: int = Field(description="end of the last event")
    train_to_ns: int | None = Field(default=None, description="events of train end before")
    validation_from_ns: int | None = None
    validation_to_ns: int | None = None
    test_from_ns: int | None = None
    undivided: Undivided | None = Field(default=None, description="why the events can only be judged whole")
    left_out: tuple[str, ...] = Field(default=(), description="events in an embargo or across a cut, sorted")
    long: tuple[str, ...] = Field(default=(), description="events that outlive several blocks, sorted")

    @property
    def reach_ns(self) -> int:
        """Distance from which an event neither shares a block with the stratum nor stands in its embargo."""
        return self.block_ns + self.embargo_ns

    def part_of(self, first_ns: int, last_ns: int) -> Part | None:
        """Part of an event that lives from ``first_ns`` to ``last_ns``; None: embargo, or across a cut."""
        if self.undivided is not None:
            return "judge_only"
        if self.train_to_ns is not None and last_ns < self.train_to_ns:
            return "train"
        if self.validation_from_ns is not None and first_ns >= self.validation_from_ns:
            if self.validation_to_ns is None or last_ns < self.validation_to_ns:
                return "validation"
            if self.test_from_ns is not None and first_ns >= self.test_from_ns:
                return "test"
        return None

    def block_of(self, first_ns: int) -> str:
        """Name of the block of an event that begins at ``first_ns``."""
        start = datetime.fromtimestamp(self.start_of(first_ns) // NS_PER_SECOND, UTC)
        return f"{self.name}@{start:%Y-%m-%dT%H:%MZ}"

    def start_of(self, time_ns: int) -> int:
        """Begin of the block that holds ``time_ns``."""
        return time_ns // self.block_ns * self.block_ns

    def near(self, first_ns: int, last_ns: int, reach_ns: int = 0) -> bool:
        """True where an event could share a block or an embargo with the stratum."""
        reach = max(self.reach_ns, reach_ns)
        return first_ns < self.last_ns + reach and last_ns > self.first_ns - reach


def stratum_of(block: str) -> str:
    """Name of the stratum of a block."""
    return block.partition("@")[0]


def block_length(lives_ns: Sequence[int], at_least_ns: int = 0) -> tuple[int, int]:
    """(length of a block, longest life that it was made for), ns, for events of these lives.

    ``at_least_ns`` makes blocks longer, never shorter.
    """
    lives = sorted(lives_ns)
    allowed = max(len(lives) // _ONE_LONG_IN, 1 if len(lives) > 3 else 0)
    longest = lives[-1]
    for kept in range(len(lives) - allowed, len(lives)):
        if lives[kept] > _LONG_TIMES * _rung(lives[kept - 1]):
            longest = lives[kept - 1]
            break
    return max(_rung(longest), at_least_ns), longest


def _rung(life_ns: int) -> int:
    """Shortest length of the ladder that holds ``life_ns``; whole years of 52 weeks above it."""
    return next((rung for rung in LADDER_NS if rung >= life_ns), -(-life_ns // _YEAR) * _YEAR)


def duration_words(time_ns: int) -> str:
    """A duration in its two largest units, rounded up to the second: ``15m``, ``1d 14h``."""
    rest = -(-time_ns // NS_PER_SECOND) * NS_PER_SECOND
    words = []
    for unit, letter in _UNITS:
        n, rest = divmod(rest, unit)
        words += [f"{n}{letter}"] if n else []
    return " ".join(words[:2]) or "0s"
