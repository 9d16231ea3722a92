"""The matching core and the slow exchange side by side: the same commands, everything compared after each."""

import random
from collections import Counter

import numpy as np
from made.plain_core import FOREVER, PlainCore

from kalshi_platform.domain.fees import maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand
from kalshi_platform.simulation.matching import tape
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.reasons import NAMES
from kalshi_platform.simulation.matching.records import Sizes

SECOND_NS = 1_000_000_000
TAPERED = tuple(
    PriceBand(start_e4=a, end_e4=b, step_e4=s) for a, b, s in ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))
)
FINE = (PriceBand(start_e4=0, end_e4=10_000, step_e4=1),)
HALVES = (PriceBand(start_e4=0, end_e4=10_000, step_e4=50),)
MAKER_FEES = "quadratic_with_maker_fees"
#: (fee type, bands, shard, close ns, position limit)
MARKETS = (
    ("quadratic", WHOLE_CENTS, 0, FOREVER, 0),
    (MAKER_FEES, FINE, 0, 900 * SECOND_NS, 0),
    (MAKER_FEES, TAPERED, 1, FOREVER, 3_000),
)
UNITS = (100, 100, 10_000, 100)
CASH_E6 = (10**9, 60 * 10**6, 10**9, 8 * 10**6)
BULK = {"EXCEEDED_ORDER_GROUP_RISK_LIMIT", "HALT_CANCEL", "USER_CANCEL"}
STATUS = ("INITIALIZED", "ACTIVE", "INACTIVE", "CLOSED", "FINALIZED")
SHARD_STATUS = ("RUNNING", "TRADING_PAUSE", "FULL_PAUSE")
WHAT = ("CREATED", "LIMIT_SET", "TRIGGERED", "RESET", "DELETED")


class Twins:
    """Both exchanges after the same commands."""

    def __init__(self, decrease_keeps=True, reprice_keeps=False, markets=MARKETS):
        specs = [
            MarketSpec(ticker=f"M{i}", event="E", price_ranges=bands, fee_type=fee,
                       close_ns=None if close == FOREVER else close)
            for i, (fee, bands, _, close, _) in enumerate(markets)
        ]  # fmt: skip
        self.fast = SimulatedExchange(
            specs, Sizes(accounts=len(UNITS), shards=2, orders=512, groups=64, matches=512),
            shards=[row[2] for row in markets], decrease_keeps_place=decrease_keeps,
            reprice_keeps_place=reprice_keeps,
        )  # fmt: skip
        self.slow = PlainCore(
            [
                {"bands": [(b.start_e4, b.end_e4, b.step_e4) for b in bands], "taker": taker_rate_e6(spec),
                 "maker": maker_rate_e6(spec), "shard": shard, "close": close, "limit": limit}
                for spec, (_, bands, shard, close, limit) in zip(specs, markets, strict=True)
            ],
            len(UNITS), 2, UNITS, decrease_keeps, reprice_keeps,
        )  # fmt: skip
        for market, row in enumerate(markets):
            self.fast.set_position_limit(market, row[4])
        for account, unit in enumerate(UNITS):
            self.fast.set_balance_unit(account, unit)
        self.ids, self.group_ids = [], []  # the core's numbers by the slow exchange's
        self.fast.read_tape()
        self.fills, self.refusals, self.ends = 0, Counter(), Counter()
        for account, cash in enumerate(CASH_E6):
            for shard in range(2):
                self.both("deposit", account=account, shard=shard, amount=cash)

    def both(self, command, /, **f):
        """Give one command to both, compare answers, tapes, books and accounts; returns the answer."""
        mine, theirs = getattr(self, f"_{command}")(**f)
        rows = [self._row(row) for row in self.fast.read_tape()]
        told, self.slow.tape = self.slow.tape, []
        if any(row.get("reason") in BULK for row in told):  # cancelled together: any order
            rows, told = sorted(rows, key=str), sorted(told, key=str)
        assert rows == told, f"{command} {f}"
        if mine is not None:
            answer = {
                "reason": mine.reason, "filled": mine.filled_e2, "left": mine.left_e2,
                "reduced": mine.reduced_e2, "ended": mine.ended,
            }  # fmt: skip
            assert answer == {k: v for k, v in theirs.items() if k != "order"}, f"{command} {f}"
            self.refusals[mine.reason] += 1
            if theirs["order"] is not None:
                assert mine.order_id == self.ids[theirs["order"]]
        self.fills += sum(row["kind"] == "FILL" for row in rows)
        self.ends.update(row["reason"] for row in rows if row["kind"] == "CANCEL")
        self.check()
        return theirs

    def check(self):
        """Compare books and accounts, and what must hold of the core alone."""
        core, slow = self.fast.core, self.slow
        for market, spec in enumerate(slow.markets):
            for code, side in enumerate(("bid", "ask")):
                assert self.fast.levels(market, side).tolist() == slow.depth(market, side)
                assert [self.ids[o.number] for o in slow.queue(market, side)] == self._queue(market, code)
            assert core.markets[market]["open_interest_e2"] == spec["oi"]
            assert spec["status"] == STATUS[core.markets[market]["status"]]
            best = core.best[market]
            assert best.min() < 0 or best.sum() < 10_000  # never crossed nor locked
        assert (core.holdings["position_e2"] == np.array(slow.position)).all()
        assert (core.holdings["position_e2"].sum(axis=0) == 0).all()
        assert (core.wallets["cash_e6"] == np.array(slow.cash)).all()
        assert (core.wallets["reserved_e6"] >= 0).all()
        assert (core.wallets["cash_e6"] >= core.wallets["reserved_e6"]).all()
        for shard, told in enumerate(slow.shards):
            state = core.shards[shard]
            assert (state["fees_e6"], state["paid_in_e6"]) == (told["fees"], told["paid_in"])
            here = core.markets["shard"] == shard
            pledged = 10_000 * int(core.markets["open_interest_e2"][here].sum())
            assert core.wallets["cash_e6"][:, shard].sum() + pledged + told["fees"] == told["paid_in"]
            for account in range(len(UNITS)):
                owed = slow.reserved(account, shard) * 10**6
                assert core.wallets["reserved_e6"][account, shard] == owed

    def _queue(self, market, side):
        """Numbers of the core's orders of one side, best price first, oldest first."""
        core, out = self.fast.core, []
        for own in np.flatnonzero(core.depth[market, side])[::-1]:
            at, total = core.queues[market, side, own]["head"], 0
            while at >= 0:
                out.append(int(core.orders[at]["order_id"]))
                total += core.orders[at]["qty_e2"]
                at = core.orders[at]["younger"]
            assert total == core.depth[market, side, own]
        return out

    def _row(self, row):
        """A row of the core's tape in the slow exchange's words."""
        kind = tape.KIND_NAMES[row["kind"]]
        r = {name: int(row[name]) for name in row.dtype.names}
        out = {"kind": kind, "time": r["time_ns"]}
        side = ("bid", "ask")[r["side"]] if r["side"] >= 0 else None
        if kind in ("ACK", "CANCEL", "CHANGE"):
            if kind == "ACK":
                self.ids.append(r["order_id"])
            return out | {
                "order": self.ids.index(r["order_id"]), "account": r["account"], "market": r["market"],
                "side": side, "price": r["price_e4"], "qty": r["qty_e2"], "left": r["left_e2"],
                "reason": NAMES[r["reason"]], "client": r["client"],
            }  # fmt: skip
        if kind == "FILL":
            return out | {
                "order": self.ids.index(r["order_id"]), "maker": self.ids.index(r["maker_id"]),
                "account": r["account"], "maker_account": r["maker_account"], "market": r["market"],
                "side": side, "price": r["price_e4"], "qty": r["qty_e2"], "fee": r["fee_e6"],
                "maker_fee": r["maker_fee_e6"], "left": r["left_e2"], "maker_left": r["maker_left_e2"],
                "position": r["position_e2"], "maker_position": r["maker_position_e2"],
            }  # fmt: skip
        if kind == "GROUP":
            if r["reason"] == 0:
                self.group_ids.append(r["order_id"])
            return out | {
                "group": self.group_ids.index(r["order_id"]), "account": r["account"],
                "what": WHAT[r["reason"]], "total": r["left_e2"],
            }  # fmt: skip
        market = {"market": r["market"]}
        return out | market | {
            "DELTA": {"side": side, "price": r["price_e4"], "qty": r["qty_e2"], "fills": bool(r["reason"])},
            "CASH": {"account": r["account"], "cash": r["cash_e6"]},
            "STATUS": {"status": STATUS[r["left_e2"]]},
            "SHARD": {"status": SHARD_STATUS[r["left_e2"] % 3]},
            "GRID": {},
            "SETTLE": {"account": r["account"], "qty": r["qty_e2"], "cash": r["cash_e6"], "price": r["price_e4"]},
        }[kind]  # fmt: skip

    # one command for both: (the core's answer, the slow exchange's)

    def _submit(self, account, market, side, price, qty, tif="good_till_canceled", stp="taker_at_cross",
                post_only=False, reduce_only=False, on_pause=False, group=None, expiry=FOREVER, client=0):  # fmt: skip
        fast = self.fast.submit(
            account, market, side, price, qty, time_in_force=tif, self_trade_prevention=stp,
            post_only=post_only, reduce_only=reduce_only, cancel_on_pause=on_pause, expiry_ns=expiry,
            group_id=-1 if group is None else self.group_ids[group], client=client,
        )  # fmt: skip
        return fast, self.slow.submit(
            account, market, side, price, qty, tif, stp, post_only, reduce_only, on_pause, group, expiry, client
        )

    def _cancel(self, account, number):
        return self.fast.cancel(account, self.ids[number]), self.slow.cancel(account, number)

    def _cancel_all(self, account):
        return self.fast.cancel_all(account), self.slow.cancel_all(account)

    def _decrease(self, account, number, by, qty):
        size = {"by_e2" if by else "to_e2": qty}
        return self.fast.decrease(account, self.ids[number], **size), self.slow.decrease(account, number, by, qty)

    def _amend(self, account, number, market, side, price, count, expiry=None, client=0):
        fast = self.fast.amend(
            account, self.ids[number], market, side, price, count, client=client,
            expiry_ns=-1 if expiry is None else expiry,
        )  # fmt: skip
        return fast, self.slow.amend(account, number, market, side, price, count, expiry, client)

    def _group(self, op, account, number=None, limit=0, shard=0):
        x, slow = self.fast, self.slow.group(op, account, number, limit, shard)
        if op == "create":
            return x.create_group(account, limit, shard=shard), slow
        number = self.group_ids[number]
        if op == "limit":
            return x.limit_group(account, number, limit), slow
        return getattr(x, f"{op}_group")(account, number), slow

    def _deposit(self, account, shard, amount):
        return self.fast.deposit(account, amount, shard=shard), self.slow.deposit(account, shard, amount)

    def _transfer(self, account, source, target, amount):
        theirs = self.slow.transfer(account, source, target, amount)
        return self.fast.transfer(account, source, target, amount), theirs

    def _status(self, market, status):
        return self.fast.set_market_status(market, status), self.slow.set_status(market, status)

    def _shard(self, shard, status):
        return self.fast.set_shard_status(shard, status), self.slow.set_shard(shard, status)

    def _settle(self, market, value):
        return self.fast.settle(market, value), self.slow.settle(market, value)

    def _bands(self, market, bands):
        self.slow.markets[market]["bands"] = [(b.start_e4, b.end_e4, b.step_e4) for b in bands]
        self.slow.tell("GRID", market=market)
        return self.fast.set_bands(market, bands), self.slow.answer()

    def _wait(self, seconds):
        until = self.slow.now + int(seconds * SECOND_NS)
        self.slow.wait(until)
        return self.fast.wait(until), self.slow.answer()


def random_command(rng: random.Random, twins: Twins):
    """(name, fields) of a command that a busy, careless trader or the exchange might give."""
    account, market = rng.randrange(len(UNITS)), rng.choices((0, 1, 2), (5, 3, 2))[0]
    side = rng.choice(("bid", "ask"))
    center = 4_800 + 400 * market
    price = center + rng.choice((100, 100, 100, 100, 100, 50, 13)) * rng.randint(-4, 4)
    qty = rng.choice((100, 500, 1_000, rng.randint(1, 2_500)))
    mine = [o for o in twins.slow.orders if o.account == account]
    order = rng.choice(mine) if mine else rng.choice(twins.slow.orders or [None])
    groups = [g for g in twins.slow.groups.values() if g.account == account]
    if rng.random() < 0.2:  # whoever paused, resumes soon
        for i, shard in enumerate(twins.slow.shards):
            if shard["status"] != "RUNNING":
                return "shard", {"shard": i, "status": "RUNNING"}
        for i, spec in enumerate(twins.slow.markets):
            if spec["status"] in ("INACTIVE", "CLOSED") and spec["close"] > twins.slow.now:
                return "status", {"market": i, "status": "ACTIVE"}
    roll = rng.random()
    if roll < 0.58 or order is None:
        f = {
            "account": account, "market": market, "side": side, "price": price, "qty": qty,
            "tif": rng.choices(("good_till_canceled", "immediate_or_cancel", "fill_or_kill"), (7, 2, 2))[0],
            "stp": rng.choice(("taker_at_cross", "maker")), "post_only": rng.random() < 0.1,
            "reduce_only": rng.random() < 0.08, "on_pause": rng.random() < 0.2, "client": rng.randrange(99),
        }  # fmt: skip
        if f["reduce_only"] and rng.random() < 0.8:
            f |= {"tif": "immediate_or_cancel", "post_only": False}
        if f["post_only"] and rng.random() < 0.8:
            f["tif"] = "good_till_canceled"
        if rng.random() < 0.15 and (f["tif"] == "good_till_canceled" or rng.random() < 0.1):
            f["expiry"] = twins.slow.now + rng.randint(-1, 30) * SECOND_NS
        if groups and rng.random() < 0.3:
            f["group"] = rng.choice(groups).number
        return "submit", f
    if roll < 0.68:
        return "cancel", {"account": account, "number": order.number}
    if roll < 0.80:
        moved = order.price + rng.choice((0, 0, 100, -100, 200, -200, 50))
        f = {
            "account": account, "number": order.number, "market": order.market, "side": order.side,
            "price": moved, "count": order.filled + max(order.qty + rng.choice((0, 0, -100, 200, -9_999)), -5),
        }  # fmt: skip
        if rng.random() < 0.2:
            f["expiry"] = rng.choice((FOREVER, twins.slow.now + 20 * SECOND_NS))
        if rng.random() < 0.05:
            f |= {"side": "bid"} if rng.random() < 0.5 else {"market": market}
        return "amend", f
    if roll < 0.85:
        return "decrease", {"account": account, "number": order.number, "by": rng.random() < 0.5, "qty": qty // 2}
    if roll < 0.91:
        return "wait", {"seconds": rng.choice((0.2, 1, 1, 3, 9))}
    if roll < 0.95:
        op = rng.choice(("create", "create", "limit", "reset", "reset", "trigger", "delete"))
        if op == "create" or not groups:
            full = len(twins.slow.groups) >= 12
            limit = rng.choice((500, 1_000, 3_000, 50))
            return "group", {"op": "create", "account": account, "limit": 50 if full else limit,
                             "shard": rng.randrange(2)}  # fmt: skip
        return "group", {"op": op, "account": account, "number": rng.choice(groups).number,
                         "limit": rng.choice((200, 2_000))}  # fmt: skip
    return rng.choice(
        (
            ("cancel_all", {"account": account}),
            ("deposit", {"account": account, "shard": rng.randrange(2), "amount": rng.choice((5, -3)) * 10**6}),
            ("transfer", {"account": account, "source": 0, "target": rng.randrange(2),
                          "amount": rng.choice((10**6, 3 * 10**8))}),
            ("status", {"market": market, "status": rng.choice(("ACTIVE", "ACTIVE", "INACTIVE", "CLOSED"))}),
            ("shard", {"shard": rng.randrange(2), "status": rng.choice(("RUNNING", "RUNNING", *SHARD_STATUS[1:]))}),
            ("bands", {"market": market, "bands": rng.choice((WHOLE_CENTS, TAPERED, HALVES, FINE))}),
        )
    )  # fmt: skip


def _send(account, market, side, price, qty, **options):
    fields = {"account": account, "market": market, "side": side, "price": price, "qty": qty}
    return "submit", fields | options


def _ladder(rng, market):
    """Two accounts build ladders of uneven sizes; a third sweeps some of one side, whole or not at all."""
    for step in range(1, 6):
        for account in rng.sample((0, 1), 2):
            for side, sign in (("bid", -1), ("ask", 1)):
                yield _send(account, market, side, 5_000 + sign * 100 * step, rng.randint(1, 700))
    side, sign = rng.choice((("bid", 1), ("ask", -1)))
    tif = rng.choice(("immediate_or_cancel", "fill_or_kill", "good_till_canceled"))
    yield _send(2, market, side, 5_000 + sign * 100 * rng.randint(1, 6), rng.randint(500, 4_000), tif=tif)


def _one_price(rng, market, twins):
    """Many orders wait at one price; some grow, shrink or leave; bites of any size eat the front."""
    side, other = rng.sample(("bid", "ask"), 2)
    for _ in range(8):
        yield _send(rng.randrange(2), market, side, 5_000, rng.choice((1, 50, 100, 333)), stp="maker")
    for order in [o for o in twins.slow.orders if o.market == market and o.price == 5_000][:8]:
        act = rng.randrange(4)
        if act == 0:
            yield "cancel", {"account": order.account, "number": order.number}
        elif act == 1:
            yield "decrease", {"account": order.account, "number": order.number, "by": False, "qty": 7}
        elif act == 2:
            count = order.filled + order.qty + 10
            yield "amend", {"account": order.account, "number": order.number, "market": market,
                            "side": order.side, "price": order.price, "count": count}  # fmt: skip
    for _ in range(6):
        yield _send(2, market, other, 5_000, rng.choice((1, 30, 250)), tif="immediate_or_cancel")


def _last_cent(rng, market, twins):
    """An account has no cash beside what is reserved at an uneven price; small bites cost it the rounding."""
    yield "bands", {"market": market, "bands": FINE}
    price = rng.choice((4_337, 5_113, 6_249))
    side, other = rng.sample(("bid", "ask"), 2)
    for qty in (900, 300, 100, 50, 20, 10, 5, 2, 1, 1):
        yield _send(3, market, side, price, qty)
    spare = int(twins.slow.free(3, MARKETS[market][2]) * 10**6)
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": -spare}
    for _ in range(10):
        yield _send(0, market, other, price, rng.choice((1, 1, 2, 7)), tif="immediate_or_cancel")
    yield "cancel_all", {"account": 3}
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": 8 * 10**6}
    yield "bands", {"market": market, "bands": MARKETS[market][1]}


def _against_itself(rng, market):
    """An account meets its own orders behind another's."""
    yield _send(1, market, "ask", 5_000, 200)
    yield _send(0, market, "ask", 5_100, 300)
    yield _send(1, market, "ask", 5_200, 200)
    yield _send(0, market, "bid", 5_200, rng.randint(100, 800), stp=rng.choice(("maker", "taker_at_cross")),
                tif=rng.choice(("fill_or_kill", "immediate_or_cancel", "good_till_canceled")))  # fmt: skip


def _close_out(rng, market):
    """An account buys, offers more than it holds, and reduces."""
    side, other = rng.sample(("bid", "ask"), 2)
    for price in (4_900, 5_000, 5_100):
        yield _send(1, market, other, price, 300)
    yield _send(0, market, side, 5_100 if side == "bid" else 4_900, 700)
    yield _send(0, market, other, 5_300 if side == "bid" else 4_700, 1_500)
    for _ in range(3):
        yield _send(1, market, side, 5_000, 400)
        yield _send(0, market, other, 5_000, rng.randint(1, 900), tif="immediate_or_cancel", reduce_only=True)


def _burst(rng, market, twins):
    """A group's maker is hit until the group falls, on two markets at once."""
    shard = MARKETS[market][2]
    group = twins.slow.n_groups
    yield "group", {"op": "create", "account": 0, "limit": rng.choice((300, 600)), "shard": shard}
    for place in (market, market, 1 - shard):
        for step in (1, 2, 3):
            yield _send(0, place, "ask", 5_000 + 100 * step, 200, group=group)
    for _ in range(6):
        yield _send(2, market, "bid", 5_300, 150, tif="immediate_or_cancel")
        yield "wait", {"seconds": rng.choice((0, 4, 16))}
    yield "group", {"op": rng.choice(("reset", "delete")), "account": 0, "number": group}
    if group in twins.slow.groups:
        yield _send(0, market, "bid", 5_400, 500, group=group)
        yield "group", {"op": "delete", "account": 0, "number": group}


def scenes(rng, twins):
    """Commands of one scene after the other, now and then on a cleared table."""
    while True:
        market = rng.randrange(3)
        yield from rng.choice(
            (
                lambda: _ladder(rng, market), lambda: _one_price(rng, market, twins),
                lambda: _last_cent(rng, market, twins), lambda: _against_itself(rng, market),
                lambda: _close_out(rng, market), lambda: _burst(rng, market, twins),
            )
        )()  # fmt: skip
        if rng.random() < 0.5:
            for account in range(len(UNITS)):
                yield "cancel_all", {"account": account}
        yield "wait", {"seconds": 20}


def randoms(rng, twins):
    """Random commands without end."""
    while True:
        yield random_command(rng, twins)


def run(stream, seed, n, **options):
    """Twins after ``n`` commands of a stream, all markets settled at the end."""
    rng, twins = random.Random(seed), Twins(**options)
    if stream is scenes:  # no close by the clock
        markets = tuple((*row[:3], FOREVER, 0) for row in MARKETS)
        twins = Twins(markets=markets, **options)
    for _, (command, fields) in zip(range(n), stream(rng, twins), strict=False):
        twins.both(command, **fields)
    for market in range(3):
        twins.both("settle", market=market, value=rng.choice((0, 10_000, 3_333)))
    return twins
