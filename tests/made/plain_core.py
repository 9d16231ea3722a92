"""Slow exchange with the rules of docs/exchange.md, in plain Python: lists, fractions, nothing incremental.

Shares no code with the core. Prices stay on the YES scale, a side of the book is sorted when it is asked for,
and the cash that orders may cost is found by filling them one after the other.
"""

from fractions import Fraction
from math import ceil, floor
from typing import Any

FOREVER = 2**62
WINDOW_NS = 15_000_000_000


class PlainOrder:
    """One order; sizes in 1e-2 contract, prices 1e-4 dollar."""

    def __init__(self, number, place, **fields):
        self.number, self.place = number, place
        self.filled, self.pool, self.held = 0, Fraction(0), Fraction(0)
        self.__dict__.update(fields)

    @property
    def buys_yes(self):
        return self.side == "bid"

    def cost(self, price):
        """1e-4 dollar that one contract costs this order at YES price ``price``."""
        return price if self.buys_yes else 10_000 - price

    def rank(self):
        return (-self.cost(self.price), self.place)


class PlainGroup:
    """Matches of one order group as (time, size)."""

    def __init__(self, number, account, shard, limit):
        self.number, self.account, self.shard, self.limit = number, account, shard, limit
        self.matches, self.triggered = [], False

    def total(self, now):
        return sum(qty for at, qty in self.matches if now - at < WINDOW_NS)


class PlainCore:
    """Markets are dicts: bands, taker, maker (rates), shard, limit, open, close."""

    def __init__(self, markets, n_accounts, n_shards, units, decrease_keeps, reprice_keeps, most_open):
        self.markets = markets
        for market in markets:
            market |= {"status": "ACTIVE", "oi": 0, "floor": 0}
        self.units = units
        self.cash = [[0] * n_shards for _ in range(n_accounts)]
        self.position = [[0] * len(markets) for _ in range(n_accounts)]
        self.shards = [{"status": "RUNNING", "fees": 0, "paid_in": 0} for _ in range(n_shards)]
        self.orders: list[PlainOrder] = []  # those that rest
        self.groups: dict[int, PlainGroup] = {}
        self.now, self.n_orders, self.n_groups, self.places = 0, 0, 0, 0
        self.decrease_keeps, self.reprice_keeps, self.most_open = decrease_keeps, reprice_keeps, most_open
        self.tape: list[dict[str, Any]] = []

    # what is asked

    def queue(self, market, side):
        return sorted((o for o in self.orders if o.market == market and o.side == side), key=PlainOrder.rank)

    def depth(self, market, side):
        levels = {}
        for order in self.queue(market, side):
            levels[order.price] = levels.get(order.price, 0) + order.qty
        return [[price, qty] for price, qty in levels.items()]

    def floor(self, account, market):
        """Part of a YES that a direct member has been paid already, 1e-4 dollar."""
        return self.markets[market]["floor"] if self.units[account] < 10_000 else 0

    def uneven(self, order):
        """True where a fill at the order's price can fall between two steps of the balance, fees aside."""
        unit = Fraction(self.units[order.account], 10**6)
        floor = self.floor(order.account, order.market)
        return any((Fraction(x, 10**6) / unit).denominator != 1 for x in (order.cost(order.price), floor))

    def revenue(self, order, price, qty, closes):
        """Dollars that ``qty`` bring at YES price ``price``, of which ``closes`` end a position."""
        floor = self.floor(order.account, order.market)
        cost = order.cost(price) - (floor if order.buys_yes else 0)
        return Fraction((10_000 - floor) * closes - cost * qty, 10**6)

    def model_fee(self, market, price, qty, maker):
        rate = Fraction(self.markets[market]["maker" if maker else "taker"], 10**6)
        p = Fraction(price, 10_000)
        return Fraction(ceil(rate * Fraction(qty, 100) * p * (1 - p) * 10**6), 10**6)

    def hold(self, order):
        """Dollars that an order must keep for its maker fees as they are now; ``held`` is what it keeps."""
        unit = Fraction(self.units[order.account], 10**6)
        maker = self.markets[order.market]["maker"]
        if order.qty == 0 or (maker == 0 and not self.uneven(order)):
            return Fraction(0)
        return self.model_fee(order.market, order.price, order.qty, True) + max(unit - order.pool, 0)

    def reserved_market(self, account, market, orders, position):
        """Most dollars that ``orders``, filled side by side, can take out of the account, and their holds."""
        total = Fraction(0)
        for side, sign in (("bid", 1), ("ask", -1)):
            cash = Fraction(0)
            held = max(-sign * position, 0)
            for order in sorted((o for o in orders if o.side == side), key=PlainOrder.rank):
                closes = min(held, order.qty)
                held -= closes
                cash += self.revenue(order, order.price, order.qty, closes)
            total += max(-cash, 0)
        return total + sum((o.held for o in orders), Fraction(0))

    def reserved(self, account, shard, market=None, orders=None, position=None):
        total = Fraction(0)
        for m, spec in enumerate(self.markets):
            if spec["shard"] != shard:
                continue
            here = [o for o in self.orders if o.account == account and o.market == m]
            at = self.position[account][m]
            if m == market:
                here, at = orders if orders is not None else here, position if position is not None else at
            if here:
                total += self.reserved_market(account, m, here, at)
        return total

    def free(self, account, shard, **other):
        return Fraction(self.cash[account][shard], 10**6) - self.reserved(account, shard, **other)

    # the tape

    def tell(self, kind, **fields):
        self.tape.append({"kind": kind, "time": self.now} | fields)

    def tell_order(self, kind, order, qty, reason):
        self.tell(
            kind, order=order.number, account=order.account, market=order.market, side=order.side,
            price=order.price, qty=qty, left=order.qty, reason=reason, client=order.client,
        )  # fmt: skip

    def tell_delta(self, order, qty, fills=False, price=None):
        price = order.price if price is None else price
        self.tell("DELTA", market=order.market, side=order.side, price=price, qty=qty, fills=fills)

    # an order's ends

    def leave(self, order):
        self.orders.remove(order)
        self.tell_delta(order, -order.qty)

    def end(self, order, reason):
        qty, order.qty = order.qty, 0
        self.tell_order("CANCEL", order, qty, reason)
        return qty

    def drop(self, order, reason):
        self.leave(order)
        return self.end(order, reason)

    def rest(self, order):
        order.held = self.hold(order)
        self.orders.append(order)
        self.tell_delta(order, order.qty)

    # groups

    def trigger(self, group):
        group.triggered = True
        self.tell_group("TRIGGERED", group)
        mine = [o for o in self.orders if o.group == group.number]
        for order in mine:
            self.drop(order, "EXCEEDED_ORDER_GROUP_RISK_LIMIT")

    def tell_group(self, what, group):
        self.tell("GROUP", group=group.number, account=group.account, what=what, total=group.total(self.now))

    def count(self, number, qty):
        if number is None:
            return False
        group = self.groups[number]
        group.matches.append((self.now, qty))
        if group.total(self.now) > group.limit and not group.triggered:
            self.trigger(group)
        return group.triggered

    # fills

    def fill_terms(self, order, price, qty, maker):
        """(cash change, fee, pool, free cash after) in dollars of filling ``qty`` at ``price``."""
        unit = Fraction(self.units[order.account], 10**6)
        sign = 1 if order.buys_yes else -1
        position = self.position[order.account][order.market]
        closes = min(max(-sign * position, 0), qty)
        revenue = self.revenue(order, price, qty, closes)
        fee = self.model_fee(order.market, price, qty, maker)
        aligned = floor((revenue - fee) / unit) * unit
        rounding = revenue - fee - aligned
        pool = order.pool + rounding
        rebate = floor(min(pool, fee + rounding) / unit) * unit
        mine = [o for o in self.orders if o.account == order.account and o.market == order.market]
        before = order.qty, order.pool, order.held
        if maker:
            order.qty, order.pool = order.qty - qty, pool - rebate
            order.held = self.hold(order)
        shard = self.markets[order.market]["shard"]
        free = self.free(
            order.account, shard, market=order.market, orders=[o for o in mine if o.qty],
            position=position + sign * qty,
        )  # fmt: skip
        order.qty, order.pool, order.held = before
        return aligned + rebate, fee + rounding - rebate, pool - rebate, free + aligned + rebate

    def book_fill(self, order, qty, change, fee, pool):
        market = self.markets[order.market]
        before = self.position[order.account][order.market]
        after = before + (qty if order.buys_yes else -qty)
        self.position[order.account][order.market] = after
        market["oi"] += max(after, 0) - max(before, 0)
        self.cash[order.account][market["shard"]] += int(change * 10**6)
        self.shards[market["shard"]]["fees"] += int(fee * 10**6)
        order.pool, order.qty, order.filled = pool, order.qty - qty, order.filled + qty
        order.held = self.hold(order)

    def crosses(self, market, side, price):
        other = self.queue(market, "ask" if side == "bid" else "bid")
        return bool(other) and (other[0].price <= price if side == "bid" else other[0].price >= price)

    def meet(self, taker):
        """Fill an arriving order; returns why its rest must go, or None."""
        side = "ask" if taker.buys_yes else "bid"
        stop = None
        while taker.qty and stop is None and self.crosses(taker.market, taker.side, taker.price):
            first = self.queue(taker.market, side)[0]
            price, total = first.price, 0
            while taker.qty and stop is None:
                here = [o for o in self.queue(taker.market, side) if o.price == price]
                if not here:
                    break
                maker = here[0]
                if maker.account == taker.account:
                    if taker.stp == "taker_at_cross":
                        stop = "SELF_CROSS_ATTEMPT"
                    else:
                        self.drop(maker, "SELF_CROSS_ATTEMPT")
                    continue
                qty = min(taker.qty, maker.qty)
                m_terms = self.fill_terms(maker, price, qty, True)
                if m_terms[3] < 0:
                    self.drop(maker, "MARGIN_CANCEL")
                    continue
                t_terms = self.fill_terms(taker, price, qty, False)
                if t_terms[3] < 0:
                    stop = "MARGIN_CANCEL"
                    continue
                self.book_fill(maker, qty, *m_terms[:3])
                self.book_fill(taker, qty, *t_terms[:3])
                total += qty
                if maker.qty == 0:
                    self.orders.remove(maker)
                self.tell(
                    "FILL", order=taker.number, maker=maker.number, account=taker.account,
                    maker_account=maker.account, market=taker.market, side=taker.side, price=price, qty=qty,
                    fee=int(t_terms[1] * 10**6), maker_fee=int(m_terms[1] * 10**6), left=taker.qty,
                    maker_left=maker.qty, position=self.position[taker.account][taker.market],
                    maker_position=self.position[maker.account][maker.market],
                )  # fmt: skip
                self.count(maker.group, qty)
                if self.count(taker.group, qty):
                    stop = "EXCEEDED_ORDER_GROUP_RISK_LIMIT"
            if total:
                self.tell_delta(first, -total, fills=True, price=price)
        return stop

    def place(self, order, tif, answer):
        before = order.filled
        stop = self.meet(order)
        answer["filled"] = order.filled - before
        if stop is None and order.qty:
            order.held = self.hold(order)
            shard = self.markets[order.market]["shard"]
            mine = [o for o in self.orders if o.account == order.account and o.market == order.market]
            if tif != "good_till_canceled":
                stop = "IOC_REMAINDER"
            elif self.free(order.account, shard, market=order.market, orders=[*mine, order]) < 0:
                stop = "MARGIN_CANCEL"
        if stop and order.qty:
            answer["ended"] = stop
            answer["reduced"] += self.end(order, stop)
        elif order.qty:
            answer["left"] = order.qty
            self.rest(order)

    # commands

    def on_grid(self, market, price):
        return self.markets[market]["floor"] < price < 10_000 and any(
            price in range(start, end + 1, step) for start, end, step in self.markets[market]["bands"]
        )

    def trading(self, market):
        shard = self.shards[self.markets[market]["shard"]]["status"]
        if shard != "RUNNING":
            return "EXCHANGE_PAUSED" if shard == "FULL_PAUSE" else "TRADING_PAUSED"
        return None if self.markets[market]["status"] == "ACTIVE" else "MARKET_INACTIVE"

    def within_limit(self, account, market, side, more):
        limit = self.markets[market]["limit"]
        sign = 1 if side == "bid" else -1
        waiting = sum(o.qty for o in self.orders if (o.account, o.market, o.side) == (account, market, side))
        return not limit or sign * self.position[account][market] + waiting + more <= limit

    def taker_fee(self, account, market, order):
        maker = self.markets[market]["maker"] > self.markets[market]["taker"]
        fee = self.model_fee(market, order.price, order.qty, maker)
        unit = Fraction(self.units[account], 10**6)
        return fee + unit if fee or self.uneven(order) else Fraction(0)

    def refusal(self, order, tif, group):  # noqa: PLR0911 - one line a reason, as the exchange tells them
        market, account = order.market, order.account
        resting = tif == "good_till_canceled"
        if (order.reduce_only and tif != "immediate_or_cancel") or (order.post_only and not resting):
            return "INVALID_ORDER"
        if order.expiry != FOREVER and (not resting or order.expiry <= self.now):
            return "INVALID_ORDER"
        if not self.on_grid(market, order.price):
            return "INVALID_PRICE"
        if not 0 < order.qty <= 10**9:
            return "INVALID_ORDER_SIZE"
        if group is not None:
            found = self.groups.get(group)
            if not found or found.account != account or found.shard != self.markets[market]["shard"]:
                return "ORDER_GROUP_NOT_FOUND"
            if found.triggered:
                return "EXCEEDED_ORDER_GROUP_RISK_LIMIT"
        if order.post_only and self.crosses(market, order.side, order.price):
            return "POST_ONLY_CROSS"
        wanted, qty = order.qty, order.qty
        if order.reduce_only:
            sign = 1 if order.buys_yes else -1
            qty = min(qty, max(-sign * self.position[account][market], 0))
        if not self.within_limit(account, market, order.side, qty):
            return "EXCEEDED_PER_MARKET_RISK_LIMIT"
        order.qty = qty
        mine = [o for o in self.orders if o.account == account and o.market == market]
        order.held = kept = self.hold(order)  # the fee of a taker is asked for in its place
        free = self.free(account, self.markets[market]["shard"], market=market, orders=[*mine, order])
        short = free + kept - self.taker_fee(account, market, order) < 0 if qty else free < 0
        order.qty = wanted
        if short:
            return "INSUFFICIENT_BALANCE"
        n_open = sum(o.account == account for o in self.orders)
        return "OPEN_ORDER_LIMIT" if resting and n_open >= self.most_open else None

    def fok_fits(self, order):
        """True where a FOK can be filled, or meets an own order and counts as IOC."""
        found = 0
        for other in self.queue(order.market, "ask" if order.buys_yes else "bid"):
            beyond = other.price > order.price if order.buys_yes else other.price < order.price
            if beyond or found >= order.qty:
                break
            if other.account == order.account:
                return True
            found += other.qty
        return found >= order.qty

    def answer(self, reason=None):
        return {"reason": reason or "OK", "order": None, "filled": 0, "left": 0, "reduced": 0, "ended": "OK"}

    def submit(self, account, market, side, price, qty, tif, stp, post_only, reduce_only, on_pause, group,
               expiry, client):  # fmt: skip
        if reason := self.trading(market):
            return self.answer(reason)
        order = PlainOrder(
            self.n_orders, self.places, account=account, market=market, side=side, price=price, qty=qty,
            stp=stp, post_only=post_only, reduce_only=reduce_only, on_pause=on_pause, group=group,
            expiry=expiry, client=client,
        )  # fmt: skip
        reason = self.refusal(order, tif, group)
        if reason is None and tif == "fill_or_kill" and not self.fok_fits(order):
            reason = "FOK_INSUFFICIENT_VOLUME"
        if reason:
            return self.answer(reason)
        self.n_orders += 1
        self.places += 1
        answer = self.answer() | {"order": order.number}
        self.tell_order("ACK", order, qty, "OK")
        if reduce_only:
            sign = 1 if side == "bid" else -1
            keep = min(qty, max(-sign * self.position[account][market], 0))
            if keep < qty:
                answer |= {"reduced": qty - keep, "ended": "REDUCE_ONLY_CANCEL"}
                if keep == 0:
                    self.end(order, "REDUCE_ONLY_CANCEL")
                    return answer
                order.qty = keep
                self.tell_order("CHANGE", order, qty - keep, "REDUCE_ONLY_CANCEL")
        self.place(order, tif, answer)
        return answer

    def mine(self, account, number):
        return next((o for o in self.orders if o.number == number and o.account == account), None)

    def cancel(self, account, number):
        order = self.mine(account, number)
        if order is None:
            return self.answer("ORDER_NOT_FOUND")
        if self.shards[self.markets[order.market]["shard"]]["status"] == "FULL_PAUSE":
            return self.answer("EXCHANGE_PAUSED")
        qty = self.drop(order, "USER_CANCEL")
        return self.answer() | {"order": number, "reduced": qty, "ended": "USER_CANCEL"}

    def cancel_all(self, account):
        n = 0
        for order in list(self.orders):
            shard = self.shards[self.markets[order.market]["shard"]]
            if order.account == account and shard["status"] != "FULL_PAUSE":
                self.drop(order, "USER_CANCEL")
                n += 1
        return self.answer() | {"reduced": n}

    def resize(self, order, qty, keeps):
        change, order.qty = qty - order.qty, qty
        order.held = min(self.hold(order), order.held) if change < 0 else self.hold(order)
        if not keeps:
            order.place, self.places = self.places, self.places + 1
        self.tell_delta(order, change)

    def decrease(self, account, number, by, qty):
        order = self.mine(account, number)
        if order is None:
            return self.answer("ORDER_NOT_FOUND")
        if reason := self.trading(order.market):
            return self.answer(reason)
        left = order.qty - qty if by else qty
        if qty < 0 or left >= order.qty:
            return self.answer("INVALID_ORDER_SIZE")
        answer = self.answer() | {"order": number}
        if left <= 0:
            return answer | {"reduced": self.drop(order, "DECREASE_CANCEL"), "ended": "DECREASE_CANCEL"}
        cut = order.qty - left
        self.resize(order, left, self.decrease_keeps)
        self.tell_order("CHANGE", order, cut, "OK")
        return answer | {"reduced": cut, "left": left}

    def amend(self, account, number, market, side, price, count, expiry, client):  # noqa: PLR0911
        order = self.mine(account, number)
        if order is None:
            return self.answer("ORDER_NOT_FOUND")
        if order.market != market or order.side != side:
            return self.answer("ORDER_TICKER_MISMATCH" if order.market != market else "ORDER_SIDE_MISMATCH")
        if reason := self.trading(market):
            return self.answer(reason)
        left, moves = count - order.filled, price != order.price
        if expiry is not None and expiry <= self.now:
            return self.answer("INVALID_ORDER")
        if moves and not self.on_grid(market, price):
            return self.answer("INVALID_PRICE")
        if not 0 < left <= 10**9:
            return self.answer("INVALID_ORDER_SIZE")
        crosses = moves and self.crosses(market, side, price)
        if crosses and order.post_only:
            return self.answer("POST_ONLY_CROSS")
        if left > order.qty and not self.within_limit(account, market, side, left - order.qty):
            return self.answer("EXCEEDED_PER_MARKET_RISK_LIMIT")
        if (moves or left > order.qty) and self.amend_short(order, price, left, crosses):
            return self.answer("INSUFFICIENT_BALANCE")
        answer = self.answer() | {"order": number, "reduced": max(order.qty - left, 0), "left": left}
        order.client = client or order.client
        order.expiry = order.expiry if expiry is None else expiry
        cut = order.qty - left
        if moves:
            self.leave(order)
            order.price, order.qty = price, left
            if not self.reprice_keeps:
                order.place, self.places = self.places, self.places + 1
            self.tell_order("CHANGE", order, max(cut, 0), "OK")
            answer["left"] = 0
            self.place(order, "good_till_canceled", answer)
            return answer
        if cut:
            self.resize(order, left, cut > 0 and self.decrease_keeps)
        self.tell_order("CHANGE", order, max(cut, 0), "OK")
        return answer

    def amend_short(self, order, price, left, crosses):
        """True where the account could not pay for the order as it would become."""
        old = order.price, order.qty, order.held
        order.price, order.qty = price, left
        order.held = self.hold(order)
        free = self.free(order.account, self.markets[order.market]["shard"])
        if crosses:
            free += self.hold(order) - self.taker_fee(order.account, order.market, order)
        order.price, order.qty, order.held = old
        return free < 0

    def group(self, op, account, number=None, limit=0, shard=0):
        if op in ("create", "limit") and (not 100 <= limit <= 10**8 or limit % 100):
            return self.answer("INVALID_ORDER_GROUP_LIMIT")
        if op == "create":
            group = PlainGroup(self.n_groups, account, shard, limit)
            self.groups[self.n_groups] = group
            self.n_groups += 1
            self.tell_group("CREATED", group)
            return self.answer()
        group = self.groups.get(number)
        if group is None or group.account != account:
            return self.answer("ORDER_GROUP_NOT_FOUND")
        if self.shards[group.shard]["status"] == "FULL_PAUSE":
            return self.answer("EXCHANGE_PAUSED")
        if op == "limit":
            group.limit = limit
            self.tell_group("LIMIT_SET", group)
            if group.total(self.now) > limit and not group.triggered:
                self.trigger(group)
        elif op == "reset":
            group.triggered, group.matches = False, []
            self.tell_group("RESET", group)
        else:
            self.trigger(group)
            if op == "delete":
                self.tell_group("DELETED", group)
                del self.groups[number]
        return self.answer()

    # the exchange

    def wait(self, until):
        while True:
            due = [(o.expiry, 0, o.number, o) for o in self.orders if o.expiry <= until]
            due += [
                (m["close"], 1, i, None) for i, m in enumerate(self.markets)
                if m["status"] in ("ACTIVE", "INACTIVE") and m["close"] <= until
            ]  # fmt: skip
            if not due:
                break
            at, _, number, order = min(due, key=lambda row: row[:3])
            self.now = max(self.now, at)
            if order is not None:
                self.drop(order, "EXPIRY_CANCEL")
            else:
                self.close(number)
        self.now = max(self.now, until)

    def clear(self, market, reason):
        for side in ("bid", "ask"):
            for order in self.queue(market, side):
                self.drop(order, reason)

    def close(self, market):
        self.markets[market]["status"] = "CLOSED"
        self.tell("STATUS", market=market, status="CLOSED")
        self.clear(market, "CLOSE_CANCEL")

    def set_status(self, market, status):
        before = self.markets[market]["status"]
        late = status == "ACTIVE" and self.markets[market]["close"] <= self.now
        if before in (status, "FINALIZED") or late or (status == "INACTIVE" and before != "ACTIVE"):
            return self.answer("INVALID_STATUS")
        if status == "CLOSED":
            self.close(market)
            return self.answer()
        self.markets[market]["status"] = status
        self.tell("STATUS", market=market, status=status)
        if before == "INACTIVE":
            self.clear(market, "HALT_CANCEL")
        return self.answer()

    def set_shard(self, shard, status):
        if self.shards[shard]["status"] == status:
            return self.answer("INVALID_STATUS")
        self.shards[shard]["status"] = status
        self.tell("SHARD", market=shard, status=status)
        if status != "RUNNING":
            for order in list(self.orders):
                if order.on_pause and self.markets[order.market]["shard"] == shard:
                    self.drop(order, "HALT_CANCEL")
        return self.answer()

    def pay(self, account, shard, amount):
        self.cash[account][shard] += amount
        self.shards[shard]["paid_in"] += amount
        self.tell("CASH", market=shard, account=account, cash=amount)

    def deposit(self, account, shard, amount):
        if amount == 0:
            return self.answer("INVALID_AMOUNT")
        if self.free(account, shard) + Fraction(amount, 10**6) < 0:
            return self.answer("INSUFFICIENT_BALANCE")
        self.pay(account, shard, amount)
        return self.answer()

    def transfer(self, account, source, target, amount):
        if source == target or amount <= 0:
            return self.answer("INVALID_AMOUNT")
        if self.free(account, source) < Fraction(amount, 10**6):
            return self.answer("INSUFFICIENT_BALANCE")
        self.pay(account, source, -amount)
        self.pay(account, target, amount)
        return self.answer()

    def raise_floor(self, market, value):
        spec = self.markets[market]
        if spec["status"] == "FINALIZED":
            return self.answer("INVALID_STATUS")
        if not spec["floor"] < value < 10_000:
            return self.answer("INVALID_AMOUNT")
        for side in ("bid", "ask"):
            for order in self.queue(market, side):
                if order.price <= value:
                    self.drop(order, "FLOOR_CANCEL")
        rise, spec["floor"] = value - spec["floor"], value
        for account, positions in enumerate(self.position):
            if positions[market] > 0 and self.floor(account, market):
                paid = positions[market] * rise
                self.cash[account][spec["shard"]] += paid
                self.tell(
                    "SETTLE", market=market, account=account, qty=positions[market], cash=paid, price=value
                )
        return self.answer()

    def set_fees(self, market, taker, maker):
        self.markets[market] |= {"taker": taker, "maker": maker}
        return self.answer()

    def settle(self, market, value):
        spec = self.markets[market]
        if spec["status"] == "FINALIZED":
            return self.answer("INVALID_STATUS")
        if value < spec["floor"]:
            return self.answer("INVALID_AMOUNT")
        if spec["status"] != "CLOSED":
            self.close(market)
        spec["oi"] = 0
        for account, positions in enumerate(self.position):
            if position := positions[market]:
                each = value - self.floor(account, market)
                paid = position * each if position > 0 else -position * (10_000 - value)
                self.cash[account][spec["shard"]] += paid
                positions[market] = 0
                self.tell("SETTLE", market=market, account=account, qty=position, cash=paid, price=value)
        spec["status"] = "FINALIZED"
        self.tell("STATUS", market=market, status="FINALIZED")
        return self.answer()
