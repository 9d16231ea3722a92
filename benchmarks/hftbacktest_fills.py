"""Fills of the same scripted orders in our replay and in hftbacktest, and the cause of every difference.

Run     python benchmarks/hftbacktest_fills.py [--orders N] [--seed N] [--json FILE]
Orders  seeded: limit orders that rest at several distances from the best price of their side until they are
        cancelled, and takers (IOC) at and beyond the other side. Each is alone in the market.
Same    stream (recorded level-2 days with their marked prints), 50 ms from decision to the book, 0 back; the
        risk-averse queue: everything displayed at the price on arrival stands ahead.
Proof   fill_rules.py plays both sets of rules in plain Python. The script fails where our kernel does not
        fill what our rules say or hftbacktest what its rules say, so that every difference has a name.
Needs   the extra ``bench``; without ../shared/data it plays a random stream and says so.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import fill_rules
import numpy as np
import polars as pl
import replay_input
from fill_rules import CENTS, Change, Fill, Message, Order

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.gaps import NOTHING_MISSING, put_before
from kalshi_platform.data.market_data.schema import FLAG_FILL, FLAG_LAST, NO, NO_SIDE, TRADE, YES, MarketRows
from kalshi_platform.domain.actions import BUY_NO, BUY_YES
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import CONTRACT_E2
from kalshi_platform.simulation.envs.kernel import advance_slot
from kalshi_platform.simulation.replay.account import clear_position, open_account
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import Bank, BankMarket, MarketInfo
from kalshi_platform.simulation.replay.execution import IDLE, clear_order
from kalshi_platform.simulation.replay.impact import ASK, BID
from kalshi_platform.simulation.replay.state import LIVE, allocate
from kalshi_platform.simulation.replay.trading import TradingConfig

LATENCY_NS: Final = 50_000_000
SECOND_NS: Final = 1_000_000_000
CENT_E4: Final = 100
RICH_E6: Final = 10**15
#: Distances of resting orders behind their side's best (-1 = one better), of takers beyond the other side's.
RESTING_AWAY, TAKING_AWAY = (-1, 0, 0, 0, 1, 2, 5, 9), (0, 1, 3)
#: Sizes, 1e-2 contract.
SIZES_E2: Final = (37, 500, 2_000, 10_037, 50_000)


class Day(NamedTuple):
    """One market's stream in the three forms that are played."""

    name: str
    recorded: MarketRows
    rows: Rows
    messages: list[Message]


class Result(NamedTuple):
    """One order in both engines."""

    order: Order
    ours: list[Fill]
    theirs: list[Fill]
    causes: dict[str, int]
    unexplained: bool


def recorded_days() -> list[tuple[str, MarketRows]]:
    """(ticker, rows with their prints) of the recorded level-2 days; a random stream where there are none."""
    if not replay_input.RECORDED.is_file():
        return [("random stream", with_prints(replay_input.load(1).rows, None))]
    table = pl.read_parquet(replay_input.RECORDED)
    days = [part for _, part in table.group_by("market_ticker", maintain_order=True)]
    return [
        (str(day["market_ticker"][0]), with_prints(replay_input.market_rows(day), day["is_fill"]))
        for day in days
    ]


def with_prints(rows: MarketRows, is_fill: pl.Series | None) -> MarketRows:
    """``rows`` with the prints before the changes that they caused, as the importer puts them."""
    if is_fill is not None:
        rows.flags[is_fill.fill_null(value=False).to_numpy() & (rows.qty_e2 < 0)] |= FLAG_FILL
    return put_before(rows, np.full(rows.kind.size, NOTHING_MISSING))[0]


def day_of(name: str, recorded: MarketRows) -> Day:
    """The stream as rows for our kernel and as messages for the plain rules."""
    rows = build_rows(recorded, MarketSpec(ticker=name, event=name))
    messages, pending, start, traded = [], [], False, (0, 0, False)
    depth: dict[tuple[bool, int], int] = {}
    columns = (recorded.side, recorded.price_e4, recorded.qty_e2, recorded.kind, recorded.flags)
    for side, price, qty, kind, flags in zip(*(c.tolist() for c in columns), strict=True):
        if kind == TRADE:
            traded = (price // CENT_E4, qty, side == NO)
        elif side == NO_SIDE:
            start = True
            depth.clear()
        else:
            level = side == YES, (price if side == YES else 10_000 - price) // CENT_E4
            depth[level] = depth.get(level, 0) + qty
            pending.append(Change(*level, depth[level]))
        if flags & FLAG_LAST:
            r = len(messages)
            end, at = bool(rows.burst_end[r]), int(rows.recv_ns[r])
            messages.append(Message(at, tuple(pending), *traded, start, end))
            pending, start, traded = [], False, (0, 0, False)
    return Day(name, recorded, rows, messages)


def script(day: Day, n: int, seed: int) -> list[Order]:
    """Orders over the whole day, sent half a microsecond beside every message so that no times are equal."""
    rng, rows = np.random.default_rng([seed, len(day.messages)]), day.rows
    first, last = int(rows.recv_ns[0]) + 60 * SECOND_NS, int(rows.recv_ns[-1]) - 700 * SECOND_NS
    orders: list[Order] = []
    while len(orders) < n:
        sent = int(rng.integers(first // 1_000, last // 1_000)) * 1_000 + 500
        at = int(np.searchsorted(rows.recv_ns, sent)) - 1
        bid, takes = bool(rng.random() < 0.5), bool(rng.random() < 0.25)
        away = int(rng.choice(TAKING_AWAY if takes else RESTING_AWAY))
        best = int(rows.bid_px_e4[at, 0] if bid != takes else rows.ask_px_e4[at, 0])
        cents = best // CENT_E4 + (away if bid == takes else -away)
        life = round(float(np.exp(rng.uniform(0, np.log(600)))) * 1e6) * 1_000
        qty = int(rng.choice(SIZES_E2))
        if best > 0 and 0 < cents < CENTS:
            arrives = sent + LATENCY_NS
            orders.append(Order(bid, cents, qty, takes, sent, arrives, arrives + life, away))
    return sorted(orders, key=lambda o: o.sent_ns)


def our_bank(day: Day) -> Bank:
    """The day as replay steps over it."""
    info = MarketInfo(MarketSpec(ticker=day.name, event=day.name), "recorded", 0.01)
    return build_bank([BankMarket(info, day.rows)], ("x",), (0,), (0,))


def our_fills(bank: Bank, orders: Sequence[Order]) -> Iterator[list[Fill]]:
    """Fills of each order alone in our replay kernel."""
    arrays = bank.arrays
    rows, segment = arrays.rows, arrays.segments[0]
    envs, slots = allocate(1, 1)
    env, slot = envs[0], slots[0, 0]
    for order in orders:
        open_account(env, RICH_E6)
        clear_position(slot)
        clear_order(slot)
        slot.state, slot.end_ns, slot.stop, slot.shift_ns = LIVE, segment["end_ns"], segment["stop"], 0
        slot.market, slot.terms_at, slot.terms = 0, 0, 0
        slot.cursor = np.searchsorted(rows["recv_ns"], order.sent_ns) - 1
        slot.sent_action = BUY_YES if order.bid else BUY_NO
        slot.sent_price_e4, slot.sent_qty_e2 = order.cents * CENT_E4, order.qty_e2
        slot.arrival_ns = order.arrives_ns
        params = TradingConfig(order_style="taker" if order.takes else "maker").execution._replace(
            order_ttl_ns=order.ends_ns - order.arrives_ns, order_qty_e2=10**9, position_limit_e2=10**9
        )
        market = arrays.markets[0]
        advance_slot(rows, market, arrays.terms, env, slot, order.arrives_ns, params)
        if order.takes:
            yield _taken(slot, order)
            continue
        found, traded = [], 0
        while slot.order_state != IDLE and slot.cursor + 1 < slot.stop:
            at = int(rows[slot.cursor + 1].recv_ns)
            advance_slot(rows, market, arrays.terms, env, slot, at, params)
            if slot.traded_e2 != traded:
                found.append(Fill(at, order.cents, int(slot.traded_e2) - traded))
                traded = int(slot.traded_e2)
        yield fill_rules.merged(found)


def _taken(slot: Any, order: Order) -> list[Fill]:
    side = ASK if order.bid else BID
    taken = zip(slot.taken_px_e4[side].tolist(), slot.taken_e2[side].tolist(), strict=True)
    levels = sorted((price, qty) for price, qty in taken if price > 0)
    return [
        Fill(order.arrives_ns, price // CENT_E4, qty)
        for price, qty in (levels if order.bid else levels[::-1])
    ]


def peer_data(day: Day) -> Any:
    """The stream as hftbacktest takes it: a print before the change it caused, absolute sizes."""
    from hftbacktest import (
        BUY_EVENT,
        DEPTH_CLEAR_EVENT,
        DEPTH_EVENT,
        EXCH_EVENT,
        LOCAL_EVENT,
        SELL_EVENT,
        TRADE_EVENT,
    )
    from hftbacktest.types import event_dtype

    found = []
    for m in day.messages:
        if m.print_e2:
            side = SELL_EVENT if m.print_meets_bids else BUY_EVENT
            found.append((TRADE_EVENT | side, m.at_ns, m.print_cents, m.print_e2))
        if m.clears:
            found.append((DEPTH_CLEAR_EVENT, m.at_ns, 0, 0))
        for change in m.changes:
            side = BUY_EVENT if change.bid else SELL_EVENT
            found.append((DEPTH_EVENT | side, m.at_ns, change.cents, change.qty_e2))
    out = np.zeros(len(found), event_dtype)
    kind, at_ns, cents, qty = (np.array(column) for column in zip(*found, strict=True))
    out["ev"] = kind | EXCH_EVENT | LOCAL_EVENT
    out["exch_ts"] = out["local_ts"] = at_ns
    out["px"], out["qty"] = cents / CENTS, qty / CONTRACT_E2
    return out


def peer_fills(data: Any, orders: Sequence[Order]) -> Iterator[list[Fill]]:
    """Fills of each order alone in hftbacktest.

    Of a taker that walks several levels it tells the last fill; its price stands for all of the size.
    """
    from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest

    for order in orders:
        asset = (
            BacktestAsset()
            .data([data])
            .linear_asset(1.0)
            .constant_order_latency(LATENCY_NS, 0)
            .risk_adverse_queue_model()
            .partial_fill_exchange()
            .trading_value_fee_model(0, 0)
            .tick_size(1 / CENTS)
            .lot_size(1 / CONTRACT_E2)
        )
        backtest = HashMapMarketDepthBacktest([asset])
        yield _peer_fills_of(backtest, order)
        backtest.close()


def _peer_fills_of(backtest: Any, order: Order) -> list[Fill]:
    from hftbacktest.order import GTX, IOC, LIMIT

    backtest.elapse(0)
    backtest.elapse(order.sent_ns - backtest.current_timestamp)
    send = backtest.submit_buy_order if order.bid else backtest.submit_sell_order
    send(0, 1, order.cents / CENTS, order.qty_e2 / CONTRACT_E2, IOC if order.takes else GTX, LIMIT, False)
    found, left, stop_ns, cancelled = [], order.qty_e2, order.ends_ns - LATENCY_NS, False
    while True:
        answer = backtest.wait_next_feed(True, stop_ns - backtest.current_timestamp)
        if answer < 0 or answer > 3:
            raise AssertionError(f"hftbacktest stops with {answer} for {order}")
        told = backtest.orders(0).get(1)
        now_left = round(told.leaves_qty * CONTRACT_E2)
        if now_left != left and told.exch_timestamp:
            found.append(Fill(int(told.exch_timestamp), round(told.exec_price * CENTS), left - now_left))
            left = now_left
        working = told.cancellable or told.exch_timestamp == 0
        if answer == 1 or not working:
            return fill_rules.merged(found)
        if backtest.current_timestamp >= stop_ns:
            if cancelled:
                return fill_rules.merged(found)
            backtest.cancel(0, 1, False)
            cancelled, stop_ns = True, order.ends_ns + 1


def compare(day: Day, orders: Sequence[Order]) -> list[Result]:
    """Play the orders in both engines and by the plain rules of both."""
    both = fill_rules.views(day.messages)
    ours, theirs = our_fills(our_bank(day), orders), peer_fills(peer_data(day), orders)
    out = []
    for order, mine, other in zip(orders, ours, theirs, strict=True):
        by_peer_rules = as_told(order, fill_rules.fills(both, order, fill_rules.CAUSES))
        wrong = mine != fill_rules.fills(both, order) or other != by_peer_rules
        told = as_told(order, mine)
        causes = fill_rules.causes_of(both, order) if told != other else {}
        out.append(Result(order, told, other, causes, wrong or (told != other and not causes)))
    return out


def as_told(order: Order, found: list[Fill]) -> list[Fill]:
    """Fills as hftbacktest tells them: those of a taker as one, at the price of the last."""
    if not order.takes or not found:
        return found
    return [Fill(found[-1].at_ns, found[-1].cents, sum(f.qty_e2 for f in found))]


def agreement(name: str, results: Sequence[Result]) -> dict[str, object]:
    """One row of the table: number of orders whose fills agree, and in what."""

    def same(what: Any) -> int:
        return sum(what(r.ours) == what(r.theirs) for r in results)

    return {
        "orders": name,
        "n": len(results),
        "fills": [sum(len(r.ours) for r in results), sum(len(r.theirs) for r in results)],
        "contracts": [sum(f.qty_e2 for r in results for f in side(r)) / 100 for side in _SIDES],
        "same_count": same(len),
        "same_quantity": same(lambda fills: sum(f.qty_e2 for f in fills)),
        "same_price": same(lambda fills: [f.cents for f in fills]),
        "same_time": same(lambda fills: [f.at_ns for f in fills]),
        "same_all": same(lambda fills: fills),
    }


_SIDES: Final = (lambda r: r.ours, lambda r: r.theirs)


def tables(results: Sequence[Result]) -> dict[str, object]:
    """Agreement by kind of order, and the differences by cause."""
    kinds: dict[str, list[Result]] = {}
    for r in results:
        kind = "takes {} beyond the other side" if r.order.takes else "rests {} behind its side"
        kind = kind.format(r.order.away)
        kinds.setdefault(kind, []).append(r)
    differing = [r for r in results if r.ours != r.theirs]
    by_cause = Counter(name for r in differing for name in r.causes)
    alone = Counter(next(iter(r.causes)) for r in differing if len(r.causes) == 1)
    size = Counter({n: sum(r.causes.get(n, 0) for r in differing) for n in fill_rules.CAUSES})
    return {
        "agreement": [agreement(k, kinds[k]) for k in sorted(kinds)] + [agreement("all", results)],
        "differing": len(differing),
        "causes": [
            {"cause": n, "orders": by_cause[n], "alone": alone[n], "contracts": size[n] / 100, "means": why}
            for n, why in fill_rules.CAUSES.items()
        ],
        "other": sum(r.unexplained for r in results),
    }


def main(arguments: Sequence[str]) -> int:
    """Print the tables; 1 where an order has no explanation."""
    parser = argparse.ArgumentParser(description="Compare fills with hftbacktest's.")
    parser.add_argument("--orders", type=int, default=1_000, help="orders a day")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, help="write the tables here too")
    given = parser.parse_args(arguments)
    told, results = {}, list[Result]()
    for name, recorded in recorded_days():
        day = day_of(name, recorded)
        found = compare(day, script(day, given.orders, given.seed))
        told[name], results = tables(found), results + found
    told["all days"] = tables(results)
    for name, table in told.items():
        print_tables(name, table)
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if told["all days"]["other"] else 0


def print_tables(name: str, table: dict[str, Any]) -> None:
    """Print one day's tables; ours / hftbacktest's where two figures stand."""
    widths = (32, 6, 12, 22, 8, 9, 8, 8, 8)
    head = ("orders", "n", "fills", "contracts", "count", "quantity", "price", "time", "all")
    lines = [head]
    for row in table["agreement"]:
        both = ["/".join(f"{x:g}" for x in row[k]) for k in ("fills", "contracts")]
        lines.append((row["orders"], row["n"], *both, *(row[f"same_{k}"] for k in head[4:])))
    print(f"\n{name}: orders that agree in")
    for line in lines:
        print(
            "".join(f"{x:<{w}}" if x is line[0] else f"{x:>{w}}" for x, w in zip(line, widths, strict=True))
        )
    print(f"{table['differing']} orders differ, {table['other']} for no known cause")
    for row in table["causes"]:
        told = f"{row['orders']:5} orders, {row['alone']:4} by it alone, {row['contracts']:+10.2f} contracts"
        print(f"  {row['cause']:14}{told}  {row['means']}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
