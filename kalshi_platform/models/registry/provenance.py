"""The data behind a model: how many events and blocks of which provenance taught and judged it.

Owns       the counts, and the standing that follows from them.
Real       every provenance but ``simulated``: recordings, quotes and trade-implied books are of the exchange.
Unknown    a model of which nobody counted is never taken for one that was judged on real data.
Not        the gate that asks for recorded blocks (evaluation/promotion/gates.py).
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Provenance

#: real: judged on blocks of the exchange's data · simulated: on simulated data, and on too few real blocks
#: besides · unknown: nobody counted.
Standing = Literal["real", "simulated", "unknown"]
SIMULATED: Final = "simulated"
#: With fewer blocks of real data beside simulated ones a model passes for judged on simulated data: the
#: interval of fewer than ten means is too narrow (``evaluation/statistics/bootstrap.py`` says so as well).
MIN_RECORDED_BLOCKS: Final = 10


class DataCount(Config):
    """Number of events and of blocks."""

    events: int = Field(ge=0)
    blocks: int = Field(ge=0, description="independent observations that the events are part of")


#: Provenance -> events and blocks of it.
DataCounts = dict[Provenance, DataCount]


def count_data(markets: Iterable[tuple[Provenance, str, str | None]]) -> DataCounts:
    """Count the events and blocks of ``markets`` by provenance.

    A market is (provenance, event, block); a block of None is the event alone.
    """
    events: dict[Provenance, set[str]] = {}
    blocks: dict[Provenance, set[str]] = {}
    for provenance, event, block in markets:
        events.setdefault(provenance, set()).add(event)
        blocks.setdefault(provenance, set()).add(event if block is None else block)
    return {p: DataCount(events=len(events[p]), blocks=len(blocks[p])) for p in sorted(events)}


def real_blocks(counts: Mapping[Provenance, DataCount]) -> int:
    """Number of blocks that are not simulated."""
    return sum(count.blocks for provenance, count in counts.items() if provenance != SIMULATED)


def blocks_by_provenance(counts: Mapping[Provenance, DataCount] | None) -> dict[str, int]:
    """Number of blocks of each provenance; empty where nobody counted."""
    return {provenance: count.blocks for provenance, count in (counts or {}).items()}


def standing_of(
    counts: Mapping[Provenance, DataCount] | None, min_blocks: int = MIN_RECORDED_BLOCKS
) -> Standing:
    """Standing of a model that was judged on ``counts``; None: nobody counted.

    A few real blocks beside simulated ones do not make a model real; a few real blocks alone do, and the
    gate says that they are too few.
    """
    if not counts:
        return "unknown"
    n_real, is_mixed = real_blocks(counts), SIMULATED in counts
    return "real" if n_real >= min_blocks or (n_real and not is_mixed) else "simulated"


def counts_words(counts: Mapping[Provenance, DataCount] | None) -> str:
    """Return the counts in words, such as "30 events in 12 blocks recorded", or "unknown"."""
    if not counts:
        return "unknown"
    return ", ".join(
        f"{_several(c.events, 'event')} in {_several(c.blocks, 'block')} {kind}" for kind, c in counts.items()
    )


def _several(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
