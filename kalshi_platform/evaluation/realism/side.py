"""One side of a comparison: every measure of a dataset's markets, pooled, by the units of the bootstrap.

Owns       which events are read, the reading through :class:`Dataset`, what was left out and why.
Invariant  the test split stays shut: a world that is fitted to it could not be judged on it any more.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kalshi_platform.data.dataset.blocks import PARTS
from kalshi_platform.data.dataset.columns import PROVENANCES
from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.manifest import MarketEntry
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.schema import FLAG_FILL, MarketRows
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market_history import MarketHistory
from kalshi_platform.evaluation.realism.distances import Pooled, joined, tallied
from kalshi_platform.evaluation.realism.measures import DISTRIBUTIONS, FAMILIES
from kalshi_platform.evaluation.realism.units import MarketUnits, Units, units_of
from kalshi_platform.evaluation.realism.view import MarketView, quoted_rows, rows_left_out
from kalshi_platform.simulation.replay.terms import terms_of_rows

_NAMED = 3


class SideCounts(NamedTuple):
    """Counts of what a side read and what it left out."""

    events: int
    markets: int
    rows: int
    quoted: int
    left_out: Mapping[str, int]  # rows, by reason
    test_events: int  # events of the test split, which were not read
    is_fill_markets: int  # recorded markets whose fills the recording itself marked


@dataclass(frozen=True)
class Side:
    """Pooled values of every distribution, and sums of every unit, by name."""

    units: Units
    pooled: Mapping[str, Pooled]
    sums: Mapping[str, np.ndarray]  # (units,) f8
    reasons: Mapping[str, Counter[str]]  # of a distribution or a sum: markets without it, by reason
    counts: SideCounts
    provenance: Mapping[str, int]
    events: tuple[str, ...]


def select_entries(dataset: Dataset, prefixes: Sequence[str] = ()) -> tuple[MarketEntries, int]:
    """(markets, test events): those of events whose names begin with one of ``prefixes``, or all without any.

    Events of the test split are counted, and their markets left out. ContractError where a prefix fits none,
    or is empty.
    """
    whole = dataset.entries()
    names = whole.event_names
    if not all(prefixes):
        raise ContractError(
            "the beginning of an event's name is empty: give some letters, or leave it out for all"
        )
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            raise ContractError(
                f"{dataset.uri} has no event that begins with {prefix!r}; it has "
                f"{', '.join(names[:_NAMED])}{more}"
            )
    wanted = np.array([not prefixes or name.startswith(tuple(prefixes)) for name in names])
    chosen = wanted[np.searchsorted(whole.event_codes, whole.numbers("event"))]
    is_test = whole.parts == PARTS.index("test")
    shut = np.unique(whole.numbers("event")[chosen & is_test]).size
    entries = whole.take(np.flatnonzero(chosen & ~is_test)).in_order()
    if not entries:
        raise DataError(
            f"{dataset.uri} has no event to measure: {shut} are in its test split, which stays shut"
        )
    return entries, shut


def measure_side(
    dataset: Dataset,
    prefixes: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Side:
    """Every measure of the chosen markets; ``progress(done, total)`` receives the number of events."""
    entries, shut = select_entries(dataset, prefixes)
    units = units_of(entries)
    gathering = Gathering(units.n)
    histories = dataset.histories()
    for number, (entry, rows) in enumerate(_markets(dataset, entries, progress)):
        view = _view(entry, histories[entry.ticker], rows, dataset.rows_of(entry.ticker))
        gathering.add(view, units.of_market[number])
    codes = np.bincount(entries.numbers("provenance"), minlength=len(PROVENANCES)).tolist()
    provenance: dict[str, int] = {name: n for name, n in zip(PROVENANCES, codes, strict=True) if n}
    return gathering.side(units, entries.event_names, shut, provenance)


def _markets(
    dataset: Dataset, entries: MarketEntries, progress: Callable[[int, int], None]
) -> Iterator[tuple[MarketEntry, Rows]]:
    """Every market with its feature rows, event after event."""
    names = entries.event_names
    listed = iter(entries)
    for done, event in enumerate(names, start=1):
        for ticker, rows in read_rows(dataset, event):
            entry = next(listed)
            if entry.ticker != ticker:
                raise DataError(
                    f"{dataset.uri}: shards hold markets in another order than the manifest: build it again"
                )
            yield entry, rows
        progress(done, len(names))


def _view(entry: MarketEntry, history: MarketHistory, rows: Rows, messages: MarketRows) -> MarketView:
    quoted = quoted_rows(rows)
    terms, place = terms_of_rows(entry.ticker, history, rows.known, rows.recv_ns)
    rate_e6 = terms["taker_rate_e6"][place[quoted.at]]
    return MarketView(entry.provenance, rows, messages, quoted, rate_e6, history.close_ns)


class Gathering:
    """Values and sums of the markets so far."""

    def __init__(self, n_units: int) -> None:
        self.parts: dict[str, list[Pooled]] = {d.name: [] for d in DISTRIBUTIONS}
        self.sums = {name: np.zeros(n_units) for family in FAMILIES for name in family.names}
        self.reasons: dict[str, Counter[str]] = {name: Counter() for name in (*self.parts, *self.sums)}
        self._left_out: Counter[str] = Counter()
        self._markets = self._rows = self._quoted = self._is_fill = 0

    def add(self, view: MarketView, units: MarketUnits) -> None:
        """Take in one market."""
        self._markets += 1
        self._rows += view.rows.valid.size
        self._quoted += view.quoted.at.size
        self._left_out.update(rows_left_out(view.rows, view.quoted))
        marked = view.provenance == "recorded" and bool((view.messages.flags & FLAG_FILL).any())
        self._is_fill += marked
        for distribution in DISTRIBUTIONS:
            seen = distribution.observe(view)
            if isinstance(seen, str):
                self.reasons[distribution.name][seen] += 1
                continue
            part = tallied(seen.values, units.of(seen.at_ns))
            self.parts[distribution.name].append(part._replace(unit=part.unit + units.first))
        for family in FAMILIES:
            found = family.observe(view)
            if isinstance(found, str):
                for name in family.names:
                    self.reasons[name][found] += 1
                continue
            for sums in found:
                unit = units.of(sums.at_ns)
                for name, terms in sums.terms.items():
                    own = slice(units.first, units.first + units.n)
                    self.sums[name][own] += np.bincount(unit, terms, minlength=units.n)

    def side(
        self, units: Units, events: tuple[str, ...], test_events: int, provenance: Mapping[str, int]
    ) -> Side:
        """Side of all markets that were added."""
        left_out = {reason: n for reason, n in self._left_out.items() if n}
        counts = SideCounts(
            len(events), self._markets, self._rows, self._quoted, left_out, test_events, self._is_fill
        )
        pooled = {name: joined(parts) for name, parts in self.parts.items()}
        return Side(units, pooled, self.sums, self.reasons, counts, provenance, events)
