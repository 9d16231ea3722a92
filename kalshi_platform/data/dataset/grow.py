"""Growth of a dataset: new files join the one that is there, and nobody's split changes.

Splits     an event keeps its split and its block (``strata.py``); a market that comes later joins its event.
Rebuilt    events with rows in the new files, or of whose markets new metadata tell new facts. Their earlier
           rows are read from the dataset and joined with the new ones as if both were files. Shards of all
           other events stay as they are; their markets whose features could show outcomes that became
           known only now are counted (``older_outcomes``).
Refused    an outcome or an event that contradicts what the dataset holds; another feature table.
Order      as in ``build.py``: a reader sees the state before or the state after. The shards of the state
           before stay until the next growth, for those who have it open. Killed, it is repeated; repeated
           when it is done, it finds nothing new.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kalshi_platform.data.dataset.assemble import (
    BuildProgress,
    KeyedJobs,
    delete_stale,
    encode_tables,
    event_facts,
    joined_files,
    market_entry,
    require_room_for,
    run_again,
    run_unfinished,
    some,
    write_manifest,
    writing_alone,
)
from kalshi_platform.data.dataset.blocks import Part, Stratum, stratum_of
from kalshi_platform.data.dataset.certified import CertifiedRun, joined_runs
from kalshi_platform.data.dataset.factors import Factors
from kalshi_platform.data.dataset.job import EncodedShard, write_shard
from kalshi_platform.data.dataset.journal import BuiltJob, BuiltMarket, Journal
from kalshi_platform.data.dataset.manifest import Manifest, MarketEntry
from kalshi_platform.data.dataset.split import EventFacts, in_time
from kalshi_platform.data.dataset.states import claim_state, forget_states, keep_state
from kalshi_platform.data.dataset.store import Dataset, StoredMarket
from kalshi_platform.data.dataset.strata import Held, join, part_in, stretched
from kalshi_platform.data.dataset.teaching import taught_history
from kalshi_platform.data.features.resolution import ResolutionHistory, Resolutions
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data.history import fee_series, opening_terms, told_fees
from kalshi_platform.data.market_data.importers import ImportJob, ImportPlan, KnownMarkets, discover
from kalshi_platform.data.market_data.importers.types import MAX_NOTES, RICHEST_FIRST, HeldEvent, HeldMarket
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, told_once
from kalshi_platform.domain.market import Provenance, Settlement
from kalshi_platform.storage.storage import open_storage

#: Counters of markets and rows are those of the markets that the manifest lists, whatever was counted on the
#: way.
_OF_LISTED = _ROWS, _FEES, _NO_DETECTION = "rows:", "fees:", "markets_without_gap_detection"
_PAST_CUT = "markets_not_grown_across_time_cut"


@dataclass(frozen=True)
class Growth:
    """State of a dataset after files were added, and the news in it."""

    manifest: Manifest
    joined: dict[str, Part | None] = field(default_factory=dict)  # new event -> part; None: embargo
    grown: tuple[str, ...] = ()  # events that were there and have rows or facts more
    outcomes: tuple[str, ...] = ()  # markets whose outcome became known
    already: tuple[str, ...] = ()  # files whose rows were there before
    is_new: bool = False  # the dataset has a new state


@dataclass(frozen=True)
class _Additions:
    """The new files, and what was known before them."""

    plan: ImportPlan
    known: KnownMarkets

    def tells_more_of(self, ticker: str) -> bool:
        """True where the files tell facts or fees of a market of the dataset that it does not have."""
        before, now = self.known.records[ticker], self.plan.catalogue[ticker]
        fees = told_fees(before, self.known.fees), told_fees(now, self.plan.fees)
        return before.spec != now.spec or fees[0] != fees[1]


def add_to_dataset(
    inputs: Sequence[Path],
    uri: str | Path,
    rows_a_job: int = 100_000,
    workers: int | None = None,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    skipped: Callable[[Mapping[str, str]], None] = lambda _: None,
    use_yes_price: bool | None = None,
    certified: Sequence[CertifiedRun] = (),
) -> Growth:
    """Add the recordings and metadata of ``inputs`` to the dataset at ``uri``; returns its new state.

    ``skipped`` is called once with the files of the folders that were left out, and why. ``use_yes_price``
    says how the book channel of captures was subscribed; None: as they say, or else show. ``certified`` is
    the coverage of the recordings among the inputs.

    DataError where an input is refused, contradicts the dataset, or the dataset has another feature table;
    ContractError where another process grew it meanwhile. Then the dataset is what it was.
    """
    storage = open_storage(uri)
    Dataset.open(uri)  # nothing is created where there is no dataset
    with writing_alone(storage) as require_alone:
        dataset = Dataset.open(uri)
        made = dataset.manifest.feature_digest
        if made != FEATURE_DIGEST:
            raise DataError(
                f"{storage.uri} was made with feature table {made}, this program has {FEATURE_DIGEST}: add "
                "with the version that made it, or build all recordings again (dataset build --input, --out)"
            )
        found = _plan(inputs, dataset, use_yes_price, skipped)
        return _grow(dataset, found, rows_a_job, workers, progress, require_alone, certified)


def _plan(
    inputs: Sequence[Path],
    dataset: Dataset,
    use_yes_price: bool | None,
    skipped: Callable[[Mapping[str, str]], None],
) -> _Additions:
    """The new files, and what the dataset knows of its markets."""
    records = dataset.records()
    told = {record.spec.ticker for record in _told_outcomes(dataset, records)}
    known = KnownMarkets(
        dataset.uri, records, frozenset(told), frozenset(dataset.manifest.imported), _series_fees(dataset)
    )
    plan = discover(inputs, use_yes_price, known)
    skipped(plan.skipped)
    return _Additions(plan, known)


def _series_fees(dataset: Dataset) -> FeeTable:
    """Statements of fees about the series of the dataset's markets, the market that knows most last."""
    told: dict[str, list[FeeTelling]] = {}
    for market in sorted(dataset.markets(), key=lambda m: len(m.history.fees_told.series)):
        if market.history.fees_told.series:
            told.setdefault(fee_series(market.spec), []).extend(market.history.fees_told.series)
    return FeeTable({series: told_once(tellings) for series, tellings in told.items()})


def _grow(
    dataset: Dataset,
    found: _Additions,
    rows_a_job: int,
    workers: int | None,
    progress: Callable[[BuildProgress], None],
    require_alone: Callable[[], None],
    certified: Sequence[CertifiedRun],
) -> Growth:
    storage, old = dataset.storage, dataset.manifest
    plan, records = found.plan, found.known.records
    factors = Factors(old.split.factors, [r.spec for r in (*records.values(), *plan.catalogue.values())])
    history = taught_history(plan.settled, old.assignments(), old.strata, factors, old.markets)
    keyed = KeyedJobs.of(_jobs(found, dataset, rows_a_job), history)
    journal = Journal(storage)
    finished = journal.finished(set(keyed.jobs))
    require_room_for(storage, keyed.jobs, finished)
    built = run_unfinished(keyed.jobs, finished, storage, workers, history, progress)
    news = _News.of(built, old, factors)
    parts = old.assignments() | news.joined
    markets = [m for m in old.markets if m.event not in news.grown] + [*news.markets]
    history = taught_history(plan.settled, parts, news.strata, factors, markets)
    keyed, built = run_again(keyed, built, history, storage, workers, progress)
    news = _News.of(built, old, factors)
    told = _told_outcomes(dataset, records)
    known = _Known(taught_history(told, old.assignments(), old.strata, factors, old.markets), history)
    tables, new = _assemble(news, dataset, plan, known, keyed.content)
    new = new.replace(recordings=joined_runs(old.recordings, certified))
    # Counters and names of metadata files that tell nothing are no news: a repeated command changes nothing.
    if new.replace(parents=old.parents, counters=old.counters, sources=old.sources) == old:
        return Growth(old, already=plan.already)
    for table in tables:
        write_shard(storage, table)
    keep_state(storage, old)
    require_alone()
    claim_state(storage, old, new)
    write_manifest(storage, new)
    swept = {shard.path for shard in journal.sweep(keep=set(keyed.jobs))}
    own = {shard.path for job in built for shard in job.shards}
    stale = forget_states(storage, keep=old.digest) | swept
    delete_stale(storage, stale, new.paths() | old.paths() | own)
    unknown = {m.ticker for m in old.markets if not m.settled}
    outcomes = tuple(m.ticker for m in new.markets if m.settled and m.ticker in unknown)
    return Growth(new, news.joined, tuple(sorted(news.grown)), outcomes, plan.already, is_new=True)


def _told_outcomes(dataset: Dataset, records: Mapping[str, MarketRecord]) -> list[MarketRecord]:
    """Outcomes that the features may show; where an earlier version kept none, those of the markets file."""
    if dataset.manifest.imported:
        return dataset.outcomes()
    return [record for record in records.values() if record.settlement is not None]


def _jobs(found: _Additions, dataset: Dataset, rows_a_job: int) -> list[ImportJob]:
    """Jobs of the new files with the earlier rows of their events, and of events that have new facts."""
    plan = found.plan
    held = _held_events(dataset)
    jobs = [
        _with_held(job, [held[e] for e in job.events if e in held], plan) for job in plan.jobs(rows_a_job)
    ]
    busy = {event for job in jobs for event in job.events}
    for event in sorted(held.keys() - busy):
        tickers = [market.ticker for market in held[event].markets]
        if any(found.tells_more_of(ticker) for ticker in tickers):
            n_rows = sum(dataset.entry(t).n_events for t in tickers)
            job = ImportJob((event,), (), {}, {}, n_rows, fees=plan.fees_of((event,)))
            jobs.append(_with_held(job, [held[event]], plan))
    return jobs


def _held_events(dataset: Dataset) -> dict[str, HeldEvent]:
    markets: dict[str, list[HeldMarket]] = {event: [] for event in dataset.manifest.events()}
    stored = {market.spec.ticker: market for market in dataset.markets()}
    for entry in dataset.manifest.markets:
        spec, history = stored[entry.ticker].spec, stored[entry.ticker].history
        held_market = HeldMarket(entry.ticker, entry.batch, entry.provenance, spec, history)
        markets[entry.event].append(held_market)
    held = {}
    for event, of_event in markets.items():
        shard = dataset.shard(event, "events")
        held[event] = HeldEvent(event, shard.path, shard.sha256, tuple(of_event))
    return held


def _with_held(job: ImportJob, held: Sequence[HeldEvent], plan: ImportPlan) -> ImportJob:
    event_of = job.event_of | {market.ticker: event.event for event in held for market in event.markets}
    records = {ticker: plan.catalogue[ticker] for ticker in event_of if ticker in plan.catalogue}
    return replace(job, event_of=event_of, markets=records, held=tuple(held))


class _Known(NamedTuple):
    """Outcomes that features may show: those that the dataset knew, and those that are known now."""

    before: ResolutionHistory
    now: ResolutionHistory


@dataclass(frozen=True)
class _News:
    """Events that the new files bring or change, after their jobs are done."""

    built: Sequence[BuiltJob]
    markets: tuple[BuiltMarket, ...]  # of the events that join or grow, not of those left out
    joined: dict[str, Part | None]
    blocks: dict[str, str]  # of the events that join
    strata: tuple[Stratum, ...]
    n_assumed: int  # events that join whose factor nothing but the series' name tells
    grown: frozenset[str]
    past_cut: tuple[BuiltMarket, ...]  # of events that new rows would carry across a cut of their stratum
    left_out: tuple[BuiltMarket, ...]  # by the embargo, now or before

    @classmethod
    def of(cls, built: Sequence[BuiltJob], old: Manifest, factors: Factors) -> "_News":
        """Divide what was built: an event of ``old`` keeps its part, the others join one."""
        assigned = old.assignments()
        markets = [market for job in built for market in job.markets]
        facts = event_facts(markets, factors)
        new = {e: f for e, f in facts.items() if e not in assigned}
        entries = {m.event: m for m in old.markets}
        across = {e for e in facts.keys() & entries.keys() if _is_across(entries[e], facts[e], old)}
        homes = {e: stratum_of(m.block) for e, m in entries.items() if m.block}
        grown = [(e, homes[e], facts[e]) for e in sorted(facts.keys() & homes.keys() - across)]
        there = _there(old)
        division = join(new, there._replace(strata=stretched(old.strata, grown)), old.split)
        parts = division.parts | {event: assigned[event] for event in facts if event in assigned}
        out = {event for event, part in parts.items() if part is None}
        return cls(
            built=built,
            markets=tuple(m for m in markets if m.spec.event not in across | out),
            joined=division.parts,
            blocks=division.blocks,
            strata=division.strata,
            n_assumed=sum(f.is_assumed for f in new.values()),
            grown=frozenset(facts.keys() & assigned.keys() - across - out),
            past_cut=tuple(m for m in markets if m.spec.event in across),
            left_out=tuple(m for m in markets if m.spec.event in out),
        )


def _there(old: Manifest) -> Held:
    """Part and richest provenance of every event of the dataset, and its strata."""
    there: dict[str, tuple[Part, Provenance]] = {}
    for market in old.markets:
        part, before = there.get(market.event, (market.split, market.provenance))
        there[market.event] = (part, min(before, market.provenance, key=RICHEST_FIRST.index))
    recorded = [m for m in old.markets if m.provenance != "simulated"]
    return Held(there, old.strata, bool(recorded) and not any(m.block for m in recorded))


def _is_across(market: MarketEntry, facts: EventFacts, old: Manifest) -> bool:
    """True where the event of ``market``, with its new rows, no longer lies in its part."""
    if market.split == "judge_only":
        return False
    if market.block is None:
        return not in_time(market.split, facts, old.split)
    home = stratum_of(market.block)
    factor = next(s.factor for s in old.strata if s.name == home)
    return part_in(facts._replace(factor=factor), old.strata) != market.split


def _assemble(
    news: _News,
    dataset: Dataset,
    plan: ImportPlan,
    known: _Known,
    content: Mapping[str, str],
) -> tuple[list[EncodedShard], Manifest]:
    """The files of the whole dataset, and the manifest of its new state."""
    old = dataset.manifest
    parts = {e: p for e, p in (old.assignments() | news.joined).items() if p is not None}
    blocks = {m.event: m.block for m in old.markets} | news.blocks
    fresh = {market.spec.event for market in news.markets}
    stored = {market.spec.ticker: market for market in dataset.markets()}
    listed: list[tuple[MarketEntry, StoredMarket]] = []
    for entry in (e for e in old.markets if e.event not in fresh):
        market = _with_outcome(stored[entry.ticker], plan.catalogue[entry.ticker].settlement)
        was, now = known.before.of(market.spec), known.now.of(market.spec)
        older = entry.older_outcomes or _differ(was, now, entry.last_ns)
        changed = entry.replace(settled=market.settlement is not None, older_outcomes=older)
        listed.append((changed, market))
    for built in news.markets:
        entry = market_entry(built, parts[built.spec.event], blocks.get(built.spec.event))
        listed.append((entry, StoredMarket(built.spec, built.settlement, built.history)))
    listed.sort(key=lambda at: (at[0].event, at[0].batch))
    tables = encode_tables([market for _, market in listed], plan.settled)
    shards = [s for s in old.shards if s.event is not None and s.event not in fresh]
    shards += [s for job in news.built for s in job.shards if s.event in fresh]
    entries = tuple(entry for entry, _ in listed)
    left_out = {event for event, part in news.joined.items() if part is None}
    new = old.replace(
        shards=(*(t.shard for t in tables), *sorted(shards, key=lambda s: s.path)),
        markets=entries,
        sources=tuple(sorted([*old.sources, *_new_sources(plan, old)])),
        notes=tuple(sorted({*old.notes, *(note for job in news.built for note in job.notes)})[:MAX_NOTES]),
        joined=joined_files(entries),
        counters=_counters(news, plan, old, listed),
        imported=tuple(sorted({*old.imported, *content.values()})),
        left_out=tuple(sorted({*old.left_out, *left_out})),
        strata=news.strata,
        parents=(*old.parents, old.digest),
        worlds={*old.worlds, *plan.worlds},
    )
    return tables, new


def _with_outcome(market: StoredMarket, settlement: Settlement | None) -> StoredMarket:
    """``market`` with its outcome as it is known now; when it was determined, trading had ended."""
    history = market.history
    if settlement is not None and settlement.determined_ns is not None:
        ends = [t for t in (history.close_ns, settlement.determined_ns) if t is not None]
        history = history.replace(close_ns=min(ends))
    return market._replace(settlement=settlement, history=history)


def _differ(was: Resolutions, now: Resolutions, until_ns: int) -> bool:
    """True where the two step functions show something else up to ``until_ns``."""
    n, m = (int(np.searchsorted(r.known_ns, until_ns, side="right")) for r in (was, now))
    return not (
        np.array_equal(was.known_ns[:n], now.known_ns[:m])
        and np.array_equal(was.values[: n + 1], now.values[: m + 1])
    )


def _new_sources(plan: ImportPlan, old: Manifest) -> list[str]:
    """Names of files with rows that are new, and of metadata files that were not named before."""
    with_rows = {file.path.name for file in plan.files}
    return [name for name in plan.sources if name in with_rows or name not in old.sources]


def _counters(
    news: _News, plan: ImportPlan, old: Manifest, listed: Sequence[tuple[MarketEntry, StoredMarket]]
) -> dict[str, int]:
    counters = sum((Counter(job.counters) for job in news.built), Counter(old.counters) + plan.counters)
    counters["markets_left_out_by_embargo"] += len(news.left_out)
    counters[_PAST_CUT] += len(news.past_cut)
    counters["events_of_assumed_factor"] += news.n_assumed
    counters = Counter({name: n for name, n in counters.items() if not name.startswith(_OF_LISTED)})
    for entry, market in listed:
        counters[_ROWS + entry.provenance] += entry.n_events
        counters[_FEES + opening_terms(market.history.fees, market.spec, entry.first_ns).source] += 1
        counters[_NO_DETECTION] += entry.gap_detection == "none"
    return some(counters)
