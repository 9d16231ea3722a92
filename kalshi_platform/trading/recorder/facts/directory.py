"""Directory of what is recorded: markets found by filter, followed through their lives, their facts kept.

Finds      by series, event and category, at the start and every ``rediscover_s``; an incomplete answer adds
           markets and never takes one away.
Follows    the lifecycle channel: a market that is created in a wanted series is added within seconds; one
           whose facts change is asked for again; one that settled is let go once REST tells its outcome.
Keeps      every answer as it became known (``facts_file.py``), and outcomes among them: a replay that reads
           them knows each from the time the exchange says it was public, as a live session does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.trading.exchange.public_answers import EventAnswer, MarketAnswer
from kalshi_platform.trading.recorder.facts.facts_file import FactsFile
from kalshi_platform.trading.recorder.facts.reads import PublicReads

#: States of a market that can still trade; others only matter for their outcome.
LIVE: Final = frozenset({"initialized", "active", "inactive", "open", "unopened", "paused"})
#: Lifecycle messages after which REST is asked again.
_NEWS: Final = frozenset({
    "created", "activated", "deactivated", "close_date_updated", "determined", "settled",
    "price_level_structure_updated", "metadata_updated",
})  # fmt: skip
#: Markets of one call.
_BATCH: Final = 50
#: Whole answers without a market after which only a search, or its own timer, asks for it again.
_TRIES: Final = 60


class FilterConfig(Config):
    """Filter of a recording: every market of these series, events and categories."""

    series: tuple[str, ...] = Field((), description="series, such as KXHIGHNY")
    events: tuple[str, ...] = Field((), description="single events")
    categories: tuple[str, ...] = Field((), description="categories, such as 'Climate and Weather'")
    rediscover_s: float = Field(300.0, gt=0, description="time between two searches")

    @model_validator(mode="after")
    def _names_something(self) -> "FilterConfig":
        if not (self.series or self.events or self.categories):
            raise ValueError("name at least one series, event or category")
        if any(not name.strip() for name in (*self.series, *self.events, *self.categories)):
            raise ValueError("a name of a series, event or category is empty")
        return self


class Directory:
    """Markets of one recording; one task calls it."""

    def __init__(
        self,
        reads: PublicReads,
        wanted: FilterConfig,
        facts: FactsFile,
        wall_ns: Callable[[], int],
        add: Callable[[list[str]], Awaitable[None]],
        remove: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        """``add`` and ``remove`` subscribe the stream to markets and end that."""
        self._reads, self._wanted, self._facts, self._wall_ns = reads, wanted, facts, wall_ns
        self._add, self._remove = add, remove
        self.markets: dict[str, str] = {}  # recorded market -> its event
        self.series_of: dict[str, str] = {}  # event -> series
        self.closes_ns: dict[str, int] = {}  # recorded market -> its close, as REST told it last
        self.outcomes: dict[str, int | None] = {}  # settled market -> settlement, 1e-4 dollar
        self.problems: dict[str, str] = {}  # what was asked -> why the last answer was none, or incomplete
        self._series: set[str] = set(wanted.series)
        self._events: set[str] = set()  # whose facts are kept
        self._ask: dict[str, int] = {}  # markets to ask for again, in order -> answers that named them not
        self.unsettled: set[str] = set()  # of earlier runs: closed since, their outcome not known here

    async def discover(self) -> None:
        """Search by every filter once; new markets are added to the stream."""
        found: list[str] = []
        for category in self._wanted.categories:
            for series in await self._try(f"category {category}", self._reads.series_list(category)) or ():
                self._series.add(series.ticker)
                self._facts.tell(self._wall_ns(), "series", series.ticker, series.raw)
        for name in sorted(self._series):
            found += await self._series_markets(name)
        for ticker in self._wanted.events:
            event = await self._try(f"event {ticker}", self._reads.event(ticker))
            found += self._take_event(event) if event is not None else []
        await self._begin(found)
        await self._event_fees()

    async def _event_fees(self) -> None:
        """Keep the announced changes of the fees of recorded events."""
        pages = await self._try("fees of events", self._reads.event_fees())
        if pages is None:
            return
        if not pages.complete:
            self.problems["fees of events"] = str(pages.why)
        changes: dict[str, list[Any]] = {}
        recorded = set(self.markets.values())
        for change in pages.items:
            if change.ticker in recorded:
                changes.setdefault(change.ticker, []).append(change.raw)
        for event, raws in changes.items():
            self._facts.tell(self._wall_ns(), "event_fee_changes", event, raws)

    async def _begin(self, new: list[str]) -> None:
        """Subscribe the stream to new markets; where it refuses, the next search finds them again."""
        if not new:
            return
        try:
            await self._add(new)
        except PlatformError:
            for ticker in new:
                self.markets.pop(ticker, None)
            raise

    async def _series_markets(self, name: str) -> list[str]:
        """New markets of one series; its facts and fees are kept."""
        series = await self._try(f"series {name}", self._reads.series(name))
        if series is not None:
            self._facts.tell(self._wall_ns(), "series", name, series.raw)
        fees = await self._try(f"fees of {name}", self._reads.series_fees(name))
        if fees:
            changes = [change.raw for change in fees]
            self._facts.tell(self._wall_ns(), "series_fee_change_arr", name, changes)
        found: list[str] = []
        for status in ("open", "unopened"):
            what = f"{status} events of {name}"
            pages = await self._try(what, self._reads.events(series=name, status=status, with_markets=True))
            if pages is None:
                continue
            if not pages.complete:
                self.problems[what] = str(pages.why)
            for event in pages.items:
                found += self._take_event(event)
        return found

    def _take_event(self, event: EventAnswer) -> list[str]:
        """Keep the facts of an event; its markets that can trade and are not recorded yet."""
        self._tell_event(event)
        new = [m.ticker for m in event.markets if m.status in LIVE and m.ticker not in self.markets]
        self.closes_ns.update({m.ticker: m.close_ns for m in event.markets if m.close_ns is not None})
        self.markets.update(dict.fromkeys(new, event.ticker))
        self.unsettled.difference_update(new)
        return new

    def _tell_event(self, event: EventAnswer) -> None:
        """Keep the facts of an event."""
        self._facts.tell(self._wall_ns(), "event", event.ticker, event.raw)
        self._events.add(event.ticker)
        if event.series:
            self.series_of[event.ticker] = event.series

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take a message of the lifecycle channel; what follows from it is done by :meth:`catch_up`."""
        msg = message.get("msg")
        if not isinstance(msg, Mapping):
            return
        if message.get("type") == "event_lifecycle":
            event, series = msg.get("event_ticker"), msg.get("series_ticker")
            if isinstance(event, str) and isinstance(series, str) and series in self._series:
                self.series_of[event] = series
            return
        ticker = msg.get("market_ticker")
        if message.get("type") != "market_lifecycle_v2" or not isinstance(ticker, str):
            return
        if msg.get("event_type") in _NEWS and (ticker in self.markets or self._is_wanted(msg)):
            self._ask[ticker] = 0

    def _is_wanted(self, msg: Mapping[str, Any]) -> bool:
        """True for a new market of a wanted event or series, as far as the message tells."""
        more = msg.get("additional_metadata")
        event = more.get("event_ticker") if isinstance(more, Mapping) else None
        if not isinstance(event, str):
            return False
        # the series stands in the event's own message, which may come later: its ticker begins with it
        series = self.series_of.get(event) or event.partition("-")[0]
        return event in self._wanted.events or series in self._series

    def expect(self, unsettled: Iterable[str]) -> None:
        """Ask for markets of earlier runs whose outcome was not known at their end."""
        self.unsettled |= set(unsettled) - self.markets.keys()
        self.expect_outcomes(0)

    def is_open(self, ticker: str, now_ns: int) -> bool:
        """True for a recorded market before its close, as far as its close is known."""
        return ticker in self.markets and self.closes_ns.get(ticker, now_ns + 1) > now_ns

    def expect_outcomes(self, now_ns: int) -> None:
        """Ask again for markets that have closed: their outcome, or a later close, may be known by now."""
        closed = [t for t in self.markets if self.closes_ns.get(t, now_ns) < now_ns]
        for ticker in (*closed, *self.unsettled):
            self._ask.setdefault(ticker, 0)

    async def catch_up(self) -> None:
        """Ask REST once for every market of which there is news; add, keep and let go.

        A market that the answer does not name is asked for again: REST may know a new one a moment later.
        """
        waiting = list(self._ask)
        for begin in range(0, len(waiting), _BATCH):
            # taken out before the question: news that comes while it is under way needs another one
            batch = {ticker: self._ask.pop(ticker) for ticker in waiting[begin : begin + _BATCH]}
            pages = await self._try("news of markets", self._reads.markets(tickers=batch))
            if pages is None:
                self._ask = batch | self._ask
                return
            if not pages.complete:
                self.problems["news of markets"] = str(pages.why)
            for ticker in batch.keys() - {market.ticker for market in pages.items}:
                tries = batch[ticker] + pages.complete  # an incomplete answer does not say that it is unknown
                if tries < _TRIES:
                    self._ask.setdefault(ticker, tries)
                else:
                    self.unsettled.discard(ticker)
            await self._take_markets(pages.items)

    async def _take_markets(self, markets: Iterable[MarketAnswer]) -> None:
        """Keep what REST tells of single markets."""
        new, done = [], []
        markets = [*markets]
        await self._ask_events({m.event for m in markets if m.status in LIVE} - self._events)
        for market in markets:
            await asyncio.sleep(0)  # a hundred of them in one go would keep frames waiting
            self._facts.tell(self._wall_ns(), "market", market.ticker, market.raw)
            if market.settlement_value_e4 is not None or market.result:
                self.outcomes[market.ticker] = market.settlement_value_e4
            if (
                market.ticker in self.unsettled
            ):  # not recorded by this run; a search finds it where it is live
                if market.status == "finalized" or market.status in LIVE:
                    self.unsettled.discard(market.ticker)
                continue
            if market.close_ns is not None:
                self.closes_ns[market.ticker] = market.close_ns
            if market.status == "finalized":
                self.closes_ns.pop(market.ticker, None)
                if self.markets.pop(market.ticker, None) is not None:
                    done.append(market.ticker)
            elif market.status in LIVE and market.ticker not in self.markets:
                self.markets[market.ticker] = market.event
                new.append(market.ticker)
        await self._begin(new)
        if done:
            await self._remove(done)

    async def _ask_events(self, events: set[str]) -> None:
        """Ask once for events that a market names first: its series and category stand there alone."""
        for ticker in sorted(events):
            event = await self._try(f"event {ticker}", self._reads.event(ticker))
            if event is not None:
                self._tell_event(event)

    async def _try(self, what: str, asked: Awaitable[Any]) -> Any:
        """Answer, or None with the reason among the problems."""
        try:
            answer = await asked
        except PlatformError as err:
            self.problems[what] = str(err)
            return None
        self.problems.pop(what, None)
        return answer
