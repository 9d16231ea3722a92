"""One trader at a recorded market, in plain Python: orders, queue, own impact, fees, account.

Written from the rules in words (the header of ``simulation/replay/execution.py``, sections 5.2 and 6 of the
description of the exchange) to be held against the compiled replay. It shares no code with it; money is a
Fraction of a dollar, an order is an object, what the trader took is a dictionary.

Not here  the reading of the recording: plain_book.py; orders and terms: plain_orders.py.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from made.plain_book import UNKNOWN, View
from made.plain_orders import (
    BUY_NO,
    BUY_YES,
    HOLD,
    SELL_NO,
    SELL_YES,
    Facts,
    Fill,
    Order,
    Style,
    Terms,
    in_pause,
)

#: Ahead of an order of which nobody knows how much is.
UNBOUNDED = 10**15


@dataclass
class Trader:
    """The trader over one run of views; :meth:`step` plays from one decision to the next."""

    style: Style
    facts: Facts
    seen: list[View]
    at: int = 0  # the view it stands at
    now: int = 0
    cash: Fraction = Fraction(0)
    position: int = 0
    fees: Fraction = Fraction(0)
    sent: Order | None = None
    working: Order | None = None
    gone: Order | None = None  # the last one that a print filled in this burst
    printed: int = 0  # what prints of this burst filled of the orders of its side
    taken: dict[tuple[bool, int], int] = field(default_factory=lambda: defaultdict(int))
    fills: list[Fill] = field(default_factory=list)
    mark: Fraction = Fraction(0)
    kept: int = 0  # actions that kept the order that rested
    cancels: int = 0  # sent
    cut: int = 0  # times that a queue was cut
    queued: list[tuple[int, int]] = field(default_factory=list)  # of orders that filled: ahead, printed of it

    def __post_init__(self) -> None:
        self.cash = self.style.capital
        self.now = self.seen[0].recv_ns
        self._mark(self.seen[0])

    # What it may do

    @property
    def terms(self) -> Terms:
        """What is known where it stands."""
        return self.facts.terms[self.seen[self.at].step]

    @property
    def reserved(self) -> Fraction:
        return sum((o.reserve for o in (self.sent, self.working) if o is not None), Fraction(0))

    @property
    def equity(self) -> Fraction:
        return self.cash + self._worth(self.mark)

    def _worth(self, yes: Fraction) -> Fraction:
        each = yes if self.position >= 0 else 1 - yes
        return Fraction(math.floor(abs(self.position) * each * 10_000), 1_000_000)

    def mask(self) -> list[int]:
        seeking = self.working is not None and self.facts.prints_only and not self.style.maker
        close = self.terms.close_ns
        shut = in_pause(self.now) or (close is not None and self.now >= close)
        if self.sent is not None or seeking or shut or self.seen[self.at].crossed:
            return [1, 0, 0, 0, 0]
        return [1, *(int(self.plan(action) is not None or self.keeps(action)) for action in range(1, 5))]

    def keeps(self, action: int) -> bool:
        """True where ``action`` asks for the very order that rests: the same price, size and purpose."""
        order = self.working
        if order is None or not self.style.maker or order.action != action:
            return False
        return self._limit(order.up) == order.limit and self.wanted(action) in (order.size, order.placed)

    def sends_nothing(self, action: int) -> bool:
        """True where the resting order is the one that ``action`` would send, as far as it is not filled."""
        order = self.working
        if not self.style.tapers or order is None or not self.style.maker or order.action != action:
            return self.keeps(action)
        return self._limit(order.up) == order.limit and order.size <= self.tapered(action) <= order.placed

    def tapered(self, action: int) -> int:
        """Size that is sent where sizes taper: by the free share of the limit, one contract at least."""
        size, style = self.wanted(action), self.style
        if action not in (BUY_YES, BUY_NO):
            return size
        free = Fraction(style.position_limit - abs(self.position), style.position_limit)
        return min(size, max(math.floor(style.order_qty * free), 100))

    def wanted(self, action: int) -> int:
        held, most = self.position, self.style.position_limit
        room = {
            BUY_YES: most - held if held >= 0 else 0,
            BUY_NO: most + held if held <= 0 else 0,
            SELL_YES: held,
            SELL_NO: -held,
        }
        return max(0, min(room[action], self.style.order_qty))

    def plan(self, action: int) -> Order | None:
        """The order that ``action`` would send now; None where it cannot be sent."""
        size, limit = self.wanted(action), self._limit(action in (BUY_YES, SELL_NO))
        if size == 0 or limit is None:
            return None
        order = Order(action, limit, size, Fraction(0))
        if action in (BUY_YES, BUY_NO):
            fee = self._fee(size, 5_000, self.style.maker) + self.style.unit
            order.reserve = order.price_of(limit) * Fraction(size, 100) + fee
            if order.reserve > self.cash - self.reserved:
                return None
        return order

    def _limit(self, up: bool) -> int | None:
        view, style = self.seen[self.at], self.style
        own, other = view.own(up), view.opposite(up)
        if not style.maker:
            if not other:
                return None
            best = other[0][0]
            if up:
                return max(best, min(best + style.slippage, 9_999))
            return min(best, max(best - style.slippage, 1))
        if not own:
            return None
        price = own[0][0]
        for _ in range(style.improve_ticks):
            further = [p for p in self.terms.grid if (p > price if up else p < price)]
            if not further:
                break
            better = min(further) if up else max(further)
            if other and (better >= other[0][0] if up else better <= other[0][0]):
                break
            price = better
        return price

    # Time

    def step(self, action: int) -> bool:
        """Decide ``action`` and play to the next decision; True where the run is over."""
        arrives = self.now + self.style.delay(0, 0, self.now)
        if action == HOLD:
            if (
                self.style.hold_cancels
                and self.style.maker
                and self.working is not None
                and any(self.mask()[1:])
            ):
                self.cancels += 1
                self.sent = Order(HOLD, 0, 0, Fraction(0), arrives)
        elif self.sends_nothing(action):
            self.kept += 1
            self.working.expires = arrives + self.style.ttl_ns
        else:
            order = self.plan(action)
            assert order is not None, "the mask allows what cannot be sent"
            if self.style.tapers and action in (BUY_YES, BUY_NO):
                order.size = self.tapered(action)
                fee = self._fee(order.size, 5_000, self.style.maker) + self.style.unit
                order.reserve = order.price_of(order.limit) * Fraction(order.size, 100) + fee
            order.arrives = arrives
            self.sent = order
        until, last = self.now + self.style.interval_ns, len(self.seen) - 1
        due = (
            i for i in range(self.at + 1, last) if self.seen[i].recv_ns >= until and not self.seen[i].crossed
        )
        soonest = next(due, last)
        until = self.seen[soonest].recv_ns
        while self.at + 1 < len(self.seen) and self.seen[self.at + 1].recv_ns <= until:
            if self.sent is not None and self.sent.arrives < self.seen[self.at + 1].recv_ns:
                self._arrive()
            self.at += 1
            self._message(self.seen[self.at])
        if self.sent is not None and self.sent.arrives <= until:
            self._arrive()
        self.now = until
        self._expire(until)
        if self.at + 1 < len(self.seen):
            return False
        if self.facts.outcome is not None:
            self.sent = self.working = None
            self.cash += self._worth(self.facts.outcome)
            self.position = 0
        return True

    def ended(self, at_ns: int) -> bool:
        return self.facts.end_ns is not None and at_ns >= self.facts.end_ns

    def _expire(self, now: int) -> None:
        if self.working is not None and now > self.working.expires:
            self.working = None

    def _message(self, view: View) -> None:
        for up, price in list(self.taken):
            shown = dict(view.opposite(up)).get(price)
            if shown is None:
                del self.taken[up, price]
            elif shown != UNKNOWN:
                self.taken[up, price] = min(self.taken[up, price], shown)
        self._expire(view.recv_ns)
        if self.ended(view.recv_ns) and not in_pause(view.recv_ns):
            self.working = None
        elif not view.crossed and not in_pause(view.recv_ns):
            if self.working is not None and view.print_side is not None:
                self._printed(view)
            if view.burst_ends and self.working is not None and self.style.maker:
                self._cut(view, self.working)
            if view.burst_ends:
                self._reached(view)
        self._mark(view)

    # What happens to an order

    def _arrive(self) -> None:
        order, self.sent, self.working = self.sent, None, None
        if order.action == HOLD or self.ended(order.arrives) or in_pause(order.arrives):
            return
        view, up = self.seen[self.at], order.up
        size = min(order.size, self.wanted(order.action))
        if size == 0:
            return
        reserve_e6 = order.reserve * 1_000_000 * size // order.size
        order.reserve, order.size = Fraction(reserve_e6, 1_000_000), size
        order.expires = order.arrives + self.style.ttl_ns
        self.working = order
        if self.gone is not None and self.gone.up != up:
            self.gone, self.printed = None, 0  # the burst printed against the other side
        if self.style.maker:
            if view.opposite(up) and order.reaches(view.opposite(up)[0][0]):
                self.working = None  # post-only
                return
            order.ahead = order.placed_ahead = self._ahead(view, order)
            order.placed = order.size
        elif not self.facts.prints_only:
            if not view.crossed:
                self._take(view, order)
            self.working = None

    def _ahead(self, view: View, order: Order) -> int | None:
        """Size displayed at its own price; None: unknown."""
        if self.facts.prints_only:
            return None
        own = view.own(order.up)
        size = dict(own).get(order.limit)
        if size is not None:
            return None if size == UNKNOWN else size
        behind = not any((p < order.limit) == order.up for p, _ in own)
        deeper = behind and len(own) == (1 if self.facts.best_only else 5)
        return None if deeper else 0

    def _cut(self, view: View, order: Order) -> None:
        """No more stands ahead than is displayed; a print within two seconds may be why less is."""
        shown = self._ahead(view, order)
        if shown is None or (order.ahead is not None and order.ahead <= shown):
            return
        self.cut += 1
        if view.recv_ns > order.cuts_until:
            order.cuts = 0
        order.cuts += UNBOUNDED if order.ahead is None else order.ahead - shown
        order.ahead, order.cuts_until = shown, view.recv_ns + 2_000_000_000

    def _free(self, up: bool, level: tuple[int, int]) -> int:
        price, shown = level
        most = self.style.unknown_fill if shown == UNKNOWN else shown
        return max(0, most - self.taken.get((up, price), 0))

    def _take(self, view: View, order: Order) -> None:
        for level in view.opposite(order.up):
            size = min(self._free(order.up, level), order.size)
            if not order.reaches(level[0]):
                return
            if size and self._fill(order, level[0], size, False, "taken"):
                self.taken[order.up, level[0]] += size
            if self.working is None:
                return

    def _printed(self, view: View) -> None:
        order, price, size = self.working, view.print_price, view.print_size
        if not self.style.maker:  # it waits for a print of its own side
            if view.print_side == (0 if order.up else 1) and order.reaches(price):
                self._fill(order, price, min(size, order.size), False, "print")
                self.working = None
            return
        if view.print_side != (1 if order.up else 0) or not order.reaches(price):
            return
        if price == order.limit:
            if order.ahead is None:
                return
            late = min(size, order.cuts) if view.recv_ns <= order.cuts_until else 0
            met = min(size - late, order.ahead)
            order.cuts, order.ahead = order.cuts - late, order.ahead - met
            order.passed += late + met
            size -= late + met
        size = min(size, order.size)
        if size and self._fill(order, order.limit, size, True, "print"):
            self.gone, self.printed = order, self.printed + size

    def _reached(self, view: View) -> None:
        """At the end of a burst: the opposite side that stands at the order's price or beyond it meets it."""
        order, printed = self.working or self.gone, self.printed
        self.gone, self.printed = None, 0
        if order is None or self.facts.prints_only or not self.style.maker:
            return
        met = [level for level in view.opposite(order.up) if order.reaches(level[0])]
        self._use(order.up, met, printed)
        if self.working is None or not met:
            return
        order.ahead = 0
        size = min(order.size, sum(self._free(order.up, level) for level in met))
        if size and self._fill(order, order.limit, size, True, "reached"):
            self._use(order.up, met, size)

    def _use(self, up: bool, levels: list[tuple[int, int]], size: int) -> None:
        for level in levels:
            part = min(size, self._free(up, level))
            if part:
                self.taken[up, level[0]] += part
                size -= part

    # Money

    def _fee(self, size: int, price: int, maker: bool) -> Fraction:
        """Model fee in dollars, rounded up to a millionth."""
        rate = (self.terms.maker_rate if maker else self.terms.taker_rate) * self.style.fee_scale
        p = Fraction(price, 10_000)
        return Fraction(math.ceil(rate * Fraction(size, 100) * p * (1 - p) * 1_000_000), 1_000_000)

    def _aligned(self, revenue: Fraction, fee: Fraction, kept: Fraction) -> tuple[Fraction, Fraction]:
        """(change of the balance, what the exchange now keeps for the order): the five steps of 5.2."""
        unit, net = self.style.unit, revenue - fee
        aligned = math.floor(net / unit) * unit
        rounding = net - aligned
        kept += rounding
        rebate = math.floor(min(kept, fee + rounding) / unit) * unit
        return aligned + rebate, kept - rebate

    def _count(self, order: Order) -> None:
        """Write down what stood ahead of an order that fills for the first time."""
        if order.size == order.placed and order.placed_ahead is not None:
            self.queued.append((order.placed_ahead, order.passed))

    def _fill(self, order: Order, price: int, size: int, maker: bool, why: str) -> bool:
        value = order.price_of(price) * Fraction(size, 100)
        buys = order.action in (BUY_YES, BUY_NO)
        revenue = -value if buys else value
        change, kept = self._aligned(revenue, self._fee(size, price, maker), order.rounding)
        left = order.size - size
        keep = Fraction(order.reserve * 1_000_000 * left // order.size, 1_000_000)
        others = self.reserved - order.reserve
        if self.cash + change < others + keep:
            self.working = None
            return False
        if why != "taken" and maker:
            self._count(order)
        self.cash += change
        self.fees += revenue - change
        self.position += size if order.up else -size
        order.rounding, order.size, order.reserve = kept, left, keep
        self.fills.append(Fill(self.at, order.up, price, size, why))
        if left == 0:
            self.working = None
        return True

    def closing(self) -> tuple[Fraction, Fraction]:
        """(cash, fees) that closing the position as a taker brings, on the view it stands at."""
        if self.position == 0:
            return Fraction(0), Fraction(0)
        view, up = self.seen[self.at], self.position < 0
        order = Order(SELL_NO if up else SELL_YES, 0, abs(self.position), Fraction(0))
        levels, own = view.opposite(up), view.own(up)
        if not levels and self.facts.prints_only:
            revenue = self._worth(self.mark)
            price = math.floor(self.mark * 10_000)
            fee = min(self._fee(order.size, price, False), revenue)
            change, _ = self._aligned(revenue, fee, Fraction(0))
            return change, revenue - change
        cash = fees = Fraction(0)
        for level, shown in levels:
            free = order.size if shown == UNKNOWN else self._free(up, (level, shown))
            size, price = min(order.size, free), level
            if view.crossed:
                price = max(level, own[0][0]) if up else min(level, own[0][0])
            revenue = order.price_of(price) * Fraction(size, 100)
            fee = min(self._fee(size, price, False), revenue)
            if size:
                change, order.rounding = self._aligned(revenue, fee, order.rounding)
                cash, fees, order.size = cash + change, fees + revenue - change, order.size - size
        return cash, fees

    def _mark(self, view: View) -> None:
        bid = Fraction(view.bids[0][0], 10_000) if view.bids else None
        ask = Fraction(view.asks[0][0], 10_000) if view.asks else None
        if bid is not None and ask is not None:
            self.mark = (bid + ask) / 2
            return
        if view.print_side is not None:
            self.mark = Fraction(view.print_price, 10_000)
        elif self.mark == 0:
            known = bid if bid is not None else ask
            self.mark = Fraction(1, 2) if known is None else known
        if bid is not None:
            self.mark = max(self.mark, bid)
        if ask is not None:
            self.mark = min(self.mark, ask)
