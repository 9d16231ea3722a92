"""Facts of a market as they became known: what frames told beats what the metadata says in hindsight.

Answers    that a recorder kept have a time: they tell facts from it on (:func:`news_of`).
Metadata   tell the times of a market once, without the time at which they were known. They are taken for
           known since the market opened. Where the outcome is known too, the metadata were fetched
           afterwards: the close of a market that can close early is then its real end, which nobody knew
           before, and any close is left out once a frame tells one.
Frames     tell facts from their own row on (FACTS rows).
Truth      matching uses the true end of trading (:func:`true_close_ns`), features and masks never do.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, ToldFees, fee_steps, told_once
from kalshi_platform.domain.fee_schedule import ASSUMED_FEES, FeeStep, FeeTerms, series_of, terms_at
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory, can_end_early, clock_ns_of

#: Fees in the specification of a record: none, before every statement was weighed.
_UNWEIGHED: Final[dict[str, Any]] = {
    name: MarketSpec.model_fields[name].default for name in ("fee_type", "fee_multiplier_e6")
}


def known_facts(spec: MarketSpec, facts: MarketFacts, known_ns: int | None) -> KnownFacts:
    """Facts known from ``known_ns`` on: ``facts`` of frames, and ``spec`` where frames told nothing."""
    told = spec_with_facts(spec, facts)
    return KnownFacts(
        known_ns=known_ns,
        open_ns=told.open_ns,
        close_ns=told.close_ns,
        clock_ns=clock_ns_of(told),
        price_ranges=told.price_ranges,
    )


def spec_with_facts(spec: MarketSpec, facts: MarketFacts) -> MarketSpec:
    """``spec`` with every time, flag and grid that ``facts`` tell; ``spec`` itself where they tell none."""
    names = ("open_ns", "close_ns", "expected_expiration_ns", "can_close_early", "price_ranges")
    news = {name: value for name in names if (value := getattr(facts, name)) is not None}
    if not news:
        return spec
    told = spec.replace(**news)
    return told if _in_order(told.open_ns, told.close_ns) else told.replace(open_ns=None, close_ns=None)


def _in_order(open_ns: int | None, close_ns: int | None) -> bool:
    """False for a close before the opening: one of the two is wrong, nobody knows which."""
    return open_ns is None or close_ns is None or open_ns <= close_ns


def spec_as_known(record: MarketRecord, frames_tell_close: bool) -> MarketSpec:
    """Specification without what its metadata know in hindsight only."""
    spec = record.spec
    hindsight = record.settlement is not None and not record.is_foresight
    if hindsight and spec.close_ns is not None and (frames_tell_close or can_end_early(spec)):
        return spec.replace(close_ns=None)
    return spec


def told_fees(record: MarketRecord, table: FeeTable) -> ToldFees:
    """Statements of fees that concern a market, from its metadata and those of its series and its event."""
    return ToldFees(
        event=told_once([*record.event_fees, *table.events.get(record.spec.event, ())]),
        own=told_once(record.own_fees),
        series=told_once(table.series.get(fee_series(record.spec), ())),
    )


def steps_of(spec: MarketSpec, told: ToldFees) -> tuple[FeeStep, ...]:
    """Fees of a market over time, from what was told of them."""
    return fee_steps(fee_series(spec), told.event, told.own, told.series, spec.open_ns)


def fee_series(spec: MarketSpec) -> str:
    """Series under which fees are told of a market."""
    return spec.series or series_of(spec.event)


def opening_terms(fees: tuple[FeeStep, ...], spec: MarketSpec, first_ns: int) -> FeeTerms:
    """Terms in force when the market opened; where nobody says when, at its first row ``first_ns``."""
    return terms_at(fees, first_ns if spec.open_ns is None else spec.open_ns)


def fees_told_before(spec: MarketSpec, history: MarketHistory) -> ToldFees:
    """Statements of fees behind ``history``; where an earlier version kept none, what its steps show of them.

    Nobody knows any more which source told such steps: those that are no default count as the market's own,
    the first one without a time.
    """
    if history.fees_told != ToldFees():
        return history.fees_told
    own: list[FeeTelling] = []
    usual = fee_steps(fee_series(spec))
    before: FeeTelling | None = None
    for step in history.fees:
        default = terms_at(usual, step.from_ns)
        terms = FeeTelling(fee_type=step.terms.fee_type, fee_multiplier_e6=step.terms.fee_multiplier_e6)
        is_default = (terms.fee_type, terms.fee_multiplier_e6) == (
            default.fee_type,
            default.fee_multiplier_e6,
        )
        if terms != before and (own or step.terms.source != "assumed" or not is_default):
            own.append(terms.replace(at_ns=None if step is history.fees[0] else step.from_ns))
        before = terms
    return ToldFees(own=tuple(own))


def history_of(
    record: MarketRecord,
    told: Sequence[Told],
    counters: Counter[str],
    fees: tuple[FeeStep, ...] = ASSUMED_FEES,
) -> MarketHistory:
    """History of a market: step 0 from the metadata, step k from the k-th telling of ``told``, in order.

    ``fees`` are those of :func:`steps_of`.
    ``counters`` count the times that only metadata tell and that are taken for known since the opening, and
    frames after which a market would close before it opened: both times are unknown from there on.
    """
    facts = [telling.facts for telling in told]
    frames_tell_close = any(f.close_ns is not None for f in facts)
    spec = spec_as_known(record, frames_tell_close)
    if spec.close_ns is not None and not frames_tell_close:
        counters["close_assumed_known_since_open"] += 1
    if record.spec.close_ns is not None and spec.close_ns is None and not frames_tell_close:
        counters["early_close_kept_from_features"] += 1
    for later in facts:
        open_ns = spec.open_ns if later.open_ns is None else later.open_ns
        counters["close_before_open"] += not _in_order(
            open_ns, spec.close_ns if later.close_ns is None else later.close_ns
        )
    known = [known_facts(spec, MarketFacts(), None)]
    known += [known_facts(spec, telling.facts, telling.recv_ns) for telling in told]
    close_ns = true_close_ns(record, facts[-1] if facts else None)
    return MarketHistory(known=tuple(known), fees=fees, close_ns=close_ns)


def true_close_ns(record: MarketRecord, last: MarketFacts | None) -> int | None:
    """True end of trading as far as the sources tell it.

    The close of metadata that know the outcome, else the last close that was told; never after the outcome
    was determined.
    """
    told = last or MarketFacts()
    settled = record.settlement is not None and not record.is_foresight
    close_ns = record.spec.close_ns if settled or told.close_ns is None else told.close_ns
    if close_ns is None:
        close_ns = told.close_ns
    if not _in_order(record.spec.open_ns if told.open_ns is None else told.open_ns, close_ns):
        close_ns = None
    ends = [close_ns, told.determined_ns, record.settlement.determined_ns if record.settlement else None]
    return min((t for t in ends if t is not None), default=None)


def told_by(history: MarketHistory, spec: MarketSpec) -> list[MarketFacts]:
    """Facts that frames had told at each step of ``history`` after the first, where they changed any."""
    facts, found = MarketFacts(), []
    for before, now in pairwise(history.known):
        names = ("open_ns", "close_ns", "price_ranges")
        news = {name: getattr(now, name) for name in names if getattr(now, name) != getattr(before, name)}
        if can_end_early(spec) and now.clock_ns != before.clock_ns:
            news["expected_expiration_ns"] = now.clock_ns
        facts = replace(facts, **news)
        found.append(facts)
    return found


def record_before(
    spec: MarketSpec, settlement: Settlement | None, history: MarketHistory, grid_declared: bool
) -> MarketRecord:
    """Record from which, with the tellings of :func:`told_by`, :func:`history_of` makes ``history`` again.

    Facts that only frames told are not in it; statements of fees are. A close that the metadata
    knew in hindsight is, because the truth needs it, and ``history_of`` leaves it out of the features again.
    """
    first = history.known[0]
    close_ns, is_early = first.close_ns, can_end_early(spec)
    if close_ns is None and settlement is not None:
        frames_tell_close = any(facts.close_ns is not None for facts in told_by(history, spec))
        close_ns = history.close_ns if frames_tell_close or is_early else None
    expected_ns = first.clock_ns if is_early else spec.expected_expiration_ns
    spec = spec.replace(
        open_ns=first.open_ns,
        close_ns=close_ns,
        expected_expiration_ns=expected_ns,
        price_ranges=[band.model_dump() for band in first.price_ranges],
        **_UNWEIGHED,
    )
    told = fees_told_before(spec, history)
    # A close that hindsight alone knew is never in the first step of a market that can close early.
    foresight = settlement is not None and is_early and first.close_ns is not None
    return MarketRecord(
        spec, settlement, grid_declared, own_fees=told.own, event_fees=told.event, is_foresight=foresight
    )


def news_of(record: MarketRecord, sources: Sequence[Sequence[Told]]) -> list[Told]:
    """Tellings of the record's answers of known time that are news beside the record and ``sources``.

    Each has the facts that the answers told up to it; ``row`` is -1: no row of a source stands for it.
    """
    others = [(telling.recv_ns, telling.facts) for source in sources for telling in source]
    others.sort(key=lambda telling: telling[0])
    spec, facts, news, heard = record.spec, MarketFacts(), [], 0
    for known_ns, answer in sorted(record.told, key=lambda told: told.known_ns):
        while heard < len(others) and others[heard][0] <= known_ns:
            spec = spec_with_facts(spec, others[heard][1])
            heard += 1
        told = spec_with_facts(spec, answer)
        if told != spec:
            facts = facts.updated(answer, since=MarketFacts())
            news.append(Told(-1, known_ns, facts))
        spec = told
    return news


def joined_tellings(sources: Sequence[Sequence[Told]]) -> tuple[list[Told], list[list[int]]]:
    """(tellings of all sources in order of time, for each source the number of each of its tellings).

    Numbers begin at 1, as in FACTS rows. A source repeats what it told before; only what is new in a telling
    changes what the sources know together.
    """
    order = sorted(
        ((telling.recv_ns, s, k) for s, source in enumerate(sources) for k, telling in enumerate(source))
    )
    numbers: list[list[int]] = [[0] * len(source) for source in sources]
    state, joined = MarketFacts(), []
    for number, (recv_ns, s, k) in enumerate(order, start=1):
        before = sources[s][k - 1].facts if k else MarketFacts()
        state = state.updated(sources[s][k].facts, since=before)
        joined.append(Told(sources[s][k].row, recv_ns, state))
        numbers[s][k] = number
    return joined, numbers
