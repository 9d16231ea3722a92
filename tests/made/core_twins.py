"""The matching core and the slow exchange side by side: the same commands, everything compared after each."""

from collections import Counter

import numpy as np

from kalshi_platform.domain.fee_schedule import FeeTerms
from kalshi_platform.domain.fees import maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand
from kalshi_platform.simulation.matching import tape
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.reasons import NAMES
from kalshi_platform.simulation.matching.records import Sizes
from made.plain_core import FOREVER, PlainCore

SECOND_NS = 1_000_000_000
TAPERED = tuple(
    PriceBand(start_e4=a, end_e4=b, step_e4=s)
    for a, b, s in ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))
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

    def __init__(self, decrease_keeps=True, reprice_keeps=False, markets=MARKETS, most_open=200_000):
        specs = [
            MarketSpec(ticker=f"M{i}", event="E", price_ranges=bands, fee_type=fee,
                       close_ns=None if close == FOREVER else close)
            for i, (fee, bands, _, close, _) in enumerate(markets)
        ]  # fmt: skip
        self.fast = SimulatedExchange(
            specs, Sizes(accounts=len(UNITS), shards=2, orders=512, groups=64, matches=512),
            shards=[row[2] for row in markets], decrease_keeps_place=decrease_keeps,
            reprice_keeps_place=reprice_keeps, most_open_orders=most_open,
        )  # fmt: skip
        self.slow = PlainCore(
            [
                {"bands": [(b.start_e4, b.end_e4, b.step_e4) for b in bands], "taker": taker_rate_e6(spec),
                 "maker": maker_rate_e6(spec), "shard": shard, "close": close, "limit": limit}
                for spec, (_, bands, shard, close, limit) in zip(specs, markets, strict=True)
            ],
            len(UNITS), 2, UNITS, decrease_keeps, reprice_keeps, most_open,
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
            held = np.maximum(core.holdings["position_e2"], 0) * (core.units < 10_000)[:, None]
            paid = (held.sum(axis=0) * core.markets["floor_e4"])[here].sum()
            pledged = 10_000 * int(core.markets["open_interest_e2"][here].sum()) - int(paid)
            assert core.wallets["cash_e6"][:, shard].sum() + pledged + told["fees"] == told["paid_in"]
            for account in range(len(UNITS)):
                owed = slow.reserved(account, shard) * 10**6
                assert core.wallets["reserved_e6"][account, shard] == owed

    def _queue(self, market, side):
        """Numbers of the core's orders of one side, best price first, oldest first."""
        core, out = self.fast.core, []
        for own in np.flatnonzero(core.depth[market, side])[::-1]:
            at, total = core.queues[market, side, own]["head"] - 1, 0
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
            "SETTLE": {"account": r["account"], "qty": r["qty_e2"], "cash": r["cash_e6"],
                       "price": r["price_e4"]},
        }[kind]  # fmt: skip

    # one command for both: (the core's answer, the slow exchange's)

    def _submit(
        self, account, market, side, price, qty, tif="good_till_canceled", stp="taker_at_cross",
        post_only=False, reduce_only=False, on_pause=False, group=None, expiry=FOREVER, client=0,
    ):  # fmt: skip
        fast = self.fast.submit(
            account, market, side, price, qty, time_in_force=tif, self_trade_prevention=stp,
            post_only=post_only, reduce_only=reduce_only, cancel_on_pause=on_pause, expiry_ns=expiry,
            group_id=-1 if group is None else self.group_ids[group], client=client,
        )  # fmt: skip
        return fast, self.slow.submit(
            account,
            market,
            side,
            price,
            qty,
            tif,
            stp,
            post_only,
            reduce_only,
            on_pause,
            group,
            expiry,
            client,
        )

    def _cancel(self, account, number):
        return self.fast.cancel(account, self.ids[number]), self.slow.cancel(account, number)

    def _cancel_all(self, account):
        return self.fast.cancel_all(account), self.slow.cancel_all(account)

    def _decrease(self, account, number, by, qty):
        size = {"by_e2" if by else "to_e2": qty}
        return self.fast.decrease(account, self.ids[number], **size), self.slow.decrease(
            account, number, by, qty
        )

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

    def _floor(self, market, value):
        return self.fast.raise_floor(market, value), self.slow.raise_floor(market, value)

    def _fees(self, market, fee_type, multiplier):
        terms = FeeTerms(fee_type=fee_type, fee_multiplier_e6=multiplier)
        theirs = self.slow.set_fees(market, taker_rate_e6(terms), maker_rate_e6(terms))
        return self.fast.set_fees(market, terms), theirs

    def _wait(self, seconds):
        until = self.slow.now + int(seconds * SECOND_NS)
        self.slow.wait(until)
        return self.fast.wait(until), self.slow.answer()
