"""Nothing fills twice: own fills against what the market displayed and printed, over any stretch of rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made.random_streams import RandomStream
from made.replay_bank import Script

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import BankMarket, MarketInfo

#: Most that fills at a price of unknown size while it is displayed.
CAP_E2 = 150


def displayed(row, up: bool) -> dict[int, int]:
    """Size at each price of the side that a buyer of YES (``up``) or of NO meets."""
    prices, sizes = (row.ask_px_e4, row.ask_qty_e2) if up else (row.bid_px_e4, row.bid_qty_e2)
    return {int(p): int(q) if q >= 0 else CAP_E2 for p, q in zip(prices, sizes, strict=True) if p >= 0}


def offered(rows, up: bool) -> tuple[np.ndarray, np.ndarray]:
    """(size displayed at each row, size added to it and printed up to each row), both (n,)."""
    total, before, added = [], displayed(rows[0], up), [0]
    for row in rows:
        now = displayed(row, up)
        grown = sum(max(q - before.get(p, 0), 0) for p, q in now.items())
        printed = int(row.print_qty_e2) if row.print_side == (NO if up else YES) else 0
        total.append(sum(now.values()))
        added.append(added[-1] + grown + printed)
        before = now
    return np.array(total), np.array(added[1:])


@given(
    seed=st.integers(0, 2**32 - 1),
    known=st.sampled_from(["levels", "levels", "quotes"]),
    style=st.sampled_from(["maker", "maker", "taker"]),
    up=st.booleans(),
    latency_ms=st.sampled_from([0, 1, 200]),
    qty_e2=st.sampled_from([1, 450, 3_000]),
    improve_ticks=st.sampled_from([0, 2]),
)
@settings(max_examples=60)
def test_fills_never_exceed_what_was_displayed_and_printed_in_any_stretch(
    seed, known, style, up, latency_ms, qty_e2, improve_ticks
):
    rng = np.random.default_rng(seed)
    spec = MarketSpec(ticker="M", event="E", fee_multiplier_e6=0)
    stream = RandomStream(rng, known, False)
    messages, told = stream.write(40), stream.history(spec)
    recorded = build_rows(messages, spec, tick_e4=10, known=told.known)
    if not (recorded.valid[1:] * recorded.valid[:-1]).any():
        return
    info = MarketInfo(spec, "quotes" if known == "quotes" else "recorded", 0.01, told)
    bank = build_bank([BankMarket(info, recorded)], ("bid",), (0,), (12,))
    script = Script(
        bank, order_style=style, latency_ms=latency_ms, order_qty_e2=qty_e2, position_limit_e2=10**9,
        improve_ticks=improve_ticks, unknown_fill_e2=CAP_E2, capital_e6=10**12, order_ttl_ms=10**6,
    )  # fmt: skip
    start, stop = (int(bank.arrays.segments[name][0]) for name in ("start", "stop"))
    shown, added = offered(bank.arrays.rows[start:stop], up)
    action, at, position = BUY_YES if up else BUY_NO, [0], [0]
    while script.slot().cursor + 1 < stop:
        ends = script.step(action if script.mask()[action] and rng.random() < 0.4 else HOLD)
        if any(ends):
            break
        at.append(int(script.slot().cursor) - start)
        position.append(abs(int(script.slot().position_e2)))
    for i, first in enumerate(at):
        bought = np.array(position[i:]) - position[i]
        most = shown[first] + added[at[i:]] - added[first]
        assert (bought <= most).all()
