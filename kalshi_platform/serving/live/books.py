"""Frames of one session to live groups: the market that a frame concerns and the slot where it stands.

Owns       the decoder, the markets and the groups of one session, and its clock.
Invariant  the clock never goes back; every frame either has its whole effect or is refused, and a refused one
           leaves no book valid that may be stale.
Groups     those named when the session opened, then one for every ``n_slots`` further markets, in order of
           first appearance.
Not        numbers of frames, answers and limits of a session (``stream.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.clock import TimeSpan, strange_time
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.market_meta import inferred_event, is_ticker
from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.serving.api.messages import AccountMessage, Holding
from kalshi_platform.serving.live.admission import columns_shown, missing_inputs
from kalshi_platform.serving.live.group import LiveGroup
from kalshi_platform.serving.live.live_fees import LiveFees
from kalshi_platform.serving.live.market import LiveMarket
from kalshi_platform.simulation.replay.trading import TradingConfig


class LivePlace(NamedTuple):
    """Group and slot in which a market stands."""

    group: int
    slot: int


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
    ) -> None:
        """Begin with ``groups``; ContractError where one is too large or a market is named twice.

        Without ``accept_missing_inputs`` a market of which an input would be a neutral value stays unseen.
        """
        self._columns = columns_shown(config, window)
        self._has_outcomes, self._accepts = resolutions is not None, accept_missing_inputs
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
        self.now_ns = 0
        self.places: dict[str, LivePlace] = {}
        self.groups: list[LiveGroup] = []
        self.tickers: list[list[str]] = []  # of each group, in order of its slots
        self._news: list[str] = []
        self._open_group = -1  # where markets that no group names go
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

    def specification(self, ticker: str) -> MarketSpec:
        """Specification, as known now, of a market that has a place."""
        return self._markets[ticker].spec

    def newly_placed(self) -> list[str]:
        """Markets that no group names and that got a place since the last call."""
        if not self._news:
            return []
        news, self._news = self._news, []
        return news

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
            raise DataError(
                f"recv_ns {frame.recv_ns} is {self.now_ns - frame.recv_ns} ns before the frame above it; a "
                "stream's clock never goes back: send the frames of all connections in order of arrival"
            )
        self.now_ns = frame.recv_ns
        self._admit(message)
        try:
            self._decoder.feed_message(frame, message)
            self._take_fees()
        except DataError:
            self._apply(frame)
            raise
        return self._apply(frame)

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
            market = self._markets.get(ticker) or self._new_market(ticker)
            place = self.places[ticker]
            group = self.groups[place.group]
            try:
                for telling in told:
                    market.take_facts(telling.facts, telling.recv_ns)
                    self._describe_market(ticker)
            except DataError as err:  # its rows are applied all the same: one may say that the book is spoilt
                refusal = refusal or err
            before = market.spec
            try:
                for row in market.apply(rows, frame.line, self._decoder.counters):
                    if ticker not in self.withheld and group.put(place.slot, row):
                        touched[place.group] = None
            except DataError as err:
                refusal = refusal or err
            if market.spec is not before:  # the prices showed a finer grid: orders are priced on it
                self._describe_market(ticker)
        if refusal is not None:
            raise refusal
        return list(touched)

    def _new_market(self, ticker: str) -> LiveMarket:
        """Market of ``ticker``, which gets a place if no group names it."""
        spec = self._specs.get(ticker)
        declared = spec is not None
        if spec is None:
            spec = MarketSpec(ticker=ticker, event=inferred_event(ticker))
        market = LiveMarket(spec, declared, self._resolutions.of(spec))
        if ticker not in self.places:
            if self._open_group < 0 or len(self.tickers[self._open_group]) == self._config.n_slots:
                self._open_group = len(self.groups)
                self._add_group(())
            self._place(ticker, self._open_group)
            self._news.append(ticker)
        self._markets[ticker] = market
        self._describe_market(ticker)
        return market

    def _describe_market(self, ticker: str) -> None:
        """Tell the group of a market the market's facts and fees as they are known now."""
        market, place = self._markets[ticker], self.places[ticker]
        spec = market.spec
        names, is_neutral = missing_inputs(self._columns, spec, market.known, outcomes=self._has_outcomes)
        self.missing[ticker] = names
        if is_neutral and not self._accepts:
            self.withheld.add(ticker)
        self.groups[place.group].describe(place.slot, spec, market.known, self._fees.of(spec), self.now_ns)

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

    def _place(self, ticker: str, group: int) -> None:
        """Give ``ticker`` the next slot of a group."""
        self.places[ticker] = LivePlace(group, len(self.tickers[group]))
        self.tickers[group].append(ticker)

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
