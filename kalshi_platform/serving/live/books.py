"""Frames of one session to live groups: the market that a frame concerns and the slot where it stands.

Owns       the decoder, the markets and the groups of one session, and its clock.
Invariant  the clock never goes back; every frame either has its whole effect or is refused, and a refused one
           leaves no book valid that may be stale.
Groups     those named when the session opened, then one for every ``n_slots`` further markets, in order of
           first appearance.
REST       answers that :meth:`LiveBooks.tell` takes hold from their own time on, as in a dataset that is
           built of frames and answers (``rest_facts.py``). A market's rows wait for the first that names it.
Not        numbers of frames, answers and limits of a session (``stream.py``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.capture import ConnectionEnd, Frame
from kalshi_platform.data.market_data.clock import TimeSpan, strange_time
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.gaps import facts_rows
from kalshi_platform.data.market_data.market_meta import MarketRecord, inferred_event, is_ticker
from kalshi_platform.data.market_data.schema import MarketRows
from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.serving.api.messages import AccountMessage, Holding
from kalshi_platform.serving.live.admission import columns_shown, missing_inputs
from kalshi_platform.serving.live.early_rows import EarlyRows, FrameRows
from kalshi_platform.serving.live.group import LiveGroup
from kalshi_platform.serving.live.live_fees import LiveFees
from kalshi_platform.serving.live.market import LiveMarket
from kalshi_platform.serving.live.own_orders import OwnOrders, PutBack
from kalshi_platform.serving.live.places import BookWatcher, LateError, LivePlace
from kalshi_platform.serving.live.rest_facts import MarketNews, MarketTold, RestFacts, are_alike
from kalshi_platform.simulation.replay.trading import TradingConfig

#: Time that does not come.
_NEVER: Final = 2**63 - 1


class LiveBooks:
    """Live groups fed by the frames of one client, of one connection to the exchange or several."""

    def __init__(
        self,
        config: TradingConfig,
        window: int,
        markets: Sequence[MarketSpec] = (),
        groups: Sequence[Sequence[str]] = (),
        use_yes_price: bool = False,
        resolutions: ResolutionHistory | None = None,
        max_markets: int = 500,
        accept_missing_inputs: bool = True,
        watcher: BookWatcher | None = None,
        hears_rest: bool = False,
        own: OwnOrders | None = None,
    ) -> None:
        """Begin with ``groups``; ContractError where one is too large or a market is named twice.

        Without ``accept_missing_inputs`` a market of which an input would be a neutral value stays unseen.
        ``watcher`` hears of every place, fact and row.
        With ``hears_rest`` the caller hands every answer of REST to :meth:`tell`, also specifications.
        ``own``: orders of the account that the books leave out.
        """
        self._own = own
        self._cause: str | None = None  # own order that caused the frame at hand
        self._watcher = watcher
        self._columns = columns_shown(config, window)
        self._has_outcomes, self._accepts = hears_rest or resolutions is not None, accept_missing_inputs
        self.missing: dict[str, list[str]] = {}  # market -> columns that show no fact of it
        self.withheld: set[str] = set()  # markets that no slot shows, for want of such a fact
        self._config = config
        self._window = window
        self._specs = {spec.ticker: spec for spec in markets}
        if len(self._specs) != len(markets):
            raise ContractError("markets name a ticker twice: give each market's specification once")
        self._resolutions = resolutions or ResolutionHistory()
        self._max_markets = max_markets
        self._decoder = Decoder(use_yes_price)
        self._markets: dict[str, LiveMarket] = {}
        self._fees = LiveFees()
        self._fees_due_ns: dict[str, int] = {}  # market -> when the next known fees begin
        self._rest = RestFacts(self._resolutions, self._decoder.counters) if hears_rest else None
        self._told: dict[str, MarketTold] = {}
        self._last_ns: dict[str, int] = {}  # market -> receive time of its last row
        self._early = EarlyRows()
        self._early_news: dict[str, list[MarketNews]] = {}  # of markets that no row has shown yet
        self.now_ns = 0
        self.places: dict[str, LivePlace] = {}
        self.groups: list[LiveGroup] = []
        self.tickers: list[list[str]] = []  # of each group, in order of its slots
        self._news: list[str] = []
        self._open_group = -1  # where markets that no group names go
        self._free: list[LivePlace] = []  # slots of markets that were released, the first one goes first
        for named in groups:
            self._add_group(named)

    @property
    def counters(self) -> Mapping[str, int]:
        """Counters of the decoder and of the doors."""
        return self._decoder.counters

    @property
    def n_streams(self) -> int:
        """Number of connections and subscriptions that the decoder remembers."""
        return self._decoder.n_streams

    @property
    def known_tickers(self) -> Set[str]:
        """Markets of which a frame has come, and that have a place."""
        return self._markets.keys()

    def specification(self, ticker: str) -> MarketSpec:
        """Specification, as known now, of a market that has a place."""
        return self._markets[ticker].spec

    def newly_placed(self) -> list[str]:
        """Markets that no group names and that got a place since the last call."""
        if not self._news:
            return []
        news, self._news = self._news, []
        return news

    def release(self, ticker: str) -> LivePlace | None:
        """Forget a market whose outcome is paid; its slot goes to the next new one. None where it has none.

        Further frames of it would make it a new market.
        """
        place = self.places.pop(ticker, None)
        if place is None:
            return None
        self._markets.pop(ticker, None)
        self._told.pop(ticker, None)
        self.missing.pop(ticker, None)
        self._fees_due_ns.pop(ticker, None)
        self.withheld.discard(ticker)
        self.groups[place.group].clear(place.slot)
        self.tickers[place.group][place.slot] = ""
        self._free.append(place)
        return place

    def feed(self, frame: Frame, message: dict[str, Any], received: TimeSpan | None = None) -> list[int]:
        """Apply one frame, parsed to ``message``; returns the groups with a slot at a new valid row.

        ``received``: the possible receive times, None where the caller has checked them. DataError where
        the frame is refused: its effect is then that of a lost frame. LimitError
        where the frame would bring one market too many; the session cannot go on.
        """
        if received is not None and not received.holds(frame.recv_ns):
            self._refuse(Frame(frame.line, self.now_ns, frame.conn, frame.raw), message)
            raise DataError(strange_time("recv_ns", frame.recv_ns, 1, received))
        if frame.recv_ns < self.now_ns:
            late = Frame(frame.line, self.now_ns, frame.conn, frame.raw)
            self._refuse(late, message)
            late_ns = self.now_ns - frame.recv_ns
            raise LateError(
                f"recv_ns {frame.recv_ns} is {late_ns} ns before the frame above it; a stream's clock never "
                "goes back: send the frames of all connections in order of arrival",
                late_ns,
            )
        for _ in self.hear(frame.recv_ns):
            pass
        self.now_ns = frame.recv_ns
        self._admit(message)
        if self._own is None:
            return self._decode(frame, message)
        self._cause, given = self._own.hear(message)
        restored = self._put_back(given)
        try:
            return [*self._decode(frame, message), *restored]
        finally:
            self._cause = None

    def _decode(self, frame: Frame, message: dict[str, Any]) -> list[int]:
        """Decode a frame that has a place, and apply it."""
        try:
            self._decoder.feed_message(frame, message)
            self._take_fees()
        except DataError:
            self._apply(frame)
            raise
        return self._apply(frame)

    def _put_back(self, given: Iterable[PutBack]) -> list[int]:
        """Give others the sizes back that were taken for theirs; returns the groups as ``feed``."""
        touched: dict[int, None] = {}
        for each in given:
            ticker = each.place.ticker
            if ticker in self._markets and ticker not in self.withheld:
                self._last_ns[ticker] = self.now_ns
                self._show(ticker, self._markets[ticker].put_back(each, self.now_ns), touched)
        return list(touched)

    def tell(self, answer: Mapping[str, Any]) -> None:
        """Take an answer of REST, as a line of a recorder's facts: ``{"known_ns": ..., "market": {...}}``.

        Outcomes count from ``known_ns`` on; other news wait for :meth:`hear`. ContractError without
        ``hears_rest``; DataError where the answer cannot be: nothing that it says of a market is taken.
        """
        if self._rest is None:
            raise ContractError("these books take no answers of REST: make them with hears_rest=True")
        self._fees.read(answer, "an answer of REST", self._decoder.counters)
        settled = self._rest.take(answer)
        self._resolutions = self._rest.outcomes
        for market in self._markets.values():
            if any(are_alike(market.spec, record.spec) for record in settled):
                market.learn(self._resolutions.of(market.spec))

    def hear(self, before_ns: int) -> Iterator[list[int]]:
        """Let the news known before ``before_ns`` hold, one after the other.

        Yields the groups with a slot at a new valid row, while :attr:`now_ns` is the time of the news.
        ``before_ns`` is that of the next frame, which :meth:`feed` then takes.
        """
        for news in self._rest.due(before_ns) if self._rest is not None else ():
            self.now_ns = max(self.now_ns, news.known_ns)
            yield self._take_news(news)

    def _take_news(self, news: MarketNews) -> list[int]:
        """Let one answer about a market hold; returns the groups with a slot at a new valid row."""
        touched: dict[int, None] = {}
        for early in self._early.take(news.ticker):
            self._apply_rows(news.ticker, early, touched)
        if news.ticker in self._markets:
            self._let_hold(news, touched)
        else:
            self._early_news.setdefault(news.ticker, []).append(news)
        return list(touched)

    def _let_hold(self, news: MarketNews, touched: dict[int, None]) -> None:
        """Give a market a FACTS row for an answer that tells something new."""
        ticker, told = news.ticker, self._told[news.ticker]
        facts = told.answer(news.told)
        if facts is not None:
            self._markets[ticker].take_facts(facts, news.known_ns)
            self._describe_market(ticker)
            at_ns = max(news.known_ns, self._last_ns.get(ticker, 0))
            self._put(ticker, facts_rows([told.number], [at_ns]), 0, touched)

    def end_connection(self, end: ConnectionEnd) -> list[int]:
        """Make every book of a connection that ended invalid from now on; returns the groups as ``feed``.

        Importing does the same at the note of a recorder that the connection ended.
        """
        self.now_ns = max(self.now_ns, end.recv_ns)
        self._decoder.end_connection(end._replace(recv_ns=self.now_ns))
        return self._apply(Frame(end.line, self.now_ns, 0, ""))

    def spoil(self, number: int) -> None:
        """Make every book invalid until its next snapshot, after a failure in frame ``number``."""
        frame = Frame(number, self.now_ns, 0, "")
        self._decoder.spoil_all(frame)
        self._apply(frame)

    def _refuse(self, frame: Frame, message: dict[str, Any]) -> None:
        """Treat a frame as lost and hand on the GAPs that follow from the loss."""
        self._decoder.refuse_message(frame, message)
        self._apply(frame)

    def _admit(self, message: dict[str, Any]) -> None:
        """Refuse a frame of a market that has no place left, before the decoder makes room for it."""
        msg = message.get("msg")
        ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
        if not isinstance(ticker, str) or ticker in self._markets or not is_ticker(ticker):
            return  # the decoder refuses a frame of a name that no market has
        if len(self._markets) >= self._max_markets:
            raise LimitError(
                f"market {ticker} would be one more than the {self._max_markets} a session may have; "
                "open another session for it"
            )

    def _apply(self, frame: Frame) -> list[int]:
        """Hand the decoded rows to markets and slots; raises the first refusal after the last row."""
        touched: dict[int, None] = {}
        refusal: DataError | None = None
        for ticker, rows, told in self._decoder.drain():
            if rows.kind.size == 0:
                continue
            if self._rest is not None and ticker not in self._rest.records:
                self._early.keep(ticker, FrameRows(rows, told, frame.line))
                continue
            try:
                self._apply_rows(ticker, FrameRows(rows, told, frame.line), touched)
            except DataError as err:
                refusal = refusal or err
        if refusal is not None:
            raise refusal
        return list(touched)

    def _apply_rows(self, ticker: str, given: FrameRows, touched: dict[int, None]) -> None:
        """Hand the rows of one frame to their market; raises the first refusal after the last row."""
        market = self._markets.get(ticker) or self._new_market(ticker)
        early = self._early_news.pop(ticker, [])
        told_ns = min((telling.recv_ns for telling in given.told), default=given.rows.recv_ns[0])
        for news in early:
            if news.known_ns <= told_ns:
                self._let_hold(news, touched)
        rows, refusal = given.rows, None
        try:
            for telling in given.told:
                facts = self._told[ticker].frame(telling.facts)
                rows.qty_e2[telling.row] = self._told[ticker].number  # answers of REST count too
                market.take_facts(facts, telling.recv_ns)
                self._describe_market(ticker)
        except DataError as err:  # its rows are applied all the same: one may say that the book is spoilt
            refusal = err
        try:
            self._put(ticker, rows, given.line, touched)
        except DataError as err:
            refusal = refusal or err
        for news in early:  # newer than what a frame told before the first row
            if news.known_ns > told_ns:
                self._let_hold(news, touched)
        if refusal is not None:
            raise refusal

    def _put(self, ticker: str, rows: MarketRows, line: int, touched: dict[int, None]) -> None:
        """Apply rows to a market and put what it then shows into its slot."""
        market = self._markets[ticker]
        before, self._last_ns[ticker] = market.spec, int(rows.recv_ns[-1])
        try:
            for row in market.apply(rows, line, self._decoder.counters, self._cause):
                self._show(ticker, row, touched)
        finally:
            if market.spec is not before:  # the prices showed a finer grid: orders are priced on it
                self._describe_market(ticker)

    def _show(self, ticker: str, row: Rows, touched: dict[int, None]) -> None:
        """Put one row into its market's slot, under the fees of its time."""
        if row.recv_ns[0] >= self._fees_due_ns[ticker]:
            self._describe_market(ticker)
        if ticker in self.withheld:
            return
        place = self.places[ticker]
        if self._watcher is not None:
            self._watcher.row(place, row, self._markets[ticker].exch_ns)
        if self.groups[place.group].put(place.slot, row):
            touched[place.group] = None

    def _new_market(self, ticker: str) -> LiveMarket:
        """Market of ``ticker``, which gets a place if no group names it."""
        spec, record = self._specs.get(ticker), self._record_of(ticker)
        declared = spec is not None
        if record is not None:
            spec, declared = record.spec, record.grid_declared
        if spec is None:
            spec = MarketSpec(ticker=ticker, event=inferred_event(ticker))
        market = LiveMarket(spec, declared, self._resolutions.of(spec), self._own)
        if ticker not in self.places:
            is_full = self._open_group < 0 or len(self.tickers[self._open_group]) == self._config.n_slots
            if is_full and not self._free:
                self._open_group = len(self.groups)
                self._add_group(())
            self._place(ticker, *(self._free.pop(0) if self._free else (self._open_group,)))
            self._news.append(ticker)
        self._markets[ticker], self._told[ticker] = market, MarketTold(spec)
        self._describe_market(ticker)
        return market

    def _record_of(self, ticker: str) -> MarketRecord | None:
        """Everything that REST told of a market; None where it told nothing."""
        return None if self._rest is None else self._rest.records.get(ticker)

    def _describe_market(self, ticker: str) -> None:
        """Tell the group of a market the market's facts and fees as they are known now."""
        market, place = self._markets[ticker], self.places[ticker]
        spec = market.spec
        names, is_neutral = missing_inputs(self._columns, spec, market.known, outcomes=self._has_outcomes)
        self.missing[ticker] = names
        if is_neutral and not self._accepts:
            self.withheld.add(ticker)
        record = self._record_of(ticker)
        fees = self._fees.of(spec) if record is None else self._fees.of_record(record)
        self._fees_due_ns[ticker] = min((s.from_ns for s in fees if s.from_ns > self.now_ns), default=_NEVER)
        self.groups[place.group].describe(place.slot, spec, market.known, fees, self.now_ns)
        if self._watcher is not None:
            self._watcher.described(place, spec, market.known, fees, self.now_ns)

    def _take_fees(self) -> None:
        """Let changes of events' fees that the decoder heard hold for the events' markets from here on."""
        for event, told in self._decoder.event_fees.items():
            for change in told:
                self._fees.hear(event, change, self._decoder.counters)
            for ticker, market in self._markets.items():
                if market.spec.event == event:
                    self._describe_market(ticker)
        self._decoder.event_fees.clear()

    def _add_group(self, named: Sequence[str]) -> None:
        """Open a group with the markets ``named``."""
        number = len(self.groups)
        if len(named) > self._config.n_slots:
            raise ContractError(
                f"groups.{number} names {len(named)} markets; the model decides at most "
                f"{self._config.n_slots} together: make several groups"
            )
        self.groups.append(LiveGroup(self._config, self._window))
        self.tickers.append([])
        for ticker in named:
            if ticker in self.places:
                raise ContractError(
                    f"groups.{number} names {ticker}, which has a place already: name each market once"
                )
            self._place(ticker, number)
        if len(self.places) > self._max_markets:
            raise ContractError(
                f"groups name {len(self.places)} markets; a session may have {self._max_markets}"
            )

    def _place(self, ticker: str, group: int, slot: int | None = None) -> None:
        """Give ``ticker`` a slot of a group that was released, or the next one."""
        tickers = self.tickers[group]
        place = self.places[ticker] = LivePlace(group, len(tickers) if slot is None else slot)
        tickers[place.slot : place.slot + 1] = [ticker]
        if self._watcher is not None:
            self._watcher.placed(place, ticker)

    def set_account(self, account: AccountMessage) -> None:
        """Set the whole account of one group; ContractError names a group or market not there."""
        if account.group >= len(self.groups):
            raise ContractError(f"account.group = {account.group}; there are {len(self.groups)} groups")
        own = self.tickers[account.group]
        if foreign := sorted(account.markets.keys() - set(own)):
            raise ContractError(f"account.markets.{foreign[0]} is not in group {account.group}: it has {own}")
        group = self.groups[account.group]
        group.set_cash(account.cash_e6, account.reserved_e6)
        for s, ticker in enumerate(own):
            group.set_holding(s, account.markets.get(ticker, Holding()))
