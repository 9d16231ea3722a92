"""Rules by which a recorded book fills an order: ours, hftbacktest's, and one named difference at a time.

Plain Python that shares no code with either engine. ``fills`` with no name given must be what our replay
fills, with all names what hftbacktest fills; ``causes_of`` walks from one to the other name by name, so that
every difference of an order has a name. Only bids are played: an ask is a bid in the mirrored stream.

Units   prices in cents of the bid's own outcome, sizes 1e-2 contract, time ns.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

LEVELS: Final = 5
CENTS: Final = 100
#: hftbacktest's best tick of an empty side.
NO_BID, NO_ASK = -(10**9), 10**9
#: Time in which a print may be the cause of a cut before it.
LATE_NS: Final = 2 * 10**9

#: Rule of hftbacktest that a name puts in the place of ours, in the order in which they are tried.
CAUSES: Final = {
    "crossed": "ours fills nothing while the book is crossed; hftbacktest does, and hides the crossed levels",
    "all_levels": "ours knows five levels a side; hftbacktest knows the queue and the size of all",
    "inside_burst": "ours looks at the opposite best when a burst has ended; hftbacktest at every message",
    "cancels_ahead": "ours cuts the queue to the size displayed when a burst has ended, and prints of the "
    "next 2 s count against the cut first; hftbacktest at every message",
    "print_through": "ours fills a print's size at most; hftbacktest all, if the print is through the price",
    "reached_whole": "ours fills the size that reached the price; hftbacktest fills all",
}


class Change(NamedTuple):
    """A level's new size; ``bid`` False: an ask."""

    bid: bool
    cents: int
    qty_e2: int


class Message(NamedTuple):
    """One message: a print against the bids or asks, then changes of the book."""

    at_ns: int
    changes: tuple[Change, ...]
    print_cents: int = 0
    print_e2: int = 0  # 0 = no print
    print_meets_bids: bool = False
    clears: bool = False
    burst_end: bool = True


class Order(NamedTuple):
    """A bid (or a bid of the mirrored stream): rests from arrival to end, or takes at arrival."""

    bid: bool
    cents: int  # on the YES scale
    qty_e2: int
    takes: bool
    sent_ns: int
    arrives_ns: int
    ends_ns: int
    away: int = 0  # how far from the best it was meant to be: for tables


class Fill(NamedTuple):
    """Size filled at one instant and price on the YES scale."""

    at_ns: int
    cents: int
    qty_e2: int


class _PeerBook:
    """hftbacktest's depth: an update that crosses moves the other side's best past it and leaves its size."""

    def __init__(self) -> None:
        self.sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.best_bid, self.best_ask = NO_BID, NO_ASK

    def clear(self) -> None:
        """Forget everything."""
        self.sizes, self.best_bid, self.best_ask = ({}, {}), NO_BID, NO_ASK

    def update(self, change: Change) -> None:
        """Set one level's size."""
        bids, asks = self.sizes
        sizes = bids if change.bid else asks
        if change.qty_e2:
            sizes[change.cents] = change.qty_e2
        else:
            sizes.pop(change.cents, None)
        if change.bid and change.qty_e2 and change.cents > self.best_bid:
            self.best_bid = change.cents
            if self.best_bid >= self.best_ask:
                self.best_ask = min((c for c in asks if c > self.best_bid), default=NO_ASK)
        elif change.bid and not change.qty_e2 and change.cents == self.best_bid:
            self.best_bid = max((c for c in bids if c < change.cents), default=NO_BID)
        elif not change.bid and change.qty_e2 and change.cents < self.best_ask:
            self.best_ask = change.cents
            if self.best_bid >= self.best_ask:
                self.best_bid = max((c for c in bids if c < self.best_ask), default=NO_BID)
        elif not change.bid and not change.qty_e2 and change.cents == self.best_ask:
            self.best_ask = min((c for c in asks if c > change.cents), default=NO_ASK)


class View(NamedTuple):
    """Everything that a bid can see, message by message; n messages."""

    at_ns: list[int]
    bids: np.ndarray  # (n, CENTS + 1) i8: size displayed after each message
    asks: np.ndarray  # (n, CENTS + 1) i8
    peer_ask: list[int]  # hftbacktest's best ask after each message
    peer_low: list[int]  # and the lowest that it was within the message
    own_changes: list[tuple[tuple[int, int], ...]]  # (cents, new size) of the bids
    prints: list[tuple[int, int]]  # (cents, size) of prints against the bids; size 0 = none
    burst_end: list[bool]


def _mirrored(message: Message) -> Message:
    return message._replace(
        changes=tuple(Change(not c.bid, CENTS - c.cents, c.qty_e2) for c in message.changes),
        print_cents=CENTS - message.print_cents,
        print_meets_bids=not message.print_meets_bids,
    )


def views(messages: Sequence[Message]) -> tuple[View, View]:
    """(the stream as asks see it, mirrored; the stream as bids see it), by ``Order.bid``."""
    return _view([_mirrored(m) for m in messages]), _view(messages)


def _view(messages: Sequence[Message]) -> View:
    n, book = len(messages), _PeerBook()
    view = View(
        [m.at_ns for m in messages],
        np.zeros((n, CENTS + 1), np.int64), np.zeros((n, CENTS + 1), np.int64),
        [], [],
        [tuple((c.cents, c.qty_e2) for c in m.changes if c.bid) for m in messages],
        [(m.print_cents, m.print_e2 if m.print_meets_bids else 0) for m in messages],
        [m.burst_end for m in messages],
    )  # fmt: skip
    for i, message in enumerate(messages):
        if message.clears:
            book.clear()
        elif i:
            view.bids[i], view.asks[i] = view.bids[i - 1], view.asks[i - 1]
        low = book.best_ask
        for change in message.changes:
            (view.bids if change.bid else view.asks)[i, change.cents] = change.qty_e2
            book.update(change)
            low = min(low, book.best_ask)
        view.peer_ask.append(book.best_ask)
        view.peer_low.append(low)
    return view


class _Bid:
    """One bid at work under the rules of ``theirs``."""

    def __init__(self, view: View, order: Order, theirs: frozenset[str]) -> None:
        self.view, self.order, self.theirs = view, order, theirs
        self.cents = order.cents if order.bid else CENTS - order.cents
        self.left, self.queue = order.qty_e2, 0
        self.cut, self.cut_until_ns = 0, 0
        self.taken: dict[int, int] = {}
        self.printed = 0
        self.out: list[Fill] = []

    def asks(self, i: int) -> list[tuple[int, int]]:
        """(cents, size) of the opposite levels that can be filled, the best first."""
        first = self.view.peer_ask[i] if "crossed" in self.theirs else 0
        row = self.view.asks[i]
        levels = [(int(c), int(row[c])) for c in np.flatnonzero(row) if c >= first]
        return levels if "all_levels" in self.theirs else levels[:LEVELS]

    def crossed(self, i: int) -> bool:
        """True where our rules trust nothing of message ``i``."""
        bids, asks = np.flatnonzero(self.view.bids[i]), np.flatnonzero(self.view.asks[i])
        return "crossed" not in self.theirs and bool(bids.size and asks.size and bids[-1] >= asks[0])

    def fill(self, at_ns: int, cents: int, qty: int) -> None:
        """Fill ``qty``, if any."""
        if qty > 0:
            self.left -= qty
            self.out.append(Fill(at_ns, cents if self.order.bid else CENTS - cents, qty))

    def take(self, i: int) -> None:
        """Walk the asks after message ``i``; what does not fill at once is gone."""
        for cents, size in [] if self.crossed(i) else self.asks(i):
            if cents <= self.cents and self.left:
                self.fill(self.order.arrives_ns, cents, min(size, self.left))

    def join(self, i: int) -> bool:
        """Join the queue after message ``i``; False where the order would cross."""
        asks = self.asks(i)
        if asks and asks[0][0] <= self.cents:
            return False
        self.queue = int(self.view.bids[i, self.cents]) if self.knows_level(i) else NO_ASK
        return True

    def knows_level(self, i: int) -> bool:
        """True where the size at the own price is among the levels that are known after message ``i``."""
        better = np.flatnonzero(self.view.bids[i, self.cents + 1 :]).size
        return "all_levels" in self.theirs or better < LEVELS

    def meet_print(self, i: int) -> None:
        """Fill by a print through the price, or by what a print at it leaves of the queue."""
        cents, size = self.view.prints[i]
        if size == 0 or cents > self.cents:
            return
        qty = min(size, self.left)
        if cents < self.cents:
            qty = self.left if "print_through" in self.theirs else qty
        elif self.queue == NO_ASK:
            return
        else:
            size -= self.late(i, size)
            beyond = max(size - self.queue, 0)
            self.queue = max(self.queue - size, 0)
            qty = min(beyond, self.left)
        self.fill(self.view.at_ns[i], self.cents, qty)
        self.printed += qty

    def late(self, i: int, size: int) -> int:
        """Return the part of a print at the price that was seen before, as a cut of the queue."""
        part = min(size, self.cut) if self.view.at_ns[i] <= self.cut_until_ns else 0
        self.cut -= part
        return part

    def shrink_queue(self, i: int) -> None:
        """Cut the queue ahead to what is still displayed."""
        if "cancels_ahead" in self.theirs:
            for cents, size in self.view.own_changes[i] if self.queue != NO_ASK else ():
                if cents == self.cents:
                    self.queue = min(self.queue, size)
        elif self.view.burst_end[i] and self.knows_level(i):
            shown = int(self.view.bids[i, self.cents])
            if shown < self.queue:
                left = self.cut if self.view.at_ns[i] <= self.cut_until_ns else 0
                self.cut, self.cut_until_ns = left + self.queue - shown, self.view.at_ns[i] + LATE_NS
                self.queue = shown

    def consume(self, asks: list[tuple[int, int]], qty: int) -> None:
        """Remember ``qty`` as taken from the asks that reach the price."""
        for cents, size in asks:
            part = min(size - self.taken.get(cents, 0), qty)
            if cents <= self.cents and part > 0:
                self.taken[cents] = self.taken.get(cents, 0) + part
                qty -= part

    def meet_opposite(self, i: int) -> None:
        """Fill by asks that have reached the price."""
        asks = self.asks(i)
        printed, self.printed = self.printed, 0
        crossed = "crossed" in self.theirs and self.view.peer_low[i] <= self.cents
        if not crossed and not (asks and asks[0][0] <= self.cents):
            return
        self.consume(asks, printed)
        self.queue = 0
        free = sum(size - self.taken.get(c, 0) for c, size in asks if c <= self.cents)
        qty = self.left if "reached_whole" in self.theirs else min(free, self.left)
        self.fill(self.view.at_ns[i], self.cents, qty)
        self.consume(asks, qty)

    def see(self, i: int) -> None:
        """Apply message ``i`` to the resting order."""
        asks = dict(self.asks(i))
        self.taken = {c: min(q, asks[c]) for c, q in self.taken.items() if c in asks}
        if self.crossed(i):
            return
        self.meet_print(i)
        self.shrink_queue(i)
        if self.left and (self.view.burst_end[i] or "inside_burst" in self.theirs):
            self.meet_opposite(i)


def fills(both: tuple[View, View], order: Order, theirs: Iterable[str] = ()) -> list[Fill]:
    """Fills of one order alone in the stream; those of one instant and price as one."""
    view = both[order.bid]
    i = bisect_left(view.at_ns, order.arrives_ns)
    bid = _Bid(view, order, frozenset(theirs))
    if i and order.takes:
        bid.take(i - 1)
    elif i and bid.join(i - 1):
        while bid.left and i < len(view.at_ns) and view.at_ns[i] <= order.ends_ns:
            bid.see(i)
            i += 1
    return merged(bid.out)


def merged(found: Iterable[Fill]) -> list[Fill]:
    """Fills of one instant and price as one, in order of time."""
    total: dict[tuple[int, int], int] = {}
    for fill in found:
        total[fill[:2]] = total.get(fill[:2], 0) + fill.qty_e2
    return [Fill(*key, qty) for key, qty in total.items()]


def causes_of(both: tuple[View, View], order: Order) -> dict[str, int]:
    """Names whose rule changes the order's fills on the way from ours to theirs, and by how much (1e-2)."""
    found: dict[str, int] = {}
    before, theirs = fills(both, order), []
    for name in CAUSES:
        theirs.append(name)
        after = fills(both, order, theirs)
        if after != before:
            found[name] = sum(f.qty_e2 for f in after) - sum(f.qty_e2 for f in before)
        before = after
    return found
