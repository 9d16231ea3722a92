"""Facts of a market as they became known: what frames told beats what the metadata says in hindsight.

Metadata   tell the times of a market once, without the time at which they were known. They are taken for
           known since the market opened. Where the outcome is known too, the metadata were fetched
           afterwards: the close of a market that can close early is then its real end, which nobody knew
           before, and any close is left out once a frame tells one.
Frames     tell facts from their own row on (FACTS rows).
Truth      matching uses the true end of trading (:func:`true_close_ns`), features and masks never do.
"""

from collections import Counter
from collections.abc import Sequence

from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.fee_history import FeeTable, fee_steps
from kalshi_platform.domain.fee_schedule import ASSUMED_FEES, FeeStep, series_of
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory, can_end_early, clock_ns_of


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
    hindsight = record.settlement is not None
    if hindsight and spec.close_ns is not None and (frames_tell_close or can_end_early(spec)):
        return spec.replace(close_ns=None)
    return spec


def fees_of(record: MarketRecord, table: FeeTable) -> tuple[FeeStep, ...]:
    """Fees of a market over time, from its metadata and from what is told of its series and its event."""
    spec = record.spec
    series = spec.series or series_of(spec.event)
    event_tellings = (*record.event_fees, *table.events.get(spec.event, ()))
    return fee_steps(series, event_tellings, record.own_fees, table.series.get(series, ()), spec.open_ns)


def history_of(
    record: MarketRecord,
    told: Sequence[Told],
    counters: Counter[str],
    fees: tuple[FeeStep, ...] = ASSUMED_FEES,
) -> MarketHistory:
    """History of a market: step 0 from the metadata, step k from the k-th telling of ``told``, in order.

    ``fees`` are those of :func:`fees_of`.
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
    settled = record.settlement is not None
    close_ns = record.spec.close_ns if settled or told.close_ns is None else told.close_ns
    if close_ns is None:
        close_ns = told.close_ns
    if not _in_order(record.spec.open_ns if told.open_ns is None else told.open_ns, close_ns):
        close_ns = None
    ends = [close_ns, told.determined_ns, record.settlement.determined_ns if record.settlement else None]
    return min((t for t in ends if t is not None), default=None)


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
