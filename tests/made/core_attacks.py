"""Scenes that try to break the matching core: what follows on what, and the largest and smallest numbers."""

from kalshi_platform.domain.market import WHOLE_CENTS
from made.core_streams import send
from made.core_twins import FINE, HALVES, MARKETS, SECOND_NS
from made.plain_core import FOREVER

STPS = ("maker", "taker_at_cross")
TIFS = ("fill_or_kill", "immediate_or_cancel", "good_till_canceled")
STATUSES = ((), (), ("INACTIVE", "ACTIVE"), ("CLOSED", "ACTIVE"), ("INACTIVE", "CLOSED", "ACTIVE"))


def _set_up(rng, market, twins, around, group):
    """Two accounts quote on the finest grid, one partly in a group or for a second; then it is coarse."""
    yield "bands", {"market": market, "bands": FINE}
    for _ in range(7):
        side = rng.choice(("bid", "ask"))
        price = around + 100 * rng.randint(1, 3) * (-1 if side == "bid" else 1)
        yield send(
            0, market, side, price, rng.randint(1, 400), group=rng.choice((None, group)),
            stp=rng.choice(STPS), post_only=rng.random() < 0.2,
            expiry=rng.choice((FOREVER, twins.slow.now + SECOND_NS)),
        )  # fmt: skip
        yield send(1, market, side, price, rng.randint(1, 400))
    yield "bands", {"market": market, "bands": rng.choice((WHOLE_CENTS, HALVES, MARKETS[market][1]))}


def _blow(rng, market, twins, around):
    """One amend, cancel, trade with itself, reduction or wait of account 0, or a trade of another."""
    mine = [o for o in twins.slow.orders if o.market == market and o.account == 0]
    order = rng.choice(mine) if mine else None
    roll = rng.randrange(5) if order else 5 + rng.randrange(3)
    act = {"account": 0, "number": order.number} if order else {}
    if roll < 3:
        price = rng.choice((order.price, order.price, 5_000, 5_100, 4_900, around))
        count = order.filled + max(order.qty + rng.choice((0, -1, 7, -250)), 0)
        return "amend", act | {"market": market, "side": order.side, "price": price, "count": count}
    if roll == 3:
        return "cancel", act
    if roll == 4:
        other, qty = "ask" if order.side == "bid" else "bid", rng.randint(1, 600)
        return send(0, market, other, order.price, qty, stp=rng.choice(STPS), tif=rng.choice(TIFS))
    if roll == 5:
        price, side = rng.choice((100, 4_337, 5_000, 9_900)), rng.choice(("bid", "ask"))
        return send(rng.randrange(4), market, side, price, rng.randint(1, 900), tif=TIFS[1], reduce_only=True)
    if roll == 6:
        return "wait", {"seconds": rng.choice((0, 0.5, 1))}
    price = rng.choice((around - 200, around, 5_000, around + 200))
    return send(rng.choice((1, 2)), market, rng.choice(("bid", "ask")), price, rng.randint(1, 700))


def _turmoil(rng, market, twins):
    """Blow on blow on the same orders, until the market is paused or closed in the middle and opens again."""
    group, around = twins.slow.n_groups, rng.choice((5_000, 5_037, 5_050))
    limit = rng.choice((300, 1_000))
    yield "group", {"op": "create", "account": 0, "limit": limit, "shard": MARKETS[market][2]}
    yield from _set_up(rng, market, twins, around, group)
    for _ in range(14):
        yield _blow(rng, market, twins, around)
    for status in rng.choice(STATUSES):
        yield "status", {"market": market, "status": status}
        yield _blow(rng, market, twins, around)
    yield "group", {"op": "delete", "account": 0, "number": group}
    yield "bands", {"market": market, "bands": MARKETS[market][1]}


def _giants(rng, market, twins):
    """The largest orders that the exchange takes, and the smallest, at prices of its finest unit."""
    for account in (0, 1, 2):
        yield "deposit", {"account": account, "shard": MARKETS[market][2], "amount": 3 * 10**16}
    yield "bands", {"market": market, "bands": FINE}
    prices = [p for p in (1, 5_001, 4_999, 9_999) if p > twins.slow.markets[market]["floor"]]
    for _ in range(12):
        qty = rng.choice((10**9, 10**9 + 1, 10**9 - 1, 1, 333_333_333))
        yield send(rng.randrange(3), market, rng.choice(("bid", "ask")), rng.choice(prices), qty, stp="maker",
                   tif=rng.choice(TIFS[1:]))  # fmt: skip
    for order in [o for o in twins.slow.orders if o.market == market][:4]:
        count = rng.choice((10**9, order.filled + 10**9, 2**62, -(2**62)))
        yield "amend", {"account": order.account, "number": order.number, "market": market,
                        "side": order.side, "price": order.price, "count": count}  # fmt: skip
    for account in (0, 1, 2):
        yield "cancel_all", {"account": account}
        spare = int(twins.slow.free(account, MARKETS[market][2]) * 10**6)
        yield "deposit", {"account": account, "shard": MARKETS[market][2], "amount": 10**9 - spare}
    yield "bands", {"market": market, "bands": MARKETS[market][1]}


def _penniless(rng, market, twins):
    """An account without a cent of free cash sends what costs nothing, or a step of the balance."""
    shard = MARKETS[market][2]
    yield "bands", {"market": market, "bands": FINE}
    spare = int(twins.slow.free(3, shard) * 10**6)
    yield "deposit", {"account": 3, "shard": shard, "amount": rng.choice((0, 1, 99, 100)) - spare}
    for price in (4_337, 5_000):
        for side in ("bid", "ask"):
            yield send(
                3, market, side, price, rng.randint(1, 50), tif="immediate_or_cancel", reduce_only=True
            )
            yield send(3, market, side, price, 1, tif=rng.choice(TIFS))
    yield "cancel_all", {"account": 3}
    yield "deposit", {"account": 3, "shard": shard, "amount": 8 * 10**6}
    yield "bands", {"market": market, "bands": MARKETS[market][1]}


def attacks(rng, twins):
    """Commands of one attack after the other."""
    while True:
        yield from rng.choice((_turmoil, _turmoil, _giants, _penniless))(rng, rng.randrange(3), twins)
        yield "wait", {"seconds": rng.choice((0, 20))}
