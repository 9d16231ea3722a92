"""Combos: markets that pay where every one of their legs does. They are listed, told and paid, not traded.

Owns       the combos that are open, closed or paid, each an event of its own with one market and no exchange.
Legs       two markets of different open events, drawn by the seed. A combo closes with the first of its legs,
           is determined when all are, and is followed by the next one when it is paid.
Not here   quotes and orders: a request for either is refused (desk.py, rest/unserved_calls.py).
"""

from collections import OrderedDict
from typing import Final

import numpy as np

from kalshi_platform.domain.market import PriceBand
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.venue.market import ComboLeg, ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.venue import LiveVenue, created_fields

COMBO_SERIES: Final = "KXMVESIMCOMBO"
COMBO_SHARD: Final = 1
#: Grid of all combos on the exchange.
_BANDS: Final = (
    PriceBand(start_e4=0, end_e4=100, step_e4=1),
    PriceBand(start_e4=100, end_e4=9_900, step_e4=10),
    PriceBand(start_e4=9_900, end_e4=10_000, step_e4=1),
)
#: Numbers of combos begin here, so that none is that of another event.
_FIRST_INDEX: Final = 1_000_000_000
_STREAM: Final = 77  # of random numbers, apart from those of the events


class ComboBoard:
    """Combos of one venue."""

    def __init__(self, venue: LiveVenue, n_open: int) -> None:
        self._venue, self._n_open = venue, n_open
        self.events: OrderedDict[str, ServedEvent] = OrderedDict()
        self._made = 0
        if n_open:
            venue.after_slice.append(self.follow)
            self.follow()

    def markets(self) -> list[ServedMarket]:
        """Markets of all combos that are kept."""
        return [market for event in self.events.values() for market in event.markets]

    def follow(self) -> None:
        """Let every combo follow its legs, and new ones come in the place of those that are paid."""
        for market in self.markets():
            self._follow(market)
        n_open = sum(market.status != "finalized" for market in self.markets())
        for _ in range(self._n_open - n_open):
            if not self._make():
                break
        while len(self.events) > self._n_open + self._venue.config.keep_events:
            _, old = self.events.popitem(last=False)
            del self._venue.markets[old.markets[0].ticker]

    def _make(self) -> bool:
        """Make the next combo; False where fewer than two events are open."""
        venue = self._venue
        if len(venue.open_now) < 2:
            return False
        rng = np.random.default_rng([venue.config.seed, _STREAM, self._made])
        chosen = rng.choice(len(venue.open_now), 2, replace=False).tolist()
        found = [venue.open_now[at] for at in chosen]
        markets = [event.markets[int(rng.integers(len(event.markets)))] for event in found]
        legs = tuple(ComboLeg(market, bool(rng.integers(2))) for market in markets)
        self._made += 1
        now_ns, ticker = venue.clock.now_ns, f"{COMBO_SERIES}-S{self._made:06d}"
        event = ServedEvent(
            index=_FIRST_INDEX + self._made, ticker=ticker, series=COMBO_SERIES, category="Exotics",
            title=f"Simulated combo {self._made}", exchange_index=COMBO_SHARD, mutually_exclusive=False,
            open_ns=now_ns, live=None, created_ns=now_ns, settle_s=venue.config.settle_s,
        )  # fmt: skip
        market = ServedMarket(
            ticker=f"{ticker}-C", market_id=wire.uuid_text(wire.MARKET_ID, event.index, 0), event=event,
            number=0, open_ns=now_ns, close_ns=min(leg.market.close_ns for leg in legs),
            expected_ns=max(leg.market.expected_ns for leg in legs), status="active",
            structure="center_deci_edge_centi_cent", bands=_BANDS, updated_ns=now_ns, legs=legs,
        )  # fmt: skip
        event.markets = [market]
        self.events[ticker] = event
        venue.markets[market.ticker] = market
        venue.feed.lifecycle(market, "created", created_fields(market))
        venue.feed.created(event)
        return True

    def _follow(self, market: ServedMarket) -> None:
        """Close, determine and pay a combo as its legs and its timer have it."""
        now_ns = self._venue.clock.now_ns
        if market.status == "active" and any(
            leg.market.status not in ("active", "inactive") for leg in market.legs
        ):
            market.status, market.close_ns, market.updated_ns = "closed", now_ns, now_ns
        if market.status in ("closed", "determined", "amended"):
            values = [leg.market.value_e4 for leg in market.legs]
            pays = [(v == DOLLAR_E4) == leg.is_yes for v, leg in zip(values, market.legs, strict=True)]
            value_e4 = DOLLAR_E4 if all(pays) else 0
            if None not in values and value_e4 != market.value_e4:
                self._venue.determine(market, value_e4)
        timer_ns = market.event.settle_s * NS_PER_SECOND
        if market.determined_ns is not None and market.status in ("determined", "amended"):
            legs_paid = all(leg.market.status == "finalized" for leg in market.legs)
            if legs_paid and market.determined_ns + timer_ns <= now_ns:
                market.status, market.settled_ns, market.updated_ns = "finalized", now_ns, now_ns
                self._venue.feed.lifecycle(market, "settled", {"settled_ts": now_ns // NS_PER_SECOND})
