"""Filling of trades and candles: of which market, from when on, and when it is asked for again."""

from typing import TYPE_CHECKING, Final

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.sink import DISCONNECTED, SUBSCRIBED, TERMINAL, UPDATED
from kalshi_platform.trading.recorder.follow.follower import NoteRow, tickers_of

if TYPE_CHECKING:
    from kalshi_platform.trading.recorder.record import Recorder

#: Before a hole's own begin: trades that were sent and not received.
_BEFORE_NS: Final = 60 * NS_PER_SECOND
_TRADES: Final = "trade"


class Filling:
    """Fills trades and candles of new markets and after holes.

    A hole lasts until the trade channel has the market again, which may be long after the note that told it:
    the span is asked for at once, and once more, whole, from then on.
    """

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self._due: dict[str, tuple[str, int]] = {}  # market -> its event; from when on it is not filled, ns
        self._met: set[str] = set()  # markets of which the time before the first frame was asked for
        self._apart_since_ns: dict[str, int] = {}  # market -> not heard of by the trade channel since
        recorder.sink.note_hooks.append(self._hear)

    def _hear(self, row: NoteRow) -> None:
        """Note a hole, in which every market may have lost trades, or the end of one."""
        if row.kind in (SUBSCRIBED, UPDATED) and row.detail.get("channel") == _TRADES:
            for ticker in tickers_of(row.detail.get("params", {})):
                self._heard(ticker, row)
        if not row.is_hole:
            return
        found = row.detail.get("since_ns") or row.detail.get("first_recv_ns") or row.recv_ns
        since_ns = min(int(found), self._recorder.clock.wall_ns()) - _BEFORE_NS  # a clock may be set back
        is_apart = row.kind == DISCONNECTED or (
            row.kind == TERMINAL and row.detail.get("channel") in (None, _TRADES)
        )
        for ticker, event in self._recorder.directory.markets.items():
            self._want(ticker, event, since_ns)
            if is_apart:
                self._apart_since_ns[ticker] = min(self._apart_since_ns.get(ticker, since_ns), since_ns)

    def _heard(self, ticker: str, row: NoteRow) -> None:
        """Note that the trade channel has a market, or has it no longer."""
        event = self._recorder.directory.markets.get(ticker)
        now_ns = min(row.recv_ns, self._recorder.clock.wall_ns())
        since_ns = self._apart_since_ns.pop(ticker, now_ns - _BEFORE_NS)
        if event is not None:
            self._want(ticker, event, since_ns)

    def _want(self, ticker: str, event: str, since_ns: int) -> None:
        """Want a span filled, and whatever of the market is still not filled."""
        known = self._due.get(ticker)
        self._due[ticker] = event, since_ns if known is None else min(known[1], since_ns)

    async def look(self) -> None:
        """Fill what is missing now; what cannot be filled is asked for again at the next look."""
        recorder, now_ns = self._recorder, self._recorder.clock.wall_ns()
        before_ns = now_ns - int(recorder.config.backfill_s * NS_PER_SECOND)
        if recorder.earlier.last_ns is not None:  # the time between two runs is a hole, however long
            before_ns = min(before_ns, recorder.earlier.last_ns - _BEFORE_NS)
        for ticker, event in recorder.directory.markets.items():
            if ticker not in self._met:
                self._met.add(ticker)
                self._want(ticker, event, before_ns)
        backfill, series_of = recorder.backfill, recorder.directory.series_of
        for ticker in list(self._due):
            event, since_ns = self._due.pop(ticker)  # a hole that is heard of meanwhile is wanted anew
            now_ns = recorder.clock.wall_ns()
            await backfill.fill_trades(ticker, since_ns, now_ns, recorder.known_ns())
            if event in series_of:
                await backfill.fill_candles(series_of[event], ticker, since_ns, now_ns, recorder.known_ns())
            if ticker in backfill.open or ticker in backfill.open_candles:
                self._want(ticker, event, since_ns)
