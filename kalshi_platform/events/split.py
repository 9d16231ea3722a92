"""Which events a model learns from, is tuned on, and is judged on.

Unit     the event: its markets move together, so a market is never split from its siblings.
Order    events sorted by sha256(salt + event); the first 250 of every 300 are train, then 25 and 25.
Quotas   each boundary is rounded on its own: the ratio is exact to one event and, from three events on, no
         split is empty. The price: an event added later may move one event across each boundary, so a
         model must not be judged on another build than the one it learned from (manifests carry a digest).
Time     with ``time_cut_ns`` train lies before the cut and the rest after it; an event nearer to the cut
         than ``embargo_ns``, or across it, belongs to no split.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.config import Config

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


class SplitConfig(Config):
    """How events are divided."""

    salt: str = Field(default="kalshi-platform-1", description="another salt draws another division")
    train: int = Field(default=250, gt=0, description="share of train, relative to the other two")
    validation: int = Field(default=25, gt=0)
    test: int = Field(default=25, gt=0)
    time_cut_ns: int | None = Field(default=None, ge=0, description="train ends here, the other splits begin")
    embargo_ns: int = Field(default=0, ge=0, description="events nearer than this to the cut are left out")


def assign_splits(spans: Mapping[str, tuple[int, int]], config: SplitConfig) -> dict[str, Split | None]:
    """Split of every event; None = left out by the embargo.

    ``spans`` gives the first and last receive time (ns) of each event; only a time cut looks at them.
    """
    if config.time_cut_ns is None:
        shares = (config.train, config.validation, config.test)
        return dict(_divide(list(spans), SPLITS, shares, config.salt))
    start, stop = config.time_cut_ns - config.embargo_ns, config.time_cut_ns + config.embargo_ns
    splits: dict[str, Split | None] = {}
    held_out: list[str] = []
    for event, (first_ns, last_ns) in spans.items():
        splits[event] = "train" if last_ns < start else None
        if first_ns >= stop:
            held_out.append(event)
    splits |= _divide(held_out, SPLITS[1:], (config.validation, config.test), config.salt)
    return splits


def _divide(
    events: Sequence[str], splits: Sequence[Split], shares: Sequence[int], salt: str
) -> dict[str, Split]:
    ranked = sorted(events, key=lambda event: _rank(salt, event))
    bounds = _bounds(len(ranked), shares)
    return {
        event: split
        for split, start, stop in zip(splits, [0, *bounds], [*bounds, len(ranked)], strict=True)
        for event in ranked[start:stop]
    }


def _bounds(n: int, shares: Sequence[int]) -> list[int]:
    """Where each part but the first begins: monotone in ``n``, so a new event moves one event a bound."""
    total, parts = sum(shares), len(shares)
    bounds: list[int] = []
    for part in range(1, parts):
        bound = (2 * n * sum(shares[:part]) + total) // (2 * total)
        if n >= parts:
            before = bounds[-1] if bounds else 0
            bound = min(max(bound, before + 1), n - parts + part)
        bounds.append(bound)
    return bounds


def _rank(salt: str, event: str) -> bytes:
    # The separator keeps ("ab", "c") and ("a", "bc") apart; the event breaks ties for good measure.
    return hashlib.sha256(f"{salt}\0{event}".encode()).digest() + event.encode()
