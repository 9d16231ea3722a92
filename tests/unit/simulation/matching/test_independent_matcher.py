"""Agreement with nanobook, a matching engine in Rust by other people, where the rules are the same.

The same are price-time priority, limit, IOC and FOK orders, cancels, and a change of price (nanobook cancels
and replaces; ours keeps the number and loses the place as well). It knows no accounts, so one account buys
and another sells.
"""

import random

import nanobook
import pytest
from made.core_exchange import open_exchange

TIFS = {"gtc": "good_till_canceled", "ioc": "immediate_or_cancel", "fok": "fill_or_kill"}


class Pair:
    """Our core and nanobook with the same orders."""

    def __init__(self):
        self.ours = open_exchange(cash_e6=10**12, orders=2_048)
        self.peer = nanobook.Exchange()
        self.peer_of, self.ours_of = {}, {}
        self.n_trades = 0

    def submit(self, side, cents, contracts, tif):
        account = 0 if side == "buy" else 1
        told = self.peer.submit_limit(side, cents, contracts, tif)
        answer = self.ours.submit(
            account, 0, "ask" if account else "bid", 100 * cents, 100 * contracts, time_in_force=TIFS[tif]
        )
        if answer.reason == "FOK_INSUFFICIENT_VOLUME":
            assert told.filled_quantity == 0
        else:
            self.ours_of[told.order_id], self.peer_of[answer.order_id] = answer.order_id, told.order_id
            assert (answer.filled_e2, answer.left_e2) == (
                100 * told.filled_quantity,
                100 * told.resting_quantity,
            )

    def cancel(self, peer_id, account):
        assert self.peer.cancel(peer_id).success == self.ours.cancel(account, self.ours_of[peer_id]).ok

    def modify(self, peer_id, account, cents, contracts):
        order = self.ours_of[peer_id]
        filled = self.ours.order(order)["filled_e2"]
        told = self.peer.modify(peer_id, cents, contracts)
        side = "ask" if account else "bid"
        answer = self.ours.amend(account, order, 0, side, 100 * cents, filled + 100 * contracts)
        assert answer.ok == told.success
        self.ours_of[told.new_order_id], self.peer_of[order] = order, told.new_order_id

    def check(self):
        trades = self.peer.trades()[self.n_trades :]
        self.n_trades += len(trades)
        mine = [r for r in self.ours.read_tape() if r["maker_id"] >= 0]
        assert [(self.peer_of[int(r["maker_id"])], int(r["price_e4"]), int(r["qty_e2"])) for r in mine] == [
            (t.passive_order_id, 100 * t.price, 100 * t.quantity) for t in trades
        ]
        book = self.peer.full_book()
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            assert self.ours.levels(0, side).tolist() == [[100 * v.price, 100 * v.quantity] for v in levels]


@pytest.mark.parametrize("seed", range(3))
def test_fills_and_books_are_those_of_an_independent_engine(seed):
    rng, pair = random.Random(seed), Pair()
    for _ in range(700):
        roll, side = rng.random(), rng.choice(("buy", "sell"))
        account = 0 if side == "buy" else 1
        mine = pair.ours.open_orders(account)
        if roll < 0.6 or not mine:
            cents = 50 + rng.randint(-4, 6) * (1 if account else -1)
            pair.submit(side, cents, rng.randint(1, 30), rng.choices(("gtc", "ioc", "fok"), (6, 1, 1))[0])
        elif roll < 0.85:
            pair.cancel(pair.peer_of[rng.choice(mine)], account)
        else:
            order = rng.choice(mine)
            old = pair.ours.order(order)["own_e4"] // 100
            old = 100 - old if account else old
            cents = old + rng.choice((-2, -1, 1, 2))
            pair.modify(pair.peer_of[order], account, cents, rng.randint(1, 30))
        pair.check()
    assert pair.n_trades > 100
