"""Rows of an event's exchange become what the venue knows and tells, in order."""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.matching import tape
from kalshi_platform.simulation.matching.records import ACTIVE, BID, CLOSED, FINALIZED, INACTIVE
from kalshi_platform.simulation.simexchange.contracts import TAPERED
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.venue.account import OutsideAccount
from kalshi_platform.trading.simserver.venue.feed import VenueFeed
from kalshi_platform.trading.simserver.venue.market import PublicTrade, ServedEvent, ServedMarket

DELTA: Final = int(tape.DELTA)
FILL: Final = int(tape.FILL)
STATUS: Final = int(tape.STATUS)
GRID: Final = int(tape.GRID)
_STATUS: Final = {int(ACTIVE): "active", int(INACTIVE): "inactive", int(CLOSED): "closed"}
#: Columns that every row is read by.
_COLUMNS: Final = ("kind", "market", "side", "price_e4", "qty_e2", "time_ns", "account", "maker_account")


class OutsideCause(NamedTuple):
    """Command from outside that rows come from."""

    client_order_id: str
    subaccount: int


class RowReader:
    """Reader of rows of all events: it counts trades, follows status and tops, and tells the feed."""

    def __init__(self, feed: VenueFeed, account: OutsideAccount) -> None:
        self._feed, self._account = feed, account
        self.n_trades = 0
        self.n_deltas = 0
        self._touched: dict[str, tuple[ServedMarket, int]] = {}  # with the time of its last change

    def read_all(self, told: list[tuple[ServedEvent, np.ndarray]]) -> None:
        """Take in the rows of several events in order of time."""
        if len(told) < 2:
            for event, rows in told:
                self.read(event, rows)
            return
        self._read_mixed(told)
        self._tell_tops()

    def _read_mixed(self, told: list[tuple[ServedEvent, np.ndarray]]) -> None:
        times = np.concatenate([rows["time_ns"] + event.open_ns for event, rows in told])
        source = np.repeat(np.arange(len(told)), [rows.size for _, rows in told])
        order = np.argsort(times, kind="stable")
        cuts = np.flatnonzero(np.diff(source[order])) + 1
        done = [0] * len(told)
        for part in np.split(source[order], cuts):
            if part.size:
                which = int(part[0])
                event, rows = told[which]
                self._read_rows(event, rows[done[which] : done[which] + part.size], None)
                done[which] += part.size

    def read(self, event: ServedEvent, rows: np.ndarray, cause: OutsideCause | None = None) -> None:
        """Take in the rows (n,) TAPE_DTYPE of one event; ``cause`` is the outside command that wrote them."""
        self._read_rows(event, rows, cause)
        self._tell_tops()

    def _read_rows(self, event: ServedEvent, rows: np.ndarray, cause: OutsideCause | None) -> None:
        if not rows.size or event.live is None:
            return
        feed, markets, outside = self._feed, event.markets, event.live.first_outside
        columns = zip(*(rows[name].tolist() for name in _COLUMNS), strict=True)
        for i, (kind, m, side, price, qty, at, owner, maker) in enumerate(columns):
            if kind == DELTA:
                self.n_deltas += 1
                self._touched[markets[m].ticker] = (markets[m], event.open_ns + at)
                feed.delta(markets[m], side, price, qty, event.open_ns + at, cause)
                continue
            if kind == FILL:
                self._print(markets[m], side, price, qty, event.open_ns + at)
            elif kind == STATUS:
                self._status(markets[m], int(rows["left_e2"][i]))
            elif kind == GRID:
                self._grid(markets[m])
            if owner >= outside:
                self._account.read_row(event, rows[i], owner - outside, is_owner=True)
            if maker >= outside:
                self._account.read_row(event, rows[i], maker - outside, is_owner=False)

    def _tell_tops(self) -> None:
        """Tell the tops that changed, once the books stand as everything told so far has left them."""
        for market, time_ns in self._touched.values():
            market.take_top(time_ns)
            self._tell_top(market)
        self._touched.clear()

    def _print(self, market: ServedMarket, side: int, price_e4: int, qty_e2: int, time_ns: int) -> None:
        self.n_trades += 1
        trade_id = wire.uuid_text(wire.TRADE_ID, 0, self.n_trades)
        trade = PublicTrade(trade_id, time_ns, price_e4, qty_e2, side == BID)
        market.take_trade(trade)
        self._account.trade_id = trade_id
        self._feed.trade(market, trade)

    def _tell_top(self, market: ServedMarket) -> None:
        top = (market.bid_e4, market.bid_e2, market.ask_e4, market.ask_e2, market.volume_e2)
        if top != market.told:
            market.told = top
            self._feed.ticker(market)

    def _status(self, market: ServedMarket, code: int) -> None:
        if code == FINALIZED:  # the venue tells of it when every market of the event is paid
            return
        before, market.status = market.status, _STATUS[code]
        if market.status == "inactive":
            self._feed.lifecycle(market, "deactivated", {"is_deactivated": True})
        elif market.status == "active" and before in ("inactive", "closed"):
            self._feed.lifecycle(market, "activated", {"is_deactivated": False})

    def _grid(self, market: ServedMarket) -> None:
        """Read the bands that were written before the row: the world changes to TAPERED, a fault to any."""
        live = market.event.live
        assert live is not None  # a settled event tells no rows
        core, m = live.exchange.core, market.number
        bands = core.bands[m, : int(core.markets["n_bands"][m])].tolist()
        if [tuple(band) for band in bands] == [(b.start_e4, b.end_e4, b.step_e4) for b in TAPERED]:
            market.structure, market.bands = "tapered_deci_cent", TAPERED
        self._feed.lifecycle(
            market,
            "price_level_structure_updated",
            {"price_level_structure": market.structure, "price_ranges": band_bodies(market)},
        )


def band_bodies(market: ServedMarket) -> list[dict[str, str]]:
    """Price bands of a market as the exchange writes them."""
    return [
        {"start": wire.dollars(b.start_e4), "end": wire.dollars(b.end_e4), "step": wire.dollars(b.step_e4)}
        for b in market.bands
    ]


def value_text(value_e4: int) -> str:
    """Settlement value of one YES as the exchange writes it."""
    return wire.DOLLARS[min(max(value_e4, 0), DOLLAR_E4)]
