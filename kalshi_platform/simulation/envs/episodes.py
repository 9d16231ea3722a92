"""Episodes drawn from the unbroken segments of a bank.

Training draws at random for ever; evaluation plays a fixed list once. Both hand out tables that the kernel
reads, so that no Python runs during a step.

concurrent  markets alive at the same time, those of the anchor's event first: real cross-market structure
shifted     markets of different events with their clocks aligned: more variety. Never two of one event,
            because their clocks would differ and the later one would show the earlier one its future.
"""

from bisect import bisect_right
from typing import Any, Protocol

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig, Stage, pool_segments, stage_at
from kalshi_platform.simulation.envs.state import Episodes
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.pages import reading

_WHOLE_LIFE = 2**31 - 1


class EpisodeSource(Protocol):
    """A source of episodes; an empty table means that the source has no more."""

    def draw(self, n: int, n_slots: int) -> Episodes:
        """At most ``n`` further episodes of ``n_slots`` slots."""
        ...

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the next draws, as plain values."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`get_state` was taken."""
        ...


def empty_table(n: int, n_slots: int) -> Episodes:
    """``n`` episodes with every slot empty."""
    return Episodes(
        number=np.arange(n, dtype=np.int64),
        max_steps=np.full(n, _WHOLE_LIFE, np.int32),
        begin_ns=np.zeros(n, np.int64),
        segment=np.full((n, n_slots), -1, np.int32),
        start=np.zeros((n, n_slots), np.int64),
        shift_ns=np.zeros((n, n_slots), np.int64),
    )


def require_inside_segments(bank: Bank, table: Episodes) -> None:
    """Refuse a table with an empty episode, or one that begins outside its segment or on its last row."""
    segments = bank.arrays.segments
    used = table.segment >= 0
    if not used.any(axis=1).all():
        number = int(table.number[np.flatnonzero(~used.any(axis=1))[0]])
        raise ContractError(f"episode {number} holds no market: give it at least one segment")
    if int(table.segment.max()) >= segments.size:
        raise ContractError(f"segment {int(table.segment.max())} does not exist; there are {segments.size}")
    segment, start = table.segment[used], table.start[used]
    bad = (start < segments["start"][segment]) | (start + 1 >= segments["stop"][segment])
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        first, stop = int(segments["start"][segment[k]]), int(segments["stop"][segment[k]])
        raise ContractError(
            f"an episode starts at row {int(start[k])}, but unbroken segment {int(segment[k])} holds rows "
            f"{first} to {stop - 1} and the last cannot be stepped from: nothing steps over a gap"
        )


class RandomEpisodes:
    """Endless training episodes; the same bank, settings and seed give the same episodes.

    Each episode draws an event first, then one of its markets, then one of the market's segments by its
    length. So an event with many markets counts no more than one with few, nor does a market with many gaps.
    """

    def __init__(
        self, bank: Bank, config: EpisodeConfig, curriculum: CurriculumConfig, seed: int, worker: int = 0
    ) -> None:
        self._bank = bank
        self._config = config
        self._curriculum = curriculum
        self._rng = np.random.default_rng([seed, worker])
        self._event = bank.segment_events
        segments = bank.arrays.segments
        self._start, self._stop = segments["start"], segments["stop"]
        n_rows = self._stop - self._start
        self._share = n_rows / np.bincount(segments["market"], n_rows)[segments["market"]]
        self._first_ns, self._last_ns = segments["first_ns"], segments["last_ns"]
        self._handed_out = 0
        self.episodes_done = 0
        self._enter(stage_at(curriculum, 0))

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self._pool = pool_segments(self._bank, stage)
        self._pool_events = np.unique(self._event[self._pool])

    def advance(self, episodes_done: int) -> Stage:
        """Enter the curriculum's stage for ``episodes_done``, the episodes that all workers have finished."""
        self.episodes_done = episodes_done
        stage = stage_at(self._curriculum, episodes_done)
        if stage != self.stage:
            self._enter(stage)
        return self.stage

    def draw(self, n: int, n_slots: int) -> Episodes:
        """``n`` random episodes."""
        table = empty_table(n, n_slots)
        table.number[:] += self._handed_out
        self._handed_out += n
        low, high = self._config.min_steps, self._config.max_steps
        table.max_steps[:] = self._rng.integers(low, high, n, endpoint=True)
        for e in range(n):
            self._fill(table, e, n_slots)
        return table

    def _fill(self, table: Episodes, e: int, n_slots: int) -> None:
        most = min(self.stage.max_markets, n_slots)
        wanted = int(self._rng.integers(min(self.stage.min_markets, most), most, endpoint=True))
        anchor = self._random_segment()
        start = self._random_start(anchor)
        begin_ns = self._time_ns(anchor, start)
        table.begin_ns[e] = begin_ns
        if self._config.mode == "concurrent":
            others = self._alive_at(begin_ns, anchor)[: wanted - 1]
        else:
            others = self._other_events(anchor, wanted - 1)
        chosen = [(anchor, start, 0)]
        for segment in others:
            chosen.append(self._join(int(segment), begin_ns))
        for s, (segment, row, shift_ns) in enumerate(chosen):
            table.segment[e, s] = segment
            table.start[e, s] = row
            table.shift_ns[e, s] = shift_ns

    def _random_segment(self) -> int:
        return self._segment_of(int(self._rng.choice(self._pool_events)))

    def _segment_of(self, event: int) -> int:
        candidates = self._pool[self._event[self._pool] == event]
        weight = self._share[candidates]  # sums to one over the segments of a market
        return int(self._rng.choice(candidates, p=weight / weight.sum()))

    def _random_start(self, segment: int) -> int:
        start, stop = int(self._start[segment]), int(self._stop[segment])
        return int(self._rng.integers(start, max(start + 1, stop - self._config.min_steps)))

    def _alive_at(self, at_ns: int, anchor: int) -> np.ndarray:
        pool = self._pool[(self._first_ns[self._pool] <= at_ns) & (self._last_ns[self._pool] > at_ns)]
        pool = self._rng.permutation(pool[pool != anchor])
        stranger = self._event[pool] != self._event[anchor]
        return pool[np.argsort(stranger, kind="stable")]

    def _other_events(self, anchor: int, most: int) -> np.ndarray:
        events = self._rng.permutation(self._pool_events[self._pool_events != self._event[anchor]])
        return np.array([self._segment_of(int(event)) for event in events[:most]], np.int64)

    def _join(self, segment: int, begin_ns: int) -> tuple[int, int, int]:
        if self._config.mode == "shifted":
            row = self._random_start(segment)
            return segment, row, self._time_ns(segment, row) - begin_ns
        return segment, int(self._start[segment]) + self._rows_until(segment, begin_ns) - 1, 0

    def _time_ns(self, segment: int, row: int) -> int:
        with reading(self._bank.arrays, row) as arrays:
            return int(arrays.rows[row]["recv_ns"])

    def _rows_until(self, segment: int, at_ns: int) -> int:
        """Number of the segment's rows up to ``at_ns``; NumPy's search would copy all times first."""
        start, stop = int(self._start[segment]), int(self._stop[segment])
        with reading(self._bank.arrays, start) as arrays:
            return bisect_right(arrays.rows["recv_ns"][start:stop], at_ns)

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the next draws, as plain values."""
        return {
            "rng": self._rng.bit_generator.state,
            "handed_out": self._handed_out,
            "episodes_done": self.episodes_done,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly at the place where :meth:`get_state` was called."""
        self._rng.bit_generator.state = state["rng"]
        self._handed_out = int(state["handed_out"])
        self.advance(int(state["episodes_done"]))


class FixedEpisodes:
    """A list of episodes that is played once."""

    def __init__(self, table: Episodes) -> None:
        self._table = table
        self._next = 0

    @property
    def n_episodes(self) -> int:
        """Number of episodes in the list."""
        return int(self._table.number.size)

    def draw(self, n: int, n_slots: int) -> Episodes:
        """The next ``n`` episodes of the list."""
        part = slice(self._next, self._next + n)
        self._next += n
        return Episodes(*(column[part] for column in self._table))

    def get_state(self) -> dict[str, Any]:
        """Number of the next episode, as plain values."""
        return {"next": self._next}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly at the place where :meth:`get_state` was called, with the same list."""
        self._next = int(state["next"])


def market_episodes(
    bank: Bank, n_slots: int, max_steps: int | None = None, per_market: int = 1, seed: int = 0
) -> Episodes:
    """Episodes of an evaluation that plays one market at a time, in slot 0.

    ``max_steps`` None plays every segment of every market from its first row to its end, once. Otherwise each
    market plays ``per_market`` windows of ``max_steps`` rows at places drawn from ``seed``.
    """
    segments = bank.arrays.segments
    if max_steps is None:
        table = empty_table(segments.size, n_slots)
        table.segment[:, 0] = np.arange(segments.size)
        table.start[:, 0] = segments["start"]
    else:
        rng = np.random.default_rng([seed, len(bank.markets)])
        chosen = np.repeat(longest_segments(bank), per_market)
        start, stop = segments["start"][chosen], segments["stop"][chosen]
        table = empty_table(chosen.size, n_slots)
        table.segment[:, 0] = chosen
        table.start[:, 0] = rng.integers(start, np.maximum(stop - max_steps, start + 1))
        table.max_steps[:] = max_steps
    table.begin_ns[:] = _times_at(bank, table.segment[:, 0], table.start[:, 0])
    return table


def _times_at(bank: Bank, segment: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Times (E,) i8 of rows, each of its segment."""
    segments = bank.arrays.segments
    found = segments["first_ns"][segment]
    inside = np.flatnonzero(row != segments["start"][segment])  # the others need no row
    for e in inside.tolist():  # one at a time: on demand, all of them together might not fit
        with reading(bank.arrays, row[e]) as arrays:
            found[e] = arrays.rows[int(row[e])]["recv_ns"]
    return found


def longest_segments(bank: Bank) -> np.ndarray:
    """The longest unbroken segment of each market that has one, in market order."""
    segments = bank.arrays.segments
    by_length = np.argsort(segments["stop"] - segments["start"], kind="stable")
    last = {int(segments["market"][g]): int(g) for g in by_length}
    return np.array([last[m] for m in sorted(last)], np.int64)


def event_episodes(bank: Bank, n_slots: int) -> Episodes:
    """Episodes of an evaluation that plays the markets of one event together, over their longest segments.

    ``n_slots`` markets play at a time.
    """
    segments = bank.arrays.segments
    event = bank.segment_events
    groups: dict[int, list[int]] = {}
    for g in longest_segments(bank).tolist():
        groups.setdefault(int(event[g]), []).append(g)
    parts = [g[i : i + n_slots] for g in groups.values() for i in range(0, len(g), n_slots)]
    table = empty_table(len(parts), n_slots)
    for e, part in enumerate(parts):
        table.segment[e, : len(part)] = part
        table.start[e, : len(part)] = segments["start"][part]
        table.begin_ns[e] = segments["first_ns"][part].min()
    return table
