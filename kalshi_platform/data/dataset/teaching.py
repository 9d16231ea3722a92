"""Outcomes that may teach: which known outcomes an event of the train split may see in its features.

Rule      an outcome enters a training row where it was public by then, and its event is train itself, or is
          in no split and became public in the train time of its factor (or before all of its strata). The
          outcomes of validation, test and judge-only events never do. All other rows know what was public.
Two turns the shards are written before all times are known, so before the events are divided. The build
          assumes a division (:func:`foreseen`, or that of the dataset that is there), divides, and runs those
          jobs again whose events may know other outcomes than was assumed: a job's key says which they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from kalshi_platform.data.dataset.blocks import Part, Stratum
from kalshi_platform.data.dataset.factors import Factors
from kalshi_platform.data.dataset.split import EventFacts, SplitConfig
from kalshi_platform.data.dataset.strata import Division, divide
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.importers import ImportPlan
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.market import Provenance

#: Nobody divided anything yet: every event knows all that was public.
UNDIVIDED: Final = Division({}, {}, ())


class MarketTimes(Protocol):
    """Facts of a market that was built: which event it is of, and when its rows end."""

    @property
    def event(self) -> str:
        """Event that the market is of."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Name of the way in which the market became known."""
        ...

    @property
    def last_ns(self) -> int:
        """Receive time of its last row."""
        ...


def taught_history(
    settled: Iterable[MarketRecord],
    parts: Mapping[str, Part | None],
    strata: Sequence[Stratum],
    factors: Factors,
    markets: Iterable[MarketTimes],
) -> ResolutionHistory:
    """All known outcomes, of which the events of train know only those that may teach.

    ``markets`` are those whose rows are known; their simulated ones are foreseen without times.
    """
    records = tuple(settled)
    learners: dict[str, int | None] = {event: None for event, part in parts.items() if part == "train"}
    for market in markets:
        if market.event in learners and market.provenance != "simulated":
            learners[market.event] = max(learners[market.event] or 0, market.last_ns)
    withheld = {r.spec.ticker for r in records if learners and _is_withheld(r, parts, strata, factors)}
    return ResolutionHistory(records, learners, withheld)


def foreseen(plan: ImportPlan, config: SplitConfig) -> Division:
    """Division that a new dataset will very likely have, as far as names alone tell: of simulated events."""
    simulated: dict[str, bool] = {}
    for file in plan.files:
        for market in file.markets:
            event = plan.event_of(market.ticker)
            simulated[event] = simulated.get(event, True) and file.simulated
    facts = {event: EventFacts(0, 0, "simulated") for event, only in simulated.items() if only}
    return divide(facts, config) if facts and config.time_cut_ns is None else UNDIVIDED


def _is_withheld(
    record: MarketRecord, parts: Mapping[str, Part | None], strata: Sequence[Stratum], factors: Factors
) -> bool:
    part = parts.get(record.spec.event)
    if part is not None:
        return part != "train"
    known_ns = record.known_ns
    if known_ns is None or not strata:
        return False
    factor = factors.of([record.spec]).name
    begun = [s for s in strata if s.factor == factor and s.first_ns <= known_ns]
    if not begun:
        return False
    latest = max(begun, key=lambda s: (s.first_ns, s.name))
    return latest.train_to_ns is None or known_ns >= latest.train_to_ns
