"""The division of a dataset's events: which a model learns from, which tune it, and which judge it.

Recorded   data (recorded, quotes, trade_implied) are divided in time, whole blocks each: ``strata.py``.
Here       the settings of both, and the division of simulated events, which do not depend on each other.
Unit       the event: its markets move together, so a market is never split from its siblings.
Order      sorted by sha256(salt + event); the first 250 of every 300 are train, then 25, 25.
Quotas     each boundary is rounded on its own: the ratio is exact to one event, and from three events on no
           split is empty.
Growth     an event keeps its first split for ever (:func:`join_splits`): a new event joins the split that
           its provenance lacks most. A dataset that grew may therefore be divided otherwise than one that is
           built of the same events at once, where one event more moves one event across each boundary.
Time       with ``time_cut_ns`` train lies before the cut and the rest after it; an event nearer to the cut
           than ``embargo_ns``, or across it, belongs to no split.
Earlier    a dataset with recorded events that was built before blocks were kept goes on growing by these
           rules, each provenance divided on its own.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import Field

from kalshi_platform.data.dataset.factors import FactorRule
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Provenance

Split = Literal["train", "validation", "test"]
#: A split, the events that are in none because their stratum is too short, or every event of the dataset.
Asked = Literal["train", "validation", "test", "judge_only", "all"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


class SplitConfig(Config):
    """Shares of the splits, the salt that draws them, and an optional cut in time."""

    salt: str = Field(default="kalshi-platform-1", description="another salt draws another division")
    train: int = Field(default=250, gt=0, description="share of train, relative to the other two")
    validation: int = Field(default=25, gt=0)
    test: int = Field(default=25, gt=0)
    time_cut_ns: int | None = Field(default=None, ge=0, description="train ends here, the other splits begin")
    embargo_ns: int = Field(
        default=0,
        ge=0,
        description="time without events between parts; recorded data keep the longest life of an event free "
        "where that is more",
    )
    block_ns: int = Field(
        default=0,
        ge=0,
        description="blocks are at least as long; 0: as the longest life of an event asks",
        exclude_if=lambda block_ns: not block_ns,
    )
    factors: tuple[FactorRule, ...] = Field(
        default=(), description="factors that a mapping file gave", exclude_if=lambda rules: not rules
    )

    @property
    def shares(self) -> tuple[int, int, int]:
        """Shares of train, validation and test."""
        return self.train, self.validation, self.test


class EventFacts(NamedTuple):
    """Facts that decide, beside its name, which split an event goes to."""

    first_ns: int  # first receive time
    last_ns: int  # last receive time, or the settlement where that is known and later
    provenance: Provenance  # the richest of its markets
    factor: str = ""  # "" for simulated events: each is independent
    is_assumed: bool = False  # nothing but the series' own name gave the factor
    is_playable: bool = True  # an episode can step over one of its markets: only such events make a block


def assign_splits(events: Mapping[str, EventFacts], config: SplitConfig) -> dict[str, Split | None]:
    """Split of every event (name -> split); None where the embargo leaves the event out."""
    if config.time_cut_ns is None:
        return dict(_divide_strata(events, SPLITS, config.shares, config.salt))
    splits: dict[str, Split | None] = {
        event: "train" if in_time("train", facts, config) else None for event, facts in events.items()
    }
    held_out = {event: facts for event, facts in events.items() if in_time("test", facts, config)}
    splits |= _divide_strata(held_out, SPLITS[1:], (config.validation, config.test), config.salt)
    return splits


def join_splits(
    new: Mapping[str, EventFacts], there: Mapping[str, tuple[Split, Provenance]], config: SplitConfig
) -> dict[str, Split | None]:
    """Split of every event of ``new``; None where the embargo leaves it out.

    ``there`` holds the split and the provenance of the events that were assigned before; none of them moves.
    The order of the new events is that of their ranks, so it does not matter in which file they came.
    """
    shares = (config.train, config.validation, config.test)
    if config.time_cut_ns is None:
        return dict(_join_strata(new, there, SPLITS, shares, config.salt))
    splits: dict[str, Split | None] = {}
    after: dict[str, EventFacts] = {}
    for event, facts in new.items():
        splits[event] = "train" if in_time("train", facts, config) else None
        if in_time("test", facts, config):
            after[event] = facts
    held_out = {event: at for event, at in there.items() if at[0] != "train"}
    splits |= _join_strata(after, held_out, SPLITS[1:], shares[1:], config.salt)
    return splits


def in_time(split: Split, facts: EventFacts, config: SplitConfig) -> bool:
    """True where an event of ``split`` lies on its side of the time cut, clear of the embargo."""
    if config.time_cut_ns is None:
        return True
    if split == "train":
        return facts.last_ns < config.time_cut_ns - config.embargo_ns
    return facts.first_ns >= config.time_cut_ns + config.embargo_ns


def _join_strata(
    new: Mapping[str, EventFacts],
    there: Mapping[str, tuple[Split, Provenance]],
    splits: Sequence[Split],
    shares: Sequence[int],
    salt: str,
) -> dict[str, Split]:
    """Fill each stratum's quotas; provenances with fewer events than splits share theirs, as at first."""
    joining: dict[Provenance, list[str]] = defaultdict(list)
    for event, facts in new.items():
        joining[facts.provenance].append(event)
    counts: dict[Provenance, Counter[Split]] = defaultdict(Counter)
    for split, provenance in there.values():
        counts[provenance][split] += 1
    few = [p for p in {*joining, *counts} if len(joining[p]) + counts[p].total() < len(splits)]
    joined = _fill(
        [event for p in few for event in joining[p]],
        sum((counts[p] for p in few), Counter[Split]()), splits, shares, salt,
    )  # fmt: skip
    for provenance in joining.keys() - set(few):
        joined |= _fill(joining[provenance], counts[provenance], splits, shares, salt)
    return joined


def _fill(
    events: Sequence[str], counts: Counter[Split], splits: Sequence[Split], shares: Sequence[int], salt: str
) -> dict[str, Split]:
    """Give each event, by rank, to the split that is furthest below its quota; ties to the earlier split."""
    total = len(events) + counts.total()
    bounds = quota_bounds(total, shares)
    quota = {
        split: stop - start for split, start, stop in zip(splits, [0, *bounds], [*bounds, total], strict=True)
    }
    joined: dict[str, Split] = {}
    for event in sorted(events, key=lambda event: _rank(salt, event)):
        split = max(splits, key=lambda split: quota[split] - counts[split])
        joined[event] = split
        counts = counts + Counter([split])
    return joined


def _divide_strata(
    events: Mapping[str, EventFacts], splits: Sequence[Split], shares: Sequence[int], salt: str
) -> dict[str, Split]:
    strata: dict[Provenance, list[str]] = defaultdict(list)
    for event, facts in events.items():
        strata[facts.provenance].append(event)
    together = [event for few in strata.values() if len(few) < len(splits) for event in few]
    divided = _divide(together, splits, shares, salt)
    for alike in strata.values():
        if len(alike) >= len(splits):
            divided |= _divide(alike, splits, shares, salt)
    return divided


def _divide(
    events: Sequence[str], splits: Sequence[Split], shares: Sequence[int], salt: str
) -> dict[str, Split]:
    ranked = sorted(events, key=lambda event: _rank(salt, event))
    bounds = quota_bounds(len(ranked), shares)
    return {
        event: split
        for split, start, stop in zip(splits, [0, *bounds], [*bounds, len(ranked)], strict=True)
        for event in ranked[start:stop]
    }


def quota_bounds(n: int, shares: Sequence[int]) -> list[int]:
    """Index, among ``n``, where each part but the first begins.

    The index is monotone in ``n``, so a new event moves one event a bound.
    """
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
