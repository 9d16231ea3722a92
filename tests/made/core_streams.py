"""Streams of commands for the matching core and the slow exchange: careless ones, and scenes with a plot."""

import random

from kalshi_platform.domain.market import WHOLE_CENTS
from made.core_twins import (
    FINE,
    HALVES,
    MAKER_FEES,
    MARKETS,
    SECOND_NS,
    SHARD_STATUS,
    TAPERED,
    UNITS,
    Twins,
)
from made.plain_core import FOREVER


def random_command(rng: random.Random, twins: Twins):
    """(name, fields) of a command that a busy, careless trader or the exchange might give."""
    if rng.random() < 0.2:  # whoever paused, resumes soon
        for i, shard in enumerate(twins.slow.shards):
            if shard["status"] != "RUNNING":
                return "shard", {"shard": i, "status": "RUNNING"}
        for i, spec in enumerate(twins.slow.markets):
            if spec["status"] in ("INACTIVE", "CLOSED") and spec["close"] > twins.slow.now:
                return "status", {"market": i, "status": "ACTIVE"}
    account, roll = rng.randrange(len(UNITS)), rng.random()
    mine = [o for o in twins.slow.orders if o.account == account]
    order = rng.choice(mine) if mine else rng.choice(twins.slow.orders or [None])
    if roll < 0.58 or order is None:
        return "submit", _order(rng, twins, account)
    if roll < 0.85:
        return _change(rng, twins, account, order, roll)
    if roll < 0.91:
        return "wait", {"seconds": rng.choice((0.2, 1, 1, 3, 9))}
    if roll < 0.95:
        return "group", _group(rng, twins, account)
    return _act(rng, account)


def _order(rng, twins, account):
    market = rng.choices((0, 1, 2), (5, 3, 2))[0]
    f = {
        "account": account,
        "market": market,
        "side": rng.choice(("bid", "ask")),
        "price": 4_800 + 400 * market + rng.choice((100, 100, 100, 100, 100, 50, 13)) * rng.randint(-4, 4),
        "qty": rng.choice((100, 500, 1_000, rng.randint(1, 2_500))),
        "tif": rng.choices(("good_till_canceled", "immediate_or_cancel", "fill_or_kill"), (7, 2, 2))[0],
        "stp": rng.choice(("taker_at_cross", "maker")),
        "post_only": rng.random() < 0.1,
        "reduce_only": rng.random() < 0.08,
        "on_pause": rng.random() < 0.2,
        "client": rng.randrange(99),
    }
    if f["reduce_only"] and rng.random() < 0.8:
        f |= {"tif": "immediate_or_cancel", "post_only": False}
    if f["post_only"] and rng.random() < 0.8:
        f["tif"] = "good_till_canceled"
    if rng.random() < 0.15 and (f["tif"] == "good_till_canceled" or rng.random() < 0.1):
        f["expiry"] = twins.slow.now + rng.randint(-1, 30) * SECOND_NS
    groups = [g for g in twins.slow.groups.values() if g.account == account]
    if groups and rng.random() < 0.3:
        f["group"] = rng.choice(groups).number
    return f


def _change(rng, twins, account, order, roll):
    """A cancel, an amend or a decrease, at times of somebody else's order."""
    f = {"account": account, "number": order.number}
    if roll < 0.68:
        return "cancel", f
    if roll >= 0.80:
        return "decrease", f | {"by": rng.random() < 0.5, "qty": rng.choice((50, 250, rng.randint(0, 1_200)))}
    f |= {
        "market": order.market,
        "side": order.side,
        "price": order.price + rng.choice((0, 0, 100, -100, 200, -200, 50)),
        "count": order.filled + max(order.qty + rng.choice((0, 0, -100, 200, -9_999)), -5),
    }
    if rng.random() < 0.2:
        f["expiry"] = rng.choice((FOREVER, twins.slow.now + 20 * SECOND_NS))
    if rng.random() < 0.05:
        f |= {"side": "bid"} if rng.random() < 0.5 else {"market": rng.randrange(3)}
    return "amend", f


def _group(rng, twins, account):
    groups = [g for g in twins.slow.groups.values() if g.account == account]
    op = rng.choice(("create", "create", "limit", "reset", "reset", "trigger", "delete"))
    if op != "create" and groups:
        return {
            "op": op,
            "account": account,
            "number": rng.choice(groups).number,
            "limit": rng.choice((200, 2_000)),
        }
    limit = 50 if len(twins.slow.groups) >= 12 else rng.choice((500, 1_000, 3_000, 50))
    return {"op": "create", "account": account, "limit": limit, "shard": rng.randrange(2)}


def _act(rng, account):
    """A rare command: everything cancelled, cash moved, a market or shard paused, another grid."""
    market, shard = rng.randrange(3), rng.randrange(2)
    return rng.choice(
        (
            ("cancel_all", {"account": account}),
            ("deposit", {"account": account, "shard": shard, "amount": rng.choice((5, -3)) * 10**6}),
            (
                "transfer",
                {"account": account, "source": 0, "target": shard, "amount": rng.choice((10**6, 3 * 10**8))},
            ),
            ("status", {"market": market, "status": rng.choice(("ACTIVE", "INACTIVE", "CLOSED"))}),
            ("shard", {"shard": shard, "status": rng.choice(SHARD_STATUS)}),
            ("bands", {"market": market, "bands": rng.choice((WHOLE_CENTS, TAPERED, HALVES, FINE))}),
            ("fees", _fees(rng, market)),
            (
                "floor",
                {
                    "market": market,
                    "value": rng.choice((150, 4_100, 4_613, 4_900)) if rng.random() < 0.4 else 0,
                },
            ),
        )
    )


def _fees(rng, market):
    fee_type, multiplier = (
        rng.choice(("quadratic", MAKER_FEES)),
        rng.choice((0, 500_000, 1_000_000, 3_000_000)),
    )
    return {"market": market, "fee_type": fee_type, "multiplier": multiplier}


def send(account, market, side, price, qty, **options):
    """Submit command of an order."""
    fields = {"account": account, "market": market, "side": side, "price": price, "qty": qty}
    return "submit", fields | options


def _ladder(rng, market, twins):
    """Two accounts build ladders of uneven sizes; a third sweeps some of one side, whole or not at all."""
    for step in range(1, 6):
        for account in rng.sample((0, 1), 2):
            for side, sign in (("bid", -1), ("ask", 1)):
                yield send(account, market, side, 5_000 + sign * 100 * step, rng.randint(1, 700))
    side, sign = rng.choice((("bid", 1), ("ask", -1)))
    tif = rng.choice(("immediate_or_cancel", "fill_or_kill", "good_till_canceled"))
    yield send(2, market, side, 5_000 + sign * 100 * rng.randint(1, 6), rng.randint(500, 4_000), tif=tif)


def _one_price(rng, market, twins):
    """Many orders wait at one price; some grow, shrink or leave; bites of any size eat the front."""
    side, other = rng.sample(("bid", "ask"), 2)
    for _ in range(8):
        yield send(rng.randrange(2), market, side, 5_000, rng.choice((1, 50, 100, 333)), stp="maker")
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
        yield send(2, market, other, 5_000, rng.choice((1, 30, 250)), tif="immediate_or_cancel")


def _last_cent(rng, market, twins):
    """An account has no cash beside what is reserved at an uneven price; small bites cost it the rounding."""
    yield "bands", {"market": market, "bands": FINE}
    price = rng.choice((4_337, 5_113, 6_249))
    side, other = rng.sample(("bid", "ask"), 2)
    for qty in (900, 300, 100, 50, 20, 10, 5, 2, 1, 1):
        yield send(3, market, side, price, qty)
    spare = int(twins.slow.free(3, MARKETS[market][2]) * 10**6)
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": -spare}
    for _ in range(10):
        yield send(0, market, other, price, rng.choice((1, 1, 2, 7)), tif="immediate_or_cancel")
    yield "cancel_all", {"account": 3}
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": 8 * 10**6}
    yield "bands", {"market": market, "bands": MARKETS[market][1]}


def _against_itself(rng, market, twins):
    """An account meets its own orders behind another's."""
    yield send(1, market, "ask", 5_000, 200)
    yield send(0, market, "ask", 5_100, 300)
    yield send(1, market, "ask", 5_200, 200)
    yield send(0, market, "bid", 5_200, rng.randint(100, 800), stp=rng.choice(("maker", "taker_at_cross")),
                tif=rng.choice(("fill_or_kill", "immediate_or_cancel", "good_till_canceled")))  # fmt: skip


def _close_out(rng, market, twins):
    """An account buys, offers more than it holds, and reduces."""
    side, other = rng.sample(("bid", "ask"), 2)
    for price in (4_900, 5_000, 5_100):
        yield send(1, market, other, price, 300)
    yield send(0, market, side, 5_100 if side == "bid" else 4_900, 700)
    yield send(0, market, other, 5_300 if side == "bid" else 4_700, 1_500)
    for _ in range(3):
        yield send(1, market, side, 5_000, 400)
        yield send(0, market, other, 5_000, rng.randint(1, 900), tif="immediate_or_cancel", reduce_only=True)


def _burst(rng, market, twins):
    """A group's maker is hit until the group falls, on two markets at once."""
    shard = MARKETS[market][2]
    group = twins.slow.n_groups
    yield "group", {"op": "create", "account": 0, "limit": rng.choice((300, 600)), "shard": shard}
    for place in (market, market, 1 - shard):
        for step in (1, 2, 3):
            yield send(0, place, "ask", 5_000 + 100 * step, 200, group=group)
    for _ in range(6):
        yield send(2, market, "bid", 5_300, 150, tif="immediate_or_cancel")
        yield "wait", {"seconds": rng.choice((0, 4, 16))}
    yield "group", {"op": rng.choice(("reset", "delete")), "account": 0, "number": group}
    if group in twins.slow.groups:
        yield send(0, market, "bid", 5_400, 500, group=group)
        yield "group", {"op": "delete", "account": 0, "number": group}


def _fees_rise(rng, market, twins):
    """Orders of an account without spare cash rest while the fees change; then they shrink, move or fill."""
    yield "fees", {"market": market, "fee_type": "quadratic", "multiplier": 1_000_000}
    side, other = rng.sample(("bid", "ask"), 2)
    price = rng.choice((4_900, 5_000, 5_100))
    for qty in (400, 300, 200, 100, 50):
        yield send(3, market, side, price, qty)
    spare = int(twins.slow.free(3, MARKETS[market][2]) * 10**6)
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": -spare}
    yield "fees", _fees(rng, market)
    for order in [o for o in twins.slow.orders if o.account == 3 and o.market == market]:
        act = {"account": 3, "number": order.number}
        roll = rng.randrange(5)
        if roll < 2:
            yield "decrease", act | {"by": True, "qty": rng.choice((1, 20))}
        elif roll == 2:
            act |= {"market": market, "side": side, "price": price + rng.choice((0, 0, 100, -100))}
            yield "amend", act | {"count": order.filled + order.qty + rng.choice((-30, -1, 0, 30))}
        else:
            yield send(0, market, other, price, rng.choice((1, 30, 250)), tif="immediate_or_cancel")
            yield "fees", _fees(rng, market)
    yield "cancel_all", {"account": 3}
    yield "deposit", {"account": 3, "shard": MARKETS[market][2], "amount": 8 * 10**6}


def _floor_rises(rng, market, twins):
    """Members with YES, with NO and behind a broker hold and quote while the floor rises by uneven steps."""
    floor = twins.slow.markets[market]["floor"]
    prices = [p for p in (4_500, 4_700, 4_900, 5_000, 5_100) if p > floor]
    for account, side in ((0, "bid"), (1, "ask"), (2, "bid"), (3, "ask")):
        for price in prices:
            yield send(account, market, side, price, rng.randint(1, 300), stp="maker")
    yield "floor", {"market": market, "value": min(floor + rng.choice((1, 10, 37, 100)), 4_990)}
    for account in rng.sample(range(4), 4):
        side = rng.choice(("bid", "ask"))
        yield send(account, market, side, rng.choice(prices), rng.randint(1, 400),
                    tif=rng.choice(("immediate_or_cancel", "good_till_canceled")))  # fmt: skip


def scenes(rng, twins):
    """Commands of one scene after the other, now and then on a cleared table."""
    while True:
        scene = rng.choice(
            (_ladder, _one_price, _last_cent, _against_itself, _close_out, _burst, _fees_rise, _floor_rises)
        )
        yield from scene(rng, rng.randrange(3), twins)
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
    if stream is not randoms:  # no close by the clock
        markets = tuple((*row[:3], FOREVER, 0) for row in MARKETS)
        twins = Twins(markets=markets, **options)
    for _, (command, fields) in zip(range(n), stream(rng, twins), strict=False):
        twins.both(command, **fields)
    for market in range(3):
        floor = twins.slow.markets[market]["floor"]
        twins.both("settle", market=market, value=rng.choice((floor, 10_000, max(floor, 3_333))))
    return twins
