"""Priority, self-trade prevention and order groups against a matcher that a fresh reader wrote from the docs.

Source    docs/exchange.md and the exchange's rules alone, before the core was read: best price first, then
          the oldest; ``taker_at_cross`` ends the arriving order at the first own one it meets, ``maker``
          cancels that one and goes on; FOK fills in full or not at all, but as IOC where it meets its own; a
          group falls with the fill that takes its contracts of the last 15 s above its limit, and that fill
          stands.
"""

import random
from collections import deque

import pytest
from made.core_exchange import open_exchange

from kalshi_platform.domain.fee_schedule import FeeTerms

WINDOW_NS = 15_000_000_000
TIFS = ("good_till_canceled", "immediate_or_cancel", "fill_or_kill")


class Reference:
    """One market without fees whose accounts never lack cash.

    An order is [number, account, side, price, left, group].
    """

    def __init__(self):
        self.book, self.fills, self.ended = [], [], []
        self.groups = {}  # name -> [limit, deque of (time, contracts), has fallen]

    def opposite(self, side, price):
        best = 1 if side == "bid" else -1
        met = [o for o in self.book if o[2] != side and best * (price - o[3]) >= 0]
        return sorted(met, key=lambda o: (best * o[3], o[0]))

    def count(self, group, now, qty):
        if group is None:
            return False
        limit, matches, _ = self.groups[group]
        matches.append((now, qty))
        while matches and matches[0][0] <= now - WINDOW_NS:
            matches.popleft()
        if sum(q for _, q in matches) > limit and not self.groups[group][2]:
            self.groups[group][2] = True
            self.ended += [o[0] for o in self.book if o[5] == group]
            self.book = [o for o in self.book if o[5] != group]
        return self.groups[group][2]

    def submit(self, number, account, side, price, qty, tif, stp, group, now):
        """Contracts filled and left; None where the order is refused."""
        if group is not None and self.groups[group][2]:
            return None
        if tif == "fill_or_kill":
            found, own = 0, False
            for other in self.opposite(side, price):
                own = own or (found < qty and other[1] == account)
                found += 0 if own else other[4]
            if found < qty and not own:
                return None
        left, stopped = qty, False
        while left and not stopped and (met := self.opposite(side, price)):
            other = met[0]
            if other[1] == account:
                stopped = stp == "taker_at_cross"
                if not stopped:
                    self.book.remove(other)
                    self.ended.append(other[0])
                continue
            part = min(left, other[4])
            self.fills.append((number, other[0], other[3], part))
            left, other[4] = left - part, other[4] - part
            if not other[4]:
                self.book.remove(other)
            self.count(other[5], now, part)
            stopped = self.count(group, now, part)
        if tif == "good_till_canceled" and left and not stopped:
            self.book.append([number, account, side, price, left, group])
            return qty - left, left
        return qty - left, 0


@pytest.mark.parametrize("seed", range(8))
def test_fills_books_and_groups_are_those_of_the_reference(seed):
    rng, ours, plain = (
        random.Random(seed),
        open_exchange(cash_e6=10**14, orders=4_096, matches=600),
        Reference(),
    )
    ours.set_fees(0, FeeTerms(fee_type="quadratic", fee_multiplier_e6=0))
    groups = {}
    for account in (0, 1):
        limit = 100 * rng.randint(20, 60)
        groups[account] = ours.create_group(account, limit).order_id
        plain.groups[account] = [limit, deque(), False]
    now, number_of, fallen, refused = 0, {}, 0, 0
    for step in range(600):
        now += rng.choice((0, 1, 10**9, 4 * 10**9))
        ours.read_tape()
        if rng.random() < 0.03:
            account = rng.choice((0, 1))
            ours.reset_group(account, groups[account], at_ns=now)
            plain.groups[account][1:] = [deque(), False]
            continue
        if rng.random() < 0.15 and plain.book:
            order = rng.choice(plain.book)
            assert ours.cancel(order[1], number_of[order[0]], at_ns=now).ok
            plain.book.remove(order)
            continue
        account, side = rng.randrange(3), rng.choice(("bid", "ask"))
        price, qty = 100 * rng.randint(47, 53), rng.choice((1, 50, 100, rng.randint(1, 900)))
        tif = rng.choices(TIFS, (6, 2, 2))[0]
        stp = rng.choice(("taker_at_cross", "maker"))
        group = account if account in groups and rng.random() < 0.5 else None
        plain.fills, plain.ended = [], []
        expected = plain.submit(step, account, side, price, qty, tif, stp, group, now)
        told = ours.submit(
            account, 0, side, price, qty, time_in_force=tif, self_trade_prevention=stp, at_ns=now,
            group_id=-1 if group is None else groups[group],
        )  # fmt: skip
        assert told.ok == (expected is not None)
        if expected is None:
            refused += 1
            continue
        number_of[step] = told.order_id
        assert (told.filled_e2, told.left_e2) == expected
        rows = [r for r in ours.read_tape() if r["maker_id"] >= 0]
        assert [(int(r["maker_id"]), int(r["price_e4"]), int(r["qty_e2"])) for r in rows] == [
            (number_of[maker], price, part) for _, maker, price, part in plain.fills
        ]
        fallen += bool(plain.ended)
        assert ours.open_orders() == sorted(number_of[o[0]] for o in plain.book)
    assert fallen > 10
    assert refused > 10
