"""Answers of REST about markets, as a live session hears them: specifications, news, outcomes.

Same       as importing a recording: the one door reads the answers (``data/market_data/market_meta.py``), and
           news and their numbers follow the rules of ``data/market_data/history.py``, an answer at a time.
Input      an answer is a line of a recorder's facts: ``{"known_ns": ..., "market": {...}}`` and the like.
Order      news of a market wait until a frame comes that was received later: the frames that were received
           before an answer may still lie in a queue when the answer comes.
Not here   the fees that answers tell (``live_fees.py``), books and slots (``books.py``).
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.history import spec_with_facts
from kalshi_platform.data.market_data.market_meta import MarketRecord, merge_records, records_from_rest
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec

_SOURCE = "an answer of REST"
_FRAMES, _REST = 0, 1


class MarketNews(NamedTuple):
    """Facts of one market that an answer told at ``known_ns``."""

    known_ns: int
    ticker: str
    told: MarketFacts


class MarketTold:
    """Facts of one market that frames and answers told together, in order of time."""

    def __init__(self, spec: MarketSpec) -> None:
        """Begin with the specification that the market's first answer made."""
        self._spec = spec
        self._joined = MarketFacts()
        self._before = [MarketFacts(), MarketFacts()]  # of frames, of answers
        self.number = 0  # of the last telling, as FACTS rows count them

    def frame(self, facts: MarketFacts) -> MarketFacts:
        """Take all that frames have told so far; returns what frames and answers told together."""
        self._spec = spec_with_facts(self._spec, facts)
        return self._join(_FRAMES, facts)

    def answer(self, told: MarketFacts) -> MarketFacts | None:
        """Take one answer; returns what frames and answers told together, None where it is no news."""
        spec = spec_with_facts(self._spec, told)
        if spec == self._spec:
            return None
        self._spec = spec
        return self._join(_REST, self._before[_REST].updated(told, since=MarketFacts()))

    def _join(self, source: int, facts: MarketFacts) -> MarketFacts:
        self._joined = self._joined.updated(facts, since=self._before[source])
        self._before[source] = facts
        self.number += 1
        return self._joined


class RestFacts:
    """Everything that REST told one session."""

    def __init__(self, outcomes: ResolutionHistory, counters: Counter[str]) -> None:
        """Begin with the ``outcomes`` known before the session."""
        self._earlier, self._counters = outcomes, counters
        self.outcomes = outcomes
        self.records: dict[str, MarketRecord] = {}
        self._news: deque[MarketNews] = deque()

    def take(self, answer: Mapping[str, Any]) -> list[MarketRecord]:
        """Take one answer; returns the markets whose outcome it told anew.

        DataError for an answer without a time, and for one that cannot be.
        """
        known_ns = answer.get("known_ns")
        if type(known_ns) is not int:
            raise DataError(f"{_SOURCE} has no known_ns: nobody can say from when on it may be used")
        told = list(records_from_rest(answer, _SOURCE, self._counters))
        merged: dict[str, MarketRecord] = {}
        for record in told:
            ticker = record.spec.ticker
            before = merged.get(ticker) or self.records.get(ticker)
            merged[ticker] = record if before is None else merge_records(before, record, _SOURCE)
        settled = [now for t, now in merged.items() if _is_outcome_new(self.records.get(t), now)]
        self.records |= merged
        self._news += [MarketNews(known_ns, r.spec.ticker, each.facts) for r in told for each in r.told]
        if settled:
            self.outcomes = self._earlier.with_more(self.records.values())
        return settled

    def due(self, before_ns: int) -> Iterator[MarketNews]:
        """Take out the news known before ``before_ns``, in order of time."""
        while self._news and self._news[0].known_ns < before_ns:
            yield self._news.popleft()


def _is_outcome_new(before: MarketRecord | None, now: MarketRecord) -> bool:
    """True where ``now`` tells an outcome that ``before`` did not."""
    return now.settlement is not None and (before is None or before.settlement != now.settlement)


def are_alike(spec: MarketSpec, settled: MarketSpec) -> bool:
    """True where the outcome of the market ``settled`` may be known to the market ``spec``."""
    same_series = bool(spec.series) and spec.series == settled.series
    same_category = bool(spec.category) and spec.category == settled.category
    return spec.event != settled.event and (same_series or same_category)
