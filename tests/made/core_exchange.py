"""A small exchange for tests of the matching core: rich accounts, and its tape in words."""

from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec
from kalshi_platform.simulation.matching import tape
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.reasons import NAMES
from kalshi_platform.simulation.matching.records import Sizes

SECOND_NS = 1_000_000_000


def open_exchange(
    n_markets=1, cash_e6=10**9, fee_type="quadratic", bands=WHOLE_CENTS, close_ns=None, **options
):
    """Exchange of three accounts with ``cash_e6`` on each shard; the tape is read up to here."""
    sizes = Sizes(accounts=3, orders=options.pop("orders", 64), shards=options.pop("n_shards", 1),
                  matches=options.pop("matches", 16), groups=4)  # fmt: skip
    specs = [
        MarketSpec(ticker=f"M{i}", event="E", fee_type=fee_type, price_ranges=bands, close_ns=close_ns)
        for i in range(n_markets)
    ]
    exchange = SimulatedExchange(specs, sizes, **options)
    for account in range(sizes.accounts):
        for shard in range(sizes.shards):
            assert exchange.deposit(account, cash_e6, shard=shard).ok
    exchange.read_tape()
    return exchange


def told(exchange):
    """Rows since the last reading as (kind, order or None, size, reason in words or fills)."""
    out = []
    for row in exchange.read_tape():
        kind = tape.KIND_NAMES[row["kind"]]
        number = int(row["order_id"]) if row["order_id"] >= 0 else None
        reason = NAMES[int(row["reason"])] if kind in ("CANCEL", "CHANGE") else int(row["reason"])
        out.append((kind, number, int(row["qty_e2"]), reason))
    return out


def cash_e6(exchange, account, shard=0):
    """(cash, reserved) of an account."""
    wallet = exchange.core.wallets[account, shard]
    return int(wallet["cash_e6"]), int(wallet["reserved_e6"])


def position_e2(exchange, account, market=0):
    """Signed position of an account."""
    return int(exchange.core.holdings[account, market]["position_e2"])
